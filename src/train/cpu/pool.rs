//! Operations that change the size of feature maps: 2x2 max-pooling, and the interleaving of pixels in an
//! up-convolution.

use pulp::Arch;
use rayon::prelude::*;

use super::feature_map::{BLOCK, FeatureMap, Pixel};

/// 2x2 max-pooling, from \[batch, channels, 2 height, 2 width\] to \[batch, channels, height, width\].
pub fn max_pool(from: &FeatureMap, to: &mut FeatureMap) {
    let (blocks, width, border) = (to.blocks(), to.width, to.border);
    let arch = Arch::new();
    to.par_bands_mut(1).for_each(|(plane, row, band)| {
        let [upper, lower] = two_rows(from, from.block(plane / blocks, plane % blocks), 2 * row);
        let squares = upper.chunks_exact(2).zip(lower.chunks_exact(2));
        let target = &mut band[border..][..width];
        arch.dispatch(|| {
            for (target, (upper, lower)) in target.iter_mut().zip(squares) {
                for (channel, target) in target.iter_mut().enumerate() {
                    let above = larger(upper[0][channel], upper[1][channel]);
                    let below = larger(lower[0][channel], lower[1][channel]);
                    *target = larger(above, below);
                }
            }
        });
    });
}

/// The gradient of [`max_pool`] for an input `from` that is the output of ReLU: adds the `gradient` of the pooled maps
/// \[batch, channels, height, width\], times `scale`, to `of_from`, that of the input \[batch, channels, 2 height, 2
/// width\], at the first largest pixel of each square if it is positive.
pub fn max_pool_gradient(
    from: &FeatureMap,
    gradient: &FeatureMap,
    scale: f32,
    of_from: &mut FeatureMap,
) {
    let (blocks, stride, border) = (of_from.blocks(), of_from.stride(), of_from.border);
    let arch = Arch::new();
    of_from.par_bands_mut(2).for_each(|(plane, row, band)| {
        let (picture, block) = (plane / blocks, plane % blocks);
        let [upper, lower] = two_rows(from, from.block(picture, block), 2 * row);
        let gradients = gradient.block(picture, block);
        let gradients = &gradients[row * gradient.width..][..gradient.width];
        let (above, below) = band.split_at_mut(stride);
        let inner = border..border + from.width;
        let squares = upper.chunks_exact(2).zip(lower.chunks_exact(2));
        let targets = above[inner.clone()]
            .chunks_exact_mut(2)
            .zip(below[inner].chunks_exact_mut(2));
        arch.dispatch(|| {
            for (((upper, lower), (above, below)), gradient) in squares.zip(targets).zip(gradients)
            {
                let pixels = [&upper[0], &upper[1], &lower[0], &lower[1]];
                route(pixels, gradient, scale, above, below);
            }
        });
    });
}

/// Adds a gradient, times `scale`, to that of the first largest of four pixels, in each channel in which that is
/// positive; `above` and `below` are the gradients of the upper and the lower two.
#[inline(always)]
fn route(
    pixels: [&Pixel; 4],
    gradient: &Pixel,
    scale: f32,
    above: &mut [Pixel],
    below: &mut [Pixel],
) {
    for channel in 0..BLOCK {
        let [first, second, third, fourth] = [
            pixels[0][channel],
            pixels[1][channel],
            pixels[2][channel],
            pixels[3][channel],
        ];
        let largest = larger(larger(first, second), larger(third, fourth));
        let scaled = gradient[channel] * scale;
        let scaled = if largest > 0.0 { scaled } else { 0.0 };
        let is_first = first == largest;
        let is_second = !is_first & (second == largest);
        let is_third = !is_first & !is_second & (third == largest);
        let is_fourth = !is_first & !is_second & !is_third;
        above[0][channel] += if is_first { scaled } else { 0.0 };
        above[1][channel] += if is_second { scaled } else { 0.0 };
        below[0][channel] += if is_third { scaled } else { 0.0 };
        below[1][channel] += if is_fourth { scaled } else { 0.0 };
    }
}

/// As [`f32::max`], but a single instruction; the result for NaN does not matter here.
#[inline(always)]
fn larger(one: f32, other: f32) -> f32 {
    if one > other { one } else { other }
}

/// Two rows of a plane from `row` on, without the border.
fn two_rows<'a>(map: &FeatureMap, plane: &'a [Pixel], row: usize) -> [&'a [Pixel]; 2] {
    [row, row + 1].map(|row| {
        let start = (row + map.border) * map.stride() + map.border;
        &plane[start..][..map.width]
    })
}

/// Interleaves the pixels of an up-convolution: from `phases` \[batch, 4 phases x channels, height, width\], where each
/// phase has one of the 2x2 pixels that a pixel becomes and starts a block, to \[batch, channels, 2 height, 2 width\].
pub fn interleave(phases: &FeatureMap, to: &mut FeatureMap) {
    let (blocks, border, width) = (to.blocks(), to.border, phases.width);
    to.par_bands_mut(1).for_each(|(plane, row, band)| {
        let (picture, block) = (plane / blocks, plane % blocks);
        for right in 0..2 {
            let phase = row % 2 * 2 + right;
            let from = phases.block(picture, phase * blocks + block);
            let target = band[border + right..].iter_mut().step_by(2);
            for (target, pixel) in target.zip(&from[row / 2 * width..][..width]) {
                *target = *pixel;
            }
        }
    });
}

/// The inverse of [`interleave`], with the same shapes.
pub fn separate(from: &FeatureMap, phases: &mut FeatureMap) {
    let (blocks, border, stride) = (from.blocks(), from.border, from.stride());
    let all = phases.blocks();
    phases.par_bands_mut(1).for_each(|(plane, row, band)| {
        let (picture, block) = (plane / all, plane % all);
        let (phase, block) = (block / blocks, block % blocks);
        let source = from.block(picture, block);
        let start = (2 * row + phase / 2 + border) * stride + border + phase % 2;
        let pixels = source[start..].iter().step_by(2);
        for (target, pixel) in band.iter_mut().zip(pixels) {
            *target = *pixel;
        }
    });
}
