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

/// An ellipse: middle, half axes, and the sine and cosine of its angle.
struct Ellipse {
    middle: [f32; 2],
    axes: [f32; 2],
    turn: (f32, f32),
}

impl Ellipse {
    fn random(random: &mut StdRng) -> Self {
        Ellipse {
            middle: [
                random.random_range(0.0..WIDTH as f32),
                random.random_range(0.0..HEIGHT as f32),
            ],
            axes: [
                random.random_range(12.0..20.0),
                random.random_range(10.0..15.0),
            ],
            turn: random.random_range(0.0..std::f32::consts::PI).sin_cos(),
        }
    }

    /// How far out a pixel lies: 0 in the middle, 1 on the rim.
    fn distance(&self, x: f32, y: f32) -> f32 {
        let (dx, dy) = (x - self.middle[0], y - self.middle[1]);
        let (sin, cos) = self.turn;
        let along = (dx * cos + dy * sin) / self.axes[0];
        let across = (dy * cos - dx * sin) / self.axes[1];
        along.hypot(across)
    }

    /// Whether they lie apart, though they may touch.
    fn is_apart(&self, other: &Ellipse) -> bool {
        let (dx, dy) = (
            self.middle[0] - other.middle[0],
            self.middle[1] - other.middle[1],
        );
        dx.hypot(dy) > 0.9 * (self.axes[0] + other.axes[0])
    }
}

/// A frame of nuclei as a 12-bit camera sees them: ellipses with soft rims, of different brightness,
/// with the noise of photons.
fn nuclei() -> Vec<u16> {
    let mut random = StdRng::seed_from_u64(4);
    let mut ellipses: Vec<Ellipse> = Vec::new();
    for _ in 0..400 {
        let new = Ellipse::random(&mut random);
        if ellipses.iter().all(|other| new.is_apart(other)) {
            ellipses.push(new);
        }
    }
    let mut light = vec![120.0_f32; WIDTH * HEIGHT];
    for ellipse in &ellipses {
        let brightness = random.random_range(500.0..1500.0);
        for (at, value) in light.iter_mut().enumerate() {
            let distance = ellipse.distance((at % WIDTH) as f32, (at / WIDTH) as f32);
            // 1 within, 0 outside, with a rim a few pixels wide.
            let inside = ((1.0 - distance) * 5.0 + 0.5).clamp(0.0, 1.0);
            *value += brightness * inside * (1.0 - 0.2 * distance);
        }
    }
    let mut noisy = |value: f32| {
        // The sum of a few uniform numbers is near enough to the noise of photons.
        let noise: f32 = (0..4).map(|_| random.random_range(-0.9..0.9)).sum();
        (value + noise * value.sqrt()).clamp(0.0, 4095.0) as u16
    };
    light.into_iter().map(&mut noisy).collect()
}
