//! A spatial index, to find objects near a place.

use std::collections::TryReserveError;

use super::measures::Object;
use super::room::make_room;

/// Objects by their square in a grid, so that a search doesn't have to visit all of them. Keeps its working memory.
#[derive(Debug, Default)]
pub(super) struct SpatialIndex {
    /// Side of a square.
    side: f64,
    /// The row and the column of the square of each object, and the index of the object; sorted.
    squares: Vec<((i64, i64), usize)>,
    found: Vec<usize>,
}

impl SpatialIndex {
    /// Takes in `objects`, in squares that fit searches within these `reaches`, on average.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn fill(
        &mut self,
        objects: &[Object],
        reaches: impl Iterator<Item = f64>,
    ) -> Result<(), TryReserveError> {
        let (sum, count) = reaches.fold((0.0, 0_u32), |(sum, n), reach| (sum + reach, n + 1));
        self.side = (sum / f64::from(count.max(1))).max(1.0);
        let searched = if count > 0 { objects } else { &[] };
        make_room(&mut self.squares, searched.len())?;
        for (index, object) in searched.iter().enumerate() {
            let square = self.square(object.centroid);
            self.squares.push((square, index));
        }
        self.squares.sort_unstable();
        make_room(&mut self.found, searched.len())
    }

    /// Row and column of the square of a place.
    fn square(&self, (x, y): (f64, f64)) -> (i64, i64) {
        (
            (y / self.side).floor() as i64,
            (x / self.side).floor() as i64,
        )
    }

    /// Indices of the objects that may be within `reach` of a place, in ascending order; a superset.
    pub fn around(&mut self, (x, y): (f64, f64), reach: f64) -> &[usize] {
        let (top, left) = self.square((x - reach, y - reach));
        let (bottom, right) = self.square((x + reach, y + reach));
        self.found.clear();
        let mut rest = &self.squares[..];
        let mut skip = |before: (i64, i64)| {
            rest = &rest[rest.partition_point(|(square, _)| *square < before)..];
            rest
        };
        // Only rows with objects: there may be many others.
        let mut row = top;
        while let Some(((next, _), _)) = skip((row, i64::MIN)).first()
            && *next <= bottom
        {
            let here = skip((*next, left)).iter();
            let here = here.take_while(|(square, _)| *square <= (*next, right));
            self.found.extend(here.map(|(_, index)| *index));
            row = next + 1;
        }
        self.found.sort_unstable();
        &self.found
    }
}
