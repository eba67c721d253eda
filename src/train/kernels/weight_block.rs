//! The weights of a block of channels by a row of the kernel: the gradient of the weights.

use pulp::{Simd, WithSimd};

use super::{BLOCK, CHUNK, Sizes};

/// The gradient of the weights of a block of output channels.
pub(super) struct WeightBlock<'a> {
    pub sizes: Sizes,
    pub input: &'a [f32],
    /// Widened to the input's width.
    pub gradient: &'a [f32],
    pub block: usize,
    /// \[channels of the block, inputs, 9\]
    pub result: &'a mut [f32],
}

impl WithSimd for WeightBlock<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Sizes {
            batch,
            inputs,
            outputs,
            width,
            ..
        } = self.sizes;
        let (plane, wide) = (self.sizes.plane(), (self.sizes.height - 2) * width);
        let channels = self.result.len() / (inputs * 9);
        // A block that is not full computes its last channel several times.
        let channel = |index: usize| self.block * BLOCK + index.min(channels - 1);
        for picture in 0..batch {
            let gradients: [&[f32]; BLOCK] = std::array::from_fn(|index| {
                &self.gradient[(picture * outputs + channel(index)) * wide..][..wide - 2]
            });
            for start in (0..wide - 2).step_by(CHUNK) {
                let end = (start + CHUNK).min(wide - 2);
                let gradients = gradients.map(|gradient| &gradient[start..end]);
                for input in 0..inputs {
                    let pixels = &self.input[(picture * inputs + input) * plane..][..plane];
                    for row in 0..3 {
                        let pixels = &pixels[start + row * width..][..end - start + 2];
                        let sums = products::<S>(simd, gradients, pixels);
                        for (index, sums) in sums.iter().enumerate().take(channels) {
                            let result = &mut self.result[(index * inputs + input) * 9 + row * 3..];
                            for (result, sum) in result.iter_mut().zip(sums) {
                                *result += sum;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// For each gradient its scalar products with `pixels` from 0, 1 and 2 on.
#[inline(always)]
fn products<S: Simd>(simd: S, gradients: [&[f32]; BLOCK], pixels: &[f32]) -> [[f32; 3]; BLOCK] {
    let length = pixels.len() - 2;
    let full = length - length % S::F32_LANES;
    let vectors = full / S::F32_LANES;
    let mut held = [[simd.splat_f32s(0.0); 3]; BLOCK];
    let shifted: [&[S::f32s]; 3] =
        std::array::from_fn(|shift| &S::as_simd_f32s(&pixels[shift..]).0[..vectors]);
    let steps: [&[S::f32s]; BLOCK] =
        std::array::from_fn(|index| &S::as_simd_f32s(gradients[index]).0[..vectors]);
    for at in 0..vectors {
        let [first, second, third] = [shifted[0][at], shifted[1][at], shifted[2][at]];
        each_of_block!(INDEX => {
            let gradient = steps[INDEX][at];
            held[INDEX][0] = simd.mul_add_e_f32s(gradient, first, held[INDEX][0]);
            held[INDEX][1] = simd.mul_add_e_f32s(gradient, second, held[INDEX][1]);
            held[INDEX][2] = simd.mul_add_e_f32s(gradient, third, held[INDEX][2]);
        });
    }
    let mut sums = [[0.0; 3]; BLOCK];
    each_of_block!(INDEX => {
        sums[INDEX] = [
            simd.reduce_sum_f32s(held[INDEX][0]),
            simd.reduce_sum_f32s(held[INDEX][1]),
            simd.reduce_sum_f32s(held[INDEX][2]),
        ];
    });
    for (sums, gradient) in sums.iter_mut().zip(gradients) {
        for (shift, sum) in sums.iter_mut().enumerate() {
            let rest = gradient[full..length].iter().zip(&pixels[full + shift..]);
            *sum += rest.map(|(gradient, pixel)| gradient * pixel).sum::<f32>();
        }
    }
    sums
}
