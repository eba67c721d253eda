//! Dividing an output among threads.

use std::ops::Range;

use super::product::OUTPUTS;
use super::transform::{OUT, PRODUCTS};
use super::vectors::{Eight, LANES};

/// Bytes that the numbers of a piece are to take: they are used several times, and a core's second-level cache has 512
/// KiB or more.
const CACHED: usize = 340 << 10;

/// Most and least patches of a piece, if there are enough. With fewer, too much time goes into reading weights: the
/// more input channels, the more weights there are for each number.
const MOST: usize = 72;
const LEAST: usize = 36;
/// Input channels from which on a piece has the most patches.
const MANY_INPUTS: usize = 128;

/// Pieces for each thread beyond which it does not matter whether all threads get the same number of them.
const PLENTY: usize = 12;

/// Patches of an output, divided into rectangles of about the same size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces {
    /// Rows and columns of patches.
    patches: (usize, usize),
    /// Rows and columns of patches of a piece, except at the lower and right edge.
    each: (usize, usize),
    /// Pieces next to each other.
    across: usize,
}

/// A rectangle of patches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Rows of patches.
    pub rows: Range<usize>,
    /// Columns of patches.
    pub columns: Range<usize>,
}

impl Pieces {
    /// Divides an output of (rows, columns), at least one of each, so that all of the `threads` have something to do. It
    /// is computed from so many input channels in so many `vectors`.
    pub fn new(
        (rows, columns): (usize, usize),
        (inputs, vectors): (usize, usize),
        threads: usize,
    ) -> Self {
        let patches = (rows.div_ceil(OUT), columns.div_ceil(OUT));
        let least = if inputs < MANY_INPUTS { LEAST } else { MOST };
        let each = PRODUCTS * (vectors + OUTPUTS / LANES) * size_of::<Eight>();
        let fitting = CACHED / each;
        let wanted = fitting.clamp(least, MOST);
        let each_across = patches.1.div_ceil(patches.1.div_ceil(wanted));
        let across = patches.1.div_ceil(each_across);
        let threads = threads.max(1);
        let most = (wanted / each_across).clamp(1, patches.0);
        let is_fair = |each: &usize| {
            let pieces = across * patches.0.div_ceil(*each);
            pieces.is_multiple_of(threads) || pieces > PLENTY * threads
        };
        Pieces {
            patches,
            each: ((1..=most).rev().find(is_fair).unwrap_or(1), each_across),
            across,
        }
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.across * self.patches.0.div_ceil(self.each.0)
    }

    /// One of them.
    pub fn get(&self, number: usize) -> Piece {
        let range = |number: usize, each: usize, all: usize| {
            (number * each).min(all)..((number + 1) * each).min(all)
        };
        Piece {
            rows: range(number / self.across, self.each.0, self.patches.0),
            columns: range(number % self.across, self.each.1, self.patches.1),
        }
    }

    /// Most rows and columns of patches of a piece.
    pub fn largest(&self) -> (usize, usize) {
        self.each
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_an_output_once() {
        for (rows, columns, inputs, threads) in [
            (1, 1, 8, 1),
            (714, 890, 16, 2),
            (39, 50, 256, 2),
            (5, 900, 64, 3),
            (400, 3, 1024, 16),
        ] {
            let pieces = Pieces::new((rows, columns), (inputs, inputs.div_ceil(8)), threads);
            let (down, across) = (rows.div_ceil(4), columns.div_ceil(4));
            let mut covered = vec![0; down * across];
            for number in 0..pieces.len() {
                let piece = pieces.get(number);
                assert!(piece.rows.len() <= pieces.largest().0);
                assert!(piece.columns.len() <= pieces.largest().1);
                for row in piece.rows {
                    for column in piece.columns.clone() {
                        covered[row * across + column] += 1;
                    }
                }
            }
            assert!(covered.iter().all(|count| *count == 1), "{pieces:?}");
        }
    }
}
