//! Where regions of a mask end, and how strongly their pixels are painted.

use super::codes::CHUNK;

/// Weight of a colour that hides what is below.
pub(super) const OPAQUE: u16 = 256;

/// How strongly the pixels of a mask are painted, in 256ths: those of the background not at all, the
/// outermost of a region fully, those within at the overlay's opacity.
pub(super) struct Contour<'a> {
    mask: &'a [u8],
    width: usize,
    height: usize,
    inside: u16,
    thickness: usize,
}

impl<'a> Contour<'a> {
    /// Frames of more rows have contours of two pixels, which don't vanish when they are shown
    /// smaller.
    const LARGE: usize = 1000;

    /// `mask` holds `width` x `height` classes; `opacity` is 0 to 1.
    pub fn new(mask: &'a [u8], width: usize, height: usize, opacity: f32) -> Self {
        Contour {
            mask,
            width,
            height,
            inside: (opacity.clamp(0.0, 1.0) * f32::from(OPAQUE)).round() as u16,
            thickness: if height > Self::LARGE { 2 } else { 1 },
        }
    }

    /// The classes of row `y` from column `x` on.
    pub fn classes(&self, y: usize, x: usize) -> &'a [u8] {
        &self.mask[y * self.width..][x..self.width]
    }

    /// Writes the weights of at most [`CHUNK`] pixels of row `y` from column `x` on; `false`, and
    /// nothing is written, where all of them are background.
    pub fn weights(&self, y: usize, x: usize, weights: &mut [u16]) -> bool {
        let here = &self.classes(y, x)[..weights.len()];
        if here.iter().all(|class| *class == 0) {
            return false;
        }
        let mut space = [false; CHUNK];
        let edge = &mut space[..here.len()];
        let end = x + here.len();
        let row = self.classes(y, 0);
        for distance in 1..=self.thickness {
            // Beyond the frame a region goes on, so that no contour runs along the frame's edge.
            let above = y.saturating_sub(distance);
            let below = (y + distance).min(self.height - 1);
            mark(edge, here, self.classes(above, x));
            mark(edge, here, self.classes(below, x));
            let first = x.max(distance).min(end);
            mark(
                &mut edge[first - x..],
                &row[first..],
                &row[first - distance..],
            );
            let right = &row[(x + distance).min(self.width)..];
            mark(edge, here, right);
        }
        for ((weight, class), edge) in weights.iter_mut().zip(here).zip(edge) {
            let painted = if *edge { OPAQUE } else { self.inside };
            *weight = if *class == 0 { 0 } else { painted };
        }
        true
    }
}

/// Marks where two rows differ, as far as the shortest goes.
fn mark(edge: &mut [bool], here: &[u8], there: &[u8]) {
    for ((edge, here), there) in edge.iter_mut().zip(here).zip(there) {
        *edge |= here != there;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{noise, places};
    use super::*;

    /// Weights of all pixels, by the definition.
    fn naive(mask: &[u8], width: usize, height: usize, inside: u16, thickness: isize) -> Vec<u16> {
        let class = |y: isize, x: isize| {
            let inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
            inside.then(|| mask[y as usize * width + x as usize])
        };
        places((width, height))
            .map(|(y, x)| {
                let (y, x) = (y as isize, x as isize);
                let own = class(y, x);
                let other = |y, x| class(y, x).is_some_and(|class| Some(class) != own);
                let edge = (1..=thickness).any(|d| {
                    other(y - d, x) || other(y + d, x) || other(y, x - d) || other(y, x + d)
                });
                match own {
                    Some(0) => 0,
                    _ if edge => OPAQUE,
                    _ => inside,
                }
            })
            .collect()
    }

    #[test]
    fn equal_their_definition() {
        for (width, height) in [(1, 1), (2, 1), (1, 3), (9, 7), (1100, 5), (3, 1001)] {
            // Blobs of a few classes, not single pixels.
            let class = |(y, x)| (noise(x / 5, y / 3) % 3) as u8;
            let mask: Vec<u8> = places((width, height)).map(class).collect();
            let contour = Contour::new(&mask, width, height, 0.25);
            let mut got = vec![0; width * height];
            for (y, row) in got.chunks_mut(width).enumerate() {
                for (index, weights) in row.chunks_mut(CHUNK).enumerate() {
                    contour.weights(y, index * CHUNK, weights);
                }
            }
            let thickness = if height > 1000 { 2 } else { 1 };
            assert_eq!(got, naive(&mask, width, height, 64, thickness));
        }
    }
}
