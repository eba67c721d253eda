//! Counts what is on each frame of a stream: objects by the element's messages, pixels by the mask attached to the
//! frame. `count.c` and `count.py` are the same program in other languages.
//!
//! ```sh
//! cargo run --release --example count -- models/nuclei-fluo.onnx "videotestsrc num-buffers=3 pattern=ball"
//! ```

use std::collections::VecDeque;
use std::env;
use std::error::Error;

use gst::{glib, prelude::*};
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
    // videoconvert leaves formats that the element accepts unchanged: 16 bits stay 16 bits.
    let pipeline = gst::parse::launch(&format!(
        "{source} ! videoconvert ! \
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
    let mut told = VecDeque::new();
    let mut error = None;
    while error.is_none() && !frames.is_eos() {
        let sample = frames.try_pull_sample(wait);
        // What is told of a frame is posted before it goes out.
        error = listen(&bus, &mut told);
        let Some(sample) = sample else {
            continue;
        };
        let buffer = sample.buffer().ok_or("no buffer")?;
        let mask = mask_meta::of(buffer).ok_or("a frame without a mask")?;
        let pixels = mask.mask.map_readable()?;
        let foreground = pixels.iter().filter(|class| **class != 0).count();
        let objects = told.pop_front().ok_or("a frame without a message")?;
        println!("{objects} objects, {foreground} pixels");
    }
    pipeline.set_state(gst::State::Null)?;
    error.map_or(Ok(()), |error| Err(error.message().into()))
}

/// Takes all messages off the bus: appends object counts to `told`, and returns the first error. Popping only one kind
/// of message would discard those before it.
fn listen(bus: &gst::Bus, told: &mut VecDeque<u32>) -> Option<glib::Error> {
    let mut first = None;
    while let Some(message) = bus.pop() {
        match message.view() {
            gst::MessageView::Error(error) => first = first.or(Some(error.error())),
            gst::MessageView::Element(element) => {
                let fields = element.structure();
                let fields = fields.filter(|fields| fields.name() == "unetsegment");
                told.extend(fields.and_then(|fields| fields.get::<u32>("objects").ok()));
            }
            _ => (),
        }
    }
    first
}
