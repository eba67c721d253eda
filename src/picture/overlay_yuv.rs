//! The overlay on luma and chroma.

use super::codes::CHUNK;
use super::contour::{Contour, OPAQUE};
use super::frame::FrameMut;
use super::overlay::{Palette, blend};

/// Two rows of at most [`CHUNK`] pixels, of which each block of 2 x 2 pixels shares chroma.
struct Strip<'a> {
    contour: &'a Contour<'a>,
    palette: &'a Palette,
    y: usize,
    x: usize,
    /// Fewer than two at an odd frame's end.
    rows: usize,
    columns: usize,
    /// How strongly each pixel is painted.
    weights: [[u16; CHUNK]; 2],
}

/// Draws a mask over NV12 or I420 in place. `chroma` gives the plane and the offset of both kinds,
/// `step` the bytes between samples. A chroma sample becomes the mean of its pixels.
pub(super) fn draw(
    target: &mut FrameMut,
    (chroma, step): ([(usize, usize); 2], usize),
    contour: &Contour,
    palette: &Palette,
) {
    for y in (0..target.height()).step_by(2) {
        for x in (0..target.width()).step_by(CHUNK) {
            let mut strip = Strip {
                contour,
                palette,
                y,
                x,
                rows: 2.min(target.height() - y),
                columns: CHUNK.min(target.width() - x),
                weights: [[0; CHUNK]; 2],
            };
            if !strip.weigh() {
                continue;
            }
            for index in 0..strip.rows {
                strip.paint_luma(index, &mut target.row(0, y + index)[x..]);
            }
            for (kind, (plane, offset)) in [1, 2].into_iter().zip(chroma) {
                let samples = &mut target.row(plane, y / 2)[x / 2 * step + offset..];
                strip.paint_chroma(kind, samples.iter_mut().step_by(step));
            }
        }
    }
}

impl Strip<'_> {
    /// Finds the weights; `false` where nothing is painted.
    fn weigh(&mut self) -> bool {
        let mut painted = false;
        for (y, weights) in (self.y..self.y + self.rows).zip(&mut self.weights) {
            painted |= self
                .contour
                .weights(y, self.x, &mut weights[..self.columns]);
        }
        painted
    }

    fn classes(&self, index: usize) -> &[u8] {
        self.contour.classes(self.y + index, self.x)
    }

    fn paint_luma(&self, index: usize, samples: &mut [u8]) {
        let pixels = self.classes(index).iter().zip(&self.weights[index]);
        for (sample, (class, weight)) in samples.iter_mut().zip(pixels).take(self.columns) {
            *sample = blend(*sample, self.palette.of(*class)[0], *weight);
        }
    }

    /// `kind` is the place of the samples in the palette's colours.
    fn paint_chroma<'a>(&self, kind: usize, samples: impl Iterator<Item = &'a mut u8>) {
        let opaque = u32::from(OPAQUE);
        let pairs = (0..self.columns).step_by(2);
        for (sample, first) in samples.zip(pairs) {
            let columns = first..self.columns.min(first + 2);
            let pixels = (columns.len() * self.rows) as u32;
            let (mut weights, mut colors) = (0, 0);
            for index in 0..self.rows {
                for column in columns.clone() {
                    let weight = u32::from(self.weights[index][column]);
                    let color = self.palette.of(self.classes(index)[column])[kind];
                    weights += weight;
                    colors += weight * u32::from(color);
                }
            }
            let kept = u32::from(*sample) * (pixels * opaque - weights);
            // 1, 2 or 4 pixels: a shift, not a division.
            let shift = OPAQUE.trailing_zeros() + pixels.trailing_zeros();
            *sample = ((kept + colors + (1 << (shift - 1))) >> shift) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::display::Levels;
    use super::super::format::Format;
    use super::super::overlay;
    use super::super::testing::Picture;
    use super::super::yuv::{YuvCoding, YuvRange};
    use crate::contract::Color;

    /// Luma of a pixel and the chroma that it shares.
    fn samples(picture: &mut Picture, x: usize, y: usize) -> [u8; 3] {
        let luma = picture.bytes(0, y)[x];
        let (x, y) = (x / 2, y / 2);
        match picture.format {
            Format::Nv12 => {
                let pair = &picture.bytes(1, y)[2 * x..];
                [luma, pair[0], pair[1]]
            }
            _ => [luma, picture.bytes(1, y)[x], picture.bytes(2, y)[x]],
        }
    }

    #[test]
    fn luma_is_drawn_sharply_and_chroma_as_the_mean() {
        let full = YuvCoding {
            range: YuvRange::Full,
            ..YuvCoding::BT709
        };
        let colors = [Color([0; 3]), Color([220, 30, 90])];
        // Blocks of 4, 1 and 0 painted pixels, and the two and one of the odd ends.
        let mask = [
            1, 1, 1, 0, 0, //
            1, 1, 0, 0, 0, //
            0, 0, 0, 0, 1, //
        ];
        for format in [Format::Nv12, Format::I420] {
            for coding in [full, YuvCoding::BT601] {
                let mut target = Picture::color(format, (5, 3), coding, |_, _| [60; 3]);
                let [gray, u0, v0] = coding.encode([60; 3]);
                let [luma, u, v] = coding.encode(colors[1].0);
                let levels = Levels::IDENTITY;
                overlay::draw(None, &mut target.frame_mut(), &mask, &colors, 1.0, levels);
                let mixed = |from: u8, to: u8, quarters: u16| {
                    let sum = u16::from(from) * (4 - quarters) + u16::from(to) * quarters;
                    ((sum + 2) / 4) as u8
                };
                let mut at = |x, y| samples(&mut target, x, y);
                assert_eq!(at(0, 0), [luma, u, v]);
                assert_eq!(at(2, 0), [luma, mixed(u0, u, 1), mixed(v0, v, 1)]);
                assert_eq!(at(3, 1), [gray, mixed(u0, u, 1), mixed(v0, v, 1)]);
                assert_eq!(at(4, 1), [gray, u0, v0]);
                assert_eq!(at(2, 2), [gray, u0, v0]);
                assert_eq!(at(4, 2), [luma, u, v]);
            }
        }
    }

    #[test]
    fn opacity_is_the_share_of_the_colour() {
        let colors = [Color([0; 3]), Color([220, 30, 90])];
        let mut target = Picture::color(Format::I420, (6, 6), YuvCoding::BT601, |_, _| [60; 3]);
        let mut mask = [1; 36];
        mask[0] = 0;
        overlay::draw(
            None,
            &mut target.frame_mut(),
            &mask,
            &colors,
            0.25,
            Levels::IDENTITY,
        );
        let (from, to) = (
            YuvCoding::BT601.encode([60; 3]),
            YuvCoding::BT601.encode(colors[1].0),
        );
        let expected = [0, 1, 2]
            .map(|kind| (f32::from(from[kind]) * 0.75 + f32::from(to[kind]) * 0.25 + 0.5) as u8);
        assert_eq!(samples(&mut target, 5, 5), expected);
    }
}
