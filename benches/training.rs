//! A training step (forward, weighted loss, backward, optimizer) and a forward pass of the paper's
//! network, in seconds: `cargo bench --no-default-features --features train --bench training -- WIDTH
//! SIZE [DEPTH] [BATCH]`, where SIZE is a legal input size.

use std::time::Instant;

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor};
use gstunetsegment::train::loss::weighted_cross_entropy;
use gstunetsegment::train::network::{Network, initial_weights};
use gstunetsegment::unet::UNet;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Measured of each, after one that is not.
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
    let device = Device::flex().autodiff();
    let weights = initial_weights(&unet, &mut StdRng::seed_from_u64(1));
    let mut network = Network::new(unet, &weights, 0.0, &device);
    let mut optimizer = AdamWConfig::new().init();
    let normal = Distribution::Normal(0.0, 1.0);
    let input = Tensor::<4>::random([batch, 1, size, size], normal, &device);
    let side = size - 2 * unet.geometry().margin;
    let targets = Tensor::<4>::random([batch, 2, side, side], Distribution::Default, &device);
    let step = median(|| {
        let loss = weighted_cross_entropy(network.forward(input.clone()), targets.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(1e-3, network.clone(), gradients);
    });
    let plain = network.valid();
    let input = input.inner();
    let forward = median(|| drop(plain.forward(input.clone()).into_data()));
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
