//! Judging a network by images that it does not learn from.

use burn::tensor::{Device, Tensor, TensorData};

use super::components::components;
use super::dataset::Sample;
use super::metrics::{Scores, Tally};
use super::network::Network;
use super::plane::Plane;
use crate::tiling::mirror;

/// Scores of `network`, which must not be on an autodiff device, on `samples`. What it finds where
/// nobody has judged does not count.
pub fn validate(network: &Network, samples: &[Sample], device: &Device) -> Scores {
    let mut tally = Tally::default();
    for sample in samples {
        let mut mask = segment(network, &sample.image, device);
        if let Some(ignored) = &sample.truth.ignored {
            let pixels = mask.data.iter_mut().zip(&ignored.data);
            pixels.for_each(|(found, ignored)| *found &= !ignored);
        }
        tally.add(&sample.truth.cells, &components(&mask));
    }
    tally.scores()
}

/// Which pixels of a normalised image, a plane for each channel, are foreground: any class is likelier than the background. The
/// image is mirrored at its edges and goes through the network in one piece.
pub fn segment(network: &Network, image: &[Plane<f32>], device: &Device) -> Plane<bool> {
    let size = &image[0];
    let unet = network.unet();
    let geometry = unet.geometry();
    let margin = geometry.margin;
    // A network with steps of sizes has a legal size for everything.
    let (height, width) = geometry
        .legal(size.height + 2 * margin, size.width + 2 * margin)
        .expect("a U-Net takes any size that is large enough");
    let canvas: Vec<f32> = image
        .iter()
        .flat_map(|channel| mirrored(channel, height, width, margin))
        .collect();
    let input = TensorData::new(canvas, [1, unet.channels, height, width]);
    let scores = network.forward(Tensor::from_data(input, device));
    let (height, width) = (height - 2 * margin, width - 2 * margin);
    let scores: Vec<f32> = scores.into_data().iter().collect();
    let (background, others) = scores.split_at(height * width);
    let foreground = |row: usize, column: usize| {
        let at = row * width + column;
        let best = others.chunks_exact(height * width).map(|class| class[at]);
        best.fold(f32::NEG_INFINITY, f32::max) >= background[at]
    };
    Plane {
        height: size.height,
        width: size.width,
        data: (0..size.height)
            .flat_map(|row| (0..size.width).map(move |column| (row, column)))
            .map(|(row, column)| foreground(row, column))
            .collect(),
    }
}

/// A canvas of `height` x `width` pixels with the image at `margin` pixels from its upper left corner.
fn mirrored(image: &Plane<f32>, height: usize, width: usize, margin: usize) -> Vec<f32> {
    let columns: Vec<_> = (0..width)
        .map(|column| mirror(column as isize - margin as isize, image.width))
        .collect();
    (0..height)
        .map(|row| mirror(row as isize - margin as isize, image.height))
        .flat_map(|row| columns.iter().map(move |column| image.at(row, *column)))
        .collect()
}

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
                let mask = segment(&network, &image, &device);
                assert_eq!((mask.height, mask.width), (height, width));
                assert_eq!(mask.data.len(), height * width);
            }
        }
    }

    #[test]
    fn the_canvas_mirrors_without_repeating_the_edge() {
        let image = Plane {
            height: 2,
            width: 3,
            data: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        };
        let canvas = mirrored(&image, 4, 6, 1);
        let expected = [
            [5.0, 4.0, 5.0, 6.0, 5.0, 4.0],
            [2.0, 1.0, 2.0, 3.0, 2.0, 1.0],
            [5.0, 4.0, 5.0, 6.0, 5.0, 4.0],
            [2.0, 1.0, 2.0, 3.0, 2.0, 1.0],
        ];
        assert_eq!(canvas, expected.concat());
    }
}
