//! Negotiation of caps while `output` may change, and the stream that begins with them.

use std::sync::Arc;

use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::Output;
use super::caps;
use super::errors;
use super::flow::Scheduling;
use super::imp::{CAT, UNetSegment};
use super::job::ProcessError;
use super::loading::Waited;
use super::stream::Stream;
use crate::lock::lock;

/// Caps are negotiated in many steps, which must not contradict each other when `output` changes between them: all use
/// its value at the beginning.
pub struct Negotiation {
    output: Output,
    /// How many threads take part: the streaming thread, and those that query caps.
    parties: usize,
}

impl UNetSegment {
    /// The output; while caps are negotiated, what it was at the beginning.
    pub(super) fn output(&self) -> Output {
        let negotiation = lock(&self.negotiation);
        let output = negotiation.as_ref().map(|negotiation| negotiation.output);
        drop(negotiation);
        output.unwrap_or_else(|| self.frame_settings().output)
    }

    /// Runs `negotiate`, which sees one output from its beginning to its end.
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

    /// Begins the stream of the pads' caps if it is not the current one: since then other caps were refused, or a flush
    /// interrupted them. If the same ones follow again, the base class does not call `set_caps`.
    pub(super) fn ensure_stream(&self) -> Result<(), gst::FlowError> {
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
            gst::FlowError::NotNegotiated
        })?;
        // When the base class decided on buffers, it was not known whether frames are processed in place.
        element.reconfigure_src();
        Ok(())
    }

    /// Lets `output` go out from now on, if the current caps allow it. To be called before the base class decides on
    /// buffers: it asks downstream for some unless frames are processed in place.
    pub(super) fn apply_output(&self, output: Output) -> Result<(), ProcessError> {
        let in_place = self.flow.with_reader(|reader| reader.set_output(output))?;
        self.obj().set_in_place(in_place);
        Ok(())
    }

    /// Checks that downstream accepts what goes out with `output`.
    pub(super) fn check_output(&self, output: Output) -> Result<(), String> {
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
        Err(format!(
            "downstream does not accept {}",
            formats.join(" or ")
        ))
    }

    /// Records that caps are refused. Returns whether they differ from the last ones, which come again with each frame.
    fn is_new_refusal(&self, incaps: &gst::Caps, outcaps: &gst::Caps) -> bool {
        let caps = [incaps.clone(), outcaps.clone()];
        let mut refused = lock(&self.refused);
        let is_new = refused.as_ref() != Some(&caps);
        *refused = Some(caps);
        is_new
    }

    /// Has new caps wait neither for the model nor for the network, or lets them do so again.
    pub(super) fn defer(&self, deferred: bool) {
        self.flow.defer(deferred);
        self.loader.defer(deferred);
    }

    /// Waits for the model on behalf of a frame, whose caps have done so unless that was deferred.
    pub(super) fn await_model(&self) -> Result<(), gst::FlowError> {
        if self.flow.model().is_some() || matches!(self.loader.wait_for_frame(), Waited::Loaded) {
            Ok(())
        } else if self.flow.is_flushing() {
            Err(gst::FlowError::Flushing)
        } else {
            // Why there is none has been posted.
            Err(gst::FlowError::Error)
        }
    }

    /// Begins a stream of the caps that were negotiated.
    pub(super) fn begin_stream(
        &self,
        incaps: &gst::Caps,
        outcaps: &gst::Caps,
    ) -> Result<(), gst::LoggableError> {
        let wanted = self.output();
        // Where frames wait for their masks, they wait for the model.
        let latest = matches!(self.flow.scheduling(), Some(Scheduling::Latest(_)));
        if !latest && matches!(self.loader.wait(), Waited::Missing) {
            return Err(gst::loggable_error!(
                CAT,
                "No model is loaded; see the preceding error, unless a flush interrupted loading"
            ));
        }
        let configured = self
            .flow
            .between_streams(|reader, inferrer, writer, before| {
                let stream = Arc::new(Stream::new(incaps, outcaps)?);
                writer.begin_stream(
                    before
                        .as_ref()
                        .is_some_and(|(old, _)| stream.continues(old)),
                );
                let kind = stream.kind(wanted, before.map(|(_, kind)| kind))?;
                let size = stream.input.size();
                let prepared = inferrer
                    .and_then(|inferrer| self.flow.unless_deferred(|| inferrer.prepare(size)));
                let prepared = match prepared.transpose() {
                    // It comes again with the first frame, which follows `on-error`.
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
            if !error.is_stop() && self.is_new_refusal(incaps, outcaps) {
                errors::post(self, &error);
            }
            gst::loggable_error!(CAT, "{error}")
        })?;
        *lock(&self.refused) = None;
        if let Some(prepared) = prepared {
            self.record_latency(prepared.expected_time);
            self.warn_of_plan(prepared);
        }
        self.obj().set_in_place(in_place);
        Ok(())
    }
}
