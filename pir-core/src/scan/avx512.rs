//! The scan with AVX-512 but without VNNI: as with AVX2, 32 columns a step.

#![expect(unsafe_code, reason = "SIMD kernel")]

use std::arch::x86_64::*;

use super::Line;
use super::avx2::encode_wide;
use super::tile::{self, Lanes};
use crate::arch::Avx512;
use crate::ring::DEGREE;

/// Columns of a step.
const STEP: usize = 32;

/// Lines of a step: two 16-bit limbs a column.
const LINES: usize = 2;

#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel(pub(super) Avx512);

impl super::Kernel for Kernel {
    const LINES: usize = DEGREE / STEP * LINES;

    fn encode(self, elements: &[u32; DEGREE], lines: &mut [Line]) {
        encode_wide(elements, lines, STEP);
    }

    fn add_block(self, rows: &[u8], lines: &[Line], queries: usize, products: &mut [u32]) {
        // SAFETY: `self.0` shows that the enabled features are there.
        unsafe { add_block(self.0, rows, lines, queries, products) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn add_block(proof: Avx512, rows: &[u8], lines: &[Line], queries: usize, products: &mut [u32]) {
    // Two sums a row and query: 24 of 32 registers.
    tile::add_block::<Vectors, 2, 4, 4, 3>(proof, rows, lines, queries, products);
}

struct Vectors;

impl Lanes<2> for Vectors {
    const STEP: usize = STEP;
    const LINES: usize = LINES;
    type Vector = __m512i;
    type Proof = Avx512;

    #[inline(always)]
    fn zero() -> __m512i {
        // SAFETY: called where AVX-512 F and BW are enabled, as the trait says.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn digits(bytes: &[u8]) -> __m512i {
        let bytes = &bytes[..Self::STEP];
        // SAFETY: AVX-512 as above; `bytes` holds 32 bytes.
        unsafe { _mm512_cvtepi8_epi16(_mm256_loadu_si256(bytes.as_ptr().cast())) }
    }

    #[inline(always)]
    fn limb(lines: &[Line], limb: usize) -> __m512i {
        // SAFETY: AVX-512 as above; a line is 64 bytes, aligned to as many.
        unsafe { _mm512_load_si512(lines[limb].0.as_ptr().cast()) }
    }

    #[inline(always)]
    fn add(sum: __m512i, limb: __m512i, digits: __m512i) -> __m512i {
        // SAFETY: AVX-512 as above.
        unsafe { _mm512_add_epi32(sum, _mm512_madd_epi16(limb, digits)) }
    }

    #[inline(always)]
    fn total([low, high]: [__m512i; 2]) -> u32 {
        // SAFETY: AVX-512 as above.
        unsafe {
            _mm512_reduce_add_epi32(_mm512_add_epi32(low, _mm512_slli_epi32::<16>(high))) as u32
        }
    }
}
