//! A watershed, to separate touching objects.

use std::collections::TryReserveError;

use super::components::Connectivity;
use super::room::{add, refill};

/// Most steps in which heights are sorted; higher values count as the highest step.
const MAX_STEPS: usize = 1 << 16;

/// A pixel of the region before it is flooded, or any higher number.
pub const INSIDE: u32 = 1 << 31;

/// A pixel outside the region, or of a piece without a core.
pub const OUTSIDE: u32 = 0;

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

impl SplitCriterion {
    /// Pixels of cores are higher than this.
    fn level(self) -> f32 {
        match self {
            SplitCriterion::Depth(_) => f32::INFINITY,
            SplitCriterion::Cores { level, .. } => level,
        }
    }

    /// Pixels of the smallest core, 0 if basins need none.
    fn smallest_core(self) -> usize {
        match self {
            SplitCriterion::Depth(_) => 0,
            SplitCriterion::Cores { area, .. } => area.max(1),
        }
    }
}

/// A watershed that floods a region from its highest pixels down. Two basins that meet are merged unless the
/// [`SplitCriterion`] keeps them separate, so that no markers are needed. Keeps its working memory.
#[derive(Debug, Default)]
pub struct Watershed {
    /// Start of the pixels of each step in `order`.
    starts: Vec<u32>,
    /// Pixels from the highest on, with 32 bits to save memory.
    order: Vec<u32>,
    basins: Vec<Basin>,
}

/// Connected pixels that were flooded from one peak.
#[derive(Clone, Copy, Debug)]
struct Basin {
    /// The basin into which it was merged, or itself.
    parent: u32,
    /// The height of its peak.
    peak: f32,
    /// Pixels of its largest core.
    core: u32,
}

impl Watershed {
    /// Splits a region into the basins of `heights` that `criterion` keeps separate. `pixels`, in rows of `width`, are
    /// [`INSIDE`] it or [`OUTSIDE`], and have a border of one pixel outside on all sides. They become the numbers of
    /// the basins, which are 1 and more, with gaps. Returns a number that is larger than all of these.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn split(
        &mut self,
        pixels: &mut [u32],
        width: usize,
        heights: Heights<'_>,
        criterion: SplitCriterion,
        connectivity: Connectivity,
    ) -> Result<usize, TryReserveError> {
        self.sort(pixels, heights, criterion.level())?;
        self.flood(pixels, width, heights.values, criterion, connectivity)?;
        let smallest = criterion.smallest_core();
        for at in &self.order {
            let pixel = &mut pixels[*at as usize];
            let basin = root(&mut self.basins, *pixel);
            let has_core = self.basins[basin as usize].core as usize >= smallest;
            *pixel = if has_core { basin } else { OUTSIDE };
        }
        Ok(self.basins.len())
    }

    fn flood(
        &mut self,
        pixels: &mut [u32],
        width: usize,
        heights: &[f32],
        criterion: SplitCriterion,
        connectivity: Connectivity,
    ) -> Result<(), TryReserveError> {
        let level = criterion.level();
        let (offsets, count) = neighbours(width, connectivity);
        self.basins.clear();
        // Number 0 is no basin.
        self.add_basin(0.0)?;
        for index in 0..self.order.len() {
            let at = self.order[index] as usize;
            let height = heights[at];
            // The basins around the pixel; one that is in several places may be there several times.
            let (mut around, mut met, mut own) = ([OUTSIDE; 8], 0, OUTSIDE);
            for offset in &offsets[..count] {
                let next = pixels[at.wrapping_add_signed(*offset)];
                if next == OUTSIDE || next >= INSIDE || next == own {
                    continue;
                }
                let basin = root(&mut self.basins, next);
                if basin != own {
                    (around[met], own) = (basin, basin);
                    met += 1;
                }
            }
            if met > 1 {
                own = self.meet(&around[..met], height, criterion);
            } else if met == 0 {
                own = self.add_basin(height)?;
            }
            self.basins[own as usize].core += u32::from(height > level);
            pixels[at] = own;
        }
        Ok(())
    }

    /// Adds a basin and returns its number.
    fn add_basin(&mut self, peak: f32) -> Result<u32, TryReserveError> {
        let parent = self.basins.len() as u32;
        let core = 0;
        add(&mut self.basins, Basin { parent, peak, core })?;
        Ok(parent)
    }

    /// Lets basins meet at a pixel of this height, and returns the one with the highest peak, which takes the pixel.
    /// Others merge into it alone: two of them may touch nowhere else.
    fn meet(&mut self, around: &[u32], height: f32, criterion: SplitCriterion) -> u32 {
        let peak = |basin: u32| self.basins[basin as usize].peak;
        let basins = || around.iter().copied();
        let higher = |one, other| if peak(other) > peak(one) { other } else { one };
        let own = basins().reduce(higher).unwrap_or(OUTSIDE);
        for basin in basins() {
            // One that is in several places is merged once.
            if basin != own && self.basins[basin as usize].parent == basin {
                self.merge_unless_separate(own, basin, height, criterion);
            }
        }
        own
    }

    /// Merges `lower` into `higher`, which it meets at a pixel of this height, unless `criterion` keeps them separate.
    fn merge_unless_separate(
        &mut self,
        higher: u32,
        lower: u32,
        height: f32,
        criterion: SplitCriterion,
    ) {
        let cores = [higher, lower].map(|number| self.basins[number as usize].core);
        let lower = &mut self.basins[lower as usize];
        let (separate, core) = match criterion {
            SplitCriterion::Depth(depth) => (height < (1.0 - depth) * lower.peak, 0),
            SplitCriterion::Cores { level, .. } if height > level => (false, cores[0] + cores[1]),
            SplitCriterion::Cores { .. } => {
                let smallest = criterion.smallest_core();
                let separate = cores.iter().all(|core| *core as usize >= smallest);
                (separate, cores[0].max(cores[1]))
            }
        };
        if !separate {
            lower.parent = higher;
            self.basins[higher as usize].core = core;
        }
    }

    /// Sorts the pixels of the region by height, the highest first, and those of one step by position. Those above
    /// `level` come before all others: cores are flooded before what is between them.
    fn sort(
        &mut self,
        pixels: &mut [u32],
        heights: Heights<'_>,
        level: f32,
    ) -> Result<(), TryReserveError> {
        let step = |height: f32| {
            // NaN counts as the lowest.
            let steps = (height * heights.steps).max(0.0) as usize;
            MAX_STEPS - steps.min(MAX_STEPS)
        };
        let below_level = if level.is_finite() {
            step(level) + 1
        } else {
            0
        };
        let step = |at: usize| match heights.values[at] {
            height if height > level => step(height),
            height => step(height).max(below_level),
        };
        // The pixels themselves have room for their steps.
        let (mut first, mut last) = (INSIDE + MAX_STEPS as u32, INSIDE);
        let mut count = 0;
        for (at, pixel) in pixels.iter_mut().enumerate() {
            if *pixel >= INSIDE {
                *pixel = INSIDE + step(at) as u32;
                (first, last) = (first.min(*pixel), last.max(*pixel));
                count += 1;
            }
        }
        // Only for steps between those of the region: there may be many small regions.
        let steps = (last + 1).saturating_sub(first) as usize;
        refill(&mut self.starts, steps + 1, 0)?;
        for pixel in pixels.iter().filter(|pixel| **pixel >= INSIDE) {
            self.starts[(pixel - first) as usize + 1] += 1;
        }
        for index in 1..self.starts.len() {
            self.starts[index] += self.starts[index - 1];
        }
        refill(&mut self.order, count, 0)?;
        for (at, pixel) in pixels.iter().enumerate() {
            if *pixel >= INSIDE {
                let place = &mut self.starts[(pixel - first) as usize];
                self.order[*place as usize] = at as u32;
                *place += 1;
            }
        }
        Ok(())
    }
}

/// The basin into which a basin was merged in the end, with path halving.
fn root(basins: &mut [Basin], mut basin: u32) -> u32 {
    loop {
        let parent = basins[basin as usize].parent;
        if parent == basin {
            return basin;
        }
        let above = basins[parent as usize].parent;
        basins[basin as usize].parent = above;
        basin = above;
    }
}

/// Where the pixels connected with a pixel are in rows of `width`, and how many there are.
fn neighbours(width: usize, connectivity: Connectivity) -> ([isize; 8], usize) {
    let row = width as isize;
    let offsets = [-1, 1, -row, row, -row - 1, 1 - row, row - 1, row + 1];
    let count = match connectivity {
        Connectivity::Edges => 4,
        Connectivity::Corners => 8,
    };
    (offsets, count)
}

#[cfg(test)]
mod tests {
    use super::super::distance::DistanceTransform;
    use super::*;

    /// The number of pieces into which a region of discs, each a centre and a radius, is split.
    fn pieces(discs: &[(f32, f32, f32)], depth: f32) -> usize {
        let (width, height) = (90, 40);
        let inside = |at: usize| {
            let (x, y) = ((at % width) as f32, (at / width) as f32);
            let is_in = |(cx, cy, r): &(f32, f32, f32)| (x - cx).hypot(y - cy) <= *r;
            if discs.iter().any(is_in) {
                INSIDE
            } else {
                OUTSIDE
            }
        };
        let mut pixels: Vec<u32> = (0..width * height).map(inside).collect();
        let before = pixels.clone();
        let mut distances = Vec::new();
        DistanceTransform::default()
            .transform(&pixels, width, &mut distances)
            .unwrap();
        let heights = Heights {
            values: &distances,
            steps: 16.0,
        };
        let criterion = SplitCriterion::Depth(depth);
        Watershed::default()
            .split(&mut pixels, width, heights, criterion, Connectivity::Edges)
            .unwrap();
        for (piece, before) in pixels.iter().zip(&before) {
            assert_eq!(*piece == OUTSIDE, *before == OUTSIDE);
        }
        pixels.retain(|piece| *piece != OUTSIDE);
        pixels.sort_unstable();
        pixels.dedup();
        pixels.len()
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
        assert_eq!(pieces(&[], 0.25), 0);
    }

    /// The pieces, as letters, of one row of heights from 0 to 9, those above 2 in the region.
    fn cores(digits: &str, area: usize) -> String {
        let row = digits.bytes().map(|digit| f32::from(digit - b'0'));
        let width = digits.len();
        let mut values = vec![0.0; 3 * width];
        values.splice(width..2 * width, row);
        let inside = |height: &f32| if *height > 2.0 { INSIDE } else { OUTSIDE };
        let mut pixels: Vec<u32> = values.iter().map(inside).collect();
        let heights = Heights {
            values: &values,
            steps: 16.0,
        };
        let criterion = SplitCriterion::Cores { level: 6.0, area };
        let numbers = Watershed::default()
            .split(&mut pixels, width, heights, criterion, Connectivity::Edges)
            .unwrap();
        assert!(pixels.iter().all(|piece| (*piece as usize) < numbers));
        let mut seen = vec![];
        let letter = |piece: u32| match (piece, seen.iter().position(|other| *other == piece)) {
            (OUTSIDE, _) => '.',
            (_, Some(at)) => (b'a' + at as u8) as char,
            (_, None) => {
                seen.push(piece);
                (b'a' + seen.len() as u8 - 1) as char
            }
        };
        pixels[width..2 * width]
            .iter()
            .copied()
            .map(letter)
            .collect()
    }

    #[test]
    fn objects_grow_from_cores() {
        // Only a dip below the level separates; the rest goes uphill.
        assert_eq!(cores("0479784589740", 1), ".aaaaaabbbbb.");
        // Without a core, or with one that is too small, there is no object.
        assert_eq!(cores("03454308890", 1), ".......aaa.");
        assert_eq!(cores("048894833450", 2), ".aaaaaaaaaa.");
        assert_eq!(cores("0480", 2), "....");
        // Two halves of a core that meet late are one core; two single pixels are not a core of two.
        assert_eq!(cores("0987890", 4), ".aaaaa.");
        assert_eq!(cores("0836380", 2), ".......");
    }
}
