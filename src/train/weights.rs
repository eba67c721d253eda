//! The parameters of a network as plain numbers: weights and biases in the order of [`UNet::layers`].

use std::collections::BTreeMap;

use rand::Rng;
use rand_distr::{Distribution, Normal};

use crate::onnx::export::Parameters;
use crate::unet::{Layer, LayerKind, UNet};

/// Initial values: Gaussian weights with standard deviation sqrt(2 / N), where N is the number of incoming nodes of
/// one neuron (section 3), which keeps the variance of the feature maps near 1; biases are zero.
pub fn initial(unet: &UNet, rng: &mut impl Rng) -> Vec<Parameters> {
    let mut draw = |layer: Layer| {
        let deviation = (2.0 / incoming(&layer) as f32).sqrt();
        let normal = Normal::new(0.0, deviation).expect("a layer has at least one incoming node");
        let count = layer.shape().iter().product();
        Parameters {
            weight: (0..count).map(|_| normal.sample(rng)).collect(),
            bias: vec![0.0; layer.outputs],
        }
    };
    unet.layers().into_iter().map(&mut draw).collect()
}

/// Nodes that feed one output node of `layer`.
fn incoming(layer: &Layer) -> usize {
    match layer.kind {
        LayerKind::Convolution => 9 * layer.inputs,
        // With a stride as large as the kernel each output pixel sees one input pixel.
        LayerKind::UpConvolution | LayerKind::Last => layer.inputs,
    }
}

/// The values by [`Layer::name`].
pub fn named(unet: &UNet, values: &[Parameters]) -> BTreeMap<String, Parameters> {
    let names = unet.layers().into_iter().map(|layer| layer.name);
    names.zip(values.iter().cloned()).collect()
}

/// Whether all values are finite.
pub fn are_finite(values: &[Parameters]) -> bool {
    numbers(values).all(|number| number.is_finite())
}

/// The values in the format of files: layer after layer, four bytes a number, little-endian.
pub fn bytes(values: &[Parameters]) -> Vec<u8> {
    numbers(values).flat_map(|x| x.to_le_bytes()).collect()
}

/// Reads the values of a network of this shape from `bytes`; `None` if they belong to another shape.
pub fn from_bytes(unet: &UNet, bytes: &[u8]) -> Option<Vec<Parameters>> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    let mut numbers = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
    let mut take = |count| {
        let taken: Vec<f32> = numbers.by_ref().take(count).collect();
        (taken.len() == count).then_some(taken)
    };
    let values = unet.layers().into_iter().map(|layer| {
        Some(Parameters {
            weight: take(layer.shape().iter().product())?,
            bias: take(layer.outputs)?,
        })
    });
    let values = values.collect::<Option<_>>()?;
    (rest.is_empty() && numbers.next().is_none()).then_some(values)
}

fn numbers(values: &[Parameters]) -> impl Iterator<Item = f32> {
    let layers = values.iter();
    layers.flat_map(|layer| layer.weight.iter().chain(&layer.bias).copied())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const UNET: UNet = UNet {
        channels: 1,
        classes: 3,
        width: 16,
        depth: 3,
        padded: false,
    };

    #[test]
    fn values_survive_a_round_trip() {
        let values = initial(&UNET, &mut StdRng::seed_from_u64(2));
        let bytes = bytes(&values);
        assert_eq!(from_bytes(&UNET, &bytes), Some(values));
        assert_eq!(from_bytes(&UNET, &bytes[1..]), None);
        assert_eq!(from_bytes(&UNET, &bytes[4..]), None);
        let wider = UNet { classes: 2, ..UNET };
        assert_eq!(from_bytes(&wider, &bytes), None);
    }

    #[test]
    fn feature_maps_keep_their_variance_at_the_start() {
        let values = initial(&UNET, &mut StdRng::seed_from_u64(3));
        // 64 channels come in, 9 pixels each: 576 nodes (section 3).
        let layer = &named(&UNET, &values)["down2.conv2"];
        let squares = layer.weight.iter().map(|w| w * w).sum::<f32>();
        let variance = squares / layer.weight.len() as f32;
        assert!((variance * 576.0 / 2.0 - 1.0).abs() < 0.05, "{variance}");
        assert!(layer.bias.iter().all(|bias| *bias == 0.0));
    }
}
