//! Planes: one value per pixel.

use crate::tiling::{Size, mirrored_runs};

/// A picture of one channel, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane<T> {
    /// Rows.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// The pixels, row by row: `height * width` of them.
    pub data: Vec<T>,
}

impl<T: Copy> Plane<T> {
    /// A plane of one value.
    pub fn filled(height: usize, width: usize, value: T) -> Self {
        Plane {
            height,
            width,
            data: vec![value; height * width],
        }
    }

    /// The value at `row` and `column`.
    pub fn at(&self, row: usize, column: usize) -> T {
        self.data[row * self.width + column]
    }

    /// A plane of the same size with `change` applied to each value.
    pub fn map<U>(&self, change: impl FnMut(T) -> U) -> Plane<U> {
        Plane {
            height: self.height,
            width: self.width,
            data: self.data.iter().copied().map(change).collect(),
        }
    }

    /// The values in a rectangle of `size` from row `top` and column `left` on, which may lie outside: beyond its edges
    /// the plane is [mirrored](crate::tiling::mirror()).
    pub fn mirrored(&self, top: isize, left: isize, size: Size) -> Vec<T> {
        let mut values = Vec::with_capacity(size.area());
        for rows in mirrored_runs(top, size.height, self.height) {
            for row in rows.pixels() {
                let row = &self.data[row * self.width..][..self.width];
                for columns in mirrored_runs(left, size.width, self.width) {
                    values.extend(columns.pixels().map(|column| row[column]));
                }
            }
        }
        values
    }

    /// The plane without `margin` pixels on each side; it has to have at least twice as many rows and columns.
    pub fn cropped(&self, margin: usize) -> Self {
        let columns = margin..self.width - margin;
        let rows = self.rows().skip(margin).take(self.height - 2 * margin);
        Plane {
            height: self.height - 2 * margin,
            width: self.width - 2 * margin,
            data: rows
                .flat_map(|row| &row[columns.clone()])
                .copied()
                .collect(),
        }
    }

    /// The rows from top to bottom. An empty plane has none.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[T]> {
        self.data.chunks_exact(self.width.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_edges_a_plane_is_mirrored_without_repeating_them() {
        let plane = Plane {
            height: 2,
            width: 3,
            data: vec![1, 2, 3, 4, 5, 6],
        };
        let size = Size {
            width: 6,
            height: 4,
        };
        let expected = [
            [5, 4, 5, 6, 5, 4],
            [2, 1, 2, 3, 2, 1],
            [5, 4, 5, 6, 5, 4],
            [2, 1, 2, 3, 2, 1],
        ];
        assert_eq!(plane.mirrored(-1, -1, size), expected.concat());
    }
}
