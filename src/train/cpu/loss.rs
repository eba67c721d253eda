//! The loss of the paper and its gradient.

use rayon::prelude::*;

use super::feature_map::{BLOCK, Map};

/// Pixels that one thread looks at, about. The losses of so many each are added up in their order, so that
/// the sum does not depend on how many threads there are.
const TOGETHER: usize = 1 << 12;

/// The weighted cross-entropy of `scores`, as [`weighted_cross_entropy`](crate::train::loss) has it, and
/// its gradient. `classes` and `weights` hold the true class and the weight of each pixel: \[batch, height,
/// width\].
pub fn loss(scores: &Map, classes: &[u8], weights: &[f32], gradient: &mut Map) -> f32 {
    let pixels = scores.batch * scores.height * scores.width;
    let (blocks, plane) = (scores.blocks(), scores.plane());
    let planes = gradient
        .pixels_mut()
        .par_chunks_exact_mut(plane)
        .enumerate();
    let parts = planes.flat_map(|(index, plane)| {
        let parts = plane.par_chunks_mut(TOGETHER).enumerate();
        parts.map(move |(part, pixels)| (index, part * TOGETHER, pixels))
    });
    let losses: Vec<f64> = parts
        .map(|(index, first, gradient)| {
            let (picture, block) = (index / blocks, index % blocks);
            let mut odds = vec![0.0; scores.channels];
            let mut sum = 0.0;
            for (at, gradient) in (first..).zip(gradient) {
                let score = |class: usize| scores.block(picture, class / BLOCK)[at][class % BLOCK];
                let truth = usize::from(classes[picture * plane + at]);
                let weight = weights[picture * plane + at];
                let largest = (0..odds.len()).map(score).fold(f32::NEG_INFINITY, f32::max);
                for (class, odds) in odds.iter_mut().enumerate() {
                    *odds = (score(class) - largest).exp();
                }
                let total: f32 = odds.iter().sum();
                if block == 0 {
                    sum += f64::from(weight * (total.ln() + largest - score(truth)));
                }
                let weight = weight / pixels as f32;
                let odds = odds.iter().enumerate().skip(block * BLOCK);
                for ((class, odds), gradient) in odds.zip(gradient.iter_mut()) {
                    let target = if class == truth { 1.0 } else { 0.0 };
                    *gradient = weight * (odds / total - target);
                }
            }
            sum
        })
        .collect();
    (losses.iter().sum::<f64>() / pixels as f64) as f32
}
