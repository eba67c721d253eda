//! A watershed, to separate touching objects.

use std::collections::TryReserveError;

use super::components::{Components, Connectivity};
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

/// Marks the label of a pixel as the number of its basin. A frame has fewer regions than this: two each need a pixel,
/// and one between them.
const FLOODED: u32 = 1 << 31;

/// A watershed that floods regions from their highest pixels down. Two basins that meet are merged unless the
/// [`SplitCriterion`] keeps them separate, so that no markers are needed.
///
/// A region with one core stays whole and one without any is dropped, so neither is flooded.
#[derive(Debug, Default)]
pub struct Watershed {
    /// How many cores each region has, or [`MANY`] where that doesn't matter.
    cores: Vec<u8>,
    pieces: Components,
    /// The regions of the pixels of one row that are higher than the level of cores.
    row: Vec<u32>,
    /// Start of the pixels of each step in `order`.
    starts: Vec<u32>,
    /// Pixels from the highest on, with 32 bits to save memory.
    order: Vec<u32>,
    basins: Vec<Basin>,
}

/// More than one core.
const MANY: u8 = 2;

/// The pixels of a region that are connected and higher than those flooded last.
#[derive(Clone, Copy, Debug)]
struct Basin {
    /// The region.
    region: u32,
    /// The basin into which it was merged, or itself.
    parent: u32,
    /// The height of its peak.
    peak: f32,
    /// Pixels of its largest core.
    core: u32,
}

impl Watershed {
    /// Splits each region of `labels` (rows of `width` pixels; 0 is none), which is connected, into the basins of `heights` that `criterion`
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
        let regions = labels.iter().max().copied().unwrap_or_default();
        refill(&mut self.cores, regions as usize + 1, MANY)?;
        self.cores[0] = 0;
        if let SplitCriterion::Cores { level, area } = criterion {
            self.count_cores(labels, width, heights.values, (level, area), connectivity)?;
        }
        self.sort(labels, heights)?;
        self.flood(labels, width, heights.values, criterion, connectivity)?;
        let smallest = match criterion {
            SplitCriterion::Depth(_) => 0,
            SplitCriterion::Cores { area, .. } => area.max(1),
        };
        for label in labels {
            *label = match *label & !FLOODED {
                region if region == *label && self.cores[region as usize] > 0 => region,
                region if region == *label => 0,
                basin => match self.root(basin) {
                    root if self.basins[root as usize].core as usize >= smallest => {
                        regions + 1 + root
                    }
                    _ => 0,
                },
            };
        }
        Ok(())
    }

    /// Counts the cores of each region: connected pixels higher than the level, at least as many as the area.
    fn count_cores(
        &mut self,
        labels: &[u32],
        width: usize,
        heights: &[f32],
        (level, area): (f32, usize),
        connectivity: Connectivity,
    ) -> Result<(), TryReserveError> {
        let width = width.max(1);
        self.cores.fill(0);
        self.pieces.set_connectivity(connectivity);
        self.pieces.begin();
        refill(&mut self.row, width, 0)?;
        for (labels, heights) in labels.chunks_exact(width).zip(heights.chunks_exact(width)) {
            for ((region, label), height) in self.row.iter_mut().zip(labels).zip(heights) {
                *region = if *height > level { *label } else { 0 };
            }
            self.pieces.add_row(&self.row)?;
        }
        for (region, pixels) in self.pieces.found() {
            let cores = &mut self.cores[region as usize];
            *cores = MANY.min(*cores + u8::from(pixels as usize >= area));
        }
        Ok(())
    }

    /// Floods the regions with several cores: their labels become their basins, each marked as [`FLOODED`].
    fn flood(
        &mut self,
        labels: &mut [u32],
        width: usize,
        heights: &[f32],
        criterion: SplitCriterion,
        connectivity: Connectivity,
    ) -> Result<(), TryReserveError> {
        let level = match criterion {
            SplitCriterion::Depth(_) => f32::INFINITY,
            SplitCriterion::Cores { level, .. } => level,
        };
        self.basins.clear();
        for index in 0..self.order.len() {
            let at = self.order[index] as usize;
            let (region, height) = (labels[at], heights[at]);
            let mut own = None;
            for next in neighbours(at, width, labels.len(), connectivity) {
                let basin = labels[next] & !FLOODED;
                if basin == labels[next] || self.basins[basin as usize].region != region {
                    continue;
                }
                let basin = self.root(basin);
                own = Some(match own {
                    Some(own) if own != basin => self.merge_or_split(own, basin, height, criterion),
                    _ => basin,
                });
            }
            let own = match own {
                Some(own) => own,
                None => self.add_basin(region, height)?,
            };
            self.basins[own as usize].core += u32::from(height > level);
            labels[at] = own | FLOODED;
        }
        Ok(())
    }

    /// Adds a basin and returns its number.
    fn add_basin(&mut self, region: u32, peak: f32) -> Result<u32, TryReserveError> {
        let parent = self.basins.len() as u32;
        let basin = Basin {
            region,
            parent,
            peak,
            core: 0,
        };
        add(&mut self.basins, basin)?;
        Ok(parent)
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
        let basin = |number: u32| self.basins[number as usize];
        let (higher, lower) = if basin(one).peak >= basin(other).peak {
            (one, other)
        } else {
            (other, one)
        };
        let cores = [higher, lower].map(|number| basin(number).core);
        let (separate, core) = match criterion {
            SplitCriterion::Depth(depth) => (height < (1.0 - depth) * basin(lower).peak, 0),
            SplitCriterion::Cores { level, .. } if height > level => (false, cores[0] + cores[1]),
            SplitCriterion::Cores { area, .. } => (
                cores.iter().all(|core| *core as usize >= area.max(1)),
                cores[0].max(cores[1]),
            ),
        };
        if !separate {
            self.basins[lower as usize].parent = higher;
            self.basins[higher as usize].core = core;
        }
        higher
    }

    fn root(&mut self, mut basin: u32) -> u32 {
        loop {
            let parent = self.basins[basin as usize].parent;
            if parent == basin {
                return basin;
            }
            let above = self.basins[parent as usize].parent;
            self.basins[basin as usize].parent = above;
            basin = parent;
        }
    }

    /// Sorts the pixels of regions with several cores by height, the highest first, and those of one step by position.
    fn sort(&mut self, labels: &[u32], heights: Heights<'_>) -> Result<(), TryReserveError> {
        let step = |at: usize| {
            // NaN counts as the lowest.
            let height = (heights.values[at] * heights.steps).max(0.0) as usize;
            MAX_STEPS - height.min(MAX_STEPS)
        };
        let cores = &self.cores;
        let inside = || (0..labels.len()).filter(|at| cores[labels[*at] as usize] == MANY);
        refill(&mut self.starts, MAX_STEPS + 2, 0)?;
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
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::distance::DistanceTransform;
    use super::*;

    proptest! {
        /// Each core is in one object and each object has one core; objects cover the regions that have cores.
        #[test]
        fn objects_by_cores_are_what_they_should_be(
            width in 1usize..14,
            digits in prop::collection::vec(0u8..10, 1..200),
            area in 0usize..4,
            corners: bool,
        ) {
            let values: Vec<f32> = digits[..digits.len() / width * width]
                .iter()
                .map(|digit| f32::from(*digit))
                .collect();
            let connectivity = if corners { Connectivity::Corners } else { Connectivity::Edges };
            // Two levels of the same heights, as numbered regions.
            let above = |level: f32, smallest: usize| {
                let mask: Vec<u8> = values.iter().map(|value| u8::from(*value > level)).collect();
                let mut numbers = vec![0; mask.len()];
                let mut components = Components::new(connectivity);
                components.label(&mask, width, smallest, &mut numbers).unwrap();
                numbers
            };
            let (regions, cores) = (above(2.0, 0), above(6.0, area));
            let mut labels = regions.clone();
            let criterion = SplitCriterion::Cores { level: 6.0, area };
            Watershed::default()
                .split(&mut labels, width, heights(&values), criterion, connectivity)
                .unwrap();
            let pairs = |one: &[u32], other: &[u32]| {
                let pairs = one.iter().copied().zip(other.iter().copied());
                pairs.filter(|(one, _)| *one != 0).collect::<BTreeSet<_>>()
            };
            let firsts = |pairs: &BTreeSet<(u32, u32)>| {
                pairs.iter().map(|(first, _)| *first).collect::<BTreeSet<_>>().len()
            };
            // Both ways, so that they belong together one by one.
            let objects = pairs(&cores, &labels);
            prop_assert_eq!(objects.len(), firsts(&objects));
            let mut with_core = pairs(&labels, &cores);
            with_core.retain(|(_, core)| *core != 0);
            prop_assert_eq!(&with_core, &objects.iter().map(|(core, object)| (*object, *core)).collect());
            prop_assert_eq!(pairs(&labels, &regions).len(), objects.len());
            let has_core: BTreeSet<u32> = pairs(&cores, &regions).into_iter().map(|(_, region)| region).collect();
            for (label, region) in labels.iter().zip(&regions) {
                prop_assert_eq!(*label != 0, has_core.contains(region));
            }
        }
    }

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
        let mask: Vec<u8> = values
            .iter()
            .map(|height| u8::from(*height > 2.0))
            .collect();
        let mut labels = vec![0; mask.len()];
        Components::default()
            .label(&mask, mask.len(), 0, &mut labels)
            .unwrap();
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
