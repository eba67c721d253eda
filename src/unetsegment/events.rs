//! Queries that the element answers, and events that come to it with the frames or past them.

use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;

use super::errors;
use super::imp::UNetSegment;
use super::messages;
use super::position::{self, Times};

impl UNetSegment {
    /// Answers `query`, which came from `direction`; whether it could be answered.
    pub(super) fn answer(&self, direction: gst::PadDirection, query: &mut gst::QueryRef) -> bool {
        if direction == gst::PadDirection::Sink && query.is_serialized() {
            self.flow.drain();
        }
        let answered = match query.type_() {
            gst::QueryType::Position if self.tell_position(query) => true,
            gst::QueryType::Caps | gst::QueryType::AcceptCaps => {
                self.with_one_output(|_| BaseTransformImplExt::parent_query(self, direction, query))
            }
            // It may begin with agreeing on caps anew.
            gst::QueryType::Allocation if direction == gst::PadDirection::Sink => {
                self.with_one_output(|output| {
                    // What is wrong there, the next frame meets, too.
                    let _ = self.follow(output);
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
            let own = gst::ClockTime::try_from(self.latency.told()).unwrap_or(gst::ClockTime::ZERO);
            latency.set(live, min + own, max.map(|max| max + own));
        }
        true
    }

    /// Answers how far the stream has come; whether that is known.
    fn tell_position(&self, query: &mut gst::QueryRef) -> bool {
        let gst::QueryViewMut::Position(query) = query.view_mut() else {
            return false;
        };
        let segment = position::segment_of(self.obj().src_pad());
        match segment.and_then(|segment| self.position.in_stream(&segment)) {
            Some(time) if query.format() == gst::Format::Time => {
                query.set(time);
                true
            }
            // Before the first frame the base class tells where the segment begins.
            _ => false,
        }
    }

    /// Takes in an event that comes from upstream, and hands it on.
    pub(super) fn take_event(&self, event: gst::Event) -> bool {
        let kind = event.type_();
        match kind {
            gst::EventType::FlushStart => {
                self.flow.begin_flush();
                self.loader.interrupt();
            }
            gst::EventType::FlushStop => self.end_flush(),
            _ if event.is_serialized() => self.meet_in_order(kind),
            _ => (),
        }
        match kind {
            gst::EventType::Caps => self.with_one_output(|_| self.parent_sink_event(event)),
            _ => self.parent_sink_event(event),
        }
    }

    fn end_flush(&self) {
        // None may have begun, and then frames are on their way still.
        self.flow.begin_flush();
        self.loader.resume();
        self.tell(self.flow.end_flush());
        self.position.reset();
        self.tell_dropped(Times::default());
    }

    /// Takes in an event of this kind once the frames before it are out, which it may not overtake.
    fn meet_in_order(&self, kind: gst::EventType) {
        let drained = self.flow.drain();
        if kind == gst::EventType::Segment {
            self.position.reset();
        }
        if !drained {
            // A flush has come in between. Frames may be at work still, and its end forgets them.
            return;
        }
        match kind {
            // The same caps may come again with it, and what was found in the stream before is not of this one.
            gst::EventType::StreamStart => self.tell(self.flow.forget()),
            gst::EventType::Eos => {
                self.tell(self.flow.end());
                self.tell_unheard();
            }
            gst::EventType::SegmentDone => self.tell_unheard(),
            _ => (),
        }
    }

    /// Posts an element message, if there is one.
    fn tell(&self, message: Option<gst::Structure>) {
        if let Some(message) = message {
            messages::post_structure(&self.obj(), message);
        }
    }

    /// Tells what went wrong with the last frames, where these overlap: upstream hears of it with the next frame, and
    /// there may be none.
    fn tell_unheard(&self) {
        if let Err(flow) = self.flow.check() {
            errors::post_flow(self, flow);
        }
    }
}
