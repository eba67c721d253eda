//! What the network should answer at each pixel, and how much it weighs.

use std::collections::BTreeMap;

use super::augment::interpolate::nearest;
use super::components::{by_class, objects, small_numbers, without_classes};
use super::plane::Plane;
use super::weight_map::{separated, weight_of};

/// The truth about a picture or a tile. All planes have one size.
#[derive(Clone, Debug)]
pub struct Truth {
    /// The cells: one number for each, 0 elsewhere. They may touch.
    pub cells: Plane<u32>,
    /// The class of each pixel, if that is more than whether it belongs to a cell.
    pub classes: Option<Plane<u8>>,
    /// The pixels that nobody has judged, where there are any.
    pub ignored: Option<Plane<bool>>,
}

impl Truth {
    /// Whether there is a cell.
    pub fn shows_cells(&self) -> bool {
        self.cells.data.iter().any(|cell| *cell != 0)
    }

    /// How many pixels nobody has judged.
    pub fn ignored_pixels(&self) -> usize {
        let ignored = self.ignored.iter().flat_map(|ignored| &ignored.data);
        ignored.filter(|ignored| **ignored).count()
    }

    /// The class of each pixel. Cells that touch get a gap of background one pixel wide, unless classes
    /// are painted: where these meet there is no background.
    pub fn classes(&self) -> Plane<u8> {
        match &self.classes {
            Some(classes) => classes.clone(),
            None => separated(&self.cells).map(|cell| u8::from(cell != 0)),
        }
    }

    /// The objects that a perfect mask shows: one number for each, 0 elsewhere. Where classes are
    /// painted these are the connected components of each class, by [class](by_class), else the cells.
    pub fn objects(&self) -> Plane<u32> {
        match &self.classes {
            Some(classes) => by_class(objects(classes, 0), classes),
            None => small_numbers(self.cells.clone()),
        }
    }

    /// What is left of `found` objects where somebody has judged. Their classes are left out where nobody has told any.
    ///
    /// Of an object that lies on ignored pixels for the most part nothing is left, unless it is a cell that it
    /// shows beside these: its rim is no object of its own.
    pub fn judged(&self, mut found: Plane<u32>) -> Plane<u32> {
        if self.classes.is_none() {
            without_classes(&mut found);
        }
        let Some(ignored) = &self.ignored else {
            return found;
        };
        let mut counts = BTreeMap::<u32, Judged>::new();
        let pixels = found.data.iter().zip(&ignored.data).zip(&self.cells.data);
        for ((object, ignored), cell) in pixels {
            let counts = counts.entry(*object).or_default();
            match (ignored, cell) {
                (true, _) => counts.ignored += 1,
                (false, 0) => counts.on_background += 1,
                (false, _) => counts.on_cells += 1,
            }
        }
        let is_rim = |object: &u32| counts.get(object).is_some_and(Judged::is_rim);
        for (object, ignored) in found.data.iter_mut().zip(&ignored.data) {
            if *ignored || is_rim(object) {
                *object = 0;
            }
        }
        found
    }

    /// The weight of each pixel, of which `classes` are the classes, `border` is the
    /// [term of the background](super::weight_map::WeightMap::background_term) and `class_weights` holds
    /// w_c of each class; 0 where nobody has judged.
    pub fn weights(
        &self,
        classes: &Plane<u8>,
        border: &Plane<f32>,
        class_weights: &[f32],
    ) -> Plane<f32> {
        let pixels = classes.data.iter().zip(&border.data);
        let mut weights = Plane {
            height: classes.height,
            width: classes.width,
            data: pixels
                .map(|(class, border)| weight_of(class_weights, *class, *border))
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

/// Where the pixels of an object lie.
#[derive(Clone, Copy, Default)]
struct Judged {
    ignored: usize,
    on_background: usize,
    on_cells: usize,
}

impl Judged {
    /// Whether what is left of it beside ignored pixels belongs to what these hide.
    fn is_rim(&self) -> bool {
        2 * self.on_background <= self.ignored && self.on_cells < self.on_background
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody has told of it that it is no cell.
    #[test]
    fn the_rim_of_what_is_ignored_is_no_object() {
        let truth = Truth {
            cells: row(vec![0, 0, 0, 0, 0, 0, 0, 0, 1, 1]),
            classes: None,
            ignored: Some(row([0, 1, 1, 1, 1, 0, 0, 1, 0, 0].map(|i| i == 1).to_vec())),
        };
        // Over an ignored cell and its rim; an invented one; a true one that touches an ignored pixel.
        let found = row(vec![1, 1, 1, 1, 1, 1, 3, 2, 2, 2]);
        assert_eq!(truth.judged(found).data, [0, 0, 0, 0, 0, 0, 3, 0, 2, 2]);
        // Run together with a true one it stays, as far as it is judged.
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
    fn what_nobody_has_judged_weighs_nothing() {
        let truth = Truth {
            cells: row(vec![0, 0, 1, 2]),
            classes: Some(row(vec![0, 0, 1, 2])),
            ignored: Some(row(vec![false, true, false, true])),
        };
        let border = row(vec![10.0; 4]);
        let weights = truth.weights(&truth.classes(), &border, &[1.0, 2.0, 3.0]);
        // The border term is for background alone.
        assert_eq!(weights.data, [11.0, 0.0, 2.0, 0.0]);
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
