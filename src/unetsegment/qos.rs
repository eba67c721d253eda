//! Messages about quality of service: that frames were dropped, and how many of how many.

use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::imp::UNetSegment;
use super::position::{self, Times};
use super::stats::Gone;

/// The quality that elements name which do not vary it.
const FULL: i32 = 1_000_000;

/// Posts a message of the base class that a frame comes too late. That class counts frames only which it has let out
/// itself, and so the numbers become `gone`.
pub fn correct(element: &UNetSegment, late: &gst::message::Qos, gone: Gone) {
    let (live, running_time, stream_time, timestamp, duration) = late.get();
    let (jitter, proportion, quality) = late.values();
    let message = gst::message::Qos::builder(live)
        .running_time(running_time)
        .stream_time(stream_time)
        .timestamp(timestamp)
        .duration(duration)
        .values(jitter, proportion, quality);
    finish(element, message, gone);
}

/// Posts that a frame was dropped, or several were where no `times` of one are given.
pub fn post(element: &UNetSegment, times: Times, gone: Gone) {
    let segment = position::segment_of(element.obj().src_pad());
    let segment = segment.as_ref();
    let message = gst::message::Qos::builder(false)
        .running_time(segment.and_then(|segment| segment.to_running_time(times.timestamp)))
        .stream_time(segment.and_then(|segment| segment.to_stream_time(times.timestamp)))
        .timestamp(times.timestamp)
        .duration(times.duration)
        .values(0, 1.0, FULL);
    finish(element, message, gone);
}

fn finish(element: &UNetSegment, message: gst::message::QosBuilder, gone: Gone) {
    let frames = gst::format::Buffers::from_u64;
    let message = message
        .stats(frames(gone.out), frames(gone.dropped))
        .src(&*element.obj())
        .build();
    // Past our own method, which holds back those of the base class. It fails only where nobody listens.
    let _ = element.parent_post_message(message);
}
