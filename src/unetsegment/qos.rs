//! Messages about quality of service: that frames were dropped, and how many of how many.

use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::imp::UNetSegment;
use super::position::{self, Times};
use super::stats::Gone;
use crate::lock::lock;

/// The quality that elements name which do not vary it.
const FULL: i32 = 1_000_000;

impl UNetSegment {
    /// Tells that frames were dropped, if any were since the last time; `times` are those of the last one.
    pub(super) fn tell_dropped(&self, times: Times) {
        if let Some(gone) = self.flow.untold() {
            post(self, times, gone);
        }
    }

    /// Tells what the base class had to tell of a late frame, which is counted by now.
    pub(super) fn tell_late(&self) {
        let held = lock(&self.late).take();
        if let Some(gst::MessageView::Qos(late)) = held.as_ref().map(|message| message.view())
            && let Some(gone) = self.flow.untold()
        {
            correct(self, late, gone);
        }
    }
}

/// Posts a message of the base class that a frame comes too late. That class counts frames only which it has let out
/// itself, and so the numbers become `gone`.
fn correct(element: &UNetSegment, late: &gst::message::Qos, gone: Gone) {
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
fn post(element: &UNetSegment, times: Times, gone: Gone) {
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
    // Past the element's own method, which holds back those of the base class. It fails only without a bus.
    let _ = element.parent_post_message(message);
}
