//! Winograd's convolution: 3 x 3 kernels with a quarter of the multiplications.
//!
//! Outputs are computed in patches of 4 x 4 from 6 x 6 inputs: both inputs and kernels are transformed into 36 numbers
//! each, whose products, summed over the input channels, are transformed into the 16 outputs. This is F(4 x 4, 3 x 3) of
//! Lavin and Gray (Fast Algorithms for Convolutional Neural Networks, CVPR 2016, section 4). Its rounding errors are
//! five to ten times those of a direct sum, and depend on where in a patch an output is.
//!
//! Codes of 8 bits become integers of 16 bits, whose products are summed in 32: twice as many at once as floats.
//!
//! It needs a processor with AVX2 and FMA. One with AVX-512 and VNNI multiplies twice as many numbers at once, to the same
//! result in every bit.

mod codes;
mod convolution;
mod floats;
mod output;
mod patches;
mod pieces;
mod product;
mod scratch;
mod sums;
mod transform;
mod vectors;
mod wide;

use std::collections::TryReserveError;

use pulp::x86::V3;

pub use codes::{Codes, Coding, Kernels, MOST_INPUTS};
pub use convolution::Convolution;
pub use floats::Floats;
pub use patches::Arithmetic;
pub use scratch::ScratchPool;
use transform::KERNEL;

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

impl Shape {
    /// The number of weights.
    fn weights(self) -> usize {
        let kernels = self.inputs.saturating_mul(self.outputs);
        // One of no channels would have no sums.
        kernels.max(1).saturating_mul(KERNEL * KERNEL)
    }
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
    /// The sums of a convolution of codes could be beyond 32 bits.
    #[error(
        "a convolution has {0} input channels, but with 8 bits at most {MOST_INPUTS} are possible"
    )]
    Many(usize),
}

/// Whether this processor can compute [`Convolution`]s.
pub fn is_supported() -> bool {
    V3::try_new().is_some()
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
