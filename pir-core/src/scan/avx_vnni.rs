//! The scan with AVX-VNNI: as with AVX-512 VNNI, 32 columns a step, for
//! processors that have `vpdpbusd` on 256 bits alone.

#![expect(unsafe_code, reason = "SIMD kernel")]

use std::arch::x86_64::*;

use super::avx2::horizontal_sum;
use super::avx512_vnni::encode_bytes;
use super::tile::{self, Lanes};
use super::{LINE, Line};
use crate::arch::AvxVnni;
use crate::ring::DEGREE;

/// Columns of a step.
const STEP: usize = LINE / 2;

/// Lines of a step: four 8-bit limbs a column, the last left out if there are
/// three.
const LINES: usize = 2;

/// For elements of at most 8·`LIMBS` bits, three or four limbs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel<const LIMBS: usize>(pub(super) AvxVnni);

impl<const LIMBS: usize> super::Kernel for Kernel<LIMBS> {
    const LINES: usize = DEGREE / STEP * LINES;

    fn encode(self, elements: &[u32; DEGREE], lines: &mut [Line]) {
        encode_bytes(elements, lines, STEP, LIMBS);
    }

    fn add_block(self, rows: &[u8], lines: &[Line], queries: usize, products: &mut [u32]) {
        // SAFETY: `self.0` shows that the enabled features are there.
        unsafe { add_block::<LIMBS>(self.0, rows, lines, queries, products) }
    }
}

#[target_feature(enable = "avx2,avxvnni")]
fn add_block<const LIMBS: usize>(
    proof: AvxVnni,
    rows: &[u8],
    lines: &[Line],
    queries: usize,
    products: &mut [u32],
) {
    // A sum a limb and row: twelve of sixteen registers with four limbs.
    tile::add_block::<Vectors<LIMBS>, LIMBS, 2, 3, 1>(proof, rows, lines, queries, products);
}

struct Vectors<const LIMBS: usize>;

impl<const LIMBS: usize> Lanes<LIMBS> for Vectors<LIMBS> {
    const STEP: usize = STEP;
    const LINES: usize = LINES;
    type Vector = __m256i;
    type Proof = AvxVnni;

    #[inline(always)]
    fn zero() -> __m256i {
        // SAFETY: called where AVX2 and AVX-VNNI are enabled, as the trait says.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    fn digits(bytes: &[u8]) -> __m256i {
        let bytes = &bytes[..Self::STEP];
        // SAFETY: AVX2 as above; `bytes` holds 32 bytes.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn limb(lines: &[Line], limb: usize) -> __m256i {
        let limbs = &lines[limb / 2].0[limb % 2 * STEP..][..STEP];
        // SAFETY: AVX2 as above; half of an aligned line is 32 aligned bytes.
        unsafe { _mm256_load_si256(limbs.as_ptr().cast()) }
    }

    #[inline(always)]
    fn add(sum: __m256i, limb: __m256i, digits: __m256i) -> __m256i {
        // SAFETY: AVX-VNNI as above.
        unsafe { _mm256_dpbusd_avx_epi32(sum, limb, digits) }
    }

    #[inline(always)]
    fn total(sums: [__m256i; LIMBS]) -> u32 {
        // SAFETY: AVX2 as above.
        unsafe {
            let mut total = _mm256_setzero_si256();
            for sum in sums.into_iter().rev() {
                total = _mm256_add_epi32(_mm256_slli_epi32::<8>(total), sum);
            }
            horizontal_sum(total)
        }
    }
}
