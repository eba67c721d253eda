//! What the element tells on the bus.

use std::path::Path;
use std::time::Duration;

use gst::prelude::*;

use super::UNetSegment;
use super::loaded::Loaded;
use super::settings::FrameSettings;

/// What one frame held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Number of the frame since the element started, from 0.
    pub frame: u64,
    /// Its timestamp, if it has one.
    pub timestamp: Option<gst::ClockTime>,
    /// Objects: connected components.
    pub objects: usize,
    /// Share of the pixels that are not background, `0..=1`.
    pub coverage: f64,
    /// How much earlier the frame came in that the mask was made from.
    pub age: Duration,
}

/// Posts `report` as an element message named `unetsegment` with the fields `frame` (guint64),
/// `timestamp` (guint64, nanoseconds; missing where the frame has none), `objects` (guint), `coverage`
/// (gdouble) and `mask-age` (guint64, nanoseconds).
pub fn post(element: &UNetSegment, report: Report) {
    let mut fields = gst::Structure::builder("unetsegment")
        .field("frame", report.frame)
        .field("objects", u32::try_from(report.objects).unwrap_or(u32::MAX))
        .field("coverage", report.coverage)
        .field("mask-age", nanoseconds(report.age));
    if let Some(timestamp) = report.timestamp {
        fields = fields.field("timestamp", timestamp.nseconds());
    }
    post_structure(element, fields.build());
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

fn post_structure(element: &UNetSegment, structure: gst::Structure) {
    let message = gst::message::Element::builder(structure)
        .src(element)
        .build();
    // It fails only where nobody listens.
    let _ = element.post_message(message);
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
