//! Distance of pixels from the edge of their region.

use std::collections::TryReserveError;

use super::room::refill;

/// Squared distance without an edge, larger than any in a picture.
const FAR: f32 = 1e18;

/// The Euclidean distance transform, in two passes over lower envelopes of parabolas (Felzenszwalb and
/// Huttenlocher, Distance Transforms of Sampled Functions, 2012). Keeps its working memory.
#[derive(Debug, Default)]
pub struct DistanceTransform {
    /// The vertices of the parabolas of the envelope, and from where on each is the lowest.
    places: Vec<usize>,
    from: Vec<f32>,
    line: Vec<f32>,
}

impl DistanceTransform {
    /// Writes into `distances` how far each pixel of `regions`, rows of `width` pixels, is from the nearest pixel of
    /// another value, in pixels; 0 where the value is 0. Regions continue beyond the frame.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn transform(
        &mut self,
        regions: &[u32],
        width: usize,
        distances: &mut Vec<f32>,
    ) -> Result<(), TryReserveError> {
        refill(distances, regions.len(), 0.0)?;
        if width == 0 {
            return Ok(());
        }
        for (row, distances) in regions
            .chunks_exact(width)
            .zip(distances.chunks_exact_mut(width))
        {
            along_row(row, distances);
        }
        let height = regions.len() / width;
        for x in 0..width {
            let mut start = 0;
            // Only within a run of one value: its ends are edges.
            for y in 1..=height {
                if y == height || regions[y * width + x] != regions[start * width + x] {
                    if regions[start * width + x] != 0 {
                        self.along_column(distances, width, x, (start, y), height);
                    }
                    start = y;
                }
            }
        }
        for distance in distances {
            *distance = distance.sqrt();
        }
        Ok(())
    }

    /// Adds the distances along column `x`, for the rows `start..end`.
    fn along_column(
        &mut self,
        distances: &mut [f32],
        width: usize,
        x: usize,
        (start, end): (usize, usize),
        height: usize,
    ) {
        self.line.clear();
        let column = (start..end).map(|y| distances[y * width + x]);
        self.line.extend(column);
        self.places.clear();
        self.from.clear();
        for place in 0..self.line.len() {
            self.push(place);
        }
        let mut index = 0;
        for (row, y) in (start..end).enumerate() {
            let at = row as f32;
            while self.from.get(index + 1).is_some_and(|from| *from <= at) {
                index += 1;
            }
            let place = self.places[index];
            let away = at - place as f32;
            let mut nearest = self.line[place] + away * away;
            if start > 0 {
                nearest = nearest.min((at + 1.0) * (at + 1.0));
            }
            if end < height {
                let below = (end - y) as f32;
                nearest = nearest.min(below * below);
            }
            distances[y * width + x] = nearest;
        }
    }

    /// Adds the parabola of `place` to the envelope.
    fn push(&mut self, place: usize) {
        let value = |line: &[f32], at: usize| line[at] + (at * at) as f32;
        loop {
            let Some(last) = self.places.last().copied() else {
                self.places.push(place);
                self.from.push(f32::NEG_INFINITY);
                return;
            };
            let rise = value(&self.line, place) - value(&self.line, last);
            let crossing = rise / (2.0 * (place - last) as f32);
            if crossing > self.from[self.from.len() - 1] {
                self.places.push(place);
                self.from.push(crossing);
                return;
            }
            self.places.pop();
            self.from.pop();
        }
    }
}

/// Squared distances within one row.
fn along_row(row: &[u32], distances: &mut [f32]) {
    let width = row.len();
    let mut start = 0;
    for end in 1..=width {
        if end < width && row[end] == row[start] {
            continue;
        }
        if row[start] != 0 {
            for (index, distance) in distances[start..end].iter_mut().enumerate() {
                let left = if start > 0 { (index + 1) as f32 } else { FAR };
                let right = if end < width {
                    (end - start - index) as f32
                } else {
                    FAR
                };
                let nearest = left.min(right);
                *distance = (nearest * nearest).min(FAR);
            }
        }
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_its_definition(
            width in 1usize..14,
            pixels in prop::collection::vec(0u32..3, 1..150),
            scale in 1usize..5,
        ) {
            // Regions of several pixels instead of noise.
            let height = pixels.len() / width;
            let regions: Vec<u32> = (0..width * height)
                .map(|at| pixels[(at / width / scale) * width + (at % width) / scale])
                .collect();
            let mut found = Vec::new();
            DistanceTransform::default()
                .transform(&regions, width, &mut found)
                .unwrap();
            for at in 0..regions.len() {
                let away = |other: usize| {
                    let x = (at % width).abs_diff(other % width) as f32;
                    let y = (at / width).abs_diff(other / width) as f32;
                    x * x + y * y
                };
                let others = (0..regions.len()).filter(|other| regions[*other] != regions[at]);
                let nearest = others.map(away).fold(FAR, f32::min);
                let expected = if regions[at] == 0 { 0.0 } else { nearest.sqrt() };
                prop_assert!((found[at] - expected).abs() < 1e-3 * expected.max(1.0), "{at}: {} {expected}", found[at]);
            }
        }
    }
}
