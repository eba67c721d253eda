//! The map of values that annotations are drawn on.

use std::ops::Range;

use crate::picture::colors::FIRST_INK;

/// A map of values, like a mask: `height` rows of `width` pixels without padding. If `map` is too short, the
/// missing rows are not drawn on.
pub struct Canvas<'a> {
    /// The values.
    pub map: &'a mut [u8],
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// The corner of a picture in which an annotation is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corner {
    /// At the top, on the left.
    TopLeft,
    /// At the top, on the right.
    TopRight,
    /// At the bottom, on the left.
    BottomLeft,
    /// At the bottom, on the right.
    BottomRight,
}

impl Corner {
    fn is_right(self) -> bool {
        matches!(self, Corner::TopRight | Corner::BottomRight)
    }

    fn is_bottom(self) -> bool {
        matches!(self, Corner::BottomLeft | Corner::BottomRight)
    }
}

/// A rectangle; `right` and `bottom` are exclusive. It may extend beyond the canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub left: i64,
    pub top: i64,
    pub right: i64,
    pub bottom: i64,
}

impl Rect {
    /// Shrunk by some pixels on each side.
    pub fn shrunk(self, by: i64) -> Self {
        Rect {
            left: self.left + by,
            top: self.top + by,
            right: self.right - by,
            bottom: self.bottom - by,
        }
    }

    /// The first column of something `width` pixels wide, aligned left or right as in the corner.
    pub fn aligned(self, corner: Corner, width: i64) -> i64 {
        if corner.is_right() {
            self.right - width
        } else {
            self.left
        }
    }
}

impl Canvas<'_> {
    /// Columns and rows that the map really has.
    pub(super) fn size(&self) -> (usize, usize) {
        match self.map.len().checked_div(self.width) {
            Some(rows @ 1..) => (self.width, rows.min(self.height)),
            _ => (0, 0),
        }
    }

    /// The place of a block of a size (columns, rows) in a corner. A block that is too large extends beyond the
    /// right and the bottom.
    pub(super) fn block(&self, corner: Corner, (width, height): (i64, i64), margin: i64) -> Rect {
        let (columns, rows) = self.size();
        let first = |is_far: bool, room: usize, length: i64| {
            if is_far {
                (room as i64 - margin - length).max(margin)
            } else {
                margin
            }
        };
        let left = first(corner.is_right(), columns, width);
        let top = first(corner.is_bottom(), rows, height);
        Rect {
            left,
            top,
            right: left + width,
            bottom: top + height,
        }
    }

    /// Sets the values of the part of a rectangle within the canvas.
    pub(super) fn fill(&mut self, rect: Rect, value: u8) {
        let (columns, rows) = self.within(rect);
        let width = self.width.max(1);
        let lines = self.map.chunks_exact_mut(width);
        for line in lines.skip(rows.start).take(rows.len()) {
            line[columns.clone()].fill(value);
        }
    }

    /// Whether anything was drawn in the part of a rectangle within the canvas.
    pub(super) fn has_ink(&self, rect: Rect) -> bool {
        let (columns, rows) = self.within(rect);
        let lines = self.map.chunks_exact(self.width.max(1));
        let mut lines = lines.skip(rows.start).take(rows.len());
        lines.any(|line| {
            line[columns.clone()]
                .iter()
                .any(|value| *value >= FIRST_INK)
        })
    }

    /// Columns and rows of the part of a rectangle within the canvas.
    fn within(&self, rect: Rect) -> (Range<usize>, Range<usize>) {
        let (columns, rows) = self.size();
        let within = |place: i64, end: usize| usize::try_from(place).unwrap_or(0).min(end);
        let (left, right) = (within(rect.left, columns), within(rect.right, columns));
        let (top, bottom) = (within(rect.top, rows), within(rect.bottom, rows));
        (left..right.max(left), top..bottom.max(top))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_are_clipped() {
        let mut map = [0; 12];
        let mut canvas = Canvas {
            map: &mut map,
            width: 4,
            height: 3,
        };
        let rect = |left, top, right, bottom| Rect {
            left,
            top,
            right,
            bottom,
        };
        canvas.fill(rect(-5, 1, 2, 2), 1);
        canvas.fill(rect(3, 2, i64::MAX, i64::MAX), 2);
        canvas.fill(rect(4, 0, 9, 3), 3);
        canvas.fill(rect(i64::MIN, i64::MIN, 0, 0), 4);
        canvas.fill(rect(3, 0, 1, 1), 5);
        assert_eq!(map, [0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn blocks_are_placed_in_their_corners() {
        let mut map = [0; 200];
        let canvas = Canvas {
            map: &mut map,
            width: 20,
            height: 10,
        };
        let place = |corner, size| {
            let block = canvas.block(corner, size, 2);
            (block.left, block.top)
        };
        assert_eq!(place(Corner::TopLeft, (5, 3)), (2, 2));
        assert_eq!(place(Corner::TopRight, (5, 3)), (13, 2));
        assert_eq!(place(Corner::BottomLeft, (5, 3)), (2, 5));
        assert_eq!(place(Corner::BottomRight, (5, 3)), (13, 5));
        assert_eq!(place(Corner::BottomRight, (50, 30)), (2, 2));
    }
}
