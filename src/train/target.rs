//! The target of training at each pixel, and its weight.

use std::collections::BTreeMap;

use super::augment::interpolate::nearest;
use super::components::{objects, renumbered, with_classes, without_classes};
use super::plane::Plane;
use super::weight_map::{PixelWeights, separated};

/// The truth about a picture or a tile. All planes have one size.
#[derive(Clone, Debug)]
pub struct Truth {
    /// The cells: one number for each, 0 elsewhere. Cells may touch.
    pub cells: Plane<u32>,
    /// The class of each pixel, if there are classes other than background and cell.
    pub classes: Option<Plane<u8>>,
    /// The pixels to ignore, which nobody has annotated, if there are any.
    pub ignored: Option<Plane<bool>>,
}

impl Truth {
    /// Whether there are cells.
    pub fn shows_cells(&self) -> bool {
        self.cells.data.iter().any(|cell| *cell != 0)
    }

    /// Number of ignored pixels.
    pub fn ignored_pixels(&self) -> usize {
        let ignored = self.ignored.iter().flat_map(|ignored| &ignored.data);
        ignored.filter(|ignored| **ignored).count()
    }

    /// The class of each pixel. Between cells that touch there is a gap of background one pixel wide, but not between
    /// classes of the masks that touch.
    pub fn classes(&self) -> Plane<u8> {
        match &self.classes {
            Some(classes) => classes.clone(),
            None => separated(&self.cells).map(|cell| u8::from(cell != 0)),
        }
    }

    /// The objects of a perfect mask: one number for each, 0 elsewhere. If the masks have classes, these are the
    /// connected components of each class, by [class](with_classes), else the cells.
    pub fn objects(&self) -> Plane<u32> {
        match &self.classes {
            Some(classes) => with_classes(objects(classes, 0), classes),
            None => renumbered(self.cells.clone()),
        }
    }

    /// The `found` objects outside ignored pixels, without classes if the truth has none.
    ///
    /// An object that is mostly on ignored pixels is removed, unless it covers a cell beside these: its rim is not an
    /// object of its own.
    pub fn judged(&self, mut found: Plane<u32>) -> Plane<u32> {
        if self.classes.is_none() {
            without_classes(&mut found);
        }
        let Some(ignored) = &self.ignored else {
            return found;
        };
        let mut counts = BTreeMap::<u32, PixelCounts>::new();
        let pixels = found.data.iter().zip(&ignored.data).zip(&self.cells.data);
        for ((object, ignored), cell) in pixels {
            let counts = counts.entry(*object).or_default();
            match (ignored, cell) {
                (true, _) => counts.ignored += 1,
                (false, 0) => counts.on_background += 1,
                (false, _) => counts.on_cells += 1,
            }
        }
        let is_rim = |object: &u32| counts.get(object).is_some_and(PixelCounts::is_rim);
        for (object, ignored) in found.data.iter_mut().zip(&ignored.data) {
            if *ignored || is_rim(object) {
                *object = 0;
            }
        }
        found
    }

    /// The weight of each pixel, of which `classes` are the classes and `border` is the
    /// [additional weight](super::weight_map::WeightMap::additional_weights); 0 at ignored pixels.
    pub fn weights(
        &self,
        classes: &Plane<u8>,
        border: &Plane<f32>,
        pixel_weights: &PixelWeights,
    ) -> Plane<f32> {
        let pixels = classes.data.iter().zip(&border.data);
        let mut weights = Plane {
            height: classes.height,
            width: classes.width,
            data: pixels
                .map(|(class, border)| pixel_weights.of(*class, *border))
                .collect(),
        };
        if let Some(ignored) = &self.ignored {
            let ignored = weights.data.iter_mut().zip(&ignored.data);
            ignored
                .filter(|(_, ignored)| **ignored)
                .for_each(|(weight, _)| *weight = 0.0);
        }
        weights
    }

    /// The truth at each of the given places, by row and column: that of the nearest pixel.
    pub fn sampled(&self, places: &Plane<[f32; 2]>) -> Self {
        fn sample<T: Copy>(from: &Plane<T>, places: &Plane<[f32; 2]>) -> Plane<T> {
            places.map(|place| nearest(from, place))
        }
        Truth {
            cells: sample(&self.cells, places),
            classes: self.classes.as_ref().map(|from| sample(from, places)),
            ignored: self.ignored.as_ref().map(|from| sample(from, places)),
        }
    }
}

/// How many pixels of an object are where.
#[derive(Clone, Copy, Default)]
struct PixelCounts {
    ignored: usize,
    on_background: usize,
    on_cells: usize,
}

impl PixelCounts {
    /// Whether the pixels that are not ignored belong to an object under the ignored ones.
    fn is_rim(&self) -> bool {
        2 * self.on_background <= self.ignored && self.on_cells < self.on_background
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rim_of_an_ignored_object_is_not_one() {
        let truth = Truth {
            cells: row(vec![0, 0, 0, 0, 0, 0, 0, 0, 1, 1]),
            classes: None,
            ignored: Some(row([0, 1, 1, 1, 1, 0, 0, 1, 0, 0].map(|i| i == 1).to_vec())),
        };
        // Over an ignored cell and its rim; an invented one; a true one that touches an ignored pixel.
        let found = row(vec![1, 1, 1, 1, 1, 1, 3, 2, 2, 2]);
        assert_eq!(truth.judged(found).data, [0, 0, 0, 0, 0, 0, 3, 0, 2, 2]);
        // Merged with a true one it stays, except for its ignored pixels.
        let found = row(vec![0, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(truth.judged(found).data, [0, 0, 0, 0, 0, 1, 1, 0, 1, 1]);
    }

    fn row<T>(data: Vec<T>) -> Plane<T> {
        Plane {
            height: 1,
            width: data.len(),
            data,
        }
    }

    #[test]
    fn cells_are_separated_and_painted_classes_are_not() {
        let mut truth = Truth {
            cells: row(vec![0, 1, 1, 2, 2]),
            classes: None,
            ignored: None,
        };
        assert_eq!(truth.classes().data, [0, 1, 1, 0, 1]);
        truth.classes = Some(row(vec![0, 1, 1, 2, 2]));
        assert_eq!(truth.classes().data, [0, 1, 1, 2, 2]);
    }

    #[test]
    fn ignored_pixels_have_no_weight() {
        let truth = Truth {
            cells: row(vec![0, 0, 1, 2]),
            classes: Some(row(vec![0, 0, 1, 2])),
            ignored: Some(row(vec![false, true, false, true])),
        };
        let border = row(vec![10.0; 4]);
        let weights = |border_on_cells| {
            let classes = vec![1.0, 2.0, 3.0];
            let pixel_weights = PixelWeights {
                classes,
                border_on_cells,
            };
            let weights = truth.weights(&truth.classes(), &border, &pixel_weights);
            weights.data
        };
        assert_eq!(weights(false), [11.0, 0.0, 2.0, 0.0]);
        assert_eq!(weights(true), [11.0, 0.0, 12.0, 0.0]);
    }

    #[test]
    fn objects_are_cells_or_pieces_of_classes() {
        let mut truth = Truth {
            cells: row(vec![7, 7, 0, 9]),
            classes: None,
            ignored: Some(row(vec![false, false, false, true])),
        };
        assert_eq!(truth.objects(), truth.cells);
        truth.classes = Some(row(vec![1, 2, 0, 2]));
        assert_eq!(truth.objects().data, [1, 2 | 1 << 24, 0, 3 | 1 << 24]);
        assert_eq!(truth.judged(row(vec![4, 4, 4, 4])).data, [4, 4, 4, 0]);
    }

    #[test]
    fn all_planes_are_sampled_at_the_same_places() {
        let truth = Truth {
            cells: row(vec![0, 7, 9]),
            classes: Some(row(vec![0, 1, 2])),
            ignored: Some(row(vec![true, false, false])),
        };
        let sampled = truth.sampled(&row(vec![[0.2, 1.6], [0.0, 0.4]]));
        assert_eq!(sampled.cells.data, [9, 0]);
        assert_eq!(sampled.classes.unwrap().data, [2, 0]);
        assert_eq!(sampled.ignored.unwrap().data, [false, true]);
    }
}
