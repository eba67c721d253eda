//! What `reuse=threshold` saves where little moves: a frame of a time-lapse with new noise in each frame and one
//! cell that wanders over it, through one element that infers all of it and one that infers what changed, in
//! turns. The pictures are those that the tests use (`UNETSEGMENT_DATA`).

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::scene::Scene;
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;

const MODEL: &str = "models/cells-phase-contrast.onnx";

/// Photons for each of 255 grey values: little light, more, and what a camera sees that holds 30,000 electrons a pixel
/// and is exposed so that white fills it.
const PHOTONS: [f64; 3] = [8.0, 64.0, 118.0];

/// Frames; several times the 100 after which all is inferred anew would be the same again.
const FRAMES: usize = 200;

fn main() {
    common::init();
    let Some(folder) = common::data("u373_video/images") else {
        return;
    };
    for photons in PHOTONS {
        measure(&folder, photons);
    }
}

/// With so many photons for each grey value.
fn measure(folder: &Path, photons: f64) {
    let mut scene = Scene::real(folder, photons).expect("t000.png");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join(MODEL);
    let elements = ["off", "threshold"]
        .map(|reuse| common::element(&model, &[("output", "none"), ("reuse", reuse)]));
    let mut harnesses = elements
        .each_ref()
        .map(|element| common::harness(element, "GRAY8", scene.width, scene.height));
    let mut total = [Duration::ZERO; 2];
    let (mut own, mut of_noise) = (Vec::new(), Vec::new());
    for number in 0..FRAMES {
        let frame = scene.frame(number);
        let mut masks = Vec::new();
        for (harness, total) in harnesses.iter_mut().zip(&mut total) {
            let start = Instant::now();
            masks.push(segment(harness, frame.clone()));
            if number > 0 {
                *total += start.elapsed();
            }
        }
        own.push(iou(&masks[0], &masks[1]));
        if number % 10 == 0 {
            let other_noise = scene.frame(number);
            of_noise.push(iou(&masks[0], &segment(&mut harnesses[0], other_noise)));
        }
    }
    let stats: gst::Structure = elements[1].property("stats");
    println!(
        "{photons} photons a grey value, {FRAMES} frames: {:.2} times the frames a second, {:.1} % reused",
        total[0].as_secs_f64() / total[1].as_secs_f64(),
        100.0 * stats.get::<f64>("reused").unwrap(),
    );
    let said = |name: &str, values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let least = values.iter().copied().fold(1.0, f64::min);
        println!("  IoU of {name}: {mean:.4} on average, {least:.4} at least");
    };
    said("reusing and inferring all of a frame", &own);
    said(
        "inferring all of it twice, with noise of its own each time",
        &of_noise,
    );
}

fn segment(harness: &mut Harness, frame: Vec<u8>) -> Vec<u8> {
    let buffer = gst::Buffer::from_slice(frame);
    common::mask_of(&harness.push_and_pull(buffer).unwrap()).0
}

/// Intersection over union of what is not background.
fn iou(a: &[u8], b: &[u8]) -> f64 {
    let pairs = || a.iter().zip(b);
    let both = pairs().filter(|(a, b)| **a > 0 && **b > 0).count();
    let any = pairs().filter(|(a, b)| **a > 0 || **b > 0).count();
    both as f64 / any.max(1) as f64
}
