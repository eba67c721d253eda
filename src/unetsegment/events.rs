//! Queries to the element, and events that reach it, in order with the frames or not.

use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;

use super::errors;
use super::imp::UNetSegment;
use super::messages;
use super::position::{self, Times};

impl UNetSegment {
    /// Answers `query`, which came from `direction`. Returns whether it could be answered.
    pub(super) fn handle_query(
        &self,
        direction: gst::PadDirection,
        query: &mut gst::QueryRef,
    ) -> bool {
        if direction == gst::PadDirection::Sink && query.is_serialized() {
            self.flow.drain();
        }
        let answered = match query.type_() {
            gst::QueryType::Position if self.answer_position(query) => true,
            gst::QueryType::Caps | gst::QueryType::AcceptCaps => {
                self.with_one_output(|_| BaseTransformImplExt::parent_query(self, direction, query))
            }
            gst::QueryType::Allocation if self.flow.is_flushing() => false,
            // It may begin with negotiating caps again.
            gst::QueryType::Allocation if direction == gst::PadDirection::Sink => {
                self.with_one_output(|output| {
                    // The next frame reports what is wrong there.
                    let _ = self.apply_output(output);
                    BaseTransformImplExt::parent_query(self, direction, query)
                })
            }
            _ => BaseTransformImplExt::parent_query(self, direction, query),
        };
        if !answered {
            return false;
        }
        if direction == gst::PadDirection::Src
            && let gst::QueryViewMut::Latency(latency) = query.view_mut()
        {
            let (live, min, max) = latency.result();
            let own = gst::ClockTime::try_from(self.latency.reported());
            let own = own.unwrap_or(gst::ClockTime::ZERO);
            latency.set(live, min + own, max.map(|max| max + own));
        }
        true
    }

    /// Answers how far the stream has come. Returns whether that is known.
    fn answer_position(&self, query: &mut gst::QueryRef) -> bool {
        let gst::QueryViewMut::Position(query) = query.view_mut() else {
            return false;
        };
        let segment = position::segment_of(self.obj().src_pad());
        match segment.and_then(|segment| self.position.in_stream(&segment)) {
            Some(time) if query.format() == gst::Format::Time => {
                query.set(time);
                true
            }
            // Before the first frame the base class answers with the start of the segment.
            _ => false,
        }
    }

    /// Handles an event from upstream, and passes it on.
    pub(super) fn handle_event(&self, event: gst::Event) -> bool {
        let kind = event.type_();
        match kind {
            gst::EventType::FlushStart => {
                self.flow.begin_flush();
                self.loader.interrupt();
            }
            gst::EventType::FlushStop => self.end_flush(),
            _ if event.is_serialized() => self.handle_serialized(kind),
            _ => (),
        }
        match kind {
            // Where a flush has interrupted them, the base class negotiates them again with the next frame.
            gst::EventType::Caps => {
                let negotiated = self.with_one_output(|_| self.parent_sink_event(event));
                negotiated || self.flow.is_flushing()
            }
            _ => self.parent_sink_event(event),
        }
    }

    fn end_flush(&self) {
        // If none has begun, frames are still on their way.
        self.flow.begin_flush();
        self.loader.resume();
        self.post(self.flow.end_flush());
        self.position.reset();
        self.post_dropped(Times::default());
    }

    /// Handles an event of this kind once the frames before it are out, which it may not overtake.
    fn handle_serialized(&self, kind: gst::EventType) {
        let drained = self.flow.drain();
        if kind == gst::EventType::Segment {
            self.position.reset();
        }
        if !drained {
            // A flush has come in between. Frames may be at work still, and its end forgets them.
            return;
        }
        match kind {
            // The same caps may come again with it, and masks of the stream before do not belong to this one.
            gst::EventType::StreamStart => self.post(self.flow.forget()),
            gst::EventType::Eos => {
                self.post(self.flow.end());
                self.post_unreported();
            }
            gst::EventType::SegmentDone => self.post_unreported(),
            _ => (),
        }
    }

    /// Posts an element message, if there is one.
    fn post(&self, message: Option<gst::Structure>) {
        if let Some(message) = message {
            messages::post_structure(&self.obj(), message);
        }
    }

    /// Posts what became of the last frames, where these overlap: that some were dropped, and why. Otherwise this comes
    /// with the next frame, and there may be none.
    fn post_unreported(&self) {
        self.post_dropped(Times::default());
        if let Err(flow) = self.flow.check() {
            errors::post_flow(self, flow);
        }
    }
}
