//! The network that learns: the layers of [`UNet`] as a burn module.

use burn::module::{Module, Param, ParamId};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::activation::relu;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};

use super::cpu::{Engine, InputBatch};
use crate::onnx::export::Parameters;
use crate::unet::{Layer, UNet};

/// The U-Net on a burn device.
#[derive(Module, Debug)]
pub struct Network {
    /// In the order of [`UNet::layers`], which is that of [`forward`](Network::forward).
    layers: Vec<LayerParameters>,
    pool: MaxPool2d,
    dropout: Dropout,
    #[module(skip)]
    unet: UNet,
}

/// The trainable parameters of a layer.
#[derive(Module, Debug)]
struct LayerParameters {
    /// In the shape of [`Layer::shape`].
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

impl Network {
    /// A network of shape `unet` with these weights and biases, in the order of [`UNet::layers`].
    ///
    /// `dropout` is the share of values that training drops at the end of the contracting path, in
    /// `0..1`.
    ///
    /// # Panics
    /// Where values are too few or too many for a layer.
    pub fn new(unet: UNet, values: &[Parameters], dropout: f64, device: &Device) -> Self {
        Network {
            layers: layers(&unet, values, device),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            dropout: DropoutConfig::new(dropout).init(),
            unet,
        }
    }

    /// The scores of each class before softmax, on any device. On a CPU an [`Engine`] is several times as
    /// fast, so training and validation use it there.
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

    /// The same network on `device` with other weights and biases.
    pub fn with_values(&self, values: &[Parameters], device: &Device) -> Self {
        Network {
            layers: layers(&self.unet, values, device),
            ..self.clone()
        }
    }

    /// The current weights and biases, in the order of [`UNet::layers`].
    pub fn values(&self) -> Vec<Parameters> {
        let values = |layer: &LayerParameters| Parameters {
            weight: floats(layer.weight.val()),
            bias: floats(layer.bias.val()),
        };
        self.layers.iter().map(values).collect()
    }

    /// The identities of weight and bias of each layer, by which gradients are found.
    #[cfg(test)]
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

/// Computes the scores of a network whose weights stay as they are.
pub enum Scorer {
    /// On the CPU, with these values.
    Cpu(Box<Engine>, Vec<Parameters>),
    /// On another device.
    Device(Box<Network>, Device),
}

impl Scorer {
    /// Of a network with these values, in the order of [`UNet::layers`].
    pub fn new(unet: UNet, values: Vec<Parameters>, device: &Device) -> Self {
        if *device == Device::flex() {
            Scorer::Cpu(Box::new(Engine::new(unet)), values)
        } else {
            let network = Network::new(unet, &values, 0.0, device);
            Scorer::Device(Box::new(network), device.clone())
        }
    }

    /// The scores \[batch, classes, height - 2 margin, width - 2 margin\] before softmax.
    pub fn scores(&mut self, pictures: InputBatch) -> Vec<f32> {
        match self {
            Scorer::Cpu(engine, values) => engine.scores(values, pictures),
            Scorer::Device(network, device) => {
                let InputBatch {
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

impl LayerParameters {
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

/// The layers of a network. An optimizer finds its state of a parameter by the parameter's id, so a layer has the same
/// ids in every process: burn's own are random, and no state of a checkpoint would be found again.
fn layers(unet: &UNet, values: &[Parameters], device: &Device) -> Vec<LayerParameters> {
    let layer = |((layer, values), index): ((Layer, &Parameters), u64)| LayerParameters {
        weight: parameter(2 * index, &values.weight, layer.shape(), device),
        bias: parameter(2 * index + 1, &values.bias, [layer.outputs], device),
    };
    let layers = unet.layers().into_iter().zip(values);
    layers.zip(0..).map(layer).collect()
}

fn parameter<const D: usize>(
    id: u64,
    values: &[f32],
    shape: [usize; D],
    device: &Device,
) -> Param<Tensor<D>> {
    let data = TensorData::new(values.to_vec(), shape);
    let mut parameter: Param<Tensor<D>> = Param::from_data(data, device);
    parameter.id = ParamId::from(id);
    parameter
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
    use crate::train::weights::initial;

    const SMALL: UNet = UNet {
        channels: 1,
        classes: 3,
        width: 2,
        depth: 2,
        padded: false,
    };

    fn network(unet: UNet) -> Network {
        let weights = initial(&unet, &mut StdRng::seed_from_u64(1));
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
    fn values_come_back() {
        let rng = &mut StdRng::seed_from_u64(2);
        let [values, others] = [(); 2].map(|()| initial(&SMALL, rng));
        let device = Device::flex();
        let network = Network::new(SMALL, &values, 0.5, &device);
        assert_eq!(network.values(), values);
        assert_eq!(network.with_values(&others, &device).values(), others);
    }

    #[test]
    fn an_up_convolution_is_burns_transposed_convolution() {
        let device = Device::flex();
        let normal = Random::Normal(0.0, 1.0);
        let layer = LayerParameters {
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
    fn dropout_is_for_training_only() {
        let weights = initial(&SMALL, &mut StdRng::seed_from_u64(4));
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
