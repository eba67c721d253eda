//! The loss of the paper and its gradient.

use rayon::prelude::*;

use super::feature_map::{BLOCK, FeatureMap};

/// Pixels per task. The losses of tasks are summed in order, so that the sum does not depend on the number of
/// threads.
const PIXELS_PER_TASK: usize = 1 << 12;

/// The weighted cross-entropy of `scores` \[batch, classes, height, width\], as
/// [`weighted_cross_entropy`](crate::train::loss) defines it. Writes its gradient, of the same shape, to `gradient`.
/// `classes` and `weights` hold the true class and the weight of each pixel, \[batch, height, width\].
pub fn loss(
    scores: &FeatureMap,
    classes: &[u8],
    weights: &[f32],
    gradient: &mut FeatureMap,
) -> f32 {
    let pixels = scores.batch * scores.height * scores.width;
    let (blocks, plane) = (scores.blocks(), scores.plane());
    let planes = gradient
        .pixels_mut()
        .par_chunks_exact_mut(plane)
        .enumerate();
    let parts = planes.flat_map(|(index, plane)| {
        let parts = plane.par_chunks_mut(PIXELS_PER_TASK).enumerate();
        parts.map(move |(part, pixels)| (index, part * PIXELS_PER_TASK, pixels))
    });
    let losses: Vec<f64> = parts
        .map(|(index, first, gradient)| {
            let (picture, block) = (index / blocks, index % blocks);
            // Exponentials of the scores, less the largest one.
            let mut exponentials = vec![0.0; scores.channels];
            let mut sum = 0.0;
            for (at, gradient) in (first..).zip(gradient) {
                let score = |class: usize| scores.block(picture, class / BLOCK)[at][class % BLOCK];
                let truth = usize::from(classes[picture * plane + at]);
                let weight = weights[picture * plane + at];
                let largest = (0..scores.channels)
                    .map(score)
                    .fold(f32::NEG_INFINITY, f32::max);
                for (class, exponential) in exponentials.iter_mut().enumerate() {
                    *exponential = (score(class) - largest).exp();
                }
                let total: f32 = exponentials.iter().sum();
                if block == 0 {
                    sum += f64::from(weight * (total.ln() + largest - score(truth)));
                }
                let weight = weight / pixels as f32;
                let of_block = exponentials.iter().enumerate().skip(block * BLOCK);
                for ((class, exponential), gradient) in of_block.zip(gradient.iter_mut()) {
                    let target = if class == truth { 1.0 } else { 0.0 };
                    *gradient = weight * (exponential / total - target);
                }
            }
            sum
        })
        .collect();
    (losses.iter().sum::<f64>() / pixels as f64) as f32
}
