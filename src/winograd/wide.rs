//! Vectors of 512 bits.

use std::arch::x86_64::_mm512_dpwssds_epi32;

use pulp::{bytemuck, f32x16, i32x16, simd_type};

simd_type! {
    /// Processors with AVX-512 and its dot products of integers (VNNI): Intel's since Cascade Lake and Ice Lake, AMD's
    /// since Zen 4. The extensions to vectors of 256 bits and to small integers give code that is compiled for it all
    /// 32 registers.
    pub struct Wide {
        pub avx2: "avx2",
        pub fma: "fma",
        pub avx512f: "avx512f",
        pub avx512bw: "avx512bw",
        pub avx512dq: "avx512dq",
        pub avx512vl: "avx512vl",
        pub avx512vnni: "avx512vnni",
    }
}

impl Wide {
    /// `sums` and the products of `number` and `factors`.
    #[inline(always)]
    pub fn multiply_add(self, number: f32, factors: f32x16, sums: f32x16) -> f32x16 {
        let number = self.avx512f._mm512_set1_ps(number);
        let (factors, sums) = (bytemuck::cast(factors), bytemuck::cast(sums));
        bytemuck::cast(self.avx512f._mm512_fmadd_ps(number, factors, sums))
    }

    /// `sums` and the products of two 16-bit integers each, of `pair` and of the numbers of `pairs`.
    #[inline(always)]
    pub fn multiply_add_pairs(self, pair: i32, pairs: i32x16, sums: i32x16) -> i32x16 {
        let pair = self.avx512f._mm512_set1_epi32(pair);
        let (pairs, sums) = (bytemuck::cast(pairs), bytemuck::cast(sums));
        // No sum is beyond 32 bits, so saturation makes no difference. But the form without it would be compiled as a
        // multiplication and an addition.
        // SAFETY: there is a `Wide` only where the processor has these instructions.
        bytemuck::cast(unsafe { _mm512_dpwssds_epi32(sums, pair, pairs) })
    }
}
