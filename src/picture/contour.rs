//! Outlines of the regions of a mask, and how strongly each pixel is painted.

use super::codes::CHUNK;
use super::colors::FIRST_INK;
use super::style::Style;

/// Weight of a fully opaque colour.
pub(super) const OPAQUE: u16 = 256;

/// Frames with more rows get outlines of twice the width, which don't vanish when scaled down for display.
const LARGE: usize = 1000;

/// Largest distance of an outline pixel from another value.
const MAX_DISTANCE: usize = 2 * Style::MAX_THICKNESS;

/// How strongly each pixel of a mask is painted, in 256ths: the background not at all, outlines and inks
/// fully, the rest of a region with the overlay's opacity.
pub(super) struct Contour<'a> {
    mask: &'a [u8],
    width: usize,
    height: usize,
    inside: u16,
    outline: Outline,
}

/// Which pixels near another value belong to an outline.
enum Outline {
    None,
    /// Those within this many pixels along the row or along the column.
    Straight(usize),
    /// Those within this many steps along rows and columns (city-block distance).
    Around(usize),
}

impl Outline {
    fn new(thickness: usize, height: usize) -> Self {
        let scale = if height > LARGE { 2 } else { 1 };
        match thickness.min(Style::MAX_THICKNESS) {
            0 => Outline::None,
            // For one pixel both are the same. For the two pixels of a large frame they differ only in
            // inner corners, and `Straight` takes half the time.
            1 => Outline::Straight(scale),
            thickness => Outline::Around(scale * thickness),
        }
    }
}

impl<'a> Contour<'a> {
    /// `mask` holds `width` x `height` values.
    pub fn new(mask: &'a [u8], width: usize, height: usize, style: Style) -> Self {
        Contour {
            mask,
            width,
            height,
            inside: (style.opacity.clamp(0.0, 1.0) * f32::from(OPAQUE)).round() as u16,
            outline: Outline::new(style.thickness, height),
        }
    }

    /// The values of row `y` from column `x` on.
    pub fn classes(&self, y: usize, x: usize) -> &'a [u8] {
        &self.mask[y * self.width..][x..self.width]
    }

    /// Writes the weights of at most [`CHUNK`] pixels of row `y` from column `x` on. Returns `false`, and writes
    /// nothing, if all of them are background.
    pub fn weights(&self, y: usize, x: usize, weights: &mut [u16]) -> bool {
        let here = &self.classes(y, x)[..weights.len()];
        if here.iter().all(|class| *class == 0) {
            return false;
        }
        let mut space = [0; CHUNK];
        let edge = &mut space[..here.len()];
        match self.outline {
            Outline::None => (),
            Outline::Straight(distance) => self.mark_straight(y, x, distance, edge),
            Outline::Around(distance) => self.mark_around(y, x, distance, edge),
        }
        for ((weight, class), edge) in weights.iter_mut().zip(here).zip(edge) {
            let painted = if (*edge != 0) | (*class >= FIRST_INK) {
                OPAQUE
            } else {
                self.inside
            };
            *weight = if *class == 0 { 0 } else { painted };
        }
        true
    }

    fn mark_straight(&self, y: usize, x: usize, distance: usize, edge: &mut [u8]) {
        let row = self.classes(y, 0);
        let end = x + edge.len();
        let here = &row[x..end];
        for distance in 1..=distance {
            let (above, below) = self.rows(y, distance);
            let beside = above[x..].iter().zip(&below[x..]);
            for ((edge, here), (above, below)) in edge.iter_mut().zip(here).zip(beside) {
                *edge |= difference(*here, *above) | difference(*here, *below);
            }
            let first = x.max(distance).min(end);
            mark(
                &mut edge[first - x..],
                &row[first..],
                &row[first - distance..],
            );
            let right = &row[(x + distance).min(self.width)..];
            mark(edge, here, right);
        }
    }

    /// All pixels around one have its value if and only if the smallest and the largest of their values do.
    fn mark_around(&self, y: usize, x: usize, distance: usize, edge: &mut [u8]) {
        // Each step looks one pixel further on each side.
        let first = x.saturating_sub(distance);
        let end = (x + edge.len() + distance).min(self.width);
        let mut around = Extremes::of(&self.classes(y, first)[..end - first]);
        for step in 1..=distance {
            let (above, below) = self.rows(y, step);
            around.widen(&above[first..end], &below[first..end]);
        }
        let here = &self.classes(y, x)[..edge.len()];
        let pixels = edge.iter_mut().zip(here).zip(around.from(x - first));
        for ((edge, here), (least, greatest)) in pixels {
            *edge = u8::from((least < here) | (greatest > here));
        }
    }

    /// The rows `distance` above and below row `y`. Regions continue beyond the frame, so that there is no
    /// outline along the frame's edge.
    fn rows(&self, y: usize, distance: usize) -> (&'a [u8], &'a [u8]) {
        let below = (y + distance).min(self.height - 1);
        (
            self.classes(y.saturating_sub(distance), 0),
            self.classes(below, 0),
        )
    }
}

/// Non-zero if there is an edge between a pixel and a neighbour. Ink makes no edge.
fn difference(here: u8, there: u8) -> u8 {
    (here ^ there) & if there < FIRST_INK { u8::MAX } else { 0 }
}

/// Marks the edges between two rows, up to the end of the shorter one.
fn mark(edge: &mut [u8], here: &[u8], there: &[u8]) {
    for ((edge, here), there) in edge.iter_mut().zip(here).zip(there) {
        *edge |= difference(*here, *there);
    }
}

/// The smallest and the largest value in a neighbourhood of each pixel of a part of a row. Ink is ignored
/// if there is anything else.
struct Extremes {
    least: [u8; Extremes::ROOM],
    greatest: [u8; Extremes::ROOM],
    /// Pixels.
    len: usize,
}

impl Extremes {
    const ROOM: usize = CHUNK + 2 * MAX_DISTANCE;

    /// Neighbourhoods of one pixel each.
    fn of(row: &[u8]) -> Self {
        let mut extremes = Extremes {
            least: [0; Extremes::ROOM],
            greatest: [0; Extremes::ROOM],
            len: row.len(),
        };
        extremes.least[..row.len()].copy_from_slice(row);
        for (greatest, value) in extremes.greatest.iter_mut().zip(row) {
            *greatest = without_ink(*value);
        }
        extremes
    }

    /// Extends the neighbourhoods by the adjacent pixels; `above` and `below` are the rows that contain these.
    fn widen(&mut self, above: &[u8], below: &[u8]) {
        let beside = (above, below);
        widen(&mut self.least[..self.len], beside, |value| value, u8::min);
        widen(&mut self.greatest[..self.len], beside, without_ink, u8::max);
    }

    /// Smallest and largest value around each pixel from `first` on.
    fn from(&self, first: usize) -> impl Iterator<Item = (&u8, &u8)> {
        self.least[first..].iter().zip(&self.greatest[first..])
    }
}

/// Replaces ink by the background.
fn without_ink(value: u8) -> u8 {
    if value < FIRST_INK { value } else { 0 }
}

/// One step of [`Extremes::widen`]: `pick` selects the extreme of two values.
fn widen(
    extremes: &mut [u8],
    (above, below): (&[u8], &[u8]),
    value: impl Fn(u8) -> u8,
    pick: impl Fn(u8, u8) -> u8,
) {
    let mut space = [0; Extremes::ROOM];
    let next = &mut space[..extremes.len()];
    let rows = extremes.iter().zip(above).zip(below);
    for (next, ((own, above), below)) in next.iter_mut().zip(rows) {
        *next = pick(*own, pick(value(*above), value(*below)));
    }
    for (next, left) in next.iter_mut().skip(1).zip(&*extremes) {
        *next = pick(*next, *left);
    }
    for (next, right) in next.iter_mut().zip(extremes.iter().skip(1)) {
        *next = pick(*next, *right);
    }
    extremes.copy_from_slice(next);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{noise, places};
    use super::*;

    /// Weights of all pixels, by definition.
    fn naive(mask: &[u8], (width, height): (usize, usize), style: Style) -> Vec<u16> {
        let thickness = style.thickness.min(16) as isize;
        let (straight, reach) = if height > 1000 {
            (thickness == 1, 2 * thickness)
        } else {
            (false, thickness)
        };
        let is_other = |own: u8, y: isize, x: isize| {
            let inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
            let there = || mask[y as usize * width + x as usize];
            inside && there() != own && there() < FIRST_INK
        };
        places((width, height))
            .map(|(y, x)| {
                let own = mask[y * width + x];
                let (y, x) = (y as isize, x as isize);
                let edge = (-reach..=reach).any(|dy| {
                    let side = reach - dy.abs();
                    (-side..=side).any(|dx| {
                        (!straight || dx == 0 || dy == 0) && is_other(own, y + dy, x + dx)
                    })
                });
                match own {
                    0 => 0,
                    FIRST_INK.. => OPAQUE,
                    _ if edge => OPAQUE,
                    _ => (style.opacity * 256.0) as u16,
                }
            })
            .collect()
    }

    fn weights(mask: &[u8], (width, height): (usize, usize), style: Style) -> Vec<u16> {
        let contour = Contour::new(mask, width, height, style);
        let mut got = vec![0; width * height];
        for (y, row) in got.chunks_mut(width).enumerate() {
            for (index, weights) in row.chunks_mut(CHUNK).enumerate() {
                contour.weights(y, index * CHUNK, weights);
            }
        }
        got
    }

    #[test]
    fn equal_their_definition() {
        for size in [
            (1, 1),
            (2, 1),
            (1, 3),
            (29, 27),
            (1100, 5),
            (3, 1001),
            (513, 4),
        ] {
            // Blobs of a few classes, not single pixels, and some ink.
            let value = |(y, x)| match noise(x, y) % 90 {
                0 => 250,
                1 => 255,
                _ => (noise(x / 5, y / 3) % 3) as u8,
            };
            let mask: Vec<u8> = places(size).map(value).collect();
            for thickness in [0, 1, 2, 3, 7, 16, usize::MAX] {
                let opacity = 0.25;
                let style = Style { opacity, thickness };
                let (got, expected) = (weights(&mask, size, style), naive(&mask, size, style));
                assert!(got == expected, "{size:?} {thickness}");
            }
        }
    }

    /// Letters on a region don't outline it, and letters across its edge keep the outline beside them.
    #[test]
    fn inks_make_no_outline() {
        let mut mask = [1; 7 * 5];
        mask[2 * 7 + 2..][..3].fill(255);
        let style = Style {
            opacity: 0.5,
            thickness: 2,
        };
        for (index, weight) in weights(&mask, (7, 5), style).into_iter().enumerate() {
            assert_eq!(weight, if mask[index] == 255 { 256 } else { 128 });
        }
        mask[0] = 0;
        mask[1] = 255;
        assert_eq!(weights(&mask, (7, 5), style)[..4], [0, 256, 256, 128]);
    }

    #[test]
    fn opacity_is_clamped() {
        for (opacity, weight) in [(-1.0, 0), (7.0, 256), (f32::NAN, 0)] {
            let style = Style {
                opacity,
                thickness: 0,
            };
            assert_eq!(weights(&[1; 9], (3, 3), style)[4], weight);
        }
    }
}
