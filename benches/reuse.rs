//! Time saved by `reuse=threshold` if little moves: a frame of a time-lapse, with new noise each time and one moving
//! cell, alternating through an element that infers the whole frame and one that infers only what changed. The
//! pictures are those of the tests (`UNETSEGMENT_DATA`).

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::scene::Scene;
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;

const MODEL: &str = "models/cells-phase-contrast.onnx";

/// Photons per grey value (of 255): little light, more, and a camera with a full well of 30,000 electrons, reached at
/// white.
const PHOTONS: [f64; 3] = [8.0, 64.0, 118.0];

/// Number of frames. After 100 everything is inferred again, so more than a few hundred add nothing.
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

/// Measures with `photons` per grey value.
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
        "{photons} photons per grey value, {FRAMES} frames: {:.2} times as fast, {:.1} % reused",
        total[0].as_secs_f64() / total[1].as_secs_f64(),
        100.0 * stats.get::<f64>("reused").unwrap(),
    );
    let report = |name: &str, values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let least = values.iter().copied().fold(1.0, f64::min);
        println!("  IoU of {name}: {mean:.4} on average, {least:.4} at least");
    };
    report("reuse=threshold with reuse=off", &own);
    report("reuse=off with itself, with different noise", &of_noise);
}

fn segment(harness: &mut Harness, frame: Vec<u8>) -> Vec<u8> {
    let buffer = gst::Buffer::from_slice(frame);
    common::mask_of(&harness.push_and_pull(buffer).unwrap()).0
}

/// Intersection over union of the foreground.
fn iou(a: &[u8], b: &[u8]) -> f64 {
    let pairs = || a.iter().zip(b);
    let both = pairs().filter(|(a, b)| **a > 0 && **b > 0).count();
    let any = pairs().filter(|(a, b)| **a > 0 || **b > 0).count();
    both as f64 / any.max(1) as f64
}
