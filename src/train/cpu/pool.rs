//! What changes the size of maps: 2x2 max-pooling, and the sorting of pixels that an up-convolution is
//! beside a convolution.

use rayon::prelude::*;

use super::map::{BLOCK, Map, Pixel};

/// The largest of each square of 2x2 pixels.
pub fn max_pool(from: &Map, to: &mut Map) {
    let (blocks, width, border, stride) = (to.blocks(), to.width, to.border, to.stride());
    let height = to.height;
    to.par_planes_mut().enumerate().for_each(|(index, plane)| {
        let source = from.block(index / blocks, index % blocks);
        for row in 0..height {
            let [upper, lower] = lines(from, source, 2 * row);
            let target = &mut plane[(row + border) * stride + border..][..width];
            let squares = upper.chunks_exact(2).zip(lower.chunks_exact(2));
            for (target, (upper, lower)) in target.iter_mut().zip(squares) {
                for (channel, target) in target.iter_mut().enumerate() {
                    let above = upper[0][channel].max(upper[1][channel]);
                    let below = lower[0][channel].max(lower[1][channel]);
                    *target = above.max(below);
                }
            }
        }
    });
}

/// Adds the `gradient` of pooled maps, times `scale`, to that of the maps `from` which they were pooled,
/// at the first largest pixel of each square, where that is positive.
pub fn max_pool_gradient(from: &Map, gradient: &Map, scale: f32, of_from: &mut Map) {
    let (blocks, stride, border) = (of_from.blocks(), of_from.stride(), of_from.border);
    of_from
        .par_planes_mut()
        .enumerate()
        .for_each(|(index, plane)| {
            let (picture, block) = (index / blocks, index % blocks);
            let source = from.block(picture, block);
            let gradients = gradient.block(picture, block);
            for row in 0..gradient.height {
                let [upper, lower] = lines(from, source, 2 * row);
                let gradients = &gradients[row * gradient.width..][..gradient.width];
                let start = (2 * row + border) * stride + border;
                let (above, below) = plane[start..].split_at_mut(stride);
                for (column, gradient) in gradients.iter().enumerate() {
                    let [left, right] = [2 * column, 2 * column + 1];
                    route(
                        [&upper[left], &upper[right], &lower[left], &lower[right]],
                        gradient,
                        scale,
                        above.get_disjoint_mut([left, right]).expect("two columns"),
                        below.get_disjoint_mut([left, right]).expect("two columns"),
                    );
                }
            }
        });
}

/// Adds a gradient to that of the first largest of four pixels.
#[inline]
fn route(
    pixels: [&Pixel; 4],
    gradient: &Pixel,
    scale: f32,
    [a, b]: [&mut Pixel; 2],
    [c, d]: [&mut Pixel; 2],
) {
    for channel in 0..BLOCK {
        let [first, second, third, fourth] = pixels.map(|pixel| pixel[channel]);
        let largest = first.max(second).max(third.max(fourth));
        let scaled = gradient[channel] * scale;
        let scaled = if largest > 0.0 { scaled } else { 0.0 };
        let is_first = first == largest;
        let is_second = !is_first & (second == largest);
        let is_third = !is_first & !is_second & (third == largest);
        let is_fourth = !is_first & !is_second & !is_third;
        a[channel] += if is_first { scaled } else { 0.0 };
        b[channel] += if is_second { scaled } else { 0.0 };
        c[channel] += if is_third { scaled } else { 0.0 };
        d[channel] += if is_fourth { scaled } else { 0.0 };
    }
}

/// Two lines of a block from `row` on, without the border.
fn lines<'a>(map: &Map, plane: &'a [Pixel], row: usize) -> [&'a [Pixel]; 2] {
    [row, row + 1].map(|row| {
        let start = (row + map.border) * map.stride() + map.border;
        &plane[start..][..map.width]
    })
}

/// Puts together what an up-convolution has made: `phases` holds, for each of the four pixels that a pixel
/// becomes, the channels of `to`.
pub fn interleave(phases: &Map, to: &mut Map) {
    let (blocks, border, stride) = (to.blocks(), to.border, to.stride());
    let (height, width) = (phases.height, phases.width);
    to.par_planes_mut().enumerate().for_each(|(index, plane)| {
        let (picture, block) = (index / blocks, index % blocks);
        for phase in 0..4 {
            let from = phases.block(picture, phase * blocks + block);
            for row in 0..height {
                let start = (2 * row + phase / 2 + border) * stride + border + phase % 2;
                let target = plane[start..].iter_mut().step_by(2);
                for (target, pixel) in target.zip(&from[row * width..][..width]) {
                    *target = *pixel;
                }
            }
        }
    });
}

/// Takes apart what [`interleave`] puts together.
pub fn separate(from: &Map, phases: &mut Map) {
    let (blocks, border, stride) = (from.blocks(), from.border, from.stride());
    let (height, width, all) = (phases.height, phases.width, phases.blocks());
    phases
        .par_planes_mut()
        .enumerate()
        .for_each(|(index, plane)| {
            let (picture, block) = (index / all, index % all);
            let (phase, block) = (block / blocks, block % blocks);
            let source = from.block(picture, block);
            for row in 0..height {
                let start = (2 * row + phase / 2 + border) * stride + border + phase % 2;
                let pixels = source[start..].iter().step_by(2);
                for (target, pixel) in plane[row * width..][..width].iter_mut().zip(pixels) {
                    *target = *pixel;
                }
            }
        });
}
