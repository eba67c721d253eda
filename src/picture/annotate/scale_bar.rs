//! The scale bar.

use super::canvas::{Canvas, Corner, Rect};
use super::letters::{ScaledFont, ShortText};
use crate::picture::colors::{INK_BLACK, INK_WHITE};

/// Draws a labelled scale bar into a corner, on an opaque background. Its length is 1, 2 or 5 times a power of ten
/// of micrometres or millimetres, about a fifth of the frame's width. Draws nothing if that is less than a nanometre
/// or more than a metre, or `micrometres_per_pixel` is not a positive number.
pub fn scale_bar(canvas: &mut Canvas, corner: Corner, micrometres_per_pixel: f64) {
    let (columns, _) = canvas.size();
    let Some(length) = BarLength::near(columns as f64 / 5.0 * micrometres_per_pixel) else {
        return;
    };
    let font = ScaledFont::new(canvas);
    let unit = font.unit();
    let bar = (length.micrometres() / micrometres_per_pixel).round() as i64;
    let thickness = font.height() / 3;
    let label = length.label();
    let text = font.width(label.as_str());
    let width = bar.max(text);
    let height = font.pitch() + thickness;
    let block = canvas.block(corner, (width, height), font.margin());
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
    font.write(canvas, label.as_str(), place);
}

/// 1, 2 or 5 times a power of ten of micrometres.
#[derive(Clone, Copy, Debug, PartialEq)]
struct BarLength {
    digit: u32,
    exponent: i32,
}

impl BarLength {
    /// The length closest to a number of micrometres, by ratio; `None` outside 1 nm to 1 m.
    fn near(micrometres: f64) -> Option<Self> {
        let lengths =
            (-3..=6).flat_map(|exponent| [1, 2, 5].map(|digit| BarLength { digit, exponent }));
        // NaN is in no range.
        if !(5e-4..2e6).contains(&micrometres) {
            return None;
        }
        let distance = |length: &BarLength| (length.micrometres() / micrometres).ln().abs();
        lengths.min_by(|a, b| distance(a).total_cmp(&distance(b)))
    }

    fn micrometres(self) -> f64 {
        f64::from(self.digit) * 10f64.powi(self.exponent)
    }

    fn label(self) -> ShortText {
        let BarLength { digit, exponent } = self;
        match exponent {
            3.. => ShortText::new(format_args!(
                "{} mm",
                digit * 10u32.pow((exponent - 3) as u32)
            )),
            0.. => ShortText::new(format_args!("{} µm", digit * 10u32.pow(exponent as u32))),
            _ => {
                let decimals = exponent.unsigned_abs() as usize;
                ShortText::new(format_args!("{:.decimals$} µm", self.micrometres()))
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
            let length = BarLength::near(micrometres).unwrap();
            assert_eq!(length.label().as_str(), label);
        }
        for none in [0.0, -1.0, 1e-5, 1e9, f64::NAN, f64::INFINITY] {
            assert_eq!(BarLength::near(none), None);
        }
    }

    #[test]
    fn bars_have_their_labelled_length() {
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
