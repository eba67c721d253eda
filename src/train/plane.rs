//! One value a pixel.

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

    /// A plane of the same size with each value changed by `change`.
    pub fn map<U>(&self, change: impl FnMut(T) -> U) -> Plane<U> {
        Plane {
            height: self.height,
            width: self.width,
            data: self.data.iter().copied().map(change).collect(),
        }
    }

    /// The plane without `margin` pixels on each side, of which it has twice as many at least.
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
