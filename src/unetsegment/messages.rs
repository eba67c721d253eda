//! What the element tells on the bus.

use std::path::Path;
use std::time::Duration;

use gst::prelude::*;

use super::UNetSegment;
use super::choices::Classes;
use super::likeness::Look;
use super::model::Loaded;
use super::objects::Objects;
use super::settings::FrameSettings;
use super::trigger::Change;
use crate::contract::Compared;
use crate::labels::{Events, MOST_OBJECTS, Object};
use crate::times::nanoseconds;

/// Which frame a message is about.
#[derive(Clone, Copy, Debug)]
pub struct Occasion {
    /// Number of the frame since the element started, from 0, as it came in.
    pub frame: u64,
    /// Its timestamp, if it has one.
    pub timestamp: Option<gst::ClockTime>,
    /// How much earlier the frame came in that the mask was made from.
    pub age: Duration,
    /// Whether that is too much.
    pub stale: bool,
}

impl Occasion {
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

/// The element message `unetsegment`: what one frame holds. Its fields are
///
/// - `frame` (guint64), `timestamp` (guint64, nanoseconds; missing where the frame has none),
/// - `mask-age` (guint64, nanoseconds), `stale` (gboolean, whether that is more than `max-mask-age`),
/// - `objects` (guint), `coverage` (gdouble, share of the frame that is not background),
/// - `class-areas` (array of guint64, pixels of each class of the model, the background first),
/// - with `measure-uncertainty`, `uncertainty` (gdouble, bits),
/// - with `track`, what has happened since the message before: `births`, `deaths` (arrays of guint), `divisions` (array
///   of arrays of guint: the object that has divided, and both that it became) and `renumbered` (gboolean, whether
///   numbers began at 1 again),
/// - with `post-objects`, `object-list` (array of structures, see [`object`]).
pub fn report(
    occasion: &Occasion,
    (objects, events): (&Objects, &Events),
    settings: &FrameSettings,
    micrometres: Option<f64>,
) -> gst::Structure {
    let held = objects.held(events);
    let mut fields = occasion
        .fields("unetsegment")
        .field("stale", occasion.stale)
        .field("objects", u32::try_from(held.objects).unwrap_or(u32::MAX))
        .field("coverage", held.coverage)
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
            .field("renumbered", events.begun_anew);
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
/// `intensity` (gdouble, mean count of the picture) and, where the size of a pixel is known, `area-um2`, `x-um`,
/// `y-um` and `perimeter-um` (gdouble).
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

/// The element message `unetsegment-trigger`, when the condition of `trigger` begins to hold, and when it ends or
/// another one takes its place: `trigger` (gchararray), `active` (gboolean), `value` (gdouble, what was compared),
/// `frame`, `timestamp` and `mask-age` as in [`report`].
pub fn triggered(occasion: &Occasion, change: &Change) -> gst::Structure {
    occasion
        .fields("unetsegment-trigger")
        .field("trigger", change.trigger.to_string())
        .field("active", change.active)
        .field("value", change.value)
        .build()
}

/// What became of a `model-file` that was set while the element runs.
pub enum Swap<'a> {
    /// Frames are segmented with it from now on.
    Done(&'a Loaded),
    /// The model before stays.
    Refused { path: &'a Path, reason: &'a str },
}

/// Posts an element message named `unetsegment-model` with the fields `model-file` (gchararray), `loaded`
/// (gboolean), and `model-hash` (gchararray, SHA-256 in hexadecimal digits) where it is loaded or `reason`
/// (gchararray) where it is not.
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

/// How the mask of tiles differs from that of one run over the whole frame.
#[derive(Clone, Debug)]
pub struct Seams {
    /// How many tiles a frame has.
    pub tiles: usize,
    /// Pixels of a frame.
    pub pixels: usize,
    /// How many of them have another class, or why that is not known.
    pub differing: Result<usize, String>,
}

/// What is given up so that masks are not late.
pub struct Paced {
    /// The network sees every N-th frame.
    pub interval: u32,
    /// Whether tiles are averaged where they meet.
    pub averaging: bool,
    /// How far tiles see beyond what they answer for, in pixels.
    pub overlap: usize,
    /// Whether masks are late all the same.
    pub exhausted: bool,
    /// Whether that is news.
    pub just_so: bool,
}

/// Posts an element message named `unetsegment-latency` with the fields `max-latency` (guint, milliseconds),
/// `inference-interval` (guint), `averaging` (gboolean), `overlap` (guint, pixels) and `held` (gboolean: false
/// where nothing is left to give up), and a warning where that is so.
pub fn post_paced(element: &UNetSegment, paced: &Paced, settings: &FrameSettings) {
    let limit = settings.max_latency;
    let fields = gst::Structure::builder("unetsegment-latency")
        .field("max-latency", limit)
        .field("inference-interval", paced.interval)
        .field("averaging", paced.averaging)
        .field("overlap", u32::try_from(paced.overlap).unwrap_or(u32::MAX))
        .field("held", !paced.exhausted);
    post_structure(element, fields.build());
    if paced.just_so {
        gst::element_warning!(
            element,
            gst::StreamError::Failed,
            ("Masks take longer than max-latency={limit} allows, and nothing is left to give up: take a smaller network, its form in 8-bit integers, or a graphics card")
        );
    }
}

/// Warns that tiles take no more than so many bytes, because memory lacks for what `tile-memory` allows.
pub fn warn_of_memory(element: &UNetSegment, memory: u64) {
    let mebibytes = memory >> 20;
    gst::element_warning!(
        element,
        gst::StreamError::Failed,
        ("There is less memory than tile-memory allows: frames of this size are cut into tiles that take {mebibytes} MiB at most, and masks take longer")
    );
}

/// Warns that all numbers of objects were given.
pub fn warn_of_numbers(element: &UNetSegment) {
    gst::element_warning!(
        element,
        gst::StreamError::Failed,
        ("All {MOST_OBJECTS} numbers of objects were given: they begin at 1 again, also for objects that stay. Set min-area, so that specks are not followed. The field renumbered of messages tells when that happens again")
    );
}

/// Warns of classes that are to be `shown` and that `model` does not have, if there are any.
pub fn warn_of_classes(element: &UNetSegment, model: &Loaded, shown: &Classes) {
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
        ("show-classes={shown}: {name} has no class {unknown}, and nothing is shown of it. Its classes are {known}")
    );
}

/// Posts an element message named `unetsegment-seams`: `tiles` (guint) of a frame, and, where one run over the whole
/// frame was possible, `differing` (guint64, pixels of another class than in that run's mask) and `share` (gdouble, of
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
/// the model learned from: `alike` (gboolean), `timestamp` (guint64, nanoseconds; missing where the frame has none),
/// and of each trait that was compared an array of its value, and of the smallest and the largest one of the pictures
/// learned from (gdouble). Where they are unlike a warning says so, too.
pub fn post_look(
    element: &UNetSegment,
    model: &Loaded,
    look: &Look,
    timestamp: Option<gst::ClockTime>,
) {
    let mut fields = gst::Structure::builder("unetsegment-pictures").field("alike", look.alike);
    if let Some(timestamp) = timestamp {
        fields = fields.field("timestamp", timestamp.nseconds());
    }
    for one in &look.compared {
        let rounded = |value: f32| (f64::from(value) * 1e4).round() / 1e4;
        let values = [one.value, one.range.0, one.range.1].map(rounded);
        fields = fields.field(one.which.name(), gst::Array::new(values));
    }
    post_structure(element, fields.build());
    if !look.alike {
        let unlike = look.compared.iter().filter(|one| one.is_unlike());
        let unlike: Vec<_> = unlike.map(Compared::to_string).collect();
        let (model, unlike) = (&model.contract.name, unlike.join("; "));
        gst::element_warning!(
            element,
            gst::StreamError::Failed,
            ("Frames look unlike the pictures that {model} learned from, and masks may be wrong: {unlike}. Compare focus, magnification and contrast, or train a model on pictures like these; check-pictures=false leaves this check out")
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
