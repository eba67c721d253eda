//! A convolution with transformed kernels.

use std::sync::atomic::{AtomicUsize, Ordering};

use pulp::x86::V3;

use super::output::Output;
use super::patches::{Arithmetic, Patches, Work};
use super::pieces::Pieces;
use super::product::OUTPUTS;
use super::scratch::ScratchPool;
use super::sums::Sixteen;
use super::transform::{KERNEL, PRODUCTS};
use super::vectors::{Eight, LANES};
use super::wide::Wide;
use super::{ConvolutionError, Shape, check};

/// A convolution with 3 x 3 kernels, strides of 1, and a ReLU if wanted: of floats or of 8-bit codes.
pub struct Convolution<A: Arithmetic> {
    pub(super) simd: V3,
    /// Only the products use vectors of 512 bits; the rest gains from having more registers.
    pub(super) wide: Option<Wide>,
    pub(super) shape: Shape,
    pub(super) arithmetic: A,
    /// The transformed kernels: \[groups of output channels, products, numbers of an input\] of sixteen output channels.
    pub(super) weights: Vec<Sixteen<A::Vector>>,
    /// The biases of each group of output channels.
    pub(super) biases: Vec<Sixteen<Eight>>,
}

impl<A: Arithmetic> Convolution<A> {
    /// Bytes of the transformed weights for so many input and output channels.
    pub fn weight_bytes([inputs, outputs]: [usize; 2]) -> usize {
        let rows = inputs
            .div_ceil(A::CHANNELS)
            .saturating_mul(LANES * PRODUCTS);
        let groups = outputs.div_ceil(OUTPUTS);
        rows.saturating_mul(groups)
            .saturating_mul(size_of::<Sixteen<A::Vector>>())
    }

    /// What it computes.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Vectors of input channels.
    pub(super) fn vectors(&self) -> usize {
        self.shape.inputs.div_ceil(A::CHANNELS)
    }

    /// Groups of output channels.
    pub(super) fn groups(&self) -> usize {
        self.shape.outputs.div_ceil(OUTPUTS)
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

    /// Computes `output` from `input`, both with as many pictures as there are, where an input has the `size` (rows,
    /// columns).
    ///
    /// `on_threads` is to call its argument on about so many `threads` at once, each of which works until all is done.
    ///
    /// # Errors
    /// If the input is smaller than a kernel, the slices have other lengths, or there is not enough memory.
    pub fn compute(
        &self,
        input: &[A::Value],
        size: (usize, usize),
        output: &mut [A::Value],
        (threads, scratches): (usize, &ScratchPool<A>),
        on_threads: impl FnOnce(&(dyn Fn() + Sync)),
    ) -> Result<(), ConvolutionError> {
        let output_size = self.output_size(size)?;
        let plane = size.0.saturating_mul(size.1);
        let per_picture = self.shape.inputs.saturating_mul(plane);
        let pictures = input.len() / per_picture;
        check("the input", input.len(), pictures * per_picture)?;
        let per_output = self.shape.outputs * output_size.0 * output_size.1;
        check("the output", output.len(), pictures * per_output)?;
        let pieces = Pieces::new(output_size, (self.shape.inputs, self.vectors()), threads);
        let all = pictures * pieces.len();
        let scratches = scratches.take(threads.min(all), &pieces, self.vectors())?;
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
                    let patches = Patches {
                        convolution: self,
                        input: &input[picture * per_picture..][..per_picture],
                        size,
                        output: &output,
                        first: picture * per_output,
                        output_size,
                        piece: pieces.get(number % pieces.len()),
                        scratch,
                    };
                    match self.wide {
                        Some(simd) => simd.vectorize(Work { simd, patches }),
                        None => self.simd.vectorize(Work {
                            simd: self.simd,
                            patches,
                        }),
                    }
                }
            });
        };
        on_threads(&work);
        // Whatever is left.
        work();
        Ok(())
    }
}
