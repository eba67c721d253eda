//! How well predicted cells match the true ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

pub use super::contingency::Overlaps;
use crate::train::plane::Plane;

/// Thresholds of intersection over union above which cells match, as fractions, so that the comparison is exact.
const THRESHOLDS: [(u64, u64); 3] = [(1, 2), (3, 4), (9, 10)];

/// Scores over a set of images, each in `0..=1`. With more than two classes, cells match only within their class, and
/// so do pixels; all classes but the background are pooled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Intersection over union of the foreground pixels.
    pub iou: f64,
    /// Dice coefficient of the foreground pixels.
    pub dice: f64,
    /// F1 of cells; a predicted and a true cell match if their intersection over union is above
    /// one half.
    pub f1: f64,
    /// The Cell Tracking Challenge's SEG: the mean over true cells of the intersection over union with
    /// the predicted cell that covers more than half of it, 0 if none does.
    pub seg: f64,
    /// Average precision as defined by the Data Science Bowl 2018, TP / (TP + FN + FP), at intersections over
    /// union above 0.5, 0.75 and 0.9.
    pub ap: [f64; THRESHOLDS.len()],
    /// Share of annotated pixels that have the wrong class.
    pub pixel_error: f64,
}

impl Scores {
    /// The scores by name.
    pub fn named(&self) -> BTreeMap<String, f64> {
        let [ap50, ap75, ap90] = self.ap;
        [
            ("IoU", self.iou),
            ("Dice", self.dice),
            ("F1@0.5", self.f1),
            ("SEG", self.seg),
            ("AP@0.5", ap50),
            ("AP@0.75", ap75),
            ("AP@0.9", ap90),
            ("pixel error", self.pixel_error),
        ]
        .map(|(name, score)| (name.to_owned(), score))
        .into()
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scores { iou, f1, seg, .. } = self;
        write!(f, "F1@0.5 {f1:.4}  SEG {seg:.4}  IoU {iou:.4}")
    }
}

/// The counts from which scores are computed, summed over images: cells and pixels are pooled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    true_cells: u64,
    predicted_cells: u64,
    merged_cells: u64,
    matches: [u64; THRESHOLDS.len()],
    seg: f64,
    /// Foreground pixels of both, of the truth and of the prediction.
    intersection: u64,
    true_pixels: u64,
    predicted_pixels: u64,
    /// Foreground pixels whose class differs between truth and prediction.
    confused: u64,
    pixels: u64,
}

impl Tally {
    /// Adds an image. Both planes hold one number for each cell and 0 for the background.
    pub fn add(&mut self, truth: &Plane<u32>, predicted: &Plane<u32>) {
        self.count(&Overlaps::of(truth, predicted));
    }

    /// Adds an image with known overlaps.
    pub fn count(&mut self, overlaps: &Overlaps) {
        self.true_cells += overlaps.truth.len() as u64;
        self.predicted_cells += overlaps.predicted.len() as u64;
        // How many true cells each predicted cell covers by more than half.
        let mut covered: BTreeMap<u32, u64> = BTreeMap::new();
        for ((true_cell, predicted_cell), shared) in &overlaps.both {
            let area = overlaps.truth[true_cell];
            let union = area + overlaps.predicted[predicted_cell] - shared;
            // At most one predicted cell can match a true one, since it covers more than half of it.
            for (matches, (part, whole)) in self.matches.iter_mut().zip(THRESHOLDS) {
                *matches += u64::from(whole * shared > part * union);
            }
            if 2 * shared > area {
                self.seg += *shared as f64 / union as f64;
                *covered.entry(*predicted_cell).or_default() += 1;
            }
        }
        self.merged_cells += covered.values().filter(|cells| **cells > 1).sum::<u64>();
        self.intersection += overlaps.both.values().sum::<u64>();
        self.true_pixels += overlaps.truth.values().sum::<u64>();
        self.predicted_pixels += overlaps.predicted.values().sum::<u64>();
        self.confused += overlaps.confused.values().sum::<u64>();
        self.pixels += overlaps.pixels;
    }

    /// How many true and how many predicted cells there are so far.
    pub fn cells(&self) -> [u64; 2] {
        [self.true_cells, self.predicted_cells]
    }

    /// How many true cells are merged so far: more than half of each lies in a predicted cell that also covers more
    /// than half of another one.
    pub fn merged(&self) -> u64 {
        self.merged_cells
    }

    /// The scores of all images so far. If there was nothing to find and nothing was found, they are 1, and
    /// the error is 0.
    pub fn scores(&self) -> Scores {
        let ratio = |part: u64, whole: u64| match whole {
            0 => 1.0,
            _ => part as f64 / whole as f64,
        };
        let cells = self.true_cells + self.predicted_cells;
        let foreground = self.true_pixels + self.predicted_pixels;
        Scores {
            iou: ratio(self.intersection, foreground - self.intersection),
            dice: ratio(2 * self.intersection, foreground),
            f1: ratio(2 * self.matches[0], cells),
            seg: match self.true_cells {
                0 => ratio(0, self.predicted_cells),
                count => self.seg / count as f64,
            },
            ap: self.matches.map(|matches| ratio(matches, cells - matches)),
            pixel_error: 1.0
                - ratio(
                    self.pixels + 2 * self.intersection + self.confused - foreground,
                    self.pixels,
                ),
        }
    }
}

/// Turns cells that lie entirely within `border` pixels of the picture's edge into background: the Cell Tracking
/// Challenge doesn't score them.
pub fn drop_border(cells: &mut Plane<u32>, border: usize) {
    let rows = border..cells.height.saturating_sub(border);
    let columns = border..cells.width.saturating_sub(border);
    let pixels = cells.data.iter().enumerate();
    let inside = pixels.filter(|(at, _)| {
        rows.contains(&(at / cells.width)) && columns.contains(&(at % cells.width))
    });
    let kept: BTreeSet<u32> = inside.map(|(_, cell)| *cell).collect();
    for cell in &mut cells.data {
        *cell = if kept.contains(cell) { *cell } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(labels: &[u32]) -> Plane<u32> {
        Plane {
            height: 1,
            width: labels.len(),
            data: labels.to_vec(),
        }
    }

    fn score(pairs: &[(&[u32], &[u32])]) -> Scores {
        let mut tally = Tally::default();
        for (truth, predicted) in pairs {
            tally.add(&line(truth), &line(predicted));
        }
        tally.scores()
    }

    #[test]
    fn matches_equal_those_counted_by_hand() {
        // Cell 1: 3 of 4 pixels, and one too many: IoU 3/5, a match. Cell 2: merged with cell 3, 2 of
        // 6 pixels shared with each. Cell 4 is missed, cell 9 is invented.
        let truth = [1, 1, 1, 1, 0, 2, 2, 0, 3, 3, 0, 4, 0, 0];
        let found = [0, 5, 5, 5, 5, 7, 7, 7, 7, 7, 7, 0, 0, 9];
        let scores = score(&[(&truth, &found)]);
        assert_eq!(scores.f1, 2.0 / (4.0 + 3.0));
        assert_eq!(scores.ap, [1.0 / 6.0, 0.0, 0.0]);
        // The cell found for 2 and 3 covers both in full: IoU 2/6 each.
        assert!((scores.seg - (3.0 / 5.0 + 2.0 / 6.0 + 2.0 / 6.0) / 4.0).abs() < 1e-12);
        assert_eq!(scores.iou, 7.0 / 13.0);
        assert_eq!(scores.dice, 14.0 / 20.0);
        assert!((scores.pixel_error - 6.0 / 14.0).abs() < 1e-12);
    }

    #[test]
    fn a_cell_of_another_class_does_not_match() {
        let by_class = |class: u32, cell: u32| class << 24 | cell;
        let truth = [1, 1, 0, by_class(1, 2), by_class(1, 2), 0];
        let swapped = [by_class(1, 1), by_class(1, 1), 0, 2, 2, 0];
        let scores = score(&[(&truth, &truth)]);
        assert_eq!((scores.f1, scores.iou, scores.pixel_error), (1.0, 1.0, 0.0));
        let scores = score(&[(&truth, &swapped)]);
        assert_eq!((scores.f1, scores.seg, scores.iou), (0.0, 0.0, 0.0));
        assert!((scores.pixel_error - 4.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn merged_cells_are_counted() {
        // Cells 1, 2 and 3 in one, only half of cell 4, and cell 5 by itself.
        let truth = line(&[1, 1, 1, 2, 2, 3, 4, 4, 0, 5, 5]);
        let found = line(&[0, 6, 6, 6, 6, 6, 6, 0, 0, 7, 7]);
        let mut tally = Tally::default();
        tally.add(&truth, &found);
        assert_eq!(tally.merged(), 3);
    }

    #[test]
    fn matching_grows_stricter() {
        // Intersections over union of exactly 9/10, 4/5, 3/4 and 2/3: none is above its own threshold.
        let mut truth = Vec::new();
        let mut found = Vec::new();
        for (cell, (shared, alone)) in [(9, 1), (4, 1), (3, 1), (2, 1)].into_iter().enumerate() {
            let cell = cell as u32 + 1;
            truth.extend(vec![cell; shared + alone]);
            found.extend(vec![cell; shared]);
            found.extend(vec![0; alone]);
        }
        let scores = score(&[(&truth, &found)]);
        assert_eq!(scores.ap, [1.0, 2.0 / 6.0, 0.0]);
    }

    #[test]
    fn exactly_half_does_not_match() {
        let scores = score(&[(&[1, 1, 0], &[0, 1, 0])]);
        assert_eq!((scores.f1, scores.seg, scores.iou), (0.0, 0.0, 0.5));
    }

    #[test]
    fn images_are_pooled() {
        let scores = score(&[(&[1, 0], &[1, 0]), (&[0, 0], &[0, 1]), (&[2, 3], &[2, 0])]);
        assert_eq!(scores.f1, 4.0 / 6.0);
        assert_eq!(scores.seg, 2.0 / 3.0);
        assert_eq!(scores.iou, 2.0 / 4.0);
        assert_eq!(scores.dice, 4.0 / 6.0);
        assert!((scores.pixel_error - 2.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_to_find_and_nothing_found_scores_1() {
        let scores = score(&[(&[0, 0], &[0, 0])]);
        let right = Scores {
            iou: 1.0,
            dice: 1.0,
            f1: 1.0,
            seg: 1.0,
            ap: [1.0; 3],
            pixel_error: 0.0,
        };
        assert_eq!(scores, right);
        let invented = score(&[(&[0, 0], &[0, 1])]);
        assert_eq!(
            (invented.f1, invented.seg, invented.ap),
            (0.0, 0.0, [0.0; 3])
        );
    }

    #[test]
    fn ignored_pixels_are_neither_right_nor_wrong() {
        // One of the four annotated pixels is wrong; of the other two nothing is known.
        let mut overlaps = Overlaps::of(&line(&[1, 1, 0, 0, 0, 0]), &line(&[1, 0, 0, 0, 0, 0]));
        overlaps.exclude(2);
        let mut tally = Tally::default();
        tally.count(&overlaps);
        assert_eq!(tally.scores().pixel_error, 0.25);
    }

    #[test]
    fn small_cells_can_be_dropped() {
        let truth = line(&[1, 1, 1, 0, 2, 0, 0]);
        let found = line(&[4, 4, 4, 0, 5, 0, 6]);
        let mut overlaps = Overlaps::of(&truth, &found);
        overlaps.drop_small(2);
        let mut tally = Tally::default();
        tally.count(&overlaps);
        let mut expected = Tally::default();
        expected.add(&truth, &line(&[4, 4, 4, 0, 0, 0, 0]));
        assert_eq!(tally.scores(), expected.scores());
        assert_eq!(tally.cells(), [2, 1]);
    }

    #[test]
    fn cells_at_the_edge_can_be_dropped() {
        let cells = Plane {
            height: 4,
            width: 5,
            data: vec![
                1, 1, 0, 2, 2, //
                0, 0, 0, 2, 2, //
                3, 0, 4, 0, 0, //
                3, 0, 4, 0, 5,
            ],
        };
        let kept = |border| {
            let mut cells = cells.clone();
            drop_border(&mut cells, border);
            BTreeSet::from_iter(cells.data)
        };
        assert_eq!(kept(0), BTreeSet::from([0, 1, 2, 3, 4, 5]));
        assert_eq!(kept(1), BTreeSet::from([0, 2, 4]));
        for all in [2, 3, 9] {
            assert_eq!(kept(all), BTreeSet::from([0]));
        }
    }
}
