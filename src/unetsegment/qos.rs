//! QoS messages: that frames were dropped, and how many.

use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::imp::UNetSegment;
use super::position::{self, Times};
use super::stats::FrameCounts;
use crate::lock::lock;

/// The quality of elements that do not vary it.
const FULL: i32 = 1_000_000;

impl UNetSegment {
    /// Posts that frames were dropped, if any were since the last time; `times` are those of the last one.
    pub(super) fn post_dropped(&self, times: Times) {
        if let Some(counts) = self.flow.take_unreported() {
            post(self, times, counts);
        }
    }

    /// Posts the message of the base class about a late frame, which is counted by now.
    pub(super) fn post_late(&self) {
        let held = lock(&self.late).take();
        if let Some(gst::MessageView::Qos(late)) = held.as_ref().map(|message| message.view())
            && let Some(counts) = self.flow.take_unreported()
        {
            correct(self, late, counts);
        }
    }
}

/// Posts a message of the base class that a frame is late. That class counts only frames that it has pushed itself, so
/// the numbers are replaced by `counts`.
fn correct(element: &UNetSegment, late: &gst::message::Qos, counts: FrameCounts) {
    let (live, running_time, stream_time, timestamp, duration) = late.get();
    let (jitter, proportion, quality) = late.values();
    let message = gst::message::Qos::builder(live)
        .running_time(running_time)
        .stream_time(stream_time)
        .timestamp(timestamp)
        .duration(duration)
        .values(jitter, proportion, quality);
    finish(element, message, counts);
}

/// Posts that a frame was dropped, or several if `times` are empty.
fn post(element: &UNetSegment, times: Times, counts: FrameCounts) {
    let segment = position::segment_of(element.obj().src_pad());
    let segment = segment.as_ref();
    let message = gst::message::Qos::builder(false)
        .running_time(segment.and_then(|segment| segment.to_running_time(times.timestamp)))
        .stream_time(segment.and_then(|segment| segment.to_stream_time(times.timestamp)))
        .timestamp(times.timestamp)
        .duration(times.duration)
        .values(0, 1.0, FULL);
    finish(element, message, counts);
}

fn finish(element: &UNetSegment, message: gst::message::QosBuilder, counts: FrameCounts) {
    let frames = gst::format::Buffers::from_u64;
    let message = message
        .stats(frames(counts.out), frames(counts.dropped))
        .src(&*element.obj())
        .build();
    // It bypasses the element's own method, which holds back those of the base class. It fails only without a bus.
    let _ = element.parent_post_message(message);
}
