//! A 3x3 convolution with ReLU, whose gradient is fast on a CPU.
//!
//! burn takes the gradient of a convolution's weights by convolving its input with the gradient of
//! its output, as a kernel of the size of the picture, and unfolds what the other directions read. On
//! the CPU [`kernels`] do all three in place, and ReLU on the way.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Tensor, TensorData};

use super::kernels::{self, Sizes};

/// 3x3 convolution without padding, plus bias, then ReLU.
///
/// # Shapes
/// `input`: \[batch, inputs, height, width\], `weight`: \[outputs, inputs, 3, 3\], `bias`: \[outputs\];
/// result: \[batch, outputs, height - 2, width - 2\].
pub fn convolve(input: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::convolve3x3(
        input.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
    ))
}

/// The convolution as an operation of a burn backend. Another backend for training is named here.
#[backend_extension(Flex, Autodiff)]
pub trait Convolution: Backend {
    /// See [`convolve`].
    fn convolve3x3(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// The way back through the convolution.
pub trait ConvolutionGradient: Convolution {
    /// The gradients of input, weight and bias, each in the shape of what it belongs to, from the
    /// `gradient` of the `output`. That of the input is left out unless it is asked for: nothing learns
    /// from the first layer's.
    fn convolve3x3_backward(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        output: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        of_input: bool,
    ) -> Gradient<FloatTensor<Self>>;
}

/// Gradients of a convolution.
pub struct Gradient<T> {
    /// Of the input, if it was asked for.
    pub input: Option<T>,
    /// Of the weights.
    pub weight: T,
    /// Of the biases.
    pub bias: T,
}

/// The numbers of a tensor in the order of its shape.
fn numbers(tensor: &FlexTensor) -> &[f32] {
    tensor
        .as_slice()
        .expect("it was made contiguous, and the networks here are of single precision")
}

fn tensor<const D: usize>(numbers: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(numbers, shape))
}

fn sizes(input: &FlexTensor, weight: &FlexTensor) -> Sizes {
    let [batch, inputs, height, width] = input.shape().dims();
    let [outputs, ..] = weight.shape().dims::<4>();
    Sizes {
        batch,
        inputs,
        outputs,
        height,
        width,
    }
}

impl Convolution for Flex {
    fn convolve3x3(input: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let [input, weight, bias] = [input, weight, bias].map(|tensor| tensor.to_contiguous());
        let sizes = sizes(&input, &weight);
        let output = kernels::forward(
            sizes,
            numbers(&input),
            numbers(&weight),
            numbers(&bias),
            0.0,
        );
        let shape = [
            sizes.batch,
            sizes.outputs,
            sizes.height - 2,
            sizes.width - 2,
        ];
        tensor(output, shape)
    }
}

impl ConvolutionGradient for Flex {
    fn convolve3x3_backward(
        input: FlexTensor,
        weight: FlexTensor,
        output: FlexTensor,
        gradient: FlexTensor,
        of_input: bool,
    ) -> Gradient<FlexTensor> {
        let [input, weight, output, gradient] =
            [input, weight, output, gradient].map(|tensor| tensor.to_contiguous());
        let sizes = sizes(&input, &weight);
        // What ReLU has cut off has no part in the result.
        let gradient: Vec<f32> = numbers(&gradient)
            .iter()
            .zip(numbers(&output))
            .map(|(gradient, output)| if *output > 0.0 { *gradient } else { 0.0 })
            .collect();
        let Sizes {
            batch,
            inputs,
            outputs,
            height,
            width,
        } = sizes;
        Gradient {
            input: of_input.then(|| {
                let of_input = kernels::input_gradient(sizes, &gradient, numbers(&weight));
                tensor(of_input, [batch, inputs, height, width])
            }),
            weight: tensor(
                kernels::weight_gradient(sizes, numbers(&input), &gradient),
                [outputs, inputs, 3, 3],
            ),
            bias: tensor(kernels::bias_gradient(sizes, &gradient), [outputs]),
        }
    }
}

impl<B: ConvolutionGradient, C: CheckpointStrategy> Convolution for Autodiff<B, C> {
    fn convolve3x3(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [input.node(), weight.node(), bias.node()];
        match Convolve3x3.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut tracked) => {
                let kept = [&input, &weight].map(|tensor| tracked.checkpoint(tensor));
                let output = B::convolve3x3(
                    input.into_primitive(),
                    weight.into_primitive(),
                    bias.into_primitive(),
                );
                tracked.finish((kept, output.clone()), output)
            }
            OpsKind::UnTracked(untracked) => untracked.finish(B::convolve3x3(
                input.into_primitive(),
                weight.into_primitive(),
                bias.into_primitive(),
            )),
        }
    }
}

/// The backward pass.
#[derive(Debug)]
struct Convolve3x3;

impl<B: ConvolutionGradient> Backward<B, 3> for Convolve3x3 {
    /// Where input and weight are kept, and the output.
    type State = ([NodeId; 2], FloatTensor<B>);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (kept, output) = ops.state;
        let [input, weight] =
            kept.map(|id| checkpointer.retrieve_node_output::<FloatTensor<B>>(id));
        let [input_node, weight_node, bias_node] = ops.parents;
        let found = B::convolve3x3_backward(input, weight, output, gradient, input_node.is_some());
        let of = [found.input, Some(found.weight), Some(found.bias)];
        for (node, gradient) in [input_node, weight_node, bias_node].into_iter().zip(of) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation::relu;
    use burn::tensor::module::conv2d;
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;

    /// Output, and gradients of input, weight and bias.
    fn results(
        convolution: impl Fn(Tensor<4>, Tensor<4>, Tensor<1>) -> Tensor<4>,
        shapes: ([usize; 4], usize),
    ) -> [Tensor<1>; 4] {
        let device = Device::flex().autodiff();
        device.seed(7);
        let (shape, outputs) = shapes;
        let normal = Distribution::Normal(0.0, 1.0);
        let x = Tensor::<4>::random(shape, normal, &device).require_grad();
        let w = Tensor::<4>::random([outputs, shape[1], 3, 3], normal, &device).require_grad();
        let b = Tensor::<1>::random([outputs], normal, &device).require_grad();
        let y = convolution(x.clone(), w.clone(), b.clone());
        // A different gradient for each pixel of the output.
        let factor = Tensor::<4>::random(y.dims(), normal, &device);
        let gradients = (y.clone() * factor).sum().backward();
        let of = |gradient: Option<Tensor<4>>| gradient.unwrap().reshape([-1]);
        [
            y.inner().reshape([-1]),
            of(x.grad(&gradients)),
            of(w.grad(&gradients)),
            b.grad(&gradients).unwrap(),
        ]
    }

    #[test]
    fn output_and_gradients_are_those_of_burn() {
        let valid = || ConvOptions::<2>::new([1, 1], [0, 0], [1, 1], 1);
        for shapes in [([1, 1, 3, 3], 1), ([2, 3, 9, 14], 4), ([1, 5, 20, 7], 2)] {
            let own = results(convolve, shapes);
            let burns = results(|x, w, b| relu(conv2d(x, w, Some(b), valid())), shapes);
            for (own, burns) in own.into_iter().zip(burns) {
                let tolerance = Tolerance::<f32>::absolute(1e-4);
                own.into_data()
                    .assert_approx_eq(&burns.into_data(), tolerance);
            }
        }
    }
}
