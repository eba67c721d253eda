//! The scale bar.

use super::canvas::{Canvas, Corner, Rect};
use super::letters::{Lettering, Short};
use crate::picture::colors::{INK_BLACK, INK_WHITE};

/// Draws a scale bar with its length into a corner, on a ground that hides what is below: 1, 2 or 5 times a power of ten of micrometres or
/// millimetres, about a fifth of the frame's width. Nothing is drawn where that is less than a
/// nanometre or more than a metre, or `micrometres_per_pixel` is not a positive number.
pub fn scale_bar(canvas: &mut Canvas, corner: Corner, micrometres_per_pixel: f64) {
    let (columns, _) = canvas.size();
    let Some(length) = Length::near(columns as f64 / 5.0 * micrometres_per_pixel) else {
        return;
    };
    let lettering = Lettering::new(canvas);
    let unit = lettering.unit();
    let bar = (length.micrometres() / micrometres_per_pixel).round() as i64;
    let thickness = lettering.height() / 3;
    let label = length.label();
    let text = lettering.width(label.as_str());
    let width = bar.max(text);
    let height = lettering.pitch() + thickness;
    let block = canvas.block(corner, (width, height), lettering.margin());
    let left = block.left + (width - bar) / 2;
    let white = Rect {
        left,
        top: block.bottom - thickness,
        right: left + bar,
        bottom: block.bottom,
    };
    canvas.fill(block.shrunk(-2 * unit), INK_BLACK);
    canvas.fill(white, INK_WHITE);
    let place = (block.left + (width - text) / 2, block.top);
    lettering.write(canvas, label.as_str(), place);
}

/// 1, 2 or 5 times a power of ten of micrometres.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Length {
    digit: u32,
    exponent: i32,
}

impl Length {
    /// The length closest to a number of micrometres, by their ratio; 1 nm to 1 m.
    fn near(micrometres: f64) -> Option<Self> {
        let lengths =
            (-3..=6).flat_map(|exponent| [1, 2, 5].map(|digit| Length { digit, exponent }));
        // NaN is in no range.
        if !(5e-4..2e6).contains(&micrometres) {
            return None;
        }
        let distance = |length: &Length| (length.micrometres() / micrometres).ln().abs();
        lengths.min_by(|a, b| distance(a).total_cmp(&distance(b)))
    }

    fn micrometres(self) -> f64 {
        f64::from(self.digit) * 10f64.powi(self.exponent)
    }

    fn label(self) -> Short {
        let Length { digit, exponent } = self;
        match exponent {
            3.. => Short::new(format_args!(
                "{} mm",
                digit * 10u32.pow((exponent - 3) as u32)
            )),
            0.. => Short::new(format_args!("{} µm", digit * 10u32.pow(exponent as u32))),
            _ => {
                let decimals = exponent.unsigned_abs() as usize;
                Short::new(format_args!("{:.decimals$} µm", self.micrometres()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_round() {
        for (micrometres, label) in [
            (5e-4, "0.001 µm"),
            (0.031, "0.02 µm"),
            (0.5, "0.5 µm"),
            (1.3, "1 µm"),
            (1.5, "2 µm"),
            (90.5, "100 µm"),
            (333.0, "500 µm"),
            (1100.0, "1 mm"),
            (24_000.0, "20 mm"),
            (1.9e6, "2000 mm"),
        ] {
            let length = Length::near(micrometres).unwrap();
            assert_eq!(length.label().as_str(), label);
        }
        for none in [0.0, -1.0, 1e-5, 1e9, f64::NAN, f64::INFINITY] {
            assert_eq!(Length::near(none), None);
        }
    }

    /// The bar is as long as its label says.
    #[test]
    fn bars_have_their_length() {
        let (width, height) = (696, 520);
        for (scale, expected) in [(0.65, 154), (0.1, 100), (7.3, 137), (1.0, 100)] {
            let mut map = vec![0; width * height];
            let mut canvas = Canvas {
                map: &mut map,
                width,
                height,
            };
            scale_bar(&mut canvas, Corner::BottomRight, scale);
            let whites = |row: &[u8]| row.iter().filter(|value| **value == INK_WHITE).count();
            let longest = map.chunks(width).map(whites).max();
            assert_eq!(longest, Some(expected), "{scale}");
        }
    }
}
