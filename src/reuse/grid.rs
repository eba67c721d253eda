//! A value for each block of a frame.

use std::ops::Range;

/// Smallest side of a block in pixels.
pub const MIN_SIDE: usize = 16;

/// A value for each square block of a frame; blocks at its right and lower edge may extend beyond it.
#[derive(Clone, Debug)]
pub struct Grid<T> {
    /// Side of a block in pixels.
    pub side: usize,
    /// Number of rows of blocks.
    pub rows: usize,
    /// Number of columns of blocks.
    pub columns: usize,
    cells: Vec<T>,
}

impl<T: Copy> Grid<T> {
    /// A grid for a frame of `height` x `width` pixels.
    pub fn new(height: usize, width: usize, side: usize, value: T) -> Self {
        let (rows, columns) = (height.div_ceil(side), width.div_ceil(side));
        Grid {
            side,
            rows,
            columns,
            cells: vec![value; rows * columns],
        }
    }

    /// Sets all blocks.
    pub fn fill(&mut self, value: T) {
        self.cells.fill(value);
    }

    /// The cells, row by row.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.cells.iter()
    }

    /// The cells, mutably.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.cells.iter_mut()
    }

    /// The cells of a row of blocks.
    pub fn row(&self, row: usize) -> &[T] {
        &self.cells[row * self.columns..][..self.columns]
    }

    /// The cells of a row of blocks, mutably.
    pub fn row_mut(&mut self, row: usize) -> &mut [T] {
        &mut self.cells[row * self.columns..][..self.columns]
    }

    /// Sets the blocks that overlap these rows and columns of pixels.
    pub fn fill_within(&mut self, rows: &Range<usize>, columns: &Range<usize>, value: T) {
        let columns = self.blocks(columns, self.columns);
        for row in self.blocks(rows, self.rows) {
            self.row_mut(row)[columns.clone()].fill(value);
        }
    }

    /// The blocks along one axis that overlap `pixels`.
    fn blocks(&self, pixels: &Range<usize>, count: usize) -> Range<usize> {
        let end = pixels.end.div_ceil(self.side).min(count);
        (pixels.start / self.side).min(end)..end
    }
}

impl Grid<bool> {
    /// Whether a block is set that overlaps these rows and columns of pixels.
    pub fn any_within(&self, rows: &Range<usize>, columns: &Range<usize>) -> bool {
        let columns = self.blocks(columns, self.columns);
        let mut rows = self.blocks(rows, self.rows);
        rows.any(|row| self.row(row)[columns.clone()].contains(&true))
    }

    /// Sets all blocks at most `reach` blocks away from one that is set in `from`.
    pub fn spread(&mut self, from: &Grid<bool>, reach: usize) {
        self.fill(false);
        for row in 0..from.rows {
            for column in 0..from.columns {
                if from.row(row)[column] {
                    let around = |at: usize, count: usize| {
                        at.saturating_sub(reach)..(at + reach + 1).min(count)
                    };
                    let columns = around(column, self.columns);
                    for row in around(row, self.rows) {
                        self.row_mut(row)[columns.clone()].fill(true);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_at_the_edge_count() {
        let mut grid = Grid::new(33, 20, 16, false);
        assert_eq!((grid.rows, grid.columns), (3, 2));
        grid.fill_within(&(32..33), &(16..20), true);
        assert!(grid.any_within(&(0..33), &(19..20)));
        assert!(!grid.any_within(&(0..32), &(0..20)));
        assert!(!grid.any_within(&(0..33), &(0..16)));
        let mut spread = grid.clone();
        spread.spread(&grid, 1);
        assert_eq!(spread.iter().filter(|set| **set).count(), 4);
    }
}
