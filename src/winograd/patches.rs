//! Computing one piece of an output.

use std::ops::Range;

use pulp::NullaryFnOnce;

use super::convolution::Convolution;
use super::output::Output;
use super::pieces::Piece;
use super::product::multiply;
use super::scratch::Scratch;
use super::sums::Sums;
use super::transform::PRODUCTS;
use super::vectors::{LANES, Vector};

/// What numbers pictures have, and how these are read, multiplied and written.
pub trait Arithmetic: Sized + Send + Sync {
    /// A number of a picture.
    type Value: Copy + Send + Sync;
    /// Numbers of a transformed input, of kernels, or sums.
    type Vector: Vector;
    /// What rows of a picture are kept in meanwhile.
    type Pixel: Copy + Default + Send;

    /// Input channels of a vector.
    const CHANNELS: usize;

    /// How many pixels the rows of a row of patches take: those that are read, and those that are written. There are so
    /// many patches, with so many vectors of input channels.
    fn pixels(across: usize, vectors: usize) -> [usize; 2];

    /// Transforms the inputs of a `row` of patches.
    fn read(patches: &mut Patches<'_, Self>, row: usize);

    /// Transforms the sums of a `row` of patches into outputs, of a `group` of channels.
    fn write(patches: &mut Patches<'_, Self>, row: usize, group: usize);
}

/// The work on one [`Piece`] of a picture.
pub struct Patches<'a, A: Arithmetic> {
    /// What is computed.
    pub convolution: &'a Convolution<A>,
    /// The picture.
    pub input: &'a [A::Value],
    /// Its rows and columns.
    pub size: (usize, usize),
    /// The output of all pictures.
    pub output: &'a Output<'a, A::Value>,
    /// Where in it the output of this picture begins.
    pub first: usize,
    /// Rows and columns of the output.
    pub output_size: (usize, usize),
    /// Which patches are computed. No other thread may compute them at the same time.
    pub piece: Piece,
    /// Memory for intermediate results.
    pub scratch: &'a mut Scratch<A>,
}

/// The computation of patches, to be compiled for the instructions of `S`.
pub struct Work<'a, A: Arithmetic, S> {
    /// The instructions.
    pub simd: S,
    /// What is computed.
    pub patches: Patches<'a, A>,
}

impl<S: Copy, A: Arithmetic<Vector: Sums<S>>> NullaryFnOnce for Work<'_, A, S> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Work { simd, mut patches } = self;
        let rows = patches.piece.rows.len();
        for row in 0..rows {
            A::read(&mut patches, row);
        }
        for group in 0..patches.convolution.groups() {
            patches.multiply(simd, group);
            for row in 0..rows {
                A::write(&mut patches, row, group);
            }
        }
    }
}

impl<A: Arithmetic> Patches<'_, A> {
    /// How many there are.
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.piece.rows.len() * self.piece.columns.len()
    }

    /// Which of `width` columns from `left` on, in those of the padded picture, are no padding.
    #[inline(always)]
    pub fn inside(&self, left: usize, width: usize) -> Range<usize> {
        let padding = self.convolution.shape.padding;
        let begin = padding.saturating_sub(left).min(width);
        let end = (self.size.1 + padding).saturating_sub(left);
        begin..end.clamp(begin, width)
    }

    /// Sums the products of all patches for a `group` of output channels.
    #[inline(always)]
    fn multiply<S: Copy>(&mut self, simd: S, group: usize)
    where
        A::Vector: Sums<S>,
    {
        let patches = self.count();
        let vectors = self.convolution.vectors();
        let Scratch {
            inputs,
            input_step,
            sums,
            sum_step,
            ..
        } = &mut *self.scratch;
        let length = vectors * LANES;
        let weights = &self.convolution.weights[group * PRODUCTS * length..];
        for product in 0..PRODUCTS {
            let inputs = &inputs[product * *input_step..][..patches * vectors];
            let weights = &weights[product * length..][..length];
            let sums = &mut sums[product * *sum_step..][..patches];
            multiply(simd, inputs, weights, sums);
        }
    }
}
