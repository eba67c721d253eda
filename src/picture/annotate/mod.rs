//! Draws numbers, lines of text, a legend and a scale bar on a map of values, as inks that
//! [`draw`](super::draw) paints on a picture of any format.
//!
//! Letters are white with a black rim, legible on any picture, in a size that depends on the frame's.
//! Everything is clipped to the frame. Nothing here allocates.
//!
//! ```
//! use gstunetsegment::picture::annotate::{self, Canvas, Corner};
//!
//! let mut map = vec![0; 320 * 240];
//! let mut canvas = Canvas { map: &mut map, width: 320, height: 240 };
//! annotate::line(&mut canvas, Corner::TopLeft, "12 cells");
//! annotate::scale_bar(&mut canvas, Corner::BottomRight, 0.65);
//! ```

mod canvas;
mod letters;
mod scale_bar;
#[cfg(test)]
mod tests;

pub use canvas::{Canvas, Corner};
pub use letters::ShortText;
pub use scale_bar::scale_bar;

use canvas::Rect;
use letters::ScaledFont;

use super::colors::INK_BLACK;

/// Draws object numbers, each centred at (x, y) in pixels, or as near to it as the frame allows. Numbers are
/// omitted if a coordinate is not finite or another number is already there: one of the two can be read, both
/// on top of each other can't.
pub fn numbers(canvas: &mut Canvas, items: impl Iterator<Item = (u32, f64, f64)>) {
    let digits = ScaledFont::small(canvas).digits();
    for (number, x, y) in items {
        let text = ShortText::new(format_args!("{number}"));
        digits.center(canvas, text.as_str(), (x, y));
    }
}

/// Draws a line of text into a corner. Characters outside Latin-1 become question marks.
pub fn line(canvas: &mut Canvas, corner: Corner, text: &str) {
    lines(canvas, corner, &[text]);
}

/// Draws lines of text into a corner, from top to bottom, on an opaque background.
pub fn lines(canvas: &mut Canvas, corner: Corner, texts: &[&str]) {
    let font = ScaledFont::new(canvas);
    let width = texts.iter().map(|text| font.width(text)).max();
    let height = font.pitch() * texts.len() as i64;
    let block = canvas.block(corner, (width.unwrap_or(0), height), font.margin());
    if !texts.is_empty() {
        canvas.fill(block.shrunk(-2 * font.unit()), INK_BLACK);
    }
    for (text, row) in texts.iter().zip(0..) {
        let x = block.aligned(corner, font.width(text));
        let y = block.top + row * font.pitch();
        font.write(canvas, text, (x, y));
    }
}

/// Draws class names into a corner, from top to bottom, each after a swatch drawn like a region of its map
/// value.
pub fn legend<'a, Entries>(canvas: &mut Canvas, corner: Corner, entries: Entries)
where
    Entries: IntoIterator<Item = (&'a str, u8), IntoIter: Clone>,
{
    let entries = entries.into_iter();
    let font = ScaledFont::new(canvas);
    let unit = font.unit();
    // A swatch is as high as a letter, and 1.25 times as wide as high.
    let (swatch, side) = (5 * font.height() / 4, font.height());
    let gap = 3 * unit;
    let names = entries.clone().map(|(name, _)| font.width(name));
    let width = swatch + gap + names.max().unwrap_or(0);
    let height = font.pitch() * entries.clone().count() as i64;
    let block = canvas.block(corner, (width, height), font.margin());
    for ((name, value), row) in entries.zip(0..) {
        let top = block.top + row * font.pitch();
        let frame = Rect {
            left: block.left,
            top,
            right: block.left + swatch,
            bottom: top + side,
        };
        canvas.fill(frame, INK_BLACK);
        // A region has an outline beside the background, but not beside ink.
        canvas.fill(frame.shrunk(unit), 0);
        canvas.fill(frame.shrunk(2 * unit), value);
        font.write(canvas, name, (frame.right + gap, top));
    }
}
