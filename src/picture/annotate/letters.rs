//! Text in a size that depends on the frame's.

use std::fmt::{self, Write};

use embedded_graphics::geometry::{OriginDimensions, Point};
use embedded_graphics::image::GetPixel;
use embedded_graphics::mono_font::{MonoFont, iso_8859_1 as fonts};
use embedded_graphics::pixelcolor::BinaryColor;

use super::canvas::{Canvas, Rect};
use crate::picture::colors::{INK_BLACK, INK_WHITE};

/// The fonts, the largest first; bold where available, because it stays legible over a picture.
const FONTS: [&MonoFont; 7] = [
    &fonts::FONT_10X20,
    &fonts::FONT_9X18_BOLD,
    &fonts::FONT_9X15_BOLD,
    &fonts::FONT_7X13_BOLD,
    &fonts::FONT_6X10,
    &fonts::FONT_5X8,
    &fonts::FONT_4X6,
];

/// Rows of the tallest glyph with its rim.
const ROWS: usize = 22;

/// A font, each pixel of which is drawn as a square of `scale` pixels.
#[derive(Clone, Copy)]
pub(super) struct ScaledFont {
    font: &'static MonoFont<'static>,
    scale: i64,
}

/// A glyph with one more pixel on each side for the rim: one bit per pixel, the leftmost is the lowest bit.
#[derive(Clone, Copy)]
struct Glyph {
    body: [u32; ROWS],
    rim: [u32; ROWS],
}

impl ScaledFont {
    /// The font for text: a 40th of the frame's shorter side, but legible.
    pub fn new(canvas: &Canvas) -> Self {
        let (width, height) = canvas.size();
        ScaledFont::of_height(width.min(height) / 40, 10)
    }

    /// The font for object numbers, of which there may be many.
    pub fn small(canvas: &Canvas) -> Self {
        let (width, height) = canvas.size();
        ScaledFont::of_height(width.min(height) / 50, 8)
    }

    /// The tallest font that is no taller than `height`, at least `least`, pixels; of equally tall ones the one
    /// with the smallest `scale`.
    fn of_height(height: usize, least: usize) -> Self {
        let height = height.max(least) as i64;
        let scales = 1..=1 + (height - 1) / rows(FONTS[0]);
        let mut best = ScaledFont {
            font: FONTS[FONTS.len() - 1],
            scale: 1,
        };
        for scale in scales {
            let fits = |font: &&&'static MonoFont| scale * rows(font) <= height;
            if let Some(font) = FONTS.iter().find(fits)
                && scale * rows(font) > best.height()
            {
                best = ScaledFont { font, scale };
            }
        }
        best
    }

    /// Frame pixels per pixel of a glyph.
    pub fn unit(&self) -> i64 {
        self.scale
    }

    /// Rows of a glyph.
    pub fn height(&self) -> i64 {
        self.scale * rows(self.font)
    }

    /// Rows from one line of text to the next.
    pub fn pitch(&self) -> i64 {
        self.height() + 3 * self.scale
    }

    /// Distance of text from the frame's edge.
    pub fn margin(&self) -> i64 {
        self.height() / 2
    }

    /// Width of a text in columns.
    pub fn width(&self, text: &str) -> i64 {
        self.advance() * text.chars().count() as i64
    }

    fn advance(&self) -> i64 {
        self.scale * i64::from(self.font.character_size.width)
    }

    /// Draws a text with its upper left corner at (x, y).
    pub fn write(&self, canvas: &mut Canvas, text: &str, place: (i64, i64)) {
        self.paint(canvas, text, place, |character| {
            Glyph::of(self.font, character)
        });
    }

    /// The digits, for drawing many numbers.
    pub fn digits(self) -> DigitGlyphs {
        let digits = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];
        DigitGlyphs {
            font: self,
            glyphs: digits.map(|digit| Glyph::of(self.font, digit)),
        }
    }

    /// Draws all rims first, so that none hides a part of the glyph before it.
    fn paint(
        &self,
        canvas: &mut Canvas,
        text: &str,
        (x, y): (i64, i64),
        glyph: impl Fn(char) -> Glyph,
    ) {
        let columns = canvas.size().0 as i64;
        for (ink, is_rim) in [(INK_BLACK, true), (INK_WHITE, false)] {
            let places = (0..).map(|index| x + index * self.advance());
            // Stop at the frame's edge, however long the text.
            for (character, x) in text.chars().zip(places).take_while(|(_, x)| *x <= columns) {
                let glyph = glyph(character);
                let rows = if is_rim { &glyph.rim } else { &glyph.body };
                self.paint_bits(canvas, rows, (x - self.scale, y - self.scale), ink);
            }
        }
    }

    fn paint_bits(&self, canvas: &mut Canvas, rows: &[u32], (x, y): (i64, i64), ink: u8) {
        for (row, bits) in (0..).zip(rows) {
            let top = y + row * self.scale;
            let mut bits = *bits;
            while bits != 0 {
                let first = bits.trailing_zeros();
                let run = (bits >> first).trailing_ones();
                let left = x + i64::from(first) * self.scale;
                let rect = Rect {
                    left,
                    top,
                    right: left + i64::from(run) * self.scale,
                    bottom: top + self.scale,
                };
                canvas.fill(rect, ink);
                bits &= !(((1 << run) - 1) << first);
            }
        }
    }
}

fn rows(font: &MonoFont) -> i64 {
    i64::from(font.character_size.height)
}

impl Glyph {
    fn of(font: &MonoFont, character: char) -> Self {
        // Latin-1 has the micro sign, but not the Greek mu, which looks the same.
        let character = if character == '\u{3bc}' {
            '\u{b5}'
        } else {
            character
        };
        let size = font.character_size;
        let across = (font.image.size().width / size.width).max(1);
        let index = font.glyph_mapping.index(character) as u32;
        let left = (index % across * size.width) as i32;
        let top = (index / across * size.height) as i32;
        let mut body = [0; ROWS];
        for (y, row) in (top..).zip(body.iter_mut().skip(1).take(size.height as usize)) {
            for x in 0..size.width as i32 {
                if font.image.pixel(Point::new(left + x, y)) == Some(BinaryColor::On) {
                    *row |= 2 << x;
                }
            }
        }
        let wide = body.map(|row| row | row << 1 | row >> 1);
        let row = |index: usize| wide.get(index).copied().unwrap_or(0);
        let rim = std::array::from_fn(|y| row(y.wrapping_sub(1)) | row(y) | row(y + 1));
        Glyph { body, rim }
    }
}

/// The ten digits of a font.
pub(super) struct DigitGlyphs {
    font: ScaledFont,
    glyphs: [Glyph; 10],
}

impl DigitGlyphs {
    /// Draws digits centred at (x, y), unless a coordinate is not finite or there is ink already.
    pub fn center(&self, canvas: &mut Canvas, digits: &str, (x, y): (f64, f64)) {
        // Far beyond any frame; sums of such coordinates are still exact.
        const FAR: f64 = 1e9;
        if !(x.abs() < FAR && y.abs() < FAR) {
            return;
        }
        let (width, height) = (self.font.width(digits), self.font.height());
        let (columns, rows) = canvas.size();
        let within = |middle: f64, length: i64, room: usize| {
            let first = (middle - length as f64 / 2.0).round() as i64;
            first.min(room as i64 - length).max(0)
        };
        let place = (within(x, width, columns), within(y, height, rows));
        let taken = Rect {
            left: place.0,
            top: place.1,
            right: place.0 + width,
            bottom: place.1 + height,
        };
        if canvas.has_ink(taken) {
            return;
        }
        let glyph = |digit: char| self.glyphs[digit.to_digit(10).unwrap_or(0) as usize];
        self.font.paint(canvas, digits, place, glyph);
    }
}

/// A text of up to 48 bytes without allocation; longer text is truncated.
pub struct ShortText {
    bytes: [u8; 48],
    len: usize,
}

impl ShortText {
    /// Formats `text`.
    pub fn new(text: fmt::Arguments) -> Self {
        let mut formatted = ShortText {
            bytes: [0; 48],
            len: 0,
        };
        // Fails if the text is too long; the parts that fit are there.
        let _ = formatted.write_fmt(text);
        formatted
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }
}

impl Write for ShortText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let space = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        space.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
