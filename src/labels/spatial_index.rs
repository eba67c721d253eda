//! A spatial index, to find objects near a place.

use std::collections::HashMap;

use super::measures::Object;

/// Objects by their square in a grid, so that a search doesn't have to visit all of them.
pub(super) struct SpatialIndex {
    /// Side of a square.
    side: f64,
    /// Indices of the objects in each square, by its column and row.
    squares: HashMap<(i64, i64), Vec<usize>>,
    count: usize,
}

impl SpatialIndex {
    /// An index with squares that fit searches within these `reaches`, on average.
    pub fn new(objects: &[Object], reaches: impl Iterator<Item = f64>) -> Self {
        let (sum, count) = reaches.fold((0.0, 0_u32), |(sum, n), reach| (sum + reach, n + 1));
        let mut index = SpatialIndex {
            side: (sum / f64::from(count.max(1))).max(1.0),
            squares: HashMap::new(),
            count: objects.len(),
        };
        if count > 0 {
            for (at, object) in objects.iter().enumerate() {
                let square = index.square(object.centroid);
                index.squares.entry(square).or_default().push(at);
            }
        }
        index
    }

    fn square(&self, (x, y): (f64, f64)) -> (i64, i64) {
        (
            (x / self.side).floor() as i64,
            (y / self.side).floor() as i64,
        )
    }

    /// Indices of the objects that may be within `reach` of a place, in ascending order; a superset.
    pub fn around(&self, (x, y): (f64, f64), reach: f64) -> Vec<usize> {
        let (left, top) = self.square((x - reach, y - reach));
        let (right, bottom) = self.square((x + reach, y + reach));
        let squares = (right - left + 1).saturating_mul(bottom - top + 1);
        if squares > self.squares.len() as i64 {
            return (0..self.count).collect();
        }
        let all = (top..=bottom).flat_map(|row| (left..=right).map(move |column| (column, row)));
        let found = all.filter_map(|square| self.squares.get(&square)).flatten();
        let mut found: Vec<usize> = found.copied().collect();
        found.sort_unstable();
        found
    }
}
