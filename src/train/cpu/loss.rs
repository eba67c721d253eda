//! The loss of the paper and its gradient.

use rayon::prelude::*;

use super::map::{BLOCK, Map};

/// The weighted cross-entropy of `scores`, as [`weighted_cross_entropy`](crate::train::loss) has it, and
/// its gradient. `classes` and `weights` hold the true class and the weight of each pixel: \[batch, height,
/// width\].
pub fn loss(scores: &Map, classes: &[u8], weights: &[f32], gradient: &mut Map) -> f32 {
    let pixels = scores.batch * scores.height * scores.width;
    let (blocks, plane, count) = (scores.blocks(), scores.plane(), scores.channels);
    let pictures = gradient.pixels_mut().par_chunks_exact_mut(blocks * plane);
    let losses: Vec<f64> = pictures
        .enumerate()
        .map(|(picture, gradient)| {
            let mut sum = 0.0;
            let mut odds = vec![0.0; count];
            for at in 0..plane {
                let score = |class: usize| scores.block(picture, class / BLOCK)[at][class % BLOCK];
                let truth = usize::from(classes[picture * plane + at]);
                let weight = weights[picture * plane + at];
                let largest = (0..count).map(score).fold(f32::NEG_INFINITY, f32::max);
                for (class, odds) in odds.iter_mut().enumerate() {
                    *odds = (score(class) - largest).exp();
                }
                let total: f32 = odds.iter().sum();
                sum += f64::from(weight * (total.ln() + largest - score(truth)));
                let weight = weight / pixels as f32;
                for (class, odds) in odds.iter().enumerate() {
                    let target = if class == truth { 1.0 } else { 0.0 };
                    gradient[class / BLOCK * plane + at][class % BLOCK] =
                        weight * (odds / total - target);
                }
            }
            sum
        })
        .collect();
    (losses.iter().sum::<f64>() / pixels as f64) as f32
}
