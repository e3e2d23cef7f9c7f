//! The scan with AVX-512 VNNI: `vpdpbusd` multiplies 64 unsigned 8-bit limbs
//! by 64 signed digits into sixteen wrapping 32-bit sums.

#![expect(unsafe_code, reason = "SIMD kernel")]

use std::arch::x86_64::*;

use super::tile::{self, Lanes};
use super::{LINE, Line};
use crate::arch::Avx512Vnni;
use crate::ring::DEGREE;

/// For elements of at most 8·`LIMBS` bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel<const LIMBS: usize>(pub(super) Avx512Vnni);

impl<const LIMBS: usize> super::Kernel for Kernel<LIMBS> {
    const LINES: usize = DEGREE / LINE * LIMBS;

    fn encode(self, elements: &[u32; DEGREE], lines: &mut [Line]) {
        encode_bytes(elements, lines, LINE, LIMBS);
    }

    fn add_block(self, rows: &[u8], lines: &[Line], queries: usize, products: &mut [u32]) {
        // SAFETY: `self.0` shows that the enabled features are there.
        unsafe { add_block::<LIMBS>(self.0, rows, lines, queries, products) }
    }
}

/// Writes each `step` elements as `limbs` runs of bytes, from the least
/// significant on; a step starts with a line.
pub(super) fn encode_bytes(
    elements: &[u32; DEGREE],
    lines: &mut [Line],
    step: usize,
    limbs: usize,
) {
    let groups = lines.chunks_exact_mut((step * limbs).div_ceil(LINE));
    for (lines, elements) in groups.zip(elements.chunks_exact(step)) {
        for limb in 0..limbs {
            for (index, element) in elements.iter().enumerate() {
                let byte = limb * step + index;
                lines[byte / LINE].0[byte % LINE] = (element >> (8 * limb)) as u8;
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn add_block<const LIMBS: usize>(
    proof: Avx512Vnni,
    rows: &[u8],
    lines: &[Line],
    queries: usize,
    products: &mut [u32],
) {
    // A sum a limb, row and query: 24 of 32 registers with four limbs.
    tile::add_block::<Vectors<LIMBS>, LIMBS, 4, 3, 2>(proof, rows, lines, queries, products);
}

struct Vectors<const LIMBS: usize>;

impl<const LIMBS: usize> Lanes<LIMBS> for Vectors<LIMBS> {
    const STEP: usize = LINE;
    const LINES: usize = LIMBS;
    type Vector = __m512i;
    type Proof = Avx512Vnni;

    #[inline(always)]
    fn zero() -> __m512i {
        // SAFETY: called where AVX-512 F and VNNI are enabled, as the trait says.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn digits(bytes: &[u8]) -> __m512i {
        let bytes = &bytes[..Self::STEP];
        // SAFETY: AVX-512 as above; `bytes` holds 64 bytes.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn limb(lines: &[Line], limb: usize) -> __m512i {
        // SAFETY: AVX-512 as above; a line is 64 bytes, aligned to as many.
        unsafe { _mm512_load_si512(lines[limb].0.as_ptr().cast()) }
    }

    #[inline(always)]
    fn add(sum: __m512i, limb: __m512i, digits: __m512i) -> __m512i {
        // SAFETY: AVX-512 and VNNI as above.
        unsafe { _mm512_dpbusd_epi32(sum, limb, digits) }
    }

    #[inline(always)]
    fn total(sums: [__m512i; LIMBS]) -> u32 {
        // SAFETY: AVX-512 as above.
        unsafe {
            let mut total = _mm512_setzero_si512();
            for sum in sums.into_iter().rev() {
                total = _mm512_add_epi32(_mm512_slli_epi32::<8>(total), sum);
            }
            _mm512_reduce_add_epi32(total) as u32
        }
    }
}
