//! Whether the machine has the memory that images and a step take, before they are allocated.

use super::augment::TileSize;
use super::cpu::BLOCK;
use crate::unet::UNet;

/// The options that decide how much memory a step takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The network.
    pub unet: UNet,
    /// Least side of the tiles in pixels.
    pub tile: usize,
    /// Tiles per step.
    pub batch: usize,
}

/// A step takes more memory than there is.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "a step with --batch {}, --tile {}, --width {} and --depth {} takes about {:.0} MiB of memory, but only {:.0} MiB are available: lower one of these options",
    step.batch, step.tile, step.unet.width, step.unet.depth, needed / MIB, available / MIB
)]
pub struct TooLarge {
    step: Step,
    needed: f64,
    available: f64,
}

/// The images to learn from take more memory than there is.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "the images have {:.0} megapixels together, which take {:.0} MiB of memory besides their masks, but only {:.0} MiB are available: use fewer or smaller images, such as crops with many cells",
    pixels / 1e6, needed / MIB, available / MIB
)]
pub struct TooManyImages {
    pixels: f64,
    needed: f64,
    available: f64,
}

/// Refuses images of so many `pixels` and `channels` if what is kept of them needs more than the `available` bytes, if
/// these are known: their numbers, and a weight for each pixel.
pub fn check_images(
    pixels: usize,
    channels: usize,
    available: Option<f64>,
) -> Result<(), TooManyImages> {
    let pixels = pixels as f64;
    let needed = pixels * (channels + 1) as f64 * NUMBER;
    match available {
        Some(available) if needed > available => Err(TooManyImages {
            pixels,
            needed,
            available,
        }),
        _ => Ok(()),
    }
}

const MIB: f64 = (1_u64 << 20) as f64;

/// Numbers per weight when the network is written: with SGD, widths of 64 and 128 and small tiles, the process peaks at
/// 9.5 to 10 times its weights.
const COPIES_AT_MOST: f64 = 9.0;

/// Numbers per weight while gradients are computed: the weight, its gradient and one moment.
const COPIES_IN_A_STEP: f64 = 3.0;

/// Bytes of a number.
const NUMBER: f64 = size_of::<f32>() as f64;

impl Step {
    /// Refuses a step that needs more than the `available` bytes, if these are known.
    pub fn check(self, available: Option<f64>) -> Result<(), TooLarge> {
        let needed = self.bytes();
        match available {
            Some(available) if needed > available => Err(TooLarge {
                step: self,
                needed,
                available,
            }),
            _ => Ok(()),
        }
    }

    /// Bytes that a step takes on a CPU: the feature maps of all tiles and their gradients, and the weights with what
    /// is kept for each; or what writing the network takes, if that is more. What is small beside these is left out, so
    /// that nothing is refused that would fit.
    fn bytes(self) -> f64 {
        let weights = self.unet.parameters() as f64;
        let maps = 2.0 * self.batch as f64 * self.numbers_of_a_tile();
        NUMBER * (COPIES_AT_MOST * weights).max(COPIES_IN_A_STEP * weights + maps)
    }

    /// Numbers in the feature maps of a tile, layer by layer. The CPU keeps channels in blocks.
    fn numbers_of_a_tile(self) -> f64 {
        let UNet { depth, padded, .. } = self.unet;
        // What the two convolutions of a level take from a side.
        let [first, second] = if padded { [0, 0] } else { [2, 4] };
        let map = |channels: usize, side: usize| {
            channels.next_multiple_of(BLOCK) as f64 * (side as f64).powi(2)
        };
        let level = |level: usize, side: usize| {
            let channels = self.unet.width_at(level);
            map(channels, side - first) + map(channels, side - second)
        };
        let mut side = TileSize::legal(&self.unet.geometry(), self.tile).input;
        let mut numbers = map(self.unet.channels, side) + level(0, side);
        for below in 1..=depth {
            side = (side - second) / 2;
            numbers += map(self.unet.width_at(below - 1), side) + level(below, side);
        }
        for here in (0..depth).rev() {
            side -= second;
            // The result of the up-convolution is there twice: in four parts, and interleaved.
            numbers += 2.0 * map(self.unet.width_at(here), 2 * side);
            side *= 2;
            numbers += level(here, side);
        }
        numbers + map(self.unet.classes, side - second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Step = Step {
        unet: UNet {
            channels: 1,
            classes: 2,
            width: 16,
            depth: 1,
            padded: true,
        },
        tile: 4,
        batch: 3,
    };

    #[test]
    fn the_estimate_counts_all_feature_maps() {
        // In pixels of 16 numbers: the tile, two maps, the pooled one; two of 32 channels at the bottom; two of the
        // up-convolution, two maps, the scores.
        let padded = 16 + 2 * 16 + 4 + 2 * 2 * 4 + 2 * 16 + 2 * 16 + 16;
        let unpadded = 24 * 24 + 22 * 22 + 20 * 20 + 100 + 2 * (64 + 36) + 2 * 144 + 100 + 64 + 64;
        for (padding, tile, pixels) in [(true, 4, padded), (false, 24, unpadded)] {
            let unet = UNet {
                padded: padding,
                ..STEP.unet
            };
            let step = Step { unet, tile, ..STEP };
            assert_eq!(step.numbers_of_a_tile(), f64::from(16 * pixels));
        }
    }

    #[test]
    fn either_the_maps_or_the_weights_take_most() {
        let weights = STEP.unet.parameters() as f64;
        assert_eq!(STEP.bytes(), NUMBER * COPIES_AT_MOST * weights);
        let large = Step { tile: 512, ..STEP };
        let maps = 2.0 * 3.0 * large.numbers_of_a_tile();
        assert_eq!(large.bytes(), NUMBER * (COPIES_IN_A_STEP * weights + maps));
    }

    #[test]
    fn images_that_do_not_fit_are_refused() {
        let check = |pixels| check_images(pixels, 3, Some(MIB));
        assert_eq!(check(1 << 16), Ok(()));
        let error = check((1 << 16) + 1).unwrap_err().to_string();
        assert!(error.contains("but only 1 MiB are available"), "{error}");
        assert_eq!(check_images(1 << 40, 3, None), Ok(()));
    }

    #[test]
    fn a_step_that_does_not_fit_is_refused_with_its_options() {
        let bytes = STEP.bytes();
        assert_eq!(STEP.check(Some(bytes)), Ok(()));
        assert_eq!(STEP.check(None), Ok(()));
        let large = Step {
            tile: 2048,
            batch: 1024,
            ..STEP
        };
        let error = large.check(Some(65_536.0 * MIB)).unwrap_err().to_string();
        let expected = "a step with --batch 1024, --tile 2048, --width 16 and --depth 1 takes";
        assert!(error.starts_with(expected), "{error}");
    }
}
