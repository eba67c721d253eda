//! Sums of products in registers: two vectors of 256 bits each with AVX2, one of 512 bits with AVX-512.

use pulp::x86::V3;
use pulp::{bytemuck, f32x8, f32x16, i32x8, i32x16};

use super::vectors::{Eight, LANES, Pairs, Vector};
use super::wide::Wide;

/// Sums of a patch, or weights of a number of its inputs, for sixteen output channels.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Sixteen<V>(pub [V; 2]);

impl<V: Vector> Sixteen<V> {
    /// Zero in all numbers.
    pub const ZERO: Self = Sixteen([V::ZERO; 2]);
}

/// Sums of products with the instructions of `S`.
pub trait Sums<S>: Sized {
    /// [`Sixteen`] in registers.
    type Registers: Copy;
    /// Whether there are registers for more than six of these sums.
    const HAS_MANY: bool;

    /// The sums in registers.
    fn load_sums(simd: S, sums: &Sixteen<Self>) -> Self::Registers;
    /// The sums in memory.
    fn store_sums(simd: S, registers: Self::Registers, sums: &mut Sixteen<Self>);
    /// `sums` and the products of `weights` with the number of a `lane`.
    fn multiply_add(
        &self,
        simd: S,
        lane: usize,
        weights: Self::Registers,
        sums: Self::Registers,
    ) -> Self::Registers;
}

impl Sums<V3> for Eight {
    type Registers = [f32x8; 2];
    const HAS_MANY: bool = false;

    #[inline(always)]
    fn load_sums(_: V3, sums: &Sixteen<Self>) -> [f32x8; 2] {
        [sums.0[0].load(), sums.0[1].load()]
    }

    #[inline(always)]
    fn store_sums(_: V3, registers: [f32x8; 2], sums: &mut Sixteen<Self>) {
        for (sums, register) in sums.0.iter_mut().zip(registers) {
            sums.store(register);
        }
    }

    #[inline(always)]
    fn multiply_add(
        &self,
        simd: V3,
        lane: usize,
        weights: [f32x8; 2],
        sums: [f32x8; 2],
    ) -> [f32x8; 2] {
        let number = simd.splat_f32x8(self.0[lane]);
        [
            simd.mul_add_f32x8(number, weights[0], sums[0]),
            simd.mul_add_f32x8(number, weights[1], sums[1]),
        ]
    }
}

impl Sums<Wide> for Eight {
    type Registers = f32x16;
    const HAS_MANY: bool = true;

    #[inline(always)]
    fn load_sums(_: Wide, sums: &Sixteen<Self>) -> f32x16 {
        bytemuck::cast([sums.0[0].0, sums.0[1].0])
    }

    #[inline(always)]
    fn store_sums(_: Wide, registers: f32x16, sums: &mut Sixteen<Self>) {
        let halves: [[f32; LANES]; 2] = bytemuck::cast(registers);
        sums.0 = [Eight(halves[0]), Eight(halves[1])];
    }

    #[inline(always)]
    fn multiply_add(&self, simd: Wide, lane: usize, weights: f32x16, sums: f32x16) -> f32x16 {
        simd.multiply_add(self.0[lane], weights, sums)
    }
}

impl Sums<V3> for Pairs {
    type Registers = [i32x8; 2];
    const HAS_MANY: bool = false;

    #[inline(always)]
    fn load_sums(_: V3, sums: &Sixteen<Self>) -> [i32x8; 2] {
        [sums.0[0].load(), sums.0[1].load()]
    }

    #[inline(always)]
    fn store_sums(_: V3, registers: [i32x8; 2], sums: &mut Sixteen<Self>) {
        for (sums, register) in sums.0.iter_mut().zip(registers) {
            sums.store(register);
        }
    }

    #[inline(always)]
    fn multiply_add(
        &self,
        simd: V3,
        lane: usize,
        weights: [i32x8; 2],
        sums: [i32x8; 2],
    ) -> [i32x8; 2] {
        let pair = bytemuck::cast(simd.splat_i32x8(self.0[lane]));
        let mut added = sums;
        for (sum, weights) in added.iter_mut().zip(weights) {
            let products =
                simd.multiply_wrapping_add_adjacent_i16x16(pair, bytemuck::cast(weights));
            let (one, other) = (bytemuck::cast(*sum), bytemuck::cast(products));
            *sum = bytemuck::cast(simd.avx2._mm256_add_epi32(one, other));
        }
        added
    }
}

impl Sums<Wide> for Pairs {
    type Registers = i32x16;
    const HAS_MANY: bool = true;

    #[inline(always)]
    fn load_sums(_: Wide, sums: &Sixteen<Self>) -> i32x16 {
        bytemuck::cast([sums.0[0].0, sums.0[1].0])
    }

    #[inline(always)]
    fn store_sums(_: Wide, registers: i32x16, sums: &mut Sixteen<Self>) {
        let halves: [[i32; LANES]; 2] = bytemuck::cast(registers);
        sums.0 = [Pairs(halves[0]), Pairs(halves[1])];
    }

    #[inline(always)]
    fn multiply_add(&self, simd: Wide, lane: usize, weights: i32x16, sums: i32x16) -> i32x16 {
        simd.multiply_add_pairs(self.0[lane], weights, sums)
    }
}
