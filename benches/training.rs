//! A training step (forward, weighted loss, backward, optimizer) and a forward pass of the paper's
//! network, in seconds: `cargo bench --no-default-features --features train --bench training -- WIDTH
//! SIZE [DEPTH] [BATCH]`, where SIZE is a legal input size.

use std::time::Instant;

use burn::tensor::Device;
use gstunetsegment::train::augment::Tile;
use gstunetsegment::train::cpu::InputBatch;
use gstunetsegment::train::cpu::optimizer::UpdateRule;
use gstunetsegment::train::learner::{Learner, LearnerSettings};
use gstunetsegment::train::network::Scorer;
use gstunetsegment::train::plane::Plane;
use gstunetsegment::train::weights;
use gstunetsegment::unet::UNet;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Measured runs of each, after a warm-up.
const RUNS: usize = 7;

fn main() {
    let numbers: Vec<usize> = std::env::args()
        .filter_map(|text| text.parse().ok())
        .collect();
    let number = |index: usize, otherwise| numbers.get(index).copied().unwrap_or(otherwise);
    let (width, size) = (number(0, 16), number(1, 252));
    let (depth, batch) = (number(2, 4), number(3, 1));
    let unet = UNet {
        channels: 1,
        classes: 2,
        width,
        depth,
        padded: false,
    };
    assert_eq!(
        unet.geometry().legal(size, size),
        Some((size, size)),
        "the next legal size"
    );
    let rng = &mut StdRng::seed_from_u64(1);
    let settings = LearnerSettings {
        dropout: 0.0,
        rule: UpdateRule::Sgd {
            momentum: 0.99,
            decay: 0.0,
        },
    };
    let values = weights::initial(&unet, rng);
    let mut learner = Learner::new(unet, values, settings, &Device::flex());
    let output = size - 2 * unet.geometry().margin;
    let tiles: Vec<Tile> = (0..batch)
        .map(|_| Tile {
            image: vec![Plane::filled(size, size, 0.0).map(|_: f32| rng.random())],
            classes: Plane::filled(output, output, 0).map(|_: u8| rng.random_range(0..2)),
            weights: Plane::filled(output, output, 0.0).map(|_: f32| rng.random()),
        })
        .collect();
    let step = median(|| {
        learner.step(&tiles, 1e-3, 1);
    });
    let numbers: Vec<f32> = tiles.iter().flat_map(|t| t.image[0].data.clone()).collect();
    let mut scorer = Scorer::new(unet, learner.values(), &Device::flex());
    let forward = median(|| {
        scorer.scores(InputBatch {
            numbers: &numbers,
            batch,
            size: (size, size),
        });
    });
    println!(
        "width {width} size {size} depth {depth} batch {batch}: step {step:.4} s, forward {forward:.4} s"
    );
}

fn median(mut work: impl FnMut()) -> f64 {
    work();
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}
