//! A watershed, to separate touching objects.

use std::collections::TryReserveError;

use super::components::Connectivity;
use super::room::{add, refill};

/// Most steps in which heights are sorted; higher values count as the highest step.
const MAX_STEPS: usize = 1 << 16;

/// The height of each pixel.
#[derive(Clone, Copy, Debug)]
pub struct Heights<'a> {
    /// Row by row, in any unit.
    pub values: &'a [f32],
    /// Steps per unit for sorting: pixels of one step are flooded in row order.
    pub steps: f32,
}

/// When two basins that meet stay separate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SplitCriterion {
    /// If they meet at less than `1 - depth` of the lower of both peaks.
    Depth(f32),
    /// If each has a core: at least `area` connected pixels, at least one, that are higher than `level`. A basin
    /// without a core is dropped.
    Cores {
        /// In the unit of the heights.
        level: f32,
        /// In pixels.
        area: usize,
    },
}

/// A watershed that floods regions from their highest pixels down. Two basins that meet are merged unless the
/// [`SplitCriterion`] keeps them separate, so that no markers are needed.
#[derive(Debug, Default)]
pub struct Watershed {
    /// Start of the pixels of each step in `order`.
    starts: Vec<u32>,
    /// Pixels from the highest on, with 32 bits to save memory.
    order: Vec<u32>,
    /// The basin of each pixel, 0 before it is flooded.
    basins: Vec<u32>,
    /// The basin into which each basin was merged, or itself.
    parents: Vec<u32>,
    /// The height of its peak.
    peaks: Vec<f32>,
    /// Pixels of its largest core.
    cores: Vec<u32>,
}

impl Watershed {
    /// Splits each region of `labels` (rows of `width` pixels; 0 is none) into the basins of `heights` that `criterion`
    /// keeps separate. The new numbers are 1 and more, with gaps; 0 for none.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn split(
        &mut self,
        labels: &mut [u32],
        width: usize,
        heights: Heights<'_>,
        criterion: SplitCriterion,
        connectivity: Connectivity,
    ) -> Result<(), TryReserveError> {
        let (level, smallest) = match criterion {
            SplitCriterion::Depth(_) => (f32::INFINITY, 0),
            SplitCriterion::Cores { level, area } => (level, area.max(1)),
        };
        self.sort(labels, heights)?;
        self.parents.clear();
        self.peaks.clear();
        self.cores.clear();
        refill(&mut self.basins, labels.len(), 0)?;
        // Number 0 is no basin.
        self.add_basin(0.0)?;
        for index in 0..self.order.len() {
            let at = self.order[index] as usize;
            let height = heights.values[at];
            let mut own = 0;
            for next in neighbours(at, width, labels.len(), connectivity) {
                if self.basins[next] == 0 || labels[next] != labels[at] {
                    continue;
                }
                let basin = self.root(self.basins[next]);
                own = match own {
                    0 => basin,
                    _ if own == basin => own,
                    _ => self.merge_or_split(own, basin, height, criterion),
                };
            }
            if own == 0 {
                own = self.add_basin(height)?;
            }
            self.cores[own as usize] += u32::from(height > level);
            self.basins[at] = own;
        }
        for (at, label) in labels.iter_mut().enumerate() {
            let basin = self.root(self.basins[at]);
            let core = self.cores[basin as usize] as usize;
            *label = if core >= smallest { basin } else { 0 };
        }
        Ok(())
    }

    /// Adds a basin and returns its number.
    fn add_basin(&mut self, peak: f32) -> Result<u32, TryReserveError> {
        let number = self.parents.len() as u32;
        add(&mut self.parents, number)?;
        add(&mut self.peaks, peak)?;
        add(&mut self.cores, 0)?;
        Ok(number)
    }

    /// Merges two basins that meet at a pixel of this height, unless `criterion` keeps them separate; returns the basin
    /// of the pixel.
    fn merge_or_split(
        &mut self,
        one: u32,
        other: u32,
        height: f32,
        criterion: SplitCriterion,
    ) -> u32 {
        let peak = |basin: u32| self.peaks[basin as usize];
        let (higher, lower) = if peak(one) >= peak(other) {
            (one, other)
        } else {
            (other, one)
        };
        let cores = [higher, lower].map(|basin| self.cores[basin as usize]);
        let (separate, core) = match criterion {
            SplitCriterion::Depth(depth) => (height < (1.0 - depth) * peak(lower), 0),
            SplitCriterion::Cores { level, .. } if height > level => (false, cores[0] + cores[1]),
            SplitCriterion::Cores { area, .. } => (
                cores.iter().all(|core| *core as usize >= area.max(1)),
                cores[0].max(cores[1]),
            ),
        };
        if !separate {
            self.parents[lower as usize] = higher;
            self.cores[higher as usize] = core;
        }
        higher
    }

    fn root(&mut self, mut basin: u32) -> u32 {
        while self.parents[basin as usize] != basin {
            let parent = self.parents[basin as usize];
            self.parents[basin as usize] = self.parents[parent as usize];
            basin = parent;
        }
        basin
    }

    /// Sorts the pixels of regions by height, the highest first, and those of one step by position.
    fn sort(&mut self, labels: &[u32], heights: Heights<'_>) -> Result<(), TryReserveError> {
        let step = |at: usize| {
            // NaN counts as the lowest.
            let height = (heights.values[at] * heights.steps).max(0.0) as usize;
            MAX_STEPS - height.min(MAX_STEPS)
        };
        refill(&mut self.starts, MAX_STEPS + 2, 0)?;
        let inside = || (0..labels.len()).filter(|at| labels[*at] != 0);
        for at in inside() {
            self.starts[step(at) + 1] += 1;
        }
        for index in 1..self.starts.len() {
            self.starts[index] += self.starts[index - 1];
        }
        refill(&mut self.order, self.starts[MAX_STEPS + 1] as usize, 0)?;
        for at in inside() {
            let place = &mut self.starts[step(at)];
            self.order[*place as usize] = at as u32;
            *place += 1;
        }
        Ok(())
    }
}

/// The pixels connected with `at`, in a picture of `pixels` pixels.
fn neighbours(
    at: usize,
    width: usize,
    pixels: usize,
    connectivity: Connectivity,
) -> impl Iterator<Item = usize> {
    const AROUND: [(isize, isize); 8] = [
        (-1, 0),
        (1, 0),
        (0, -1),
        (0, 1),
        (-1, -1),
        (1, -1),
        (-1, 1),
        (1, 1),
    ];
    let count = match connectivity {
        Connectivity::Edges => 4,
        Connectivity::Corners => 8,
    };
    let (x, y) = (at % width, at / width);
    AROUND[..count].iter().filter_map(move |(dx, dy)| {
        let x = x.checked_add_signed(*dx).filter(|x| *x < width)?;
        let next = y.checked_add_signed(*dy)? * width + x;
        (next < pixels).then_some(next)
    })
}

#[cfg(test)]
mod tests {
    use super::super::distance::DistanceTransform;
    use super::*;

    fn heights(values: &[f32]) -> Heights<'_> {
        Heights {
            values,
            steps: 16.0,
        }
    }

    /// The number of pieces into which a region of discs, each a centre and a radius, is split.
    fn pieces(discs: &[(f32, f32, f32)], depth: f32) -> usize {
        let (width, height) = (90, 40);
        let inside = |at: usize| {
            let (x, y) = ((at % width) as f32, (at / width) as f32);
            let is_in = |(cx, cy, r): &(f32, f32, f32)| (x - cx).hypot(y - cy) <= *r;
            u32::from(discs.iter().any(is_in))
        };
        let mut labels: Vec<u32> = (0..width * height).map(inside).collect();
        let before = labels.clone();
        let mut distances = Vec::new();
        DistanceTransform::default()
            .transform(&labels, width, &mut distances)
            .unwrap();
        let mut watershed = Watershed::default();
        let criterion = SplitCriterion::Depth(depth);
        let heights = heights(&distances);
        watershed
            .split(&mut labels, width, heights, criterion, Connectivity::Edges)
            .unwrap();
        for (label, before) in labels.iter().zip(&before) {
            assert_eq!(*label == 0, *before == 0);
        }
        labels.retain(|label| *label != 0);
        labels.sort_unstable();
        labels.dedup();
        labels.len()
    }

    #[test]
    fn narrow_necks_are_split() {
        let (left, right) = ((25.0, 20.0, 12.0), (45.0, 20.0, 12.0));
        assert_eq!(pieces(&[left], 0.25), 1);
        assert_eq!(pieces(&[left, right], 0.25), 2);
        // The neck is more than half as wide as the discs.
        assert_eq!(pieces(&[left, right], 0.5), 1);
        assert_eq!(pieces(&[left, (33.0, 20.0, 12.0)], 0.25), 1);
        assert_eq!(pieces(&[left, right, (65.0, 20.0, 10.0)], 0.25), 3);
    }

    #[test]
    fn regions_stay_separate() {
        let mut labels = vec![1, 1, 2, 2, 0, 3];
        let heights = heights(&[1.0, 2.0, 2.0, 1.0, 0.0, f32::NAN]);
        let criterion = SplitCriterion::Depth(0.9);
        Watershed::default()
            .split(&mut labels, 6, heights, criterion, Connectivity::Edges)
            .unwrap();
        assert_eq!(labels[0], labels[1]);
        assert_eq!(labels[2], labels[3]);
        assert_eq!(labels[4], 0);
        assert!(labels[1] != labels[2] && labels[5] != labels[2] && labels[5] != 0);
        Watershed::default()
            .split(
                &mut [],
                0,
                Heights {
                    values: &[],
                    ..heights
                },
                criterion,
                Connectivity::Corners,
            )
            .unwrap();
    }

    /// The pieces, as letters, of one row of heights from 0 to 9.
    fn cores(digits: &str, area: usize) -> String {
        let values: Vec<f32> = digits
            .bytes()
            .map(|digit| f32::from(digit - b'0'))
            .collect();
        let mut labels: Vec<u32> = values
            .iter()
            .map(|height| u32::from(*height > 2.0))
            .collect();
        let criterion = SplitCriterion::Cores { level: 6.0, area };
        let mut watershed = Watershed::default();
        watershed
            .split(
                &mut labels,
                values.len(),
                heights(&values),
                criterion,
                Connectivity::Edges,
            )
            .unwrap();
        let mut numbers = vec![];
        let letter = |label: u32| match (label, numbers.iter().position(|n| *n == label)) {
            (0, _) => '.',
            (_, Some(at)) => (b'a' + at as u8) as char,
            (_, None) => {
                numbers.push(label);
                (b'a' + numbers.len() as u8 - 1) as char
            }
        };
        labels.into_iter().map(letter).collect()
    }

    #[test]
    fn objects_grow_from_cores() {
        // Only a dip below the level separates; the rest goes uphill.
        assert_eq!(cores("0479784589740", 1), ".aaaaaabbbbb.");
        // Without a core, or with one that is too small, there is no object.
        assert_eq!(cores("0345430889", 1), ".......aaa");
        assert_eq!(cores("4889483345", 2), "aaaaaaaaaa");
        assert_eq!(cores("0480", 2), "....");
        // Two halves of a core that meet late are one core; two single pixels are not a core of two.
        assert_eq!(cores("0987890", 4), ".aaaaa.");
        assert_eq!(cores("0836380", 2), ".......");
    }
}
