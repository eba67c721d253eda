//! Messages of the element on the bus.

use std::path::Path;
use std::time::Duration;

use gst::prelude::*;

use super::UNetSegment;
use super::choices::Classes;
use super::model_info::ModelInfo;
use super::objects::Objects;
use super::picture_check::PictureComparison;
use super::settings::FrameSettings;
use super::trigger::TriggerEvent;
use crate::contract::FeatureComparison;
use crate::labels::{MOST_OBJECTS, Object, TrackEvents};
use crate::times::nanoseconds;

/// The frame that a message reports on.
#[derive(Clone, Copy, Debug)]
pub struct MessageContext {
    /// Number of the frame since the element started, from 0, in order of arrival.
    pub frame: u64,
    /// Its timestamp, if it has one.
    pub timestamp: Option<gst::ClockTime>,
    /// How much earlier the frame arrived that the mask was made from, with `mode=sync` at most the time between their
    /// timestamps.
    pub age: Duration,
    /// Whether that is more than `max-mask-age`.
    pub stale: bool,
}

impl MessageContext {
    fn fields(&self, name: &str) -> gst::structure::Builder {
        let fields = gst::Structure::builder(name)
            .field("frame", self.frame)
            .field("mask-age", nanoseconds(self.age));
        match self.timestamp {
            Some(timestamp) => fields.field("timestamp", timestamp.nseconds()),
            None => fields,
        }
    }
}

/// The element message `unetsegment`, which reports on one frame. Its fields are
///
/// - `frame` (guint64), `timestamp` (guint64, nanoseconds; missing if the frame has none),
/// - `mask-age` (guint64, nanoseconds), `stale` (gboolean, whether that is more than `max-mask-age`),
/// - `objects` (guint), `coverage` (gdouble, share of the frame that is not background),
/// - `class-areas` (array of guint64, pixels of each class of the model, the background first),
/// - with `measure-uncertainty`, `uncertainty` (gdouble, bits),
/// - with `track`, the events since the previous message: `births`, `deaths` (arrays of guint), `divisions` (array of
///   arrays of guint: the object that divided, and the two that it became) and `renumbered` (gboolean, whether
///   numbering restarted at 1),
/// - with `post-objects`, `object-list` (array of structures, see [`object`]).
pub fn frame_message(
    context: &MessageContext,
    (objects, events): (&Objects, &TrackEvents),
    settings: &FrameSettings,
    micrometres: Option<f64>,
) -> gst::Structure {
    let quantities = objects.quantities(events);
    let count = u32::try_from(quantities.objects).unwrap_or(u32::MAX);
    let mut fields = context
        .fields("unetsegment")
        .field("stale", context.stale)
        .field("objects", count)
        .field("coverage", quantities.coverage)
        .field("class-areas", gst::Array::new(objects.areas()));
    if let Some(bits) = objects.uncertainty() {
        fields = fields.field("uncertainty", bits);
    }
    if settings.tracks() {
        let divisions = events.divisions.iter();
        let divisions = divisions.map(|(one, [a, b])| gst::Array::new([*one, *a, *b]));
        fields = fields
            .field("births", gst::Array::new(&events.births))
            .field("deaths", gst::Array::new(&events.deaths))
            .field("divisions", gst::Array::new(divisions))
            .field("renumbered", events.renumbered);
    }
    if settings.post_objects {
        let list = objects.list().iter();
        let list = list.map(|found| object(found, micrometres));
        fields = fields.field("object-list", gst::Array::new(list));
    }
    fields.build()
}

/// One object: `number`, `class` (guint), `area` (guint64, pixels), `x`, `y` (gdouble, its centroid), `left`, `top`,
/// `width`, `height` (guint, its bounds), `perimeter` (gdouble, pixels), `circularity` (gdouble, 1 for a disc),
/// `intensity` (gdouble, mean count of the picture) and, if the size of a pixel is known, `area-um2`, `x-um`, `y-um` and
/// `perimeter-um` (gdouble).
fn object(found: &Object, micrometres: Option<f64>) -> gst::Structure {
    let whole = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let (columns, rows) = (found.columns, found.rows);
    let mut fields = gst::Structure::builder("object")
        .field("number", found.number)
        .field("class", u32::from(found.class))
        .field("area", found.area as u64)
        .field("x", found.centroid.0)
        .field("y", found.centroid.1)
        .field("left", whole(columns.0))
        .field("top", whole(rows.0))
        .field("width", whole(columns.1 + 1 - columns.0))
        .field("height", whole(rows.1 + 1 - rows.0))
        .field("perimeter", found.perimeter)
        .field("circularity", found.circularity());
    if let Some(intensity) = found.intensity {
        fields = fields.field("intensity", intensity);
    }
    if let Some(side) = micrometres {
        fields = fields
            .field("area-um2", found.area as f64 * side * side)
            .field("x-um", found.centroid.0 * side)
            .field("y-um", found.centroid.1 * side)
            .field("perimeter-um", found.perimeter * side);
    }
    fields.build()
}

/// The element message `unetsegment-trigger`, for when the condition of `trigger` begins to hold, and when it ends or is
/// replaced: `trigger` (gchararray), `active` (gboolean), `value` (gdouble, of the quantity that is compared), `frame`,
/// `timestamp` and `mask-age` as in [`frame_message`].
pub fn trigger_message(context: &MessageContext, event: &TriggerEvent) -> gst::Structure {
    context
        .fields("unetsegment-trigger")
        .field("trigger", event.trigger.to_string())
        .field("active", event.active)
        .field("value", event.value)
        .build()
}

/// The outcome of setting `model-file` while the element runs.
pub enum Swap<'a> {
    /// Frames are segmented with it from now on.
    Done(&'a ModelInfo),
    /// The previous model stays in use.
    Refused { path: &'a Path, reason: &'a str },
}

/// Posts an element message named `unetsegment-model` with the fields `model-file` (gchararray), `loaded`
/// (gboolean), and `model-hash` (gchararray, SHA-256 in hexadecimal digits) if it is loaded or `reason`
/// (gchararray) if it is not.
pub fn post_swap(element: &UNetSegment, swap: &Swap) {
    let fields = gst::Structure::builder("unetsegment-model");
    let fields = match swap {
        Swap::Done(model) => fields
            .field("model-file", model.path.display().to_string())
            .field("loaded", true)
            .field("model-hash", model.hash.as_str()),
        Swap::Refused { path, reason } => fields
            .field("model-file", path.display().to_string())
            .field("loaded", false)
            .field("reason", *reason),
    };
    post_structure(element, fields.build());
}

/// Difference between the mask of tiles and that of one run over the whole frame.
#[derive(Clone, Debug)]
pub struct Seams {
    /// Number of tiles in a frame.
    pub tiles: usize,
    /// Pixels of a frame.
    pub pixels: usize,
    /// How many of them differ in class, or why that is unknown.
    pub differing: Result<usize, String>,
}

/// Rate and quality that are left under `max-latency`.
pub struct PaceReport {
    /// The network sees every N-th frame.
    pub interval: u32,
    /// Whether tiles are averaged where they meet.
    pub averaging: bool,
    /// How far tiles see beyond the area that they segment, in pixels.
    pub overlap: usize,
    /// Whether masks are late, with nothing left to reduce.
    pub exhausted: bool,
    /// Whether that is new.
    pub newly_exhausted: bool,
}

/// Posts an element message named `unetsegment-latency` with the fields `max-latency` (guint, milliseconds),
/// `inference-interval` (guint), `averaging` (gboolean), `overlap` (guint, pixels) and `held` (gboolean: false if
/// nothing is left to reduce), and once a warning if that is so.
pub fn post_pace(element: &UNetSegment, pace: &PaceReport, settings: &FrameSettings) {
    let limit = settings.max_latency;
    let fields = gst::Structure::builder("unetsegment-latency")
        .field("max-latency", limit)
        .field("inference-interval", pace.interval)
        .field("averaging", pace.averaging)
        .field("overlap", u32::try_from(pace.overlap).unwrap_or(u32::MAX))
        .field("held", !pace.exhausted);
    post_structure(element, fields.build());
    if pace.newly_exhausted {
        gst::element_warning!(
            element,
            gst::StreamError::Failed,
            ("Masks take longer than max-latency={limit} allows, and nothing is left to reduce: use a smaller network, the model in 8-bit integers, or a graphics card")
        );
    }
}

/// Warns that tiles take at most `memory` bytes, because there is less than `tile-memory` allows.
pub fn warn_of_memory(element: &UNetSegment, memory: u64) {
    let mebibytes = memory >> 20;
    gst::element_warning!(
        element,
        gst::StreamError::Failed,
        ("There is less memory than tile-memory allows: frames of this size are cut into tiles that take at most {mebibytes} MiB, and masks take longer")
    );
}

/// Warns that all object numbers have been used.
pub fn warn_of_numbers(element: &UNetSegment) {
    gst::element_warning!(
        element,
        gst::StreamError::Failed,
        ("All {MOST_OBJECTS} object numbers have been used; numbering restarts at 1, also for objects still present. Set min-area, so that specks are not tracked. Messages have renumbered=true whenever this happens again")
    );
}

/// Warns about classes that are to be `shown` and that `model` does not have, if any.
pub fn warn_of_classes(element: &UNetSegment, model: &ModelInfo, shown: &Classes) {
    let classes = &model.contract.classes;
    let unknown = shown.beyond(classes.len());
    let unknown: Vec<_> = unknown.map(|class| class.to_string()).collect();
    if unknown.is_empty() {
        return;
    }
    let known = classes.iter().enumerate().skip(1);
    let known = known.map(|(number, class)| format!("{number} ({})", class.name));
    let (name, unknown) = (&model.contract.name, unknown.join(", "));
    let known = known.collect::<Vec<_>>().join(", ");
    gst::element_warning!(
        element,
        gst::ResourceError::Settings,
        ("show-classes={shown}: {name} has no class {unknown}, so nothing is shown for it. Its classes are {known}")
    );
}

/// Posts an element message named `unetsegment-seams`: `tiles` (guint) of a frame and, if one run over the whole frame
/// was possible, `differing` (guint64, pixels of another class than in that run's mask) and `share` (gdouble, of
/// all pixels); otherwise `reason` (gchararray).
pub fn post_seams(element: &UNetSegment, seams: &Seams) {
    let fields = gst::Structure::builder("unetsegment-seams")
        .field("tiles", u32::try_from(seams.tiles).unwrap_or(u32::MAX));
    let fields = match &seams.differing {
        Ok(differing) => fields
            .field("differing", *differing as u64)
            .field("share", *differing as f64 / seams.pixels.max(1) as f64),
        Err(reason) => fields.field("reason", reason.as_str()),
    };
    post_structure(element, fields.build());
}

/// Posts an element message named `unetsegment-pictures`, when frames begin or cease to look unlike the pictures that
/// the model was trained on: `alike` (gboolean), `timestamp` (guint64, nanoseconds; missing if the frame has none), and
/// for each feature that was compared an array of its value, and the smallest and the largest one of the training
/// pictures (gdouble). If they are unlike, a warning says so, too.
pub fn post_pictures(
    element: &UNetSegment,
    model: &ModelInfo,
    comparison: &PictureComparison,
    timestamp: Option<gst::ClockTime>,
) {
    let mut fields =
        gst::Structure::builder("unetsegment-pictures").field("alike", comparison.alike);
    if let Some(timestamp) = timestamp {
        fields = fields.field("timestamp", timestamp.nseconds());
    }
    for one in &comparison.features {
        let rounded = |value: f32| (f64::from(value) * 1e4).round() / 1e4;
        let values = [one.value, one.range.0, one.range.1].map(rounded);
        fields = fields.field(one.feature.name(), gst::Array::new(values));
    }
    post_structure(element, fields.build());
    if !comparison.alike {
        let unlike = comparison.features.iter().filter(|one| one.is_unlike());
        let unlike: Vec<_> = unlike.map(FeatureComparison::to_string).collect();
        let (model, unlike) = (&model.contract.name, unlike.join("; "));
        gst::element_warning!(
            element,
            gst::StreamError::Failed,
            ("Frames look unlike the pictures that {model} was trained on, and masks may be wrong: {unlike}. Compare focus, magnification and contrast, or train a model on pictures like these; check-pictures=false turns this check off")
        );
    }
}

/// Posts an element message.
pub fn post_structure(element: &UNetSegment, structure: gst::Structure) {
    let message = gst::message::Element::builder(structure)
        .src(element)
        .build();
    // It fails only without a bus.
    let _ = element.post_message(message);
}
