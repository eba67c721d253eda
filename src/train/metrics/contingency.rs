//! How two ways to number the pixels of a picture meet.

use std::collections::BTreeMap;

use crate::train::components::same_class;
use crate::train::plane::Plane;

/// Pixels of each pair of numbers that occurs, (number in `one`, number in `other`), 0 like any other.
/// In order, so that sums over it always come out the same.
pub(super) fn contingency(one: &Plane<u32>, other: &Plane<u32>) -> BTreeMap<(u32, u32), u64> {
    let pairs: Vec<_> = one
        .data
        .iter()
        .copied()
        .zip(other.data.iter().copied())
        .collect();
    let mut table = BTreeMap::new();
    // Neighbours are mostly of one kind, which saves most of the look-ups.
    for run in pairs.chunk_by(|left, right| left == right) {
        *table.entry(run[0]).or_default() += run.len() as u64;
    }
    table
}

/// Areas and overlaps of true and predicted cells, in pixels.
#[derive(Clone, Debug, Default)]
pub struct Overlaps {
    pub(super) truth: BTreeMap<u32, u64>,
    pub(super) predicted: BTreeMap<u32, u64>,
    /// What a true and a predicted cell of the same class share.
    pub(super) both: BTreeMap<(u32, u32), u64>,
    /// What a true and a predicted cell of different classes share.
    pub(super) confused: BTreeMap<(u32, u32), u64>,
    /// Pixels of the picture that count.
    pub(super) pixels: u64,
}

impl Overlaps {
    /// Both planes hold one number for each cell, which tells its [class](same_class), and 0 for the background.
    pub fn of(truth: &Plane<u32>, predicted: &Plane<u32>) -> Self {
        let mut overlaps = Overlaps::default();
        for ((true_cell, predicted_cell), area) in contingency(truth, predicted) {
            if true_cell != 0 {
                *overlaps.truth.entry(true_cell).or_default() += area;
            }
            if predicted_cell != 0 {
                *overlaps.predicted.entry(predicted_cell).or_default() += area;
            }
            if true_cell != 0 && predicted_cell != 0 {
                let shared = match same_class(true_cell, predicted_cell) {
                    true => &mut overlaps.both,
                    false => &mut overlaps.confused,
                };
                shared.insert((true_cell, predicted_cell), area);
            }
            overlaps.pixels += area;
        }
        overlaps
    }

    /// Leaves out pixels that nobody has judged, which are background in both.
    pub fn leave_out(&mut self, pixels: usize) {
        self.pixels = self.pixels.saturating_sub(pixels as u64);
    }

    /// Takes predicted cells of fewer than `min_area` pixels for background.
    pub fn drop_small(&mut self, min_area: usize) {
        let predicted = &mut self.predicted;
        predicted.retain(|_, area| *area >= min_area as u64);
        for shared in [&mut self.both, &mut self.confused] {
            shared.retain(|(_, cell), _| predicted.contains_key(cell));
        }
    }
}
