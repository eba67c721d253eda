//! Numbers, lines of text, a legend and a scale bar on a map of values, as inks that
//! [`draw`](super::draw) brings upon a picture of any format.
//!
//! Letters are white with a black rim, to be read on any picture, and of a size that goes with the
//! frame's. What does not fit into the frame is cut off. Nothing here allocates.
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
pub use letters::Short;
pub use scale_bar::scale_bar;

use canvas::Rect;
use letters::Lettering;

use super::colors::INK_BLACK;

/// Draws numbers of objects, each with its middle at a place (x, y) in pixels, or as near to it as the frame
/// has room. Places that are no numbers are left out, and so are those where a number stands already: one
/// of two can be read, both over each other can't.
pub fn numbers(canvas: &mut Canvas, items: impl Iterator<Item = (u32, f64, f64)>) {
    let digits = Lettering::small(canvas).digits();
    for (number, x, y) in items {
        let text = Short::new(format_args!("{number}"));
        digits.center(canvas, text.as_str(), (x, y));
    }
}

/// Draws a line of text into a corner. Letters are those of Latin-1; others become a question mark.
pub fn line(canvas: &mut Canvas, corner: Corner, text: &str) {
    lines(canvas, corner, &[text]);
}

/// Draws lines of text into a corner, the first on top, on a ground that hides what is below.
pub fn lines(canvas: &mut Canvas, corner: Corner, texts: &[&str]) {
    let lettering = Lettering::new(canvas);
    let width = texts.iter().map(|text| lettering.width(text)).max();
    let height = lettering.pitch() * texts.len() as i64;
    let block = canvas.block(corner, (width.unwrap_or(0), height), lettering.margin());
    if !texts.is_empty() {
        canvas.fill(block.shrunk(-2 * lettering.unit()), INK_BLACK);
    }
    for (text, row) in texts.iter().zip(0..) {
        let x = block.aligned(corner, lettering.width(text));
        let y = block.top + row * lettering.pitch();
        lettering.write(canvas, text, (x, y));
    }
}

/// Draws names of classes into a corner, the first on top, each behind a swatch that is drawn as the
/// regions of this map value are.
pub fn legend<'a, Entries>(canvas: &mut Canvas, corner: Corner, entries: Entries)
where
    Entries: IntoIterator<Item = (&'a str, u8), IntoIter: Clone>,
{
    let entries = entries.into_iter();
    let lettering = Lettering::new(canvas);
    let unit = lettering.unit();
    // A swatch is as high as a letter, and as wide as two and a half.
    let (swatch, side) = (5 * lettering.height() / 4, lettering.height());
    let gap = 3 * unit;
    let names = entries.clone().map(|(name, _)| lettering.width(name));
    let width = swatch + gap + names.max().unwrap_or(0);
    let height = lettering.pitch() * entries.clone().count() as i64;
    let block = canvas.block(corner, (width, height), lettering.margin());
    for ((name, value), row) in entries.zip(0..) {
        let top = block.top + row * lettering.pitch();
        let frame = Rect {
            left: block.left,
            top,
            right: block.left + swatch,
            bottom: top + side,
        };
        canvas.fill(frame, INK_BLACK);
        // Beside an ink a region has no outline, beside the background it has.
        canvas.fill(frame.shrunk(unit), 0);
        canvas.fill(frame.shrunk(2 * unit), value);
        lettering.write(canvas, name, (frame.right + gap, top));
    }
}
