//! Prepares samples for cutting tiles: everything that is computed once for each image.

use super::augment::Example;
use super::dataset::Sample;
use super::settings::ClassWeights;
use super::weight_map::{PixelWeights, WeightMap, balanced, separated};

/// Relative weights of pixels in the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weighting {
    /// Number of classes, including the background.
    pub classes: usize,
    /// Relative weights of classes.
    pub class_weights: ClassWeights,
    /// Additional weights of narrow gaps.
    pub weight_map: WeightMap,
}

/// Computes the weights of all samples.
///
/// # Panics
/// Where a sample has a class beyond those of `weighting`.
pub fn prepare(samples: Vec<Sample>, weighting: &Weighting) -> Vec<Example> {
    let class_weights = match weighting.class_weights {
        ClassWeights::None => vec![1.0; weighting.classes],
        ClassWeights::Balanced => balanced(&pixels(&samples, weighting.classes)),
    };
    let background = class_weights[0];
    let pixel_weights = PixelWeights {
        classes: class_weights,
        border_on_cells: weighting.weight_map.border_on_cells,
    };
    let example = |Sample { image, truth, .. }: Sample| Example {
        image,
        border: weighting
            .weight_map
            .additional_weights(&separated(&truth.cells), background),
        truth,
        pixel_weights: pixel_weights.clone(),
    };
    samples.into_iter().map(example).collect()
}

/// The number of pixels of each class that are not ignored.
fn pixels(samples: &[Sample], classes: usize) -> Vec<usize> {
    let mut pixels = vec![0; classes];
    for Sample { truth, .. } in samples {
        let ignored = truth.ignored.as_ref().map(|ignored| &ignored.data);
        for (at, class) in truth.classes().data.into_iter().enumerate() {
            if ignored.is_none_or(|ignored| !ignored[at]) {
                pixels[usize::from(class)] += 1;
            }
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::plane::Plane;
    use crate::train::target::Truth;

    #[test]
    fn balanced_classes_have_the_same_weight_in_all() {
        let row = |data: [u8; 8]| Plane {
            height: 1,
            width: 8,
            data: data.to_vec(),
        };
        let classes = row([0, 0, 0, 0, 1, 1, 2, 0]);
        let sample = Sample {
            name: "a".into(),
            sequence: String::new(),
            image: vec![classes.map(f32::from)],
            truth: Truth {
                cells: classes.map(|class| u32::from(class != 0)),
                ignored: Some(row([0, 0, 0, 0, 0, 0, 0, 1]).map(|ignored| ignored == 1)),
                classes: Some(classes),
            },
        };
        let weighting = Weighting {
            classes: 3,
            class_weights: ClassWeights::Balanced,
            weight_map: WeightMap {
                border: 0.0,
                ..WeightMap::default()
            },
        };
        let example = prepare(vec![sample], &weighting).remove(0);
        let [background, first, second] = example.pixel_weights.classes[..] else {
            panic!("{:?}", example.pixel_weights)
        };
        assert!((4.0 * background - 2.0 * first).abs() < 1e-6);
        assert!((2.0 * first - second).abs() < 1e-6);
        assert!((4.0 * background + 2.0 * first + second - 7.0).abs() < 1e-5);
    }
}
