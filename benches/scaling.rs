//! Time per megapixel, for frames of a quarter to 16 megapixels: the element with its default `tile-memory`, and with
//! less.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::Path;
use std::time::Instant;

use gstreamer as gst;

const MODEL: &str = "models/cells-phase-contrast.onnx";

/// Sides of square frames, in pixels.
const SIDES: [usize; 6] = [512, 768, 1024, 2048, 3072, 4096];

/// Rounds over all sizes, so that drifting machine speed affects all of them.
const ROUNDS: usize = 3;

fn main() {
    common::init();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join(MODEL);
    for memory in ["1024", "256"] {
        let mut times = vec![Vec::new(); SIDES.len()];
        for _ in 0..ROUNDS {
            for (side, times) in SIDES.into_iter().zip(&mut times) {
                times.push(per_megapixel(&model, memory, side));
            }
        }
        let medians = times.iter_mut().map(|times| median(times));
        let medians: Vec<f64> = medians.collect();
        let middle = median(&mut medians.clone());
        println!("tile-memory={memory}, seconds per megapixel:");
        for (side, seconds) in SIDES.into_iter().zip(medians) {
            let deviation = 100.0 * (seconds / middle - 1.0);
            println!("  {side}x{side}: {seconds:.3}, {deviation:+.0} % from the median");
        }
    }
}

/// Seconds per megapixel, after the first frame.
fn per_megapixel(model: &Path, memory: &str, side: usize) -> f64 {
    let element = common::element(model, &[("output", "mask"), ("tile-memory", memory)]);
    let mut harness = common::harness(&element, "GRAY8", side, side);
    let picture = gst::Buffer::from_slice(common::cells(side, side, 1));
    let mut time = || {
        let start = Instant::now();
        harness.push_and_pull(picture.copy()).unwrap();
        start.elapsed().as_secs_f64()
    };
    time();
    let frames = (1024 * 1024 / (side * side)).max(1);
    let total: f64 = (0..frames).map(|_| time()).sum();
    total / frames as f64 / (side * side) as f64 * 1e6
}

/// The median, of an even number of values the mean of the two in the middle; sorts the values.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}
