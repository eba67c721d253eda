//! Counts what is on each frame of a stream: objects by the element's messages, pixels by the mask that rides on the
//! frame. `count.c` and `count.py` are the same program in other languages.
//!
//! ```sh
//! cargo run --release --example count -- models/nuclei-fluo.onnx "videotestsrc num-buffers=3 pattern=ball"
//! ```

use std::env;
use std::error::Error;

use gst::prelude::*;
use gstreamer as gst;
use gstreamer_app as gst_app;
use gstunetsegment::mask_meta;

const SOURCE: &str = "videotestsrc num-buffers=3 pattern=ball ! video/x-raw,width=256,height=256";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (model, source) = match arguments.as_slice() {
        [model] => (model, SOURCE),
        [model, source] => (model, source.as_str()),
        _ => return Err("usage: count MODEL.onnx [SOURCE]".into()),
    };
    gst::init()?;
    // A program that is installed with the plugin leaves this out: GStreamer finds it.
    gstunetsegment::plugin_register_static()?;
    let pipeline = gst::parse::launch(&format!(
        "{source} ! videoconvert ! video/x-raw,format=GRAY8 ! \
         unetsegment name=segment output=none post-messages=true ! appsink name=frames sync=false"
    ))?;
    let pipeline = pipeline
        .downcast::<gst::Pipeline>()
        .map_err(|_| "not a pipeline")?;
    let segment = pipeline.by_name("segment").ok_or("no unetsegment")?;
    segment.set_property("model-file", model);
    let frames = pipeline.by_name("frames").ok_or("no appsink")?;
    let frames = frames
        .downcast::<gst_app::AppSink>()
        .map_err(|_| "not an appsink")?;
    let bus = pipeline.bus().ok_or("no bus")?;

    // Should this fail, the bus has the reason.
    let _ = pipeline.set_state(gst::State::Playing);
    let wait = gst::ClockTime::from_mseconds(100);
    let error = loop {
        let Some(sample) = frames.try_pull_sample(wait) else {
            let error = bus.pop_filtered(&[gst::MessageType::Error]);
            if error.is_some() || frames.is_eos() {
                break error;
            }
            continue;
        };
        let buffer = sample.buffer().ok_or("no buffer")?;
        let mask = mask_meta::of(buffer).ok_or("a frame without a mask")?;
        let pixels = mask.mask.map_readable()?;
        let foreground = pixels.iter().filter(|class| **class != 0).count();
        // It was posted before the frame went out.
        let objects = loop {
            let message = bus.pop_filtered(&[gst::MessageType::Element]);
            let message = message.ok_or("a frame without a message")?;
            let fields = message.structure().ok_or("an empty message")?;
            if fields.name() == "unetsegment" {
                break fields.get::<u32>("objects")?;
            }
        };
        println!("{objects} objects, {foreground} pixels");
    };
    pipeline.set_state(gst::State::Null)?;
    match error.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Error(error)) => Err(error.error().message().into()),
        _ => Ok(()),
    }
}
