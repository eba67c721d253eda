//! What the element tells on the bus.

use gst::prelude::*;

use super::UNetSegment;

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
}

/// Posts `report` as an element message named `unetsegment` with the fields `frame` (guint64),
/// `timestamp` (guint64, nanoseconds; missing where the frame has none), `objects` (guint) and
/// `coverage` (gdouble).
pub fn post(element: &UNetSegment, report: Report) {
    let mut fields = gst::Structure::builder("unetsegment")
        .field("frame", report.frame)
        .field("objects", u32::try_from(report.objects).unwrap_or(u32::MAX))
        .field("coverage", report.coverage);
    if let Some(timestamp) = report.timestamp {
        fields = fields.field("timestamp", timestamp.nseconds());
    }
    let message = gst::message::Element::builder(fields.build())
        .src(element)
        .build();
    // It fails only where nobody listens.
    let _ = element.post_message(message);
}
