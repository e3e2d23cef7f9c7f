//! The scan with AVX-512 VNNI: `vpdpbusd` multiplies 64 unsigned limbs by 64
//! signed digits into sixteen wrapping 32-bit sums.
//!
//! A task's rows are read as several streams, far enough apart for the
//! hardware to prefetch each. One query takes four streams by all its limbs:
//! the block's limbs (8 KiB) stay in the first-level cache, and the read
//! bandwidth is the limit. Several queries take eight streams by two or three
//! limbs: the eight rows (16 KiB) stay in the first-level cache and the limbs
//! come from the second.

#![expect(unsafe_code, reason = "SIMD kernel")]

use std::arch::x86_64::*;

use super::{CHUNK, CHUNKS, Limbs, Line, TASK_ROWS};
use crate::arch::Avx512;
use crate::ring::DEGREE;

/// Streams for one query.
const ALONE: usize = 4;

/// Streams for several queries.
const TOGETHER: usize = 8;

const _: () = assert!(TASK_ROWS.is_multiple_of(ALONE) && TASK_ROWS.is_multiple_of(TOGETHER));

/// As [`super::portable::add_block`], for [`TASK_ROWS`] rows.
pub(super) fn add_block(
    _proof: Avx512,
    rows: &[u8],
    limbs: &Limbs,
    block: usize,
    products: &mut [u32],
) {
    // SAFETY: `_proof` shows that the enabled features are there.
    unsafe {
        match (limbs.queries, limbs.count) {
            (1, 3) => streams::<ALONE, 3>(rows, limbs, block, products),
            (1, _) => streams::<ALONE, 4>(rows, limbs, block, products),
            (_, 3) => streams::<TOGETHER, 3>(rows, limbs, block, products),
            (_, _) => streams::<TOGETHER, 2>(rows, limbs, block, products),
        }
    }
}

/// All rows, `STREAMS` at a time from as many equal parts, with every query,
/// `LIMBS` limbs at a time.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn streams<const STREAMS: usize, const LIMBS: usize>(
    rows: &[u8],
    limbs: &Limbs,
    block: usize,
    products: &mut [u32],
) {
    let part = rows.len() / DEGREE / STREAMS;
    for first in 0..part {
        let rows: [&[u8]; STREAMS] = std::array::from_fn(|stream| {
            let row = stream * part + first;
            &rows[row * DEGREE..(row + 1) * DEGREE]
        });
        for (query, lines) in limbs.block(block).enumerate() {
            for limb in (0..limbs.count).step_by(LIMBS) {
                let sums = registers::<STREAMS, LIMBS>(&rows, lines, limbs.count, limb);
                for (stream, sum) in sums.into_iter().enumerate() {
                    let row = stream * part + first;
                    let product = &mut products[row * limbs.queries + query];
                    let sum = _mm512_reduce_add_epi32(sum) as u32;
                    *product = product.wrapping_add(sum << (8 * limb));
                }
            }
        }
    }
}

/// The inner loop: a block's row of each stream by limbs `first ..` of a
/// query with `count` limbs. Sums mod 2^32, limbs already shifted together.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn registers<const STREAMS: usize, const LIMBS: usize>(
    rows: &[&[u8]; STREAMS],
    lines: &[Line],
    count: usize,
    first: usize,
) -> [__m512i; STREAMS] {
    assert!(first + LIMBS <= count && lines.len() >= CHUNKS * count);
    assert!(rows.iter().all(|row| row.len() >= CHUNKS * CHUNK));
    let mut sums = [[_mm512_setzero_si512(); LIMBS]; STREAMS];
    for chunk in 0..CHUNKS {
        // SAFETY: the first assertion covers the limbs of this chunk.
        let limbs: [__m512i; LIMBS] = std::array::from_fn(|limb| unsafe {
            _mm512_load_si512(lines.as_ptr().add(chunk * count + first + limb).cast())
        });
        for (row, sums) in rows.iter().zip(&mut sums) {
            // SAFETY: the second assertion covers the 64 bytes of this chunk.
            let digits = unsafe { _mm512_loadu_si512(row.as_ptr().add(chunk * CHUNK).cast()) };
            for (sum, &limb) in sums.iter_mut().zip(&limbs) {
                *sum = _mm512_dpbusd_epi32(*sum, limb, digits);
            }
        }
    }
    sums.map(|sums| {
        let mut total = _mm512_setzero_si512();
        for &sum in sums.iter().rev() {
            total = _mm512_add_epi32(_mm512_slli_epi32::<8>(total), sum);
        }
        total
    })
}
