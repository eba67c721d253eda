//! Embeds the element in a program: pictures of the program's own go in through `appsrc`, and what
//! comes out is written as a PNG file. The pictures are drawn here, 16-bit frames of glowing nuclei.
//!
//! ```sh
//! cargo run --release --example overlay -- models/nuclei-fluo.onnx overlay.png
//! ```

use std::env;
use std::error::Error;

use gst::prelude::*;
use gstreamer as gst;
use gstreamer_app as gst_app;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const WIDTH: usize = 800;
const HEIGHT: usize = 360;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [model, target] = arguments.as_slice() else {
        return Err("usage: overlay MODEL.onnx PICTURE.png".into());
    };
    gst::init()?;
    // A program that is installed with the plugin leaves this out: GStreamer finds it.
    gstunetsegment::plugin_register_static()?;
    let pipeline = gst::parse::launch(
        "appsrc name=camera ! unetsegment name=segment ! videoconvert ! pngenc ! filesink name=file",
    )?;
    let pipeline = pipeline
        .downcast::<gst::Pipeline>()
        .map_err(|_| "not a pipeline")?;
    let element = |name: &str| pipeline.by_name(name).ok_or("an element is missing");
    element("segment")?.set_property("model-file", model);
    element("file")?.set_property("location", target);
    let camera = element("camera")?
        .downcast::<gst_app::AppSrc>()
        .map_err(|_| "not an appsrc")?;
    camera.set_caps(Some(
        &gst::Caps::builder("video/x-raw")
            .field("format", "GRAY16_LE")
            .field("width", WIDTH as i32)
            .field("height", HEIGHT as i32)
            .field("framerate", gst::Fraction::new(0, 1))
            .build(),
    ));

    // Should this fail, the bus has the reason.
    let started = pipeline.set_state(gst::State::Playing);
    let bytes: Vec<u8> = nuclei()
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    if started.is_ok() {
        camera.push_buffer(gst::Buffer::from_slice(bytes))?;
        camera.end_of_stream()?;
    }
    let bus = pipeline.bus().ok_or("no bus")?;
    let last = bus.timed_pop_filtered(
        gst::ClockTime::NONE,
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    pipeline.set_state(gst::State::Null)?;
    match last.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Error(error)) => Err(error.error().into()),
        _ => Ok(()),
    }
}

/// A frame of nuclei as a 12-bit camera sees them: ellipses with soft rims and a texture, of
/// different brightness, with the noise of photons.
fn nuclei() -> Vec<u16> {
    let mut random = StdRng::seed_from_u64(4);
    let mut light = vec![120.0_f32; WIDTH * HEIGHT];
    for _ in 0..70 {
        let middle = [
            random.random_range(0.0..WIDTH as f32),
            random.random_range(0.0..HEIGHT as f32),
        ];
        let axes = [
            random.random_range(11.0..19.0_f32),
            random.random_range(9.0..14.0),
        ];
        let (sin, cos) = random.random_range(0.0..std::f32::consts::PI).sin_cos();
        let brightness = random.random_range(300.0..1800.0);
        let phase = random.random_range(0.0..6.0);
        for (at, value) in light.iter_mut().enumerate() {
            let (dx, dy) = (
                (at % WIDTH) as f32 - middle[0],
                (at / WIDTH) as f32 - middle[1],
            );
            let along = (dx * cos + dy * sin) / axes[0];
            let across = (dy * cos - dx * sin) / axes[1];
            // 1 within, 0 outside, with a rim two or three pixels wide.
            let inside = ((1.0 - along.hypot(across)) * 8.0 + 0.5).clamp(0.0, 1.0);
            let texture = 0.85 + 0.15 * (dx * 0.9 + phase).sin() * (dy * 0.8 - phase).cos();
            *value = value.max(brightness * inside * texture);
        }
    }
    light
        .into_iter()
        .map(|value| {
            // The sum of a few uniform numbers is near enough to the noise of photons.
            let noise: f32 = (0..4).map(|_| random.random_range(-0.9..0.9)).sum();
            (value + noise * value.sqrt()).clamp(0.0, 4095.0) as u16
        })
        .collect()
}
