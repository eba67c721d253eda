//! Draws the overlay on luma and chroma planes.

use super::codes::CHUNK;
use super::contour::{Contour, OPAQUE};
use super::frame::FrameMut;
use super::overlay::{ColorTable, blend};

/// Two rows of at most [`CHUNK`] pixels; each block of 2 x 2 pixels shares chroma. At an odd edge of the frame
/// the last row or column is repeated, which keeps the mean of a block.
struct RowPair {
    /// How strongly each pixel is painted.
    weights: [[u16; CHUNK]; 2],
    classes: [[u8; CHUNK]; 2],
}

/// Draws a mask over NV12 or I420 in place. `chroma` gives plane and offset of both components, `step` the
/// bytes from one sample to the next. A chroma sample becomes the mean of its pixels.
pub(super) fn draw(
    target: &mut FrameMut,
    (chroma, step): ([(usize, usize); 2], usize),
    contour: &Contour,
    table: &ColorTable,
) {
    let mut pair = RowPair {
        weights: [[0; CHUNK]; 2],
        classes: [[0; CHUNK]; 2],
    };
    for y in (0..target.height()).step_by(2) {
        let rows = 2.min(target.height() - y);
        for x in (0..target.width()).step_by(CHUNK) {
            let columns = CHUNK.min(target.width() - x);
            if !pair.load(contour, (y, rows), (x, columns)) {
                continue;
            }
            for index in 0..rows {
                let luma = &mut target.row(0, y + index)[x..x + columns];
                pair.paint_luma(index, table, luma);
            }
            for (component, (plane, offset)) in [1, 2].into_iter().zip(chroma) {
                let samples = &mut target.row(plane, y / 2)[x / 2 * step + offset..];
                let samples = samples.iter_mut().step_by(step).take(columns.div_ceil(2));
                pair.paint_chroma(component, table, samples);
            }
        }
    }
}

impl RowPair {
    /// Loads a part of the mask; `false` if nothing of it is painted.
    fn load(
        &mut self,
        contour: &Contour,
        (y, rows): (usize, usize),
        (x, columns): (usize, usize),
    ) -> bool {
        let mut painted = false;
        for index in 0..rows {
            let (weights, classes) = (&mut self.weights[index], &mut self.classes[index]);
            classes[..columns].copy_from_slice(&contour.classes(y + index, x)[..columns]);
            if contour.weights(y + index, x, &mut weights[..columns]) {
                painted = true;
            } else {
                weights[..columns].fill(0);
            }
            if columns % 2 == 1 {
                weights[columns] = weights[columns - 1];
                classes[columns] = classes[columns - 1];
            }
        }
        if rows == 1 {
            self.weights[1] = self.weights[0];
            self.classes[1] = self.classes[0];
        }
        painted
    }

    fn paint_luma(&self, index: usize, table: &ColorTable, samples: &mut [u8]) {
        let pixels = self.weights[index].iter().zip(&self.classes[index]);
        for (sample, (weight, class)) in samples.iter_mut().zip(pixels) {
            if *weight > 0 {
                *sample = blend(*sample, table.of(*class)[0], *weight);
            }
        }
    }

    /// `component` is the index of the samples in an entry of the table.
    fn paint_chroma<'a>(
        &self,
        component: usize,
        table: &ColorTable,
        samples: impl Iterator<Item = &'a mut u8>,
    ) {
        const ALL: u32 = 4 * OPAQUE as u32;
        let [weights, below] = self.weights.each_ref().map(|row| row.as_chunks::<2>().0);
        let weights = weights.iter().zip(below);
        let [classes, below] = self.classes.each_ref().map(|row| row.as_chunks::<2>().0);
        let classes = classes.iter().zip(below);
        for (sample, ((w, w_below), (class, class_below))) in samples.zip(weights.zip(classes)) {
            let weights = [w[0], w[1], w_below[0], w_below[1]].map(u32::from);
            let painted: u32 = weights.iter().sum();
            if painted == 0 {
                continue;
            }
            let classes = [class[0], class[1], class_below[0], class_below[1]];
            let colors = weights.iter().zip(classes);
            let color: u32 = colors
                .map(|(weight, class)| weight * u32::from(table.of(class)[component]))
                .sum();
            let kept = u32::from(*sample) * (ALL - painted);
            *sample = ((kept + color + ALL / 2) / ALL) as u8;
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
    use crate::picture::{Color, Style};

    fn filled(opacity: f32) -> Style {
        Style {
            opacity,
            ..Style::default()
        }
    }

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
        // Blocks with 4, 1 and 0 painted pixels, and blocks of two pixels and one at the odd edges.
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
                overlay::draw(
                    None,
                    &mut target.frame_mut(),
                    &mask,
                    &colors,
                    filled(1.0),
                    levels,
                )
                .unwrap();
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
            filled(0.25),
            Levels::IDENTITY,
        )
        .unwrap();
        let (from, to) = (
            YuvCoding::BT601.encode([60; 3]),
            YuvCoding::BT601.encode(colors[1].0),
        );
        let expected = [0, 1, 2]
            .map(|kind| (f32::from(from[kind]) * 0.75 + f32::from(to[kind]) * 0.25 + 0.5) as u8);
        assert_eq!(samples(&mut target, 5, 5), expected);
    }
}
