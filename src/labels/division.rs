//! Divides a region into pieces.

use std::collections::TryReserveError;

use super::components::Connectivity;
use super::distance::DistanceTransform;
use super::regions::{Region, Regions};
use super::room::refill;
use super::watershed::{Heights, INSIDE, OUTSIDE, SplitCriterion, Watershed};

/// Steps in which a watershed sorts distances, per pixel.
const STEPS_OF_DISTANCE: f32 = 16.0;

/// Steps in which it sorts probabilities, from 0 to 1.
const STEPS_OF_PROBABILITY: f32 = 4096.0;

/// Divides one region after the other, each in a patch of the frame: its rectangle with a border of one pixel. Keeps
/// its working memory, which is that for the largest rectangle.
///
/// Cells fill most of their rectangles. Long regions side by side, slanted, don't: each costs the time of a rectangle.
#[derive(Debug, Default)]
pub struct Division {
    distance: DistanceTransform,
    watershed: Watershed,
    /// The pixels of the patch: of the region or not, then the number of the piece.
    pixels: Vec<u32>,
    heights: Vec<f32>,
    /// Pixels in a row of the patch.
    width: usize,
    /// Area of each piece, 0 for those that don't count.
    areas: Vec<u32>,
}

/// Where a region is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Width and height of the frame.
    pub width: usize,
    pub height: usize,
    pub region: &'a Region,
}

impl Place<'_> {
    /// Whether the region reaches the edges of the frame: the left, right, upper and lower one.
    fn edges(&self) -> [bool; 4] {
        let Region { columns, rows, .. } = *self.region;
        [
            columns.0 == 0,
            columns.1 + 1 == self.width,
            rows.0 == 0,
            rows.1 + 1 == self.height,
        ]
    }
}

impl Division {
    /// Divides one of the `regions` where the `probability` of the foreground is low, or where the region is narrow if
    /// there is none.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn divide(
        &mut self,
        regions: &mut Regions,
        place: Place<'_>,
        probability: Option<&[f32]>,
        (criterion, connectivity): (SplitCriterion, Connectivity),
    ) -> Result<(), TryReserveError> {
        self.cut(regions, place)?;
        let steps = match probability {
            Some(probability) => {
                self.cut_heights(place, probability)?;
                STEPS_OF_PROBABILITY
            }
            None => {
                self.measure_distances(place)?;
                STEPS_OF_DISTANCE
            }
        };
        let heights = Heights {
            values: &self.heights,
            steps,
        };
        let pieces = self.watershed.split(
            &mut self.pixels,
            self.width,
            heights,
            criterion,
            connectivity,
        )?;
        refill(&mut self.areas, pieces, 0)?;
        for piece in &self.pixels {
            self.areas[*piece as usize] += 1;
        }
        self.areas[OUTSIDE as usize] = 0;
        Ok(())
    }

    /// Marks the pixels of the region.
    fn cut(&mut self, regions: &mut Regions, place: Place<'_>) -> Result<(), TryReserveError> {
        let Region { columns, rows, .. } = *place.region;
        let width = columns.1 - columns.0 + 3;
        let height = rows.1 - rows.0 + 3;
        self.width = width;
        refill(&mut self.pixels, width * height, OUTSIDE)?;
        regions.for_each_run_of(place.region, place.width, |y, run| {
            let start = (y - rows.0 + 1) * width + run.start - columns.0 + 1;
            self.pixels[start..][..run.len()].fill(INSIDE);
        });
        Ok(())
    }

    /// Cuts the heights out of those of the frame.
    fn cut_heights(&mut self, place: Place<'_>, of_frame: &[f32]) -> Result<(), TryReserveError> {
        let Region { columns, rows, .. } = *place.region;
        refill(&mut self.heights, self.pixels.len(), 0.0)?;
        let patch = self.heights.chunks_exact_mut(self.width).skip(1);
        for (y, row) in (rows.0..=rows.1).zip(patch) {
            let heights = &of_frame[y * place.width..][columns.0..=columns.1];
            row[1..][..heights.len()].copy_from_slice(heights);
        }
        Ok(())
    }

    /// Makes the heights the distances from the edge of the region, which continues beyond the frame.
    fn measure_distances(&mut self, place: Place<'_>) -> Result<(), TryReserveError> {
        let width = self.width;
        let edges = place.edges();
        for row in self.pixels.chunks_exact_mut(width) {
            if edges[0] {
                row[0] = row[1];
            }
            if edges[1] {
                row[width - 1] = row[width - 2];
            }
        }
        let last = self.pixels.len() - width;
        if edges[2] {
            self.pixels.copy_within(width..2 * width, 0);
        }
        if edges[3] {
            self.pixels.copy_within(last - width..last, last);
        }
        self.distance
            .transform(&self.pixels, width, &mut self.heights)?;
        self.pixels[..width].fill(OUTSIDE);
        self.pixels[last..].fill(OUTSIDE);
        for row in self.pixels.chunks_exact_mut(width) {
            row[0] = OUTSIDE;
            row[width - 1] = OUTSIDE;
        }
        Ok(())
    }

    /// Lets only those pieces count whose area is one of `areas`, and that do not touch the edge of the frame if
    /// `exclude_border`. Returns how many there are.
    pub fn choose(
        &mut self,
        place: Place<'_>,
        areas: std::ops::RangeInclusive<usize>,
        exclude_border: bool,
    ) -> usize {
        if exclude_border {
            self.exclude_border(place.edges());
        }
        let mut count = 0;
        for area in &mut self.areas {
            if !areas.contains(&(*area as usize)) {
                *area = 0;
            }
            count += usize::from(*area > 0);
        }
        count
    }

    fn exclude_border(&mut self, [left, right, above, below]: [bool; 4]) {
        let Division {
            pixels,
            width,
            areas,
            ..
        } = self;
        let mut exclude = |piece: u32| areas[piece as usize] = 0;
        let rows = pixels.len() / *width;
        for (is_edge, row) in [(above, 1), (below, rows - 2)] {
            if is_edge {
                pixels[row * *width..][..*width]
                    .iter()
                    .for_each(|piece| exclude(*piece));
            }
        }
        for (is_edge, column) in [(left, 1), (right, *width - 2)] {
            if is_edge {
                pixels
                    .chunks_exact(*width)
                    .for_each(|row| exclude(row[column]));
            }
        }
    }

    /// The rows of the region's rectangle: the number of the piece of each pixel.
    pub fn rows(&self) -> impl Iterator<Item = &[u32]> {
        let rows = self.pixels.chunks_exact(self.width);
        let inner = rows.len().saturating_sub(2);
        rows.skip(1).take(inner).map(|row| &row[1..row.len() - 1])
    }

    /// Whether a piece counts.
    pub fn counts(&self, piece: u32) -> bool {
        self.areas[piece as usize] > 0
    }

    /// One more than the largest number of a piece.
    pub fn numbers(&self) -> usize {
        self.areas.len()
    }
}
