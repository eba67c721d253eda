//! Caps that are agreed on while `output` may change.

use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::Output;
use super::caps;
use super::imp::UNetSegment;
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

    /// Whether downstream takes what goes out with `output`; why not.
    pub(super) fn is_taken(&self, output: Output) -> Result<(), String> {
        let Some(incaps) = self.obj().sink_pad().current_caps() else {
            return Ok(());
        };
        let wanted = caps::transform(output, gst::PadDirection::Sink, &incaps);
        match self
            .obj()
            .src_pad()
            .peer_query_caps(Some(&wanted))
            .is_empty()
        {
            false => Ok(()),
            true => {
                let formats = wanted.iter().filter_map(|one| one.value("format").ok());
                let formats: Vec<_> = formats.map(|format| format!("{format:?}")).collect();
                Err(format!(
                    "what would go out, {}, downstream does not take",
                    formats.join(" or ")
                ))
            }
        }
    }
}
