//! Connected components of a mask.

use std::collections::TryReserveError;
use std::ops::Range;

use super::room::{add, refill};

/// Which neighbours of a pixel are connected with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connectivity {
    /// The four neighbours that share an edge.
    #[default]
    Edges,
    /// The eight neighbours that share an edge or a corner.
    Corners,
}

/// Finds the connected components of masks, row by row: connected pixels of one class (other than 0, the
/// background).
///
/// Keeps its working memory.
#[derive(Debug, Default)]
pub struct Components {
    connectivity: Connectivity,
    /// Runs of the row above and of the current row.
    above: Vec<Run>,
    here: Vec<Run>,
    /// The parent of each run in the disjoint-set forest; a root is its own parent.
    parents: Vec<u32>,
    /// For each root, the pixels of its component so far.
    areas: Vec<u32>,
    /// For each root, the number of its component.
    numbers: Vec<u32>,
}

/// Neighbouring pixels of one class in one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    class: u8,
    /// First column.
    pub start: usize,
    /// One past the last column.
    pub end: usize,
    /// Its number, from 0, in the order of rows and columns.
    pub id: u32,
}

impl Components {
    /// Finds components by `connectivity`.
    pub fn new(connectivity: Connectivity) -> Self {
        Components {
            connectivity,
            ..Components::default()
        }
    }

    /// Changes the connectivity.
    pub fn set_connectivity(&mut self, connectivity: Connectivity) {
        self.connectivity = connectivity;
    }

    /// Numbers the components of at least `min_area` pixels from 1 on, in the order of their first pixels, row by row,
    /// and returns how many there are. Writes the number of each pixel, 0 for none, into `labels`, of the length of
    /// `mask`.
    ///
    /// # Errors
    /// If there is not enough memory: masks of noise have many components.
    pub fn label(
        &mut self,
        mask: &[u8],
        width: usize,
        min_area: usize,
        labels: &mut [u32],
    ) -> Result<usize, TryReserveError> {
        self.find(mask, width)?;
        // Indexed by root, which is the first run of a component: later runs have no number of their own.
        refill(&mut self.numbers, self.parents.len(), 0)?;
        labels.fill(0);
        let mut count = 0;
        for_each_run(mask, width, |id, _, range| {
            let first = root(&mut self.parents, id);
            if first == id && self.areas[id as usize] as usize >= min_area {
                count += 1;
                self.numbers[id as usize] = count;
            }
            labels[range].fill(self.numbers[first as usize]);
        });
        Ok(count as usize)
    }

    /// Finds the runs and joins those that touch.
    fn find(&mut self, mask: &[u8], width: usize) -> Result<(), TryReserveError> {
        self.begin();
        for row in mask.chunks_exact(width.max(1)) {
            self.add_row(row)?;
        }
        Ok(())
    }

    /// Forgets all rows.
    pub(super) fn begin(&mut self) {
        self.above.clear();
        self.parents.clear();
        self.areas.clear();
    }

    /// Adds the next row of a mask and returns its runs.
    pub(super) fn add_row(&mut self, row: &[u8]) -> Result<&[Run], TryReserveError> {
        self.runs(row)?;
        self.join();
        std::mem::swap(&mut self.above, &mut self.here);
        Ok(&self.above)
    }

    /// How many runs all rows so far have.
    pub(super) fn runs_so_far(&self) -> usize {
        self.parents.len()
    }

    /// The first run of the component of a run, in the rows so far.
    pub(super) fn first_run(&mut self, id: u32) -> u32 {
        root(&mut self.parents, id)
    }

    /// The first run and the area in pixels of each component of the rows so far.
    pub(super) fn found(&self) -> impl Iterator<Item = (u32, u32)> {
        let runs = (0..).zip(&self.parents).zip(&self.areas);
        let roots = runs.filter(|((id, parent), _)| id == *parent);
        roots.map(|((id, _), area)| (id, *area))
    }

    /// Cuts a row into runs, each a component of its own.
    fn runs(&mut self, row: &[u8]) -> Result<(), TryReserveError> {
        self.here.clear();
        let mut start = 0;
        for run in row.chunk_by(|left, right| left == right) {
            let (class, end) = (run[0], start + run.len());
            if class != 0 {
                let id = self.parents.len() as u32;
                add(&mut self.parents, id)?;
                add(&mut self.areas, run.len() as u32)?;
                let run = Run {
                    class,
                    start,
                    end,
                    id,
                };
                add(&mut self.here, run)?;
            }
            start = end;
        }
        Ok(())
    }

    /// Joins the runs of the row with connected runs above.
    fn join(&mut self) {
        // How far a run extends beyond its own columns.
        let reach = match self.connectivity {
            Connectivity::Edges => 0,
            Connectivity::Corners => 1,
        };
        let mut above = 0;
        for index in 0..self.here.len() {
            let run = self.here[index];
            while self
                .above
                .get(above)
                .is_some_and(|other| other.end + reach <= run.start)
            {
                above += 1;
            }
            let touching = self.above[above..]
                .iter()
                .take_while(|other| other.start < run.end + reach);
            for other in touching {
                if other.class == run.class {
                    join(&mut self.parents, &mut self.areas, other.id, run.id);
                }
            }
        }
    }
}

/// Calls `act` with the number of each run of pixels of one class, from 0, its class, and its place in the mask.
pub(super) fn for_each_run(mask: &[u8], width: usize, mut act: impl FnMut(u32, u8, Range<usize>)) {
    let (mut number, mut start) = (0, 0);
    for row in mask.chunks_exact(width.max(1)) {
        for run in row.chunk_by(|left, right| left == right) {
            let end = start + run.len();
            if run[0] != 0 {
                act(number, run[0], start..end);
                number += 1;
            }
            start = end;
        }
    }
}

/// Joins the components of two runs.
fn join(parents: &mut [u32], areas: &mut [u32], one: u32, other: u32) {
    let (one, other) = (root(parents, one), root(parents, other));
    // The older root is kept, which keeps paths short.
    let (kept, joined) = (one.min(other), one.max(other));
    if kept != joined {
        parents[joined as usize] = kept;
        areas[kept as usize] += areas[joined as usize];
    }
}

/// The root of the component of `id`, with path halving.
fn root(parents: &mut [u32], mut id: u32) -> u32 {
    while parents[id as usize] != id {
        parents[id as usize] = parents[parents[id as usize] as usize];
        id = parents[id as usize];
    }
    id
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Areas of the components by flood fill from every pixel.
    fn flooded(mask: &[u8], width: usize, connectivity: Connectivity) -> Vec<usize> {
        let mut seen = vec![false; mask.len()];
        let mut areas = Vec::new();
        for start in 0..mask.len() {
            if seen[start] || mask[start] == 0 {
                continue;
            }
            let (mut stack, mut area) = (vec![start], 0);
            seen[start] = true;
            while let Some(at) = stack.pop() {
                area += 1;
                let near = |a: usize, b: usize| a.abs_diff(b);
                let touches = |other: &usize| {
                    let away = (
                        near(at % width, other % width),
                        near(at / width, other / width),
                    );
                    match connectivity {
                        Connectivity::Edges => away.0 + away.1 == 1,
                        Connectivity::Corners => away.0.max(away.1) == 1,
                    }
                };
                for next in (0..mask.len()).filter(touches) {
                    if !seen[next] && mask[next] == mask[start] {
                        seen[next] = true;
                        stack.push(next);
                    }
                }
            }
            areas.push(area);
        }
        areas
    }

    proptest! {
        #[test]
        fn equals_flood_fill(
            width in 1usize..24,
            pixels in prop::collection::vec(0u8..3, 1..500),
            min_area in 0usize..6,
            corners: bool,
        ) {
            let mask = &pixels[..pixels.len() / width * width];
            let connectivity = if corners { Connectivity::Corners } else { Connectivity::Edges };
            let areas = flooded(mask, width, connectivity);
            let expected: Vec<_> = areas.into_iter().filter(|area| *area >= min_area).collect();
            let mut labels = vec![9; mask.len()];
            let mut components = Components::new(connectivity);
            let count = components.label(mask, width, min_area, &mut labels).unwrap();
            // Again, with working memory that is no longer empty.
            prop_assert_eq!(components.label(mask, width, min_area, &mut labels), Ok(count));
            // Flood fill starts at the first pixel of each, so the order is the same.
            let areas: Vec<_> = (1..=count as u32)
                .map(|number| labels.iter().filter(|label| **label == number).count())
                .collect();
            prop_assert_eq!(areas, expected);
            let first = |number: u32| labels.iter().position(|label| *label == number);
            prop_assert!((1..=count as u32).map(first).is_sorted());
            for at in 0..mask.len() {
                prop_assert!(mask[at] != 0 || labels[at] == 0);
                let touching = at % width > 0 && mask[at] == mask[at - 1];
                prop_assert!(!touching || labels[at] == labels[at - 1]);
                let touching = at >= width && mask[at] == mask[at - width];
                prop_assert!(!touching || labels[at] == labels[at - width]);
            }
        }
    }

    #[test]
    fn corners_connect_only_with_that_connectivity() {
        let count = |connectivity, mask: &[u8]| {
            let mut labels = vec![0; mask.len()];
            let mut components = Components::new(connectivity);
            components.label(mask, 2, 0, &mut labels).unwrap()
        };
        assert_eq!(count(Connectivity::Edges, &[1, 0, 0, 1]), 2);
        assert_eq!(count(Connectivity::Edges, &[]), 0);
        assert_eq!(count(Connectivity::Corners, &[1, 0, 0, 1]), 1);
        assert_eq!(count(Connectivity::Corners, &[0, 1, 1, 0]), 1);
        assert_eq!(count(Connectivity::Corners, &[1, 0, 0, 2]), 2);
    }
}
