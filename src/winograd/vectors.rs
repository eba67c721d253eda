//! Vectors of eight numbers, and turning planes into them.

use std::arch::x86_64::__m256;

use pulp::x86::V3;
use pulp::{bytemuck, f32x8, i32x8};

use super::sums::Sums;
use super::wide::Wide;

/// Numbers of a vector.
pub const LANES: usize = 8;

/// Eight numbers in memory, aligned so that no vector crosses two cache lines, whose products are summed with AVX2 or
/// with AVX-512.
pub trait Vector: Copy + Send + Sync + Sums<V3> + Sums<Wide> {
    /// The vector in a register.
    type Register: Copy;
    /// Zero in all numbers.
    const ZERO: Self;

    /// The vector.
    fn load(&self) -> Self::Register;
    /// Replaces it by another.
    fn store(&mut self, register: Self::Register);
}

/// Eight channels of a pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(32))]
pub struct Eight(pub [f32; LANES]);

impl Vector for Eight {
    type Register = f32x8;
    const ZERO: Self = Eight([0.0; LANES]);

    #[inline(always)]
    fn load(&self) -> f32x8 {
        bytemuck::cast(self.0)
    }

    #[inline(always)]
    fn store(&mut self, register: f32x8) {
        self.0 = bytemuck::cast(register);
    }
}

/// Sixteen channels of a pixel as 16-bit integers, two in each number; or eight sums of products of such pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(32))]
pub struct Pairs(pub [i32; LANES]);

impl Vector for Pairs {
    type Register = i32x8;
    const ZERO: Self = Pairs([0; LANES]);

    #[inline(always)]
    fn load(&self) -> i32x8 {
        bytemuck::cast(self.0)
    }

    #[inline(always)]
    fn store(&mut self, register: i32x8) {
        self.0 = bytemuck::cast(register);
    }
}

/// Copies pixels of up to eight `planes` into vectors; channels that have no plane are 0.
#[inline(always)]
pub fn gather(simd: V3, planes: &[&[f32]], to: &mut [Eight]) {
    let (chunks, rest) = to.as_chunks_mut::<LANES>();
    if planes.len() == LANES {
        for (at, chunk) in chunks.iter_mut().enumerate() {
            let mut rows = [Eight::ZERO; LANES];
            for (row, plane) in rows.iter_mut().zip(planes) {
                row.0.copy_from_slice(&plane[at * LANES..][..LANES]);
            }
            *chunk = transposed(simd, &rows);
        }
        gather_each(planes, chunks.len() * LANES, rest);
    } else {
        gather_each(planes, 0, to);
    }
}

/// As [`gather`], pixel by pixel, from pixel number `first` on.
fn gather_each(planes: &[&[f32]], first: usize, to: &mut [Eight]) {
    to.fill(Eight::ZERO);
    for (channel, plane) in planes.iter().enumerate() {
        for (to, from) in to.iter_mut().zip(&plane[first..]) {
            to.0[channel] = *from;
        }
    }
}

/// Copies vectors into up to eight rows, one for each channel.
#[inline(always)]
pub fn scatter(simd: V3, from: &[Eight], rows: &mut [&mut [f32]]) {
    let (chunks, rest) = from.as_chunks::<LANES>();
    for (at, chunk) in chunks.iter().enumerate() {
        let chunk = transposed(simd, chunk);
        for (row, values) in rows.iter_mut().zip(&chunk) {
            row[at * LANES..][..LANES].copy_from_slice(&values.0);
        }
    }
    for (at, pixel) in rest.iter().enumerate() {
        for (row, value) in rows.iter_mut().zip(pixel.0) {
            row[chunks.len() * LANES + at] = value;
        }
    }
}

/// Rows as columns.
// Closures would not be compiled for the vectors of `simd`.
#[inline(always)]
fn transposed(simd: V3, rows: &[Eight; LANES]) -> [Eight; LANES] {
    let avx = simd.avx;
    let mut pairs = [avx._mm256_setzero_ps(); LANES];
    for at in 0..LANES / 2 {
        let one: __m256 = bytemuck::cast(rows[2 * at].0);
        let other = bytemuck::cast(rows[2 * at + 1].0);
        pairs[2 * at] = avx._mm256_unpacklo_ps(one, other);
        pairs[2 * at + 1] = avx._mm256_unpackhi_ps(one, other);
    }
    let mut fours = [avx._mm256_setzero_ps(); LANES];
    for at in [0, 1, 4, 5] {
        let (one, other) = (pairs[at], pairs[at + 2]);
        let to = at / 4 * 4 + at % 4 * 2;
        fours[to] = avx._mm256_shuffle_ps::<0x44>(one, other);
        fours[to + 1] = avx._mm256_shuffle_ps::<0xee>(one, other);
    }
    let mut columns = [Eight::ZERO; LANES];
    for at in 0..LANES / 2 {
        let (one, other) = (fours[at], fours[at + 4]);
        let low = avx._mm256_permute2f128_ps::<0x20>(one, other);
        let high = avx._mm256_permute2f128_ps::<0x31>(one, other);
        columns[at].0 = bytemuck::cast(low);
        columns[at + 4].0 = bytemuck::cast(high);
    }
    columns
}
