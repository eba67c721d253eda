//! Winograd's convolution: 3 x 3 kernels with a quarter of the multiplications.
//!
//! Outputs are computed in patches of 4 x 4 from 6 x 6 inputs: both inputs and kernels are transformed into 36 numbers
//! each, whose products, summed over the input channels, are transformed into the 16 outputs. This is F(4 x 4, 3 x 3) of
//! Lavin and Gray (Fast Algorithms for Convolutional Neural Networks, CVPR 2016, section 4). Its rounding errors are
//! about ten times those of a direct sum, and depend on where in a patch an output is.
//!
//! It needs a processor with AVX2 and FMA.

mod output;
mod patches;
mod pieces;
mod product;
mod scratch;
mod transform;
mod vectors;

use std::collections::TryReserveError;
use std::sync::atomic::{AtomicUsize, Ordering};

use pulp::x86::V3;

use output::Output;
use patches::Patches;
use pieces::Pieces;
use product::{OUTPUTS, Sixteen};
pub use scratch::ScratchPool;
use scratch::reserved;
use transform::{KERNEL, PRODUCTS};
use vectors::{Eight, LANES};

/// How a convolution is to be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Pixels of zeros around the input: 0 or more.
    pub padding: usize,
    /// Whether outputs below 0 become 0.
    pub rectified: bool,
}

/// A convolution with 3 x 3 kernels, strides of 1, and a ReLU if wanted.
pub struct Convolution {
    simd: V3,
    shape: Shape,
    /// The transformed kernels: \[groups of output channels, products, input channels\] of sixteen output channels.
    weights: Vec<Sixteen>,
    /// The biases of each group of output channels.
    biases: Vec<Sixteen>,
}

/// Why a convolution can't be computed.
#[derive(Debug, thiserror::Error)]
pub enum ConvolutionError {
    /// There is not enough memory, in the words of ONNX Runtime.
    #[error("failed to allocate memory for a convolution: {0}")]
    Space(#[from] TryReserveError),
    /// A slice has the wrong length.
    #[error("{what} of a convolution has {found} values, but {expected} are needed")]
    Length {
        /// Which slice.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that it must have.
        expected: usize,
    },
    /// The input is smaller than a kernel.
    #[error("an input of {0} x {1} pixels is smaller than the kernels of a convolution")]
    Small(usize, usize),
}

/// Bytes of the transformed weights of a convolution with so many input and output channels.
pub fn transformed_bytes([inputs, outputs]: [usize; 2]) -> usize {
    let rows = inputs.next_multiple_of(LANES).saturating_mul(PRODUCTS);
    let groups = outputs.div_ceil(OUTPUTS);
    rows.saturating_mul(groups)
        .saturating_mul(size_of::<Sixteen>())
}

/// Whether this processor can compute [`Convolution`]s.
pub fn is_supported() -> bool {
    V3::try_new().is_some()
}

impl Convolution {
    /// Prepares `weights` \[outputs, inputs, 3, 3\] and `biases` \[outputs\], if there are any. `None` if the processor
    /// does not support it.
    ///
    /// # Errors
    /// If these have other lengths, or there is not enough memory: the transformed weights take about four times that
    /// of the weights.
    pub fn new(
        shape: Shape,
        weights: &[f32],
        biases: Option<&[f32]>,
    ) -> Result<Option<Self>, ConvolutionError> {
        let Some(simd) = V3::try_new() else {
            return Ok(None);
        };
        let Shape {
            inputs, outputs, ..
        } = shape;
        let kernels = inputs.saturating_mul(outputs);
        // One of no channels would have no sums.
        check(
            "the kernel",
            weights.len(),
            kernels.max(1).saturating_mul(9),
        )?;
        if let Some(biases) = biases {
            check("the bias", biases.len(), outputs)?;
        }
        let groups = outputs.div_ceil(OUTPUTS);
        let channels = inputs.next_multiple_of(LANES);
        let zero = [Eight::ZERO; 2];
        let mut transformed = reserved(groups * PRODUCTS * channels, zero)?;
        let mut added = reserved(groups, zero)?;
        let (kernels, _) = weights.as_chunks::<{ KERNEL * KERNEL }>();
        for output in 0..outputs {
            let (group, vector, lane) =
                (output / OUTPUTS, output % OUTPUTS / LANES, output % LANES);
            added[group][vector].0[lane] = biases.map_or(0.0, |biases| biases[output]);
            for input in 0..inputs {
                let values = transform::of_kernel(&kernels[output * inputs + input]);
                for (product, value) in values.into_iter().enumerate() {
                    let at = (group * PRODUCTS + product) * channels + input;
                    transformed[at][vector].0[lane] = value;
                }
            }
        }
        Ok(Some(Convolution {
            simd,
            shape,
            weights: transformed,
            biases: added,
        }))
    }

    /// What it computes.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Rows and columns of the output for an input of so many.
    ///
    /// # Errors
    /// If the input is empty or, with its padding, smaller than a kernel.
    pub fn output_size(
        &self,
        (rows, columns): (usize, usize),
    ) -> Result<(usize, usize), ConvolutionError> {
        let left = |length: usize| {
            let padded = length.saturating_add(2 * self.shape.padding);
            let left = padded
                .checked_sub(KERNEL - 1)
                .filter(|left| *left > 0 && length > 0);
            left.ok_or(ConvolutionError::Small(rows, columns))
        };
        Ok((left(rows)?, left(columns)?))
    }

    /// Computes `output` \[pictures, output channels, rows, columns\] from `input` \[pictures, input channels, rows,
    /// columns\], where an input has the `size` (rows, columns).
    ///
    /// `on_threads` is to call its argument on about so many `threads` at once, each of which works until all is done.
    ///
    /// # Errors
    /// If the input is smaller than a kernel, the slices have other lengths, or there is not enough memory.
    pub fn compute(
        &self,
        input: &[f32],
        size: (usize, usize),
        output: &mut [f32],
        (threads, scratches): (usize, &ScratchPool),
        on_threads: impl FnOnce(&(dyn Fn() + Sync)),
    ) -> Result<(), ConvolutionError> {
        let left = self.output_size(size)?;
        let plane = size.0.saturating_mul(size.1);
        let per_picture = self.shape.inputs.saturating_mul(plane);
        let pictures = input.len() / per_picture;
        check("the input", input.len(), pictures * per_picture)?;
        let expected = pictures * self.shape.outputs * left.0 * left.1;
        check("the output", output.len(), expected)?;
        let pieces = Pieces::new(left, self.shape.inputs, threads);
        let all = pictures * pieces.len();
        let scratches = scratches.take(threads.min(all), &pieces, self.shape.inputs)?;
        let output = Output::new(output);
        let next = AtomicUsize::new(0);
        let work = || {
            scratches.with(|scratch| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= all {
                        break;
                    }
                    let picture = number / pieces.len();
                    // Each number is given out once, and pieces don't overlap: no other thread writes these outputs.
                    self.simd.vectorize(Patches {
                        convolution: self,
                        input: &input[picture * per_picture..][..per_picture],
                        size,
                        output: &output,
                        first: picture * self.shape.outputs * left.0 * left.1,
                        output_size: left,
                        piece: pieces.get(number % pieces.len()),
                        scratch,
                    });
                }
            });
        };
        on_threads(&work);
        // Whatever is left.
        work();
        Ok(())
    }
}

/// An error unless `what` has the `expected` number of values.
fn check(what: &'static str, found: usize, expected: usize) -> Result<(), ConvolutionError> {
    if found == expected {
        return Ok(());
    }
    Err(ConvolutionError::Length {
        what,
        found,
        expected,
    })
}

#[cfg(test)]
mod tests;
