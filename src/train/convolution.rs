//! A 3x3 convolution whose gradient is fast on a CPU.
//!
//! burn takes the gradient of a convolution's weights by convolving its input with the gradient of
//! its output, as a kernel of the size of the picture: at 16 -> 16 channels and 250x250 pixels that
//! takes 17 times as long as the convolution. The same sums are nine matrix products, one for
//! each position of the kernel, and need no copy of the input: with the picture's rows laid end to
//! end, moving the kernel by one pixel is starting to read one number later. This makes a training
//! step of the whole network about four times as fast.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::{ConvOptions, ModuleOps};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Shape, Slice, Tensor};

/// 3x3 convolution without padding, plus bias.
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

impl Convolution for Flex {
    fn convolve3x3(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::conv2d(input, weight, Some(bias), valid())
    }
}

impl<B: Convolution, C: CheckpointStrategy> Convolution for Autodiff<B, C> {
    fn convolve3x3(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [input.node(), weight.node(), bias.node()];
        match Convolve3x3.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut tracked) => {
                let state = [&input, &weight, &bias].map(|tensor| tracked.checkpoint(tensor));
                let output = B::convolve3x3(
                    input.into_primitive(),
                    weight.into_primitive(),
                    bias.into_primitive(),
                );
                tracked.finish(state, output)
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

impl<B: Convolution> Backward<B, 3> for Convolve3x3 {
    /// Where input, weight and bias are kept.
    type State = [NodeId; 3];

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [input, weight, bias] = ops
            .state
            .map(|id| checkpointer.retrieve_node_output::<FloatTensor<B>>(id));
        let [input_node, weight_node, bias_node] = ops.parents;
        if let Some(node) = weight_node {
            let of_weight = weight_gradient::<B>(input.clone(), gradient.clone());
            gradients.register::<B>(node.id, of_weight);
        }
        if let Some(node) = bias_node {
            let of_bias = B::conv2d_bias_backward(input.clone(), bias, gradient.clone());
            gradients.register::<B>(node.id, of_bias);
        }
        if let Some(node) = input_node {
            let of_input = B::conv2d_x_backward(input, weight, gradient, valid());
            gradients.register::<B>(node.id, of_input);
        }
    }
}

/// The gradient of the weights \[outputs, inputs, 3, 3\] from `input` \[batch, inputs, height, width\] and
/// the gradient of the output \[batch, outputs, height - 2, width - 2\].
fn weight_gradient<B: Backend>(input: FloatTensor<B>, gradient: FloatTensor<B>) -> FloatTensor<B> {
    let [batch, inputs, height, width] = input.shape().dims();
    let [_, outputs, rows, columns] = gradient.shape().dims();
    // Two zeros at the end of each row make the gradient as wide as the input, so that both can be
    // read as one long row in step. The zeros after the last row would reach past the input.
    let length = rows * width - (width - columns);
    let gradient = flat::<B>(widen::<B>(gradient, width), [batch, outputs, rows * width]);
    let gradient = part::<B>(gradient, 0, length);
    let input = flat::<B>(input, [batch, inputs, height * width]);
    let positions = (0..9)
        .map(|position| {
            let start = position / 3 * width + position % 3;
            let seen = B::float_swap_dims(part::<B>(input.clone(), start, length), 1, 2);
            let product = B::float_matmul(gradient.clone(), seen); // [batch, outputs, inputs]
            let sum = B::float_sum_dim(product, 0);
            B::float_reshape(sum, Shape::new([outputs, inputs, 1]))
        })
        .collect();
    B::float_reshape(
        B::float_cat(positions, 2),
        Shape::new([outputs, inputs, 3, 3]),
    )
}

/// `tensor` \[batch, channels, rows, columns\] with zeros appended to each row.
fn widen<B: Backend>(tensor: FloatTensor<B>, width: usize) -> FloatTensor<B> {
    let [batch, channels, rows, columns] = tensor.shape().dims();
    let zeros = B::float_zeros(
        Shape::new([batch, channels, rows, width - columns]),
        &tensor.device(),
        tensor.dtype().into(),
    );
    B::float_cat(vec![tensor, zeros], 3)
}

fn flat<B: Backend>(tensor: FloatTensor<B>, shape: [usize; 3]) -> FloatTensor<B> {
    B::float_reshape(tensor, Shape::new(shape))
}

/// `length` numbers of every row of a tensor \[batch, channels, numbers\], from `start`.
fn part<B: Backend>(tensor: FloatTensor<B>, start: usize, length: usize) -> FloatTensor<B> {
    let [batch, channels, _] = tensor.shape().dims();
    let slices = [0..batch, 0..channels, start..start + length].map(Slice::from);
    B::float_slice(tensor, &slices)
}

fn valid() -> ConvOptions<2> {
    ConvOptions::new([1, 1], [0, 0], [1, 1], 1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::module::conv2d;
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
        for shapes in [([1, 1, 3, 3], 1), ([2, 3, 9, 14], 4), ([1, 5, 20, 7], 2)] {
            let own = results(convolve, shapes);
            let burns = results(|x, w, b| conv2d(x, w, Some(b), valid()), shapes);
            for (own, burns) in own.into_iter().zip(burns) {
                let tolerance = Tolerance::<f32>::absolute(1e-4);
                own.into_data()
                    .assert_approx_eq(&burns.into_data(), tolerance);
            }
        }
    }
}
