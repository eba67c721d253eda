//! Caps: how they are agreed on while `output` may change, and the stream that begins with them.

use std::sync::Arc;

use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::Output;
use super::caps;
use super::errors;
use super::flow::Manner;
use super::imp::{CAT, UNetSegment};
use super::job::ProcessError;
use super::stream::Stream;
use crate::lock::lock;

/// Caps are agreed on in many steps, which must not contradict each other when `output` changes between
/// them: all see the output that there was at the beginning.
pub struct Negotiation {
    output: Output,
    /// How many threads are at it: the stream's own, and those that ask what caps there could be.
    parties: usize,
}

impl UNetSegment {
    /// What goes out: while caps are being agreed on, what it was at the beginning.
    pub(super) fn output(&self) -> Output {
        let negotiation = lock(&self.negotiation);
        let agreed = negotiation.as_ref().map(|negotiation| negotiation.output);
        drop(negotiation);
        agreed.unwrap_or_else(|| self.frame_settings().output)
    }

    /// Runs `negotiate` with one output from its beginning to its end.
    pub(super) fn with_one_output<T>(&self, negotiate: impl FnOnce(Output) -> T) -> T {
        let output = {
            let mut negotiation = lock(&self.negotiation);
            let negotiation = negotiation.get_or_insert_with(|| Negotiation {
                output: self.frame_settings().output,
                parties: 0,
            });
            negotiation.parties += 1;
            negotiation.output
        };
        let result = negotiate(output);
        let mut negotiation = lock(&self.negotiation);
        negotiation.take_if(|negotiation| {
            negotiation.parties -= 1;
            negotiation.parties == 0
        });
        drop(negotiation);
        if self.frame_settings().output != output {
            self.obj().reconfigure_src();
        }
        result
    }

    /// Begins the stream of the caps that the pads have, where it is another one: others were refused since, or a flush
    /// came between. Should these follow again, the base class takes them for known, and does not call `set_caps`.
    pub(super) fn settle(&self) -> Result<(), gst::FlowError> {
        let element = self.obj();
        let caps = [element.sink_pad(), element.src_pad()].map(|pad| pad.current_caps());
        let [Some(incaps), Some(outcaps)] = caps else {
            return Ok(());
        };
        let caps = [incaps, outcaps];
        let known = self.flow.with_reader(|reader| Ok(reader.is_of(&caps)));
        if known.map_err(|error| self.fail(&error))? {
            return Ok(());
        }
        let [incaps, outcaps] = &caps;
        self.begin_stream(incaps, outcaps).map_err(|error| {
            error.log_with_imp(self);
            match self.flow.is_flushing() {
                true => gst::FlowError::Flushing,
                false => gst::FlowError::NotNegotiated,
            }
        })?;
        // It was not known whether frames pass in place when the base class looked for buffers.
        element.reconfigure_src();
        Ok(())
    }

    /// Lets `output` go out from now on, if the caps allow it as they are. It has to be said before the base class
    /// looks for buffers, which it takes from downstream only where frames are written anew.
    pub(super) fn follow(&self, output: Output) -> Result<(), ProcessError> {
        let in_place = self.flow.with_reader(|reader| reader.follow(output))?;
        self.obj().set_in_place(in_place);
        Ok(())
    }

    /// Whether downstream takes what goes out with `output`; why not.
    pub(super) fn is_taken(&self, output: Output) -> Result<(), String> {
        let Some(incaps) = self.obj().sink_pad().current_caps() else {
            return Ok(());
        };
        let wanted = caps::transform(output, gst::PadDirection::Sink, &incaps);
        let possible = self.obj().src_pad().peer_query_caps(Some(&wanted));
        if !possible.is_empty() {
            return Ok(());
        }
        let formats = wanted.iter().filter_map(|one| one.value("format").ok());
        let formats: Vec<_> = formats.map(|format| format!("{format:?}")).collect();
        Err(format!("downstream does not take {}", formats.join(" or ")))
    }

    /// Takes in that caps are refused; whether they are others than those that were told of last: the same ones come
    /// again with each frame.
    fn is_news(&self, incaps: &gst::Caps, outcaps: &gst::Caps) -> bool {
        let caps = [incaps.clone(), outcaps.clone()];
        let mut refused = lock(&self.refused);
        let is_news = refused.as_ref() != Some(&caps);
        *refused = Some(caps);
        is_news
    }

    /// Begins a stream of the caps that were agreed on; says why where that can't be.
    pub(super) fn begin_stream(
        &self,
        incaps: &gst::Caps,
        outcaps: &gst::Caps,
    ) -> Result<(), gst::LoggableError> {
        let wanted = self.output();
        // Where frames wait for their masks, they wait for the model.
        let latest = matches!(self.flow.manner(), Some(Manner::Latest(_)));
        if !latest && !self.loader.wait() {
            return Err(gst::loggable_error!(
                CAT,
                "there is no model: an error before says why, unless a flush ended the waiting for it"
            ));
        }
        let configured = self
            .flow
            .between_streams(|reader, inferrer, writer, before| {
                let stream = Arc::new(Stream::new(incaps, outcaps)?);
                writer.begin_stream(before.as_ref().is_some_and(|(old, _)| stream.goes_on(old)));
                let kind = stream.kind(wanted, before.map(|(_, kind)| kind))?;
                let prepared = inferrer.map(|inferrer| inferrer.prepare(stream.input.size()));
                let prepared = match prepared.transpose() {
                    // The first frame meets it again, and goes on as `on-error` says.
                    Err(error) if error.is_fault() => None,
                    prepared => prepared?,
                };
                if prepared.is_some() {
                    stream.set_prepared();
                }
                let in_place = stream.is_in_place(kind);
                reader.begin_stream(stream, kind);
                Ok((in_place, prepared))
            });
        let Some(configured) = configured else {
            return Err(gst::loggable_error!(
                CAT,
                "caps arrived while the element is stopped or flushing"
            ));
        };
        let (in_place, prepared) = configured.map_err(|error: ProcessError| {
            if !error.is_stop() && self.is_news(incaps, outcaps) {
                errors::post(self, &error);
            }
            gst::loggable_error!(CAT, "{error}")
        })?;
        *lock(&self.refused) = None;
        if let Some(prepared) = prepared {
            self.took(prepared.expected_time);
            self.warn_of_seams(prepared.seams);
        }
        self.obj().set_in_place(in_place);
        Ok(())
    }
}
