//! Validates a network on images that it does not learn from, as the element would use it: the same tiles, the same
//! mirrored borders, the same decision, the same objects.

use serde::{Deserialize, Serialize};

use super::components::{grown_from_cores, objects, with_classes};
use super::cpu::{BLOCK, InputBatch};
use super::dataset::Sample;
use super::limits::{Limits, Tuned, tune};
use super::metrics::{Measure, Scores, Tally};
use super::network::Scorer;
use super::plane::Plane;
use super::target::Truth;
use crate::contract::Activation;
use crate::tiling::{Blend, Decision, Plan, PlanError, Size, Stitcher, TileSize};
use crate::unet::UNet;

/// The result of a validation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationResult {
    /// The limits with the best scores.
    pub limits: Limits,
    /// The scores with these.
    pub scores: Scores,
}

impl ValidationResult {
    /// The result of a network with these predictions, each with the truth, at the limits with the best scores: the
    /// confidence of a network changes while it learns, and so does its best threshold. Ignored pixels do not count.
    pub fn of(predictions: &[(Prediction, &Truth)], measure: Measure) -> Self {
        let Tuned { limits, .. } = tune(predictions, measure);
        let mut tally = Tally::new(measure);
        for (prediction, truth) in predictions {
            let judged = truth.judged(prediction.objects(limits));
            tally.add(&truth.objects(), &judged, truth.ignored_pixels());
        }
        let scores = tally.scores();
        ValidationResult { limits, scores }
    }
}

/// Validates a network of shape `unet` on `samples`.
pub fn validate(
    unet: &UNet,
    scorer: &mut Scorer,
    samples: &[Sample],
    measure: Measure,
) -> Result<ValidationResult, PlanError> {
    let mut predictions = Vec::with_capacity(samples.len());
    for Sample { image, truth, .. } in samples {
        predictions.push((segment(unet, scorer, image)?, truth));
    }
    Ok(ValidationResult::of(&predictions, measure))
}

/// The prediction of a network for an image.
#[derive(Clone, Debug)]
pub enum Prediction {
    /// For two classes: the probability that a pixel is foreground.
    Foreground(Plane<f32>),
    /// For more classes: the one with the largest score.
    Classes(Plane<u8>),
}

impl Prediction {
    /// The class of each pixel.
    pub fn mask(&self, threshold: f32) -> Plane<u8> {
        match self {
            Prediction::Foreground(probability) => probability.map(|p| u8::from(p > threshold)),
            Prediction::Classes(classes) => classes.clone(),
        }
    }

    /// The objects, one number for each and 0 elsewhere; of more than two classes by [class](with_classes).
    pub fn objects(&self, limits: Limits) -> Plane<u32> {
        let mask = self.mask(limits.threshold);
        let min_area = limits.min_area.unwrap_or_default();
        let grown = match (self, limits.core_threshold) {
            (Prediction::Foreground(probability), Some(core)) => {
                // A network that finds more objects than can be numbered is useless anyway.
                grown_from_cores(&mask, probability, (min_area, core)).ok()
            }
            _ => None,
        };
        grown.unwrap_or_else(|| with_classes(objects(&mask, min_area), &mask))
    }
}

/// Segments a normalised image, a plane for each channel.
pub fn segment(
    unet: &UNet,
    scorer: &mut Scorer,
    image: &[Plane<f32>],
) -> Result<Prediction, PlanError> {
    let (height, width) = (image[0].height, image[0].width);
    let tiles = TileSize::Planned {
        max_pixels: MEMORY / (BYTES_PER_CHANNEL * unet.width.max(BLOCK)),
    };
    let plan = Plan::new(Size { width, height }, &unet.geometry(), Blend::Crop, tiles)?;
    let decision = Decision::new(Activation::Softmax, unet.classes, 0.5);
    let mut stitcher = Stitcher::new(&plan, decision).expect("a plan that crops keeps no sums");
    let mut mask = Plane::filled(height, width, 0);
    let mut probability = Plane::filled(height, width, 0.0);
    stitcher.begin();
    for tile in plan.tiles() {
        let (top, left) = (tile.0.outer_start, tile.1.outer_start);
        let seen = image.iter();
        let seen = seen.flat_map(|channel| channel.mirrored(top, left, plan.outer));
        let seen: Vec<f32> = seen.collect();
        let scores = scorer.scores(InputBatch {
            numbers: &seen,
            batch: 1,
            size: (plan.outer.height, plan.outer.width),
        });
        let probability = Some(&mut probability.data[..]);
        stitcher.add(tile, (&scores, plan.output), &mut mask.data, probability);
    }
    stitcher.finish(&mut mask.data, Some(&mut probability.data));
    Ok(match unet.classes {
        2 => Prediction::Foreground(probability),
        _ => Prediction::Classes(mask),
    })
}

/// Most bytes for the maps of a tile.
const MEMORY: usize = 1 << 30;

/// Their bytes for each pixel and channel of the first level: six maps and a quarter in single precision, and all
/// levels below together as many again.
const BYTES_PER_CHANNEL: usize = 13 * 4;

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::train::weights::initial;

    #[test]
    fn a_mask_has_the_size_of_its_image() {
        for padded in [false, true] {
            let unet = UNet {
                channels: 1,
                classes: 2,
                width: 2,
                depth: 2,
                padded,
            };
            let values = initial(&unet, &mut StdRng::seed_from_u64(1));
            let mut scorer = Scorer::new(unet, values, &Device::flex());
            for (height, width) in [(1, 1), (3, 40), (33, 17)] {
                let image = [Plane::filled(height, width, 0.5)];
                let mask = segment(&unet, &mut scorer, &image).unwrap().mask(0.5);
                assert_eq!((mask.height, mask.width), (height, width));
                assert_eq!(mask.data.len(), height * width);
            }
        }
    }
}
