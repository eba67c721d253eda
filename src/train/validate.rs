//! Judging a network by images that it does not learn from, as the element would use it: the same
//! tiles, the same mirrored borders, the same decision, the same objects.

use burn::tensor::{Device, Tensor, TensorData};

use super::components::objects;
use super::dataset::Sample;
use super::metrics::{Measure, Scores, Tally};
use super::network::Network;
use super::plane::Plane;
use crate::contract::Activation;
use crate::tiling::{Blend, Decision, Plan, PlanError, Size, Stitcher, TileSize};

/// What decides which pixels are objects; see [`Contract`](crate::contract::Contract).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Probability above which a pixel is foreground, in `0..=1`.
    pub threshold: f32,
    /// Pixels of the smallest object that counts; `None` for all.
    pub min_area: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            threshold: 0.5,
            min_area: None,
        }
    }
}

/// Scores of `network`, which must not be on an autodiff device, on `samples`. What it finds where
/// nobody has judged does not count.
pub fn validate(
    network: &Network,
    samples: &[Sample],
    measure: Measure,
    limits: Limits,
    device: &Device,
) -> Result<Scores, PlanError> {
    let mut tally = Tally::new(measure);
    for Sample { image, truth, .. } in samples {
        let found = segment(network, image, limits.threshold, device)?;
        let objects = objects(&found.mask, limits.min_area.unwrap_or(0));
        tally.add(&truth.objects(), &truth.judged(objects));
    }
    Ok(tally.scores())
}

/// What a network finds in an image.
#[derive(Clone, Debug)]
pub struct Found {
    /// The class of each pixel.
    pub mask: Plane<u8>,
    /// The probability that a pixel is not background.
    pub probability: Plane<f32>,
}

/// Segments a normalised image, a plane for each channel. `threshold` is used where there are two
/// classes.
pub fn segment(
    network: &Network,
    image: &[Plane<f32>],
    threshold: f32,
    device: &Device,
) -> Result<Found, PlanError> {
    let unet = network.unet();
    let (height, width) = (image[0].height, image[0].width);
    let tiles = TileSize::Planned {
        max_pixels: MEMORY / (BYTES_PER_CHANNEL * unet.width),
    };
    let plan = Plan::new(Size { width, height }, &unet.geometry(), Blend::Crop, tiles)?;
    let decision = Decision::new(Activation::Softmax, unet.classes, threshold);
    let mut stitcher = Stitcher::new(&plan, decision);
    let mut mask = Plane::filled(height, width, 0);
    let mut probability = Plane::filled(height, width, 0.0);
    stitcher.begin();
    for tile in plan.tiles() {
        let (top, left) = (tile.0.outer_start, tile.1.outer_start);
        let seen = image.iter();
        let seen = seen.flat_map(|channel| channel.mirrored(top, left, plan.outer));
        let shape = [1, unet.channels, plan.outer.height, plan.outer.width];
        let input = TensorData::new(seen.collect(), shape);
        let scores = network.forward(Tensor::from_data(input, device));
        let scores: Vec<f32> = scores.into_data().iter().collect();
        let probability = Some(&mut probability.data[..]);
        stitcher.add(tile, &scores, &mut mask.data, probability);
    }
    stitcher.finish(&mut mask.data, Some(&mut probability.data));
    Ok(Found { mask, probability })
}

/// Bytes that the maps of one tile may take.
const MEMORY: usize = 1 << 30;

/// What they take for each pixel and channel of the first level: eight maps of that size in single
/// precision, those that are kept for the way up and those that are being computed.
const BYTES_PER_CHANNEL: usize = 8 * 4;

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::train::network::initial_weights;
    use crate::unet::UNet;

    #[test]
    fn a_mask_has_the_size_of_its_image() {
        let device = Device::flex();
        for padded in [false, true] {
            let unet = UNet {
                channels: 1,
                classes: 2,
                width: 2,
                depth: 2,
                padded,
            };
            let weights = initial_weights(&unet, &mut StdRng::seed_from_u64(1));
            let network = Network::new(unet, &weights, 0.0, &device);
            for (height, width) in [(1, 1), (3, 40), (33, 17)] {
                let image = [Plane::filled(height, width, 0.5)];
                let Found { mask, probability } = segment(&network, &image, 0.5, &device).unwrap();
                assert_eq!((mask.height, mask.width), (height, width));
                assert_eq!(mask.data.len(), height * width);
                assert_eq!(mask, probability.map(|p| u8::from(p > 0.5)));
            }
        }
    }
}
