//! Posts errors as messages on the bus.

use gst::prelude::*;
use gst::subclass::prelude::*;

use super::imp::{CAT, UNetSegment};
use super::job::ProcessError;
use crate::inference::ModelError;
use crate::segmenter::SegmentError;

/// The message for an error of the model.
pub fn model_error(error: &ModelError) -> gst::ErrorMessage {
    let text = sentence(error);
    match error {
        ModelError::Library(_) => gst::error_msg!(gst::LibraryError::Init, ("{text}")),
        ModelError::Provider { .. } | ModelError::Options { .. } => {
            gst::error_msg!(gst::LibraryError::Settings, ("{text}"))
        }
        ModelError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            gst::error_msg!(gst::ResourceError::NotFound, ("{text}"))
        }
        ModelError::NoThread { .. } => {
            gst::error_msg!(gst::ResourceError::NoSpaceLeft, ("{text}"))
        }
        ModelError::Io { .. } | ModelError::NotAFile { .. } => {
            gst::error_msg!(gst::ResourceError::OpenRead, ("{text}"))
        }
        ModelError::Run { .. }
        | ModelError::NotFinite { .. }
        | ModelError::SharedFault { .. }
        | ModelError::Slow { .. }
        | ModelError::Stopped { .. } => {
            gst::error_msg!(gst::StreamError::Failed, ("{text}"))
        }
        ModelError::Empty { .. }
        | ModelError::TooLarge { .. }
        | ModelError::NotOnnx { .. }
        | ModelError::Damaged { .. }
        | ModelError::ExternalDataDenied { .. }
        | ModelError::BadExternalData { .. }
        | ModelError::Refused { .. }
        | ModelError::Contract { .. }
        | ModelError::Package { .. }
        | ModelError::Unfit { .. }
        | ModelError::Load { .. } => gst::error_msg!(gst::StreamError::WrongType, ("{text}")),
    }
}

/// Posts the error that stopped the stream.
pub fn post(element: &UNetSegment, error: &ProcessError) {
    gst::error!(CAT, imp = element, "{error}");
    let message = match error {
        _ if error.is_out_of_memory() => {
            gst::error_msg!(gst::ResourceError::NoSpaceLeft, ("{}", sentence(error)))
        }
        ProcessError::Segment(SegmentError::Model(error)) => model_error(error),
        ProcessError::Segment(_)
        | ProcessError::Reload { .. }
        | ProcessError::Memory(_)
        | ProcessError::Pool(_)
        | ProcessError::Labels(_)
        | ProcessError::Space(_)
        | ProcessError::NoCaps => {
            gst::error_msg!(gst::StreamError::Failed, ("{}", sentence(error)))
        }
        ProcessError::Caps(_)
        | ProcessError::Frame(_)
        | ProcessError::Write(_)
        | ProcessError::Placement(_) => {
            gst::error_msg!(gst::StreamError::Format, ("{}", sentence(error)))
        }
    };
    element.obj().post_error_message(message);
}

/// Posts, as a source does, the flow return with which the stream has ended, if upstream does not receive it.
pub fn post_flow(element: &UNetSegment, flow: gst::FlowError) {
    if matches!(flow, gst::FlowError::Flushing | gst::FlowError::Eos) {
        // Nothing is wrong.
        return;
    }
    let code = flow as i32;
    // By this field applications distinguish it from the error that caused it.
    let details = gst::Structure::builder("details").field("flow-return", code);
    gst::element_imp_error!(
        element,
        gst::StreamError::Failed,
        ("Internal data stream error."),
        ["streaming stopped, reason {flow:?} ({code})"],
        details: details.build()
    );
}

/// The text of an error, with a capital at the beginning.
fn sentence(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => text,
    }
}
