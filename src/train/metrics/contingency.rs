//! Overlaps between two labellings of the same picture.

use std::collections::BTreeMap;

use crate::train::components::same_class;
use crate::train::plane::Plane;

/// Contingency table: the pixels of each pair (label in `one`, label in `other`) that occurs, including label 0.
/// In order, so that sums over it are always rounded the same.
pub(super) fn contingency(one: &Plane<u32>, other: &Plane<u32>) -> BTreeMap<(u32, u32), u64> {
    let pairs: Vec<_> = one
        .data
        .iter()
        .copied()
        .zip(other.data.iter().copied())
        .collect();
    let mut table = BTreeMap::new();
    // Neighbours mostly have the same pair, which saves most of the look-ups.
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
    /// Overlaps of true and predicted cells of the same class.
    pub(super) both: BTreeMap<(u32, u32), u64>,
    /// Overlaps of true and predicted cells of different classes.
    pub(super) confused: BTreeMap<(u32, u32), u64>,
    /// Pixels of the picture, without ignored ones.
    pub(super) pixels: u64,
}

impl Overlaps {
    /// The overlaps of two planes with one number for each cell, which includes its [class](same_class), and 0 for the
    /// background.
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
                let shared = if same_class(true_cell, predicted_cell) {
                    &mut overlaps.both
                } else {
                    &mut overlaps.confused
                };
                shared.insert((true_cell, predicted_cell), area);
            }
            overlaps.pixels += area;
        }
        overlaps
    }

    /// Excludes `ignored` pixels, which nobody has annotated and which are background in both.
    pub fn exclude(&mut self, ignored: usize) {
        self.pixels = self.pixels.saturating_sub(ignored as u64);
    }

    /// Turns predicted cells of fewer than `min_area` pixels into background.
    pub fn drop_small(&mut self, min_area: usize) {
        let predicted = &mut self.predicted;
        predicted.retain(|_, area| *area >= min_area as u64);
        for shared in [&mut self.both, &mut self.confused] {
            shared.retain(|(_, cell), _| predicted.contains_key(cell));
        }
    }
}
