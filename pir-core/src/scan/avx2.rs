//! The scan with AVX2: `vpmaddwd` multiplies sixteen signed 16-bit limbs by
//! sixteen digits, widened from bytes, and adds neighbours.
//!
//! An element is two limbs, so a step of sixteen columns costs, for each row
//! and query, two multiplications and two additions, and for each row one
//! widening that the queries of a tile share. (`vpmaddubsw` would take digits
//! as they are, but saturates above 7-bit limbs, and four of those cost twelve
//! instructions for 32 columns instead of eight.)

#![expect(unsafe_code, reason = "SIMD kernel")]

use std::arch::x86_64::*;

use super::tile::{self, Lanes};
use super::{LINE, Line};
use crate::arch::Avx2;
use crate::ring::DEGREE;

/// Columns of a step.
const STEP: usize = 16;

/// Lines of a step: two 16-bit limbs a column.
const LINES: usize = 1;

#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel(pub(super) Avx2);

impl super::Kernel for Kernel {
    const LINES: usize = DEGREE / STEP * LINES;

    fn encode(self, elements: &[u32; DEGREE], lines: &mut [Line]) {
        encode_wide(elements, lines, STEP);
    }

    fn add_block(self, rows: &[u8], lines: &[Line], queries: usize, products: &mut [u32]) {
        // SAFETY: `self.0` shows that the enabled feature is there.
        unsafe { add_block(self.0, rows, lines, queries, products) }
    }
}

/// Writes each `step` elements as their low halves, then their high ones; a
/// low half counts as signed, so a high one is one more where it is negative.
pub(super) fn encode_wide(elements: &[u32; DEGREE], lines: &mut [Line], step: usize) {
    let groups = lines.chunks_exact_mut(step * size_of::<u32>() / LINE);
    for (lines, elements) in groups.zip(elements.chunks_exact(step)) {
        for (index, &element) in elements.iter().enumerate() {
            let low = element as u16;
            let high = (element.wrapping_add(0x8000) >> 16) as u16;
            for (half, limb) in [low, high].into_iter().enumerate() {
                let byte = (half * step + index) * size_of::<u16>();
                lines[byte / LINE].0[byte % LINE..][..2].copy_from_slice(&limb.to_le_bytes());
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn add_block(proof: Avx2, rows: &[u8], lines: &[Line], queries: usize, products: &mut [u32]) {
    // Two sums a row and query: twelve of sixteen registers.
    tile::add_block::<Vectors, 2, 4, 2, 3>(proof, rows, lines, queries, products);
}

struct Vectors;

impl Lanes<2> for Vectors {
    const STEP: usize = STEP;
    const LINES: usize = LINES;
    type Vector = __m256i;
    type Proof = Avx2;

    #[inline(always)]
    fn zero() -> __m256i {
        // SAFETY: called where AVX2 is enabled, as the trait says.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    fn digits(bytes: &[u8]) -> __m256i {
        let bytes = &bytes[..Self::STEP];
        // SAFETY: AVX2 as above; `bytes` holds 16 bytes.
        unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(bytes.as_ptr().cast())) }
    }

    #[inline(always)]
    fn limb(lines: &[Line], limb: usize) -> __m256i {
        let limbs = &lines[0].0[limb * LINE / 2..][..LINE / 2];
        // SAFETY: AVX2 as above; half of an aligned line is 32 aligned bytes.
        unsafe { _mm256_load_si256(limbs.as_ptr().cast()) }
    }

    #[inline(always)]
    fn add(sum: __m256i, limb: __m256i, digits: __m256i) -> __m256i {
        // SAFETY: AVX2 as above.
        unsafe { _mm256_add_epi32(sum, _mm256_madd_epi16(limb, digits)) }
    }

    #[inline(always)]
    fn total([low, high]: [__m256i; 2]) -> u32 {
        // SAFETY: AVX2 as above.
        unsafe { horizontal_sum(_mm256_add_epi32(low, _mm256_slli_epi32::<16>(high))) }
    }
}

/// The sum of eight lanes, mod 2^32.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn horizontal_sum(sums: __m256i) -> u32 {
    let sums = _mm_add_epi32(
        _mm256_castsi256_si128(sums),
        _mm256_extracti128_si256::<1>(sums),
    );
    let sums = _mm_add_epi32(sums, _mm_shuffle_epi32::<0b01_00_11_10>(sums));
    let sums = _mm_add_epi32(sums, _mm_shuffle_epi32::<0b10_11_00_01>(sums));
    _mm_cvtsi128_si32(sums) as u32
}
