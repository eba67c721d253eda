//! Pipelines that a line of text describes.

use gst::prelude::*;
use gstreamer as gst;

pub fn launch(text: &str) -> gst::Pipeline {
    super::init();
    let pipeline = gst::parse::launch(text).unwrap();
    pipeline.downcast().unwrap()
}

/// Waits for the end of the stream, or fails with its error.
pub fn end(pipeline: &gst::Pipeline) {
    let kinds = [gst::MessageType::Error, gst::MessageType::Eos];
    let limit = gst::ClockTime::from_seconds(120);
    let message = pipeline.bus().unwrap().timed_pop_filtered(limit, &kinds);
    let message = message.expect("the stream stalls");
    assert!(
        matches!(message.view(), gst::MessageView::Eos(_)),
        "{message:?}"
    );
}
