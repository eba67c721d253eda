//! The regions of a mask: which of them are objects, and which are divided first.

use std::collections::TryReserveError;
use std::ops::Range;

use super::components::{Components, Run};
use super::room::{add, refill};
use super::rules::ObjectRules;
use super::watershed::SplitCriterion;

/// What becomes of a region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// It does not count.
    #[default]
    Excluded,
    /// It is one object.
    Whole,
    /// It may be several objects.
    Divided,
}

/// A region to be divided.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// Its first run.
    pub first: u32,
    pub class: u8,
    /// First and last column.
    pub columns: (usize, usize),
    /// First and last row.
    pub rows: (usize, usize),
}

impl Region {
    /// A region with the run `first`, in row `y` and columns `start..end`.
    pub fn new(first: u32, class: u8, y: usize, start: usize, end: usize) -> Self {
        Region {
            first,
            class,
            columns: (start, end - 1),
            rows: (y, y),
        }
    }

    /// Adds a run in columns `start..end` of row `y`, which is not above the others.
    pub fn add(&mut self, y: usize, start: usize, end: usize) {
        self.columns = (self.columns.0.min(start), self.columns.1.max(end - 1));
        self.rows.1 = y;
    }
}

/// Finds regions: the connected components of a mask. Needs a few numbers for each run of pixels of one class.
#[derive(Debug, Default)]
pub struct Regions {
    runs: Components,
    /// The pixels of each run, in rows one after the other, if regions may be divided.
    spans: Vec<Range<u32>>,
    /// The cores in the regions: connected pixels of which the network is certain.
    cores: Components,
    /// For each run of the cores, the run of the mask that it is in.
    places: Vec<u32>,
    /// The pixels of one row that may be in cores.
    row: Vec<u8>,
    /// Runs at the edge of the frame.
    border: Vec<u32>,
    /// The fate of each region, by its first run.
    fates: Vec<Fate>,
}

impl Regions {
    /// Finds the regions of `mask`, rows of `width` pixels, and their fates by `rules`. With cores, `criterion` applies
    /// to `heights`.
    ///
    /// # Errors
    /// If there is not enough memory: masks of noise have many regions.
    pub fn find(
        &mut self,
        mask: &[u8],
        width: usize,
        rules: &ObjectRules,
        criterion: Option<SplitCriterion>,
        heights: Option<&[f32]>,
    ) -> Result<(), TryReserveError> {
        self.runs.set_connectivity(rules.connectivity);
        self.cores.set_connectivity(rules.connectivity);
        self.runs.begin();
        self.cores.begin();
        self.spans.clear();
        self.places.clear();
        self.border.clear();
        let level = match criterion {
            Some(SplitCriterion::Cores { level, .. }) => Some(level),
            _ => None,
        };
        let cores = level.zip(heights);
        let width = width.max(1);
        let last = (mask.len() / width).saturating_sub(1);
        for (y, row) in mask.chunks_exact(width).enumerate() {
            let runs = self.runs.add_row(row)?;
            if criterion.is_some() {
                self.spans.try_reserve(runs.len())?;
                let row = y * width;
                let span = |run: &Run| (row + run.start) as u32..(row + run.end) as u32;
                self.spans.extend(runs.iter().map(span));
            }
            if let Some((level, heights)) = cores {
                let heights = &heights[y * width..][..width];
                let row = row.iter().zip(heights);
                let core = |(class, height): (&u8, &f32)| if *height > level { *class } else { 0 };
                self.row.clear();
                self.row.try_reserve(width)?;
                self.row.extend(row.map(core));
                place(self.cores.add_row(&self.row)?, runs, &mut self.places)?;
            }
            if rules.exclude_border {
                let is_outer =
                    |run: &&Run| y == 0 || y == last || run.start == 0 || run.end == width;
                for run in runs.iter().filter(is_outer) {
                    add(&mut self.border, run.id)?;
                }
            }
        }
        self.decide(rules, criterion)
    }

    /// Decides on the fate of each region.
    fn decide(
        &mut self,
        rules: &ObjectRules,
        criterion: Option<SplitCriterion>,
    ) -> Result<(), TryReserveError> {
        let start = match criterion {
            None => Fate::Whole,
            Some(SplitCriterion::Depth(_)) => Fate::Divided,
            Some(SplitCriterion::Cores { .. }) => Fate::Excluded,
        };
        refill(&mut self.fates, self.runs.runs_so_far(), start)?;
        if let Some(SplitCriterion::Cores { area, .. }) = criterion {
            for (first, pixels) in self.cores.found() {
                let region = self.runs.first_run(self.places[first as usize]);
                let fate = &mut self.fates[region as usize];
                *fate = match fate {
                    _ if (pixels as usize) < area => *fate,
                    Fate::Excluded => Fate::Whole,
                    Fate::Whole | Fate::Divided => Fate::Divided,
                };
            }
        }
        for id in &self.border {
            let fate = &mut self.fates[self.runs.first_run(*id) as usize];
            // Of one that is divided, the piece at the edge of the frame is excluded.
            if *fate == Fate::Whole {
                *fate = Fate::Excluded;
            }
        }
        for (first, area) in self.runs.found() {
            let fate = &mut self.fates[first as usize];
            let area = area as usize;
            // Pieces are smaller than the region.
            if area < rules.min_area || area > rules.max_area && *fate == Fate::Whole {
                *fate = Fate::Excluded;
            }
        }
        Ok(())
    }

    /// How many regions have this fate.
    pub fn count(&self, fate: Fate) -> usize {
        let found = self.runs.found();
        found
            .filter(|(first, _)| self.fates[*first as usize] == fate)
            .count()
    }

    /// How many runs of pixels of one class the rows of the mask have.
    pub fn runs(&self) -> usize {
        self.runs.runs_so_far()
    }

    /// The first run of the region of a run, and the region's fate. Runs are numbered from 0, row by row.
    pub fn region(&mut self, run: u32) -> (u32, Fate) {
        let first = self.runs.first_run(run);
        (first, self.fates[first as usize])
    }

    /// Calls `act` with the row and the columns of each run of a region, if regions were found with a criterion, in
    /// rows of `width` pixels.
    pub fn for_each_run_of(
        &mut self,
        region: &Region,
        width: usize,
        mut act: impl FnMut(usize, Range<usize>),
    ) {
        let mut id = region.first as usize;
        for y in region.rows.0..=region.rows.1 {
            let row = y * width;
            let (from, last) = (row + region.columns.0, row + region.columns.1);
            id += self.spans[id..].partition_point(|span| (span.start as usize) < from);
            while let Some(span) = self.spans.get(id)
                && span.start as usize <= last
            {
                if self.runs.first_run(id as u32) == region.first {
                    act(y, span.start as usize - row..span.end as usize - row);
                }
                id += 1;
            }
        }
    }
}

/// Adds for each run of the cores in a row the run of the mask that it is in.
fn place(cores: &[Run], runs: &[Run], places: &mut Vec<u32>) -> Result<(), TryReserveError> {
    let mut runs = runs.iter();
    let mut here = runs.next();
    for core in cores {
        while here.is_some_and(|run| run.end <= core.start) {
            here = runs.next();
        }
        // There is always one, because cores are parts of the mask.
        add(places, here.map_or(0, |run| run.id))?;
    }
    Ok(())
}
