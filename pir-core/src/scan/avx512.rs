//! The scan with AVX-512 VNNI: `vpdpbusd` multiplies 64 unsigned limbs by 64
//! signed digits into sixteen wrapping 32-bit sums.
//!
//! A block of six rows (as many streams from memory) by the three or four
//! limbs of a query keeps its 24 sums in registers. Columns are tiled so that
//! with several queries the block's rows come from the first-level cache after
//! the first query.

#![expect(unsafe_code, reason = "SIMD kernel")]

use std::arch::x86_64::*;

use super::{CHUNK, Limbs, Line};
use crate::arch::Avx512;
use crate::query::MAX_BATCH;

/// Rows of a register block.
const BLOCK: usize = 6;

/// Chunks of 64 columns in a tile when several queries share a pass: six rows
/// of 2 KiB leave the first-level cache room for the limbs.
const TILE: usize = 32;

/// As [`super::portable::scan`].
pub(super) fn scan(proof: Avx512, rows: &[u8], limbs: &Limbs, products: &mut [u32]) {
    match limbs.count {
        3 => scan_limbs::<3>(proof, rows, limbs, products),
        _ => scan_limbs::<4>(proof, rows, limbs, products),
    }
}

fn scan_limbs<const LIMBS: usize>(proof: Avx512, rows: &[u8], limbs: &Limbs, products: &mut [u32]) {
    let columns = rows.len() / (products.len() / limbs.queries);
    let blocks = rows.chunks(BLOCK * columns);
    for (rows, products) in blocks.zip(products.chunks_mut(BLOCK * limbs.queries)) {
        if rows.len() == BLOCK * columns {
            block::<BLOCK, LIMBS>(proof, rows, limbs, products);
        } else {
            let rows = rows.chunks_exact(columns);
            for (row, products) in rows.zip(products.chunks_mut(limbs.queries)) {
                block::<1, LIMBS>(proof, row, limbs, products);
            }
        }
    }
}

/// Products of `ROWS` rows with every query.
fn block<const ROWS: usize, const LIMBS: usize>(
    _proof: Avx512,
    rows: &[u8],
    limbs: &Limbs,
    products: &mut [u32],
) {
    let columns = rows.len() / ROWS;
    let rows: [&[u8]; ROWS] = std::array::from_fn(|r| &rows[r * columns..(r + 1) * columns]);
    // SAFETY: `_proof` shows that the enabled features are there.
    unsafe { tiles::<ROWS, LIMBS>(&rows, limbs, products) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn tiles<const ROWS: usize, const LIMBS: usize>(
    rows: &[&[u8]; ROWS],
    limbs: &Limbs,
    products: &mut [u32],
) {
    let chunks = rows[0].len() / CHUNK;
    let queries = limbs.queries;
    assert!(queries <= MAX_BATCH);
    let tile = if queries == 1 { chunks } else { TILE };
    let stride = queries * LIMBS;
    let mut sums = [[_mm512_setzero_si512(); ROWS]; MAX_BATCH];
    for first in (0..chunks).step_by(tile) {
        let tile = tile.min(chunks - first);
        let rows = rows.map(|row| &row[first * CHUNK..(first + tile) * CHUNK]);
        let lines = &limbs.lines[first * stride..(first + tile) * stride];
        for (query, sums) in sums.iter_mut().enumerate().take(queries) {
            let found = registers::<ROWS, LIMBS>(&rows, &lines[query * LIMBS..], stride, tile);
            for (sum, found) in sums.iter_mut().zip(found) {
                *sum = _mm512_add_epi32(*sum, found);
            }
        }
    }
    for (row, products) in products.chunks_exact_mut(queries).enumerate() {
        for (product, sums) in products.iter_mut().zip(&sums) {
            *product = _mm512_reduce_add_epi32(sums[row]) as u32;
        }
    }
}

/// The inner loop: `tile` chunks of `ROWS` rows by one query's limbs, which are
/// `stride` lines apart from chunk to chunk. Sums mod 2^32 a lane, limbs
/// already shifted together.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn registers<const ROWS: usize, const LIMBS: usize>(
    rows: &[&[u8]; ROWS],
    lines: &[Line],
    stride: usize,
    tile: usize,
) -> [__m512i; ROWS] {
    assert!(tile > 0 && lines.len() >= (tile - 1) * stride + LIMBS);
    assert!(rows.iter().all(|row| row.len() >= tile * CHUNK));
    let mut sums = [[_mm512_setzero_si512(); LIMBS]; ROWS];
    for chunk in 0..tile {
        // SAFETY: the first assertion covers all LIMBS lines of this chunk.
        let limbs: [__m512i; LIMBS] = std::array::from_fn(|limb| unsafe {
            _mm512_load_si512(lines.as_ptr().add(chunk * stride + limb).cast())
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
