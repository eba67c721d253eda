//! Letters of a size that goes with the frame's.

use std::fmt::{self, Write};

use embedded_graphics::geometry::{OriginDimensions, Point};
use embedded_graphics::image::GetPixel;
use embedded_graphics::mono_font::{MonoFont, iso_8859_1 as fonts};
use embedded_graphics::pixelcolor::BinaryColor;

use super::canvas::{Canvas, Rect};
use crate::picture::colors::{INK_BLACK, INK_WHITE};

/// The fonts, the largest first. Bold ones, where there are, keep their shape over a picture.
const FONTS: [&MonoFont; 7] = [
    &fonts::FONT_10X20,
    &fonts::FONT_9X18_BOLD,
    &fonts::FONT_9X15_BOLD,
    &fonts::FONT_7X13_BOLD,
    &fonts::FONT_6X10,
    &fonts::FONT_5X8,
    &fonts::FONT_4X6,
];

/// Rows of the highest letter with a rim.
const ROWS: usize = 22;

/// Letters of a font, each pixel of which is a square of `scale` pixels.
#[derive(Clone, Copy)]
pub(super) struct Lettering {
    font: &'static MonoFont<'static>,
    scale: i64,
}

/// A letter with one pixel more at each side, where the rim is: a bit a pixel, the leftmost lowest.
#[derive(Clone, Copy)]
struct Letter {
    body: [u32; ROWS],
    rim: [u32; ROWS],
}

impl Lettering {
    /// Letters of text: a 40th of the frame's height, at least as high as can be read.
    pub fn new(canvas: &Canvas) -> Self {
        let (width, height) = canvas.size();
        Lettering::of_height(width.min(height) / 40, 10)
    }

    /// Letters of numbers, of which there are many.
    pub fn small(canvas: &Canvas) -> Self {
        let (width, height) = canvas.size();
        Lettering::of_height(width.min(height) / 50, 8)
    }

    /// The highest letters that are no higher than `height`, or else `least` pixels; of those with
    /// the smallest pixels, of which there are none larger than needed.
    fn of_height(height: usize, least: usize) -> Self {
        let height = height.max(least) as i64;
        let scales = 1..=1 + (height - 1) / rows(FONTS[0]);
        let mut best = Lettering {
            font: FONTS[FONTS.len() - 1],
            scale: 1,
        };
        for scale in scales {
            let fits = |font: &&&'static MonoFont| scale * rows(font) <= height;
            if let Some(font) = FONTS.iter().find(fits)
                && scale * rows(font) > best.height()
            {
                best = Lettering { font, scale };
            }
        }
        best
    }

    /// Pixels of the frame that a pixel of a letter measures.
    pub fn unit(&self) -> i64 {
        self.scale
    }

    /// Rows of a letter.
    pub fn height(&self) -> i64 {
        self.scale * rows(self.font)
    }

    /// Rows from a line of text to the next.
    pub fn pitch(&self) -> i64 {
        self.height() + 3 * self.scale
    }

    /// Distance of text from the frame's edge.
    pub fn margin(&self) -> i64 {
        self.height() / 2
    }

    /// Columns of a text.
    pub fn width(&self, text: &str) -> i64 {
        self.advance() * text.chars().count() as i64
    }

    fn advance(&self) -> i64 {
        self.scale * i64::from(self.font.character_size.width)
    }

    /// Writes a text whose upper left corner is at (x, y).
    pub fn write(&self, canvas: &mut Canvas, text: &str, place: (i64, i64)) {
        self.paint(canvas, text, place, |letter| Letter::of(self.font, letter));
    }

    /// The digits, to write many numbers.
    pub fn digits(self) -> Digits {
        let digits = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];
        Digits {
            lettering: self,
            letters: digits.map(|digit| Letter::of(self.font, digit)),
        }
    }

    /// The rims of all letters come first, so that none of them hides a part of the letter before.
    fn paint(
        &self,
        canvas: &mut Canvas,
        text: &str,
        (x, y): (i64, i64),
        letter: impl Fn(char) -> Letter,
    ) {
        let columns = canvas.size().0 as i64;
        for (ink, is_rim) in [(INK_BLACK, true), (INK_WHITE, false)] {
            let places = (0..).map(|index| x + index * self.advance());
            // Beyond the frame's edge there is nothing to draw, however long the text.
            for (character, x) in text.chars().zip(places).take_while(|(_, x)| *x <= columns) {
                let letter = letter(character);
                let rows = if is_rim { &letter.rim } else { &letter.body };
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

impl Letter {
    fn of(font: &MonoFont, letter: char) -> Self {
        // Greek mu and the micro sign look alike; Latin-1 has the one.
        let letter = if letter == '\u{3bc}' {
            '\u{b5}'
        } else {
            letter
        };
        let size = font.character_size;
        let across = (font.image.size().width / size.width).max(1);
        let index = font.glyph_mapping.index(letter) as u32;
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
        Letter { body, rim }
    }
}

/// The ten digits of a lettering.
pub(super) struct Digits {
    lettering: Lettering,
    letters: [Letter; 10],
}

impl Digits {
    /// Writes digits with their middle at a place (x, y), if that is one.
    pub fn center(&self, canvas: &mut Canvas, digits: &str, (x, y): (f64, f64)) {
        // Far beyond any frame; sums of such places are still exact.
        const FAR: f64 = 1e9;
        if !(x.abs() < FAR && y.abs() < FAR) {
            return;
        }
        let (width, height) = (self.lettering.width(digits), self.lettering.height());
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
        let letter = |digit: char| self.letters[digit.to_digit(10).unwrap_or(0) as usize];
        self.lettering.paint(canvas, digits, place, letter);
    }
}

/// A short text that needs no allocation: up to 48 bytes, what is too long for it is cut off.
pub struct Short {
    bytes: [u8; 48],
    len: usize,
}

impl Short {
    /// What `text` says.
    pub fn new(text: fmt::Arguments) -> Self {
        let mut short = Short {
            bytes: [0; 48],
            len: 0,
        };
        // It fails where the text is too long; what fits is there.
        let _ = short.write_fmt(text);
        short
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }
}

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let space = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        space.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
