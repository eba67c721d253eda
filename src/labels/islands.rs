//! Cells from their insides and rims: every cell an island of the mask.

use std::collections::{TryReserveError, VecDeque};

use super::Components;

/// Class of a cell's inside, and of a cell in the finished mask.
pub const INSIDE: u8 = 1;
/// Class of a cell's rim.
pub const RIM: u8 = 2;

/// Marks the number of a piece of rim that no cell has taken yet.
const FREE: u32 = 1 << 31;

/// Grows the insides of cells over their rims, and leaves background one pixel wide where two cells
/// touch.
///
/// A network that learns the rims of cells as a class of their own has an easy way to say where one cell
/// ends and the next begins, and none of the cells gets smaller for it (Caicedo et al., Cytometry Part A
/// 2019, doi:10.1002/cyto.a.23863).
///
/// It keeps its working memory, so that one mask after another costs no allocation.
#[derive(Debug, Default)]
pub struct Islands {
    components: Components,
    /// The cell of each pixel, 0 for none.
    cells: Vec<u32>,
    /// Pixels whose neighbours may join their cell, the nearest to an inside first.
    front: VecDeque<usize>,
}

impl Islands {
    /// Makes room for masks of `pixels` pixels.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn reserve(&mut self, pixels: usize) -> Result<(), TryReserveError> {
        self.cells.clear();
        self.cells.try_reserve_exact(pixels)?;
        self.front.clear();
        self.front.try_reserve_exact(pixels)
    }

    /// Turns the classes background, [`INSIDE`] and [`RIM`] of `mask`, in rows of `width` pixels, into
    /// background and cells ([`INSIDE`]), no two of which touch, be it by a corner.
    ///
    /// A piece of rim joins the inside that is nearest along the rim. One without any inside is a small
    /// cell.
    pub fn grow(&mut self, mask: &mut [u8], width: usize) {
        let width = width.max(1);
        self.cells.clear();
        self.cells.resize(mask.len(), 0);
        self.insides(mask, width);
        self.spread(width);
        self.part(mask, width);
    }

    /// Numbers the insides and the pieces of rim; those of rims are [`FREE`].
    fn insides(&mut self, mask: &[u8], width: usize) {
        self.components.label(mask, width, 0, &mut self.cells);
        for (cell, class) in self.cells.iter_mut().zip(mask) {
            *cell |= if *class == RIM { FREE } else { 0 };
        }
    }

    /// Lets the cells spread over the rims, all one pixel at a time.
    fn spread(&mut self, width: usize) {
        let pixels = self.cells.len();
        let is_cell = |cell: u32| cell != 0 && cell & FREE == 0;
        self.front.clear();
        for at in (0..pixels).filter(|at| is_cell(self.cells[*at])) {
            if neighbours(at, width, pixels).any(|next| self.cells[next] & FREE != 0) {
                self.front.push_back(at);
            }
        }
        while let Some(at) = self.front.pop_front() {
            for next in neighbours(at, width, pixels) {
                if self.cells[next] & FREE != 0 {
                    self.cells[next] = self.cells[at];
                    self.front.push_back(next);
                }
            }
        }
        // What is left has no inside.
        self.cells.iter_mut().for_each(|cell| *cell &= !FREE);
    }

    /// Writes the cells, and background where a cell touches one of a smaller number.
    fn part(&self, mask: &mut [u8], width: usize) {
        let rows = mask.len() / width;
        for (at, class) in mask.iter_mut().enumerate() {
            let smaller = 1..self.cells[at];
            let (row, column) = (at / width, at % width);
            let touches = || {
                let rows = row.saturating_sub(1)..(row + 2).min(rows);
                let columns = column.saturating_sub(1)..(column + 2).min(width);
                rows.map(|row| &self.cells[row * width..][columns.clone()])
                    .any(|cells| cells.iter().any(|cell| smaller.contains(cell)))
            };
            *class = u8::from(self.cells[at] != 0 && !touches());
        }
    }
}

/// The pixels that share an edge with the one at `at`.
fn neighbours(at: usize, width: usize, pixels: usize) -> impl Iterator<Item = usize> {
    let column = at % width;
    let around = [
        at.checked_sub(width),
        (column > 0).then(|| at - 1),
        (column + 1 < width).then_some(at + 1),
        Some(at + width).filter(|next| *next < pixels),
    ];
    around.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grown(rows: &[&str]) -> Vec<String> {
        let mut mask: Vec<u8> = rows.concat().bytes().map(|digit| digit - b'0').collect();
        Islands::default().grow(&mut mask, rows[0].len());
        let text = |row: &[u8]| row.iter().map(|class| char::from(b'0' + class)).collect();
        mask.chunks(rows[0].len()).map(text).collect()
    }

    #[test]
    fn cells_that_touch_are_parted_in_the_middle_of_their_rims() {
        let found = grown(&["222222222", "211222112", "222222222"]);
        let expected = ["111110111", "111110111", "111110111"];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_rim_without_inside_is_a_cell() {
        let found = grown(&["0220", "0220", "0000", "0210"]);
        assert_eq!(found, ["0110", "0110", "0000", "0110"]);
    }

    #[test]
    fn insides_that_touch_by_a_corner_are_parted() {
        assert_eq!(grown(&["110", "001"]), ["110", "000"]);
    }

    proptest! {
        /// Each inside is one island; nothing appears where the network saw background.
        #[test]
        fn insides_stay_apart(
            width in 1usize..20,
            pixels in prop::collection::vec(0u8..3, 1..400),
        ) {
            let before = &pixels[..pixels.len() / width * width];
            let mut islands = Islands::default();
            let mut after = before.to_vec();
            islands.grow(&mut after, width);
            let mut again = before.to_vec();
            islands.grow(&mut again, width);
            prop_assert_eq!(&after, &again, "what was left of the first mask shows in the second");
            for at in 0..before.len() {
                prop_assert!(after[at] <= u8::from(before[at] != 0));
                for next in neighbours(at, width, before.len()) {
                    let both = after[at] == 1 && after[next] == 1;
                    prop_assert!(!both || islands.cells[at] == islands.cells[next]);
                }
            }
        }
    }
}
