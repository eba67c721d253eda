//! The network that learns: the layers of [`UNet`] as a burn module.

use std::collections::BTreeMap;

use burn::module::{Module, Param, ParamId};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::activation::relu;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_distr::{Distribution, Normal};

use super::cpu::{Engine, Pictures, Values};
use crate::onnx::export::Parameters;
use crate::unet::{Kind, Layer, UNet};

/// Weights and biases of every layer, by [`Layer::name`].
pub type Weights = BTreeMap<String, Parameters>;

/// The U-Net on a burn device.
#[derive(Module, Debug)]
pub struct Network {
    /// In the order of [`UNet::layers`], in which a picture meets them.
    layers: Vec<Learned>,
    pool: MaxPool2d,
    dropout: Dropout,
    #[module(skip)]
    unet: UNet,
}

/// What a layer learns.
#[derive(Module, Debug)]
struct Learned {
    /// In the shape of [`Layer::shape`].
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

impl Network {
    /// A network of shape `unet` with the given weights.
    ///
    /// `dropout` is the share of values that training drops at the end of the contracting path, in
    /// `0..1`.
    ///
    /// # Panics
    /// Where a layer has no entry in `weights`, or one of another size.
    pub fn new(unet: UNet, weights: &Weights, dropout: f64, device: &Device) -> Self {
        let learned = |layer: Layer| {
            let Parameters { weight, bias } = &weights[&layer.name];
            Learned {
                weight: parameter(weight, layer.shape(), device),
                bias: parameter(bias, [layer.outputs], device),
            }
        };
        Network {
            layers: unet.layers().into_iter().map(learned).collect(),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            dropout: DropoutConfig::new(dropout).init(),
            unet,
        }
    }

    /// The scores of each class before softmax, on any device. On a CPU an [`Engine`] is several times as
    /// fast; it is what learns and judges there.
    ///
    /// # Shapes
    /// `input`: \[batch, channels, height, width\], both sizes legal for the network;
    /// result: \[batch, classes, height - 2 margin, width - 2 margin\].
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let UNet { depth, padded, .. } = self.unet;
        // A U-Net of this depth has exactly as many layers as are taken below.
        let mut layers = self.layers.iter();
        let mut next = || layers.next().expect("a layer for every step");

        let mut x = input;
        let mut skipped = Vec::with_capacity(depth);
        for level in 0..depth {
            x = next().convolve(x, padded);
            x = next().convolve(x, padded);
            // "Drop-out layers at the end of the contracting path" (section 3.1): here and below.
            if level + 1 == depth {
                x = self.dropout.forward(x);
            }
            skipped.push(x.clone());
            x = self.pool.forward(x); // half the size
        }
        x = next().convolve(x, padded);
        x = next().convolve(x, padded);
        x = self.dropout.forward(x);
        for level in (0..depth).rev() {
            x = next().up_convolve(x); // twice the size, half the channels
            let skip = crop(skipped.swap_remove(level), self.unet.crop(level));
            x = Tensor::cat(vec![skip, x], 1);
            x = next().convolve(x, padded); // half the channels
            x = next().convolve(x, padded);
        }
        next().classify(x)
    }

    /// The weights as they are now.
    pub fn weights(&self) -> Weights {
        let names = self.unet.layers().into_iter().map(|layer| layer.name);
        names.zip(self.values()).collect()
    }

    /// What computes scores outside of learning.
    pub fn scorer(&self) -> Scorer {
        match self.is_on_cpu() {
            true => Scorer::Cpu(Engine::new(self.unet), self.values()),
            false => Scorer::Device(Box::new(self.valid()), self.device()),
        }
    }

    /// The device that the network is on, for use, not for teaching.
    pub fn device(&self) -> Device {
        self.layers[0].weight.val().device().inner()
    }

    /// Whether that is a CPU, for which an [`Engine`] is there.
    pub fn is_on_cpu(&self) -> bool {
        self.device() == Device::flex()
    }

    /// Weights and biases as they are now, in the order of [`UNet::layers`].
    pub fn values(&self) -> Vec<Parameters> {
        let values = |layer: &Learned| Parameters {
            weight: floats(layer.weight.val()),
            bias: floats(layer.bias.val()),
        };
        self.layers.iter().map(values).collect()
    }

    /// The identities of weight and bias of each layer, in the order of [`UNet::layers`].
    pub fn parameter_ids(&self) -> impl Iterator<Item = [ParamId; 2]> {
        self.layers
            .iter()
            .map(|layer| [layer.weight.id, layer.bias.id])
    }

    /// Shape of the network.
    pub fn unet(&self) -> UNet {
        self.unet
    }
}

/// Computes the scores of a network that does not learn meanwhile.
pub enum Scorer {
    /// On the CPU, with these values.
    Cpu(Engine, Vec<Parameters>),
    /// On another device.
    Device(Box<Network>, Device),
}

impl Scorer {
    /// The scores \[batch, classes, height - 2 margin, width - 2 margin\] before softmax.
    pub fn scores(&mut self, pictures: Pictures) -> Vec<f32> {
        match self {
            Scorer::Cpu(engine, values) => engine.scores(&slices(values), pictures),
            Scorer::Device(network, device) => {
                let Pictures {
                    numbers,
                    batch,
                    size: (height, width),
                } = pictures;
                let shape = [batch, network.unet.channels, height, width];
                let data = TensorData::new(numbers.to_vec(), shape);
                floats(network.forward(Tensor::from_data(data, &*device)))
            }
        }
    }
}

/// Values as an [`Engine`] takes them.
pub fn slices(values: &[Parameters]) -> Vec<Values<'_>> {
    let slices = values
        .iter()
        .map(|Parameters { weight, bias }| Values { weight, bias });
    slices.collect()
}

impl Learned {
    /// 3x3 convolution and ReLU.
    fn convolve(&self, x: Tensor<4>, padded: bool) -> Tensor<4> {
        let padding = usize::from(padded);
        let options = ConvOptions::new([1, 1], [padding, padding], [1, 1], 1);
        let (weight, bias) = (self.weight.val(), self.bias.val());
        relu(conv2d(x, weight, Some(bias), options))
    }

    /// 2x2 up-convolution with stride 2.
    ///
    /// Each input pixel becomes a square of 2x2 pixels that nothing else adds to, so the layer is
    /// one matrix product and a sorting of its rows; burn's transposed convolution is slower.
    fn up_convolve(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, inputs, height, width] = x.dims();
        let weight = self.weight.val(); // [inputs, outputs, 2, 2]
        let outputs = weight.dims()[1];
        let weight = weight.reshape([1, inputs, outputs * 4]).swap_dims(1, 2);
        weight
            .matmul(x.reshape([batch, inputs, height * width]))
            .reshape([batch, outputs, 2, 2, height, width])
            .permute([0, 1, 4, 2, 5, 3])
            .reshape([batch, outputs, 2 * height, 2 * width])
            + self.bias.val().reshape([1, outputs, 1, 1])
    }

    /// The 1x1 convolution to the classes.
    fn classify(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, inputs, height, width] = x.dims();
        let weight = self.weight.val(); // [classes, inputs, 1, 1]
        let classes = weight.dims()[0];
        weight
            .reshape([1, classes, inputs])
            .matmul(x.reshape([batch, inputs, height * width]))
            .reshape([batch, classes, height, width])
            + self.bias.val().reshape([1, classes, 1, 1])
    }
}

/// Initial weights: Gaussian with standard deviation sqrt(2 / N), N the incoming nodes of one neuron
/// (section 3), which keeps the variance of the feature maps near 1; biases are zero.
pub fn initial_weights(unet: &UNet, rng: &mut impl Rng) -> Weights {
    let draw = |layer: Layer| {
        let deviation = (2.0 / incoming(&layer) as f32).sqrt();
        let normal = Normal::new(0.0, deviation).expect("a layer has at least one incoming node");
        let count = layer.shape().iter().product();
        let parameters = Parameters {
            weight: (0..count).map(|_| normal.sample(rng)).collect(),
            bias: vec![0.0; layer.outputs],
        };
        (layer.name, parameters)
    };
    unet.layers().into_iter().map(draw).collect()
}

/// Nodes that feed one output node of `layer`.
fn incoming(layer: &Layer) -> usize {
    match layer.kind {
        Kind::Convolution => 9 * layer.inputs,
        // With a stride as large as the kernel each output pixel sees one input pixel.
        Kind::UpConvolution | Kind::Last => layer.inputs,
    }
}

fn parameter<const D: usize>(
    values: &[f32],
    shape: [usize; D],
    device: &Device,
) -> Param<Tensor<D>> {
    Param::from_data(TensorData::new(values.to_vec(), shape), device)
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.into_data();
    data.try_into_vec()
        .expect("networks are of single precision")
}

/// Cuts `border` pixels off each side ("copy and crop").
fn crop(x: Tensor<4>, border: usize) -> Tensor<4> {
    if border == 0 {
        return x;
    }
    let [batch, channels, height, width] = x.dims();
    x.slice([
        0..batch,
        0..channels,
        border..height - border,
        border..width - border,
    ])
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution as Random;
    use burn::tensor::Tolerance;
    use burn::tensor::module::conv_transpose2d;
    use burn::tensor::ops::ConvTransposeOptions;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const SMALL: UNet = UNet {
        channels: 1,
        classes: 3,
        width: 2,
        depth: 2,
        padded: false,
    };

    fn network(unet: UNet) -> Network {
        let weights = initial_weights(&unet, &mut StdRng::seed_from_u64(1));
        Network::new(unet, &weights, 0.5, &Device::flex())
    }

    #[test]
    fn the_output_has_the_size_that_the_geometry_says() {
        for padded in [false, true] {
            let unet = UNet { padded, ..SMALL };
            let geometry = unet.geometry();
            let (height, width) = geometry.legal(60, 90).unwrap();
            let input = Tensor::zeros([2, 1, height, width], &Device::flex());
            let margins = 2 * geometry.margin;
            let expected = [2, 3, height - margins, width - margins];
            assert_eq!(network(unet).forward(input).dims(), expected);
        }
    }

    #[test]
    fn weights_come_back() {
        let weights = initial_weights(&SMALL, &mut StdRng::seed_from_u64(2));
        let network = Network::new(SMALL, &weights, 0.5, &Device::flex());
        assert_eq!(network.weights(), weights);
    }

    #[test]
    fn feature_maps_keep_their_variance_at_the_start() {
        let unet = UNet {
            width: 16,
            depth: 3,
            ..SMALL
        };
        let weights = initial_weights(&unet, &mut StdRng::seed_from_u64(3));
        // 64 channels come in, 9 pixels each: 576 nodes (section 3).
        let layer = &weights["down2.conv2"];
        let squares = layer.weight.iter().map(|w| w * w).sum::<f32>();
        let variance = squares / layer.weight.len() as f32;
        assert!((variance * 576.0 / 2.0 - 1.0).abs() < 0.05, "{variance}");
        assert!(layer.bias.iter().all(|bias| *bias == 0.0));
    }

    #[test]
    fn an_up_convolution_is_burns_transposed_convolution() {
        let device = Device::flex();
        let normal = Random::Normal(0.0, 1.0);
        let layer = Learned {
            weight: Param::from_tensor(Tensor::random([6, 4, 2, 2], normal, &device)),
            bias: Param::from_tensor(Tensor::random([4], normal, &device)),
        };
        let x = Tensor::<4>::random([2, 6, 5, 7], normal, &device);
        let options = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
        let (weight, bias) = (layer.weight.val(), layer.bias.val());
        let expected = conv_transpose2d(x.clone(), weight, Some(bias), options);
        let tolerance = Tolerance::<f32>::absolute(1e-5);
        let found = layer.up_convolve(x).into_data();
        found.assert_approx_eq(&expected.into_data(), tolerance);
    }

    #[test]
    fn dropout_is_for_learning_only() {
        let weights = initial_weights(&SMALL, &mut StdRng::seed_from_u64(4));
        let learning = Network::new(SMALL, &weights, 0.5, &Device::flex().autodiff());
        let image = |device: &Device| Tensor::<4>::ones([1, 1, 60, 60], device);
        let learn = || {
            learning
                .forward(image(&Device::flex().autodiff()))
                .into_data()
        };
        assert_ne!(learn(), learn());
        let valid = learning.valid();
        let judge = || valid.forward(image(&Device::flex())).into_data();
        assert_eq!(judge(), judge());
    }
}
