//! The transform with AVX2, eight residues a vector.
//!
//! Four passes over the 8 KiB polynomial: levels 0–1 on four vectors at a time,
//! 2–4 and 5–7 on eight, 8–10 on eight transposed ones. The vectors of the last
//! pass are those that agree in the four lowest bits of their number; its
//! results belong where these bits are reversed, so two such sets go through
//! together and change places.
//!
//! Butterflies are Harvey's lazy ones (arXiv:1205.2926, Algorithms 2 and 4).

#![expect(unsafe_code, reason = "SIMD kernel")]

use std::arch::x86_64::*;

use super::super::{DEGREE, ORBIT, Prime};
use super::tables::{Tables, Twiddle, TwiddleVector, reverse_bits};
use crate::arch::Avx2;

/// Residues of a vector.
const LANES: usize = 8;

/// Three-bit reversal.
const REVERSED: [usize; LANES] = [0, 4, 2, 6, 1, 5, 3, 7];

/// Values of the four lowest bits of a vector's number.
const COLUMNS: usize = ORBIT / (LANES * LANES);

/// Coefficients in `[0, 4m)` to slots in `[0, m)`.
pub(super) fn forward<M: Prime>(_proof: Avx2, values: &mut [u32; DEGREE]) {
    // SAFETY: `_proof` shows that the enabled feature is there.
    unsafe { forward_kernel::<M>(values, M::tables()) }
}

/// Slots in `[0, 2m)` to coefficients in `[0, m)`.
pub(super) fn inverse<M: Prime>(_proof: Avx2, values: &mut [u32; DEGREE]) {
    // SAFETY: `_proof` shows that the enabled feature is there.
    unsafe { inverse_kernel::<M>(values, M::tables()) }
}

#[target_feature(enable = "avx2")]
fn forward_kernel<M: Prime>(values: &mut [u32; DEGREE], tables: &Tables) {
    forward_levels::<M, 0, 4>(values, tables);
    forward_levels::<M, 2, 8>(values, tables);
    forward_levels::<M, 5, 8>(values, tables);
    for h in 0..2 {
        for column in 0..COLUMNS {
            let other = reverse_bits(column, COLUMNS.ilog2());
            if column > other {
                continue;
            }
            let slots = forward_column::<M>(values, tables, h, column);
            if column < other {
                let slots = forward_column::<M>(values, tables, h, other);
                store_column(values, h, other, &slots);
            }
            store_column(values, h, column, &slots);
        }
    }
}

#[target_feature(enable = "avx2")]
fn inverse_kernel<M: Prime>(values: &mut [u32; DEGREE], tables: &Tables) {
    for h in 0..2 {
        for column in 0..COLUMNS {
            let other = reverse_bits(column, COLUMNS.ilog2());
            if column > other {
                continue;
            }
            let rows = inverse_column::<M>(values, tables, h, column);
            if column < other {
                let rows = inverse_column::<M>(values, tables, h, other);
                store_column(values, h, column, &rows);
            }
            store_column(values, h, other, &rows);
        }
    }
    inverse_levels::<M, 5, 8>(values, tables);
    inverse_levels::<M, 2, 8>(values, tables);
    let modulus = _mm256_set1_epi32(M::MODULUS as i32);
    let twice = _mm256_add_epi32(modulus, modulus);
    let (scale, scaled_root) = (broadcast(tables.scale), broadcast(tables.scaled_root));
    for offset in (0..DEGREE / 4).step_by(LANES) {
        let mut v = load_strided::<4>(values, offset, DEGREE / 4);
        for k in [0, 2] {
            let twiddle = broadcast(tables.inverse[2 + k / 2]);
            (v[k], v[k + 1]) = merge::<M>(v[k], v[k + 1], twiddle);
        }
        for k in 0..2 {
            let sum = _mm256_add_epi32(v[k], v[k + 2]);
            let difference = _mm256_sub_epi32(_mm256_add_epi32(v[k], twice), v[k + 2]);
            v[k] = reduce_once(shoup::<M>(sum, scale), modulus);
            v[k + 2] = reduce_once(shoup::<M>(difference, scaled_root), modulus);
        }
        store_strided(values, offset, DEGREE / 4, &v);
    }
}

/// log2 `N` levels from `FIRST` on.
#[inline]
#[target_feature(enable = "avx2")]
fn forward_levels<M: Prime, const FIRST: usize, const N: usize>(
    values: &mut [u32; DEGREE],
    tables: &Tables,
) {
    let size = DEGREE >> FIRST;
    for block in 0..1 << FIRST {
        for offset in (0..size / N).step_by(LANES) {
            let offset = block * size + offset;
            let mut v = load_strided::<N>(values, offset, size / N);
            for level in 0..N.ilog2() as usize {
                let half = N >> (level + 1);
                for node in 0..1 << level {
                    let index = (1 << (FIRST + level)) + (block << level) + node;
                    let twiddle = broadcast(tables.forward[index]);
                    for k in 2 * half * node..2 * half * node + half {
                        (v[k], v[k + half]) = split::<M>(v[k], v[k + half], twiddle);
                    }
                }
            }
            store_strided(values, offset, size / N, &v);
        }
    }
}

/// Undoes [`forward_levels`] but for a factor.
#[inline]
#[target_feature(enable = "avx2")]
fn inverse_levels<M: Prime, const FIRST: usize, const N: usize>(
    values: &mut [u32; DEGREE],
    tables: &Tables,
) {
    let size = DEGREE >> FIRST;
    for block in 0..1 << FIRST {
        for offset in (0..size / N).step_by(LANES) {
            let offset = block * size + offset;
            let mut v = load_strided::<N>(values, offset, size / N);
            for level in (0..N.ilog2() as usize).rev() {
                let half = N >> (level + 1);
                for node in 0..1 << level {
                    let index = (1 << (FIRST + level)) + (block << level) + node;
                    let twiddle = broadcast(tables.inverse[index]);
                    for k in 2 * half * node..2 * half * node + half {
                        (v[k], v[k + half]) = merge::<M>(v[k], v[k + half], twiddle);
                    }
                }
            }
            store_strided(values, offset, size / N, &v);
        }
    }
}

/// The last three levels of the vectors that belong to column `(h, column)` of
/// the orbit order.
#[inline]
#[target_feature(enable = "avx2")]
fn forward_column<M: Prime>(
    values: &[u32; DEGREE],
    tables: &Tables,
    h: usize,
    column: usize,
) -> [__m256i; LANES] {
    let modulus = _mm256_set1_epi32(M::MODULUS as i32);
    let twice = _mm256_add_epi32(modulus, modulus);
    let twiddles = &tables.eight.forward[h * COLUMNS + column];
    let source = reverse_bits(column, COLUMNS.ilog2());
    let mut v = transpose(load_column(values, h, source));
    for level in 0..3 {
        let half = 4 >> level;
        for node in 0..1 << level {
            let twiddle = load_twiddle(&twiddles[(1 << level) - 1 + node]);
            for k in 2 * half * node..2 * half * node + half {
                (v[k], v[k + half]) = split::<M>(v[k], v[k + half], twiddle);
            }
        }
    }
    for vector in &mut v {
        *vector = reduce_once(reduce_once(*vector, twice), modulus);
    }
    v
}

/// Undoes [`forward_column`] but for a factor.
#[inline]
#[target_feature(enable = "avx2")]
fn inverse_column<M: Prime>(
    values: &[u32; DEGREE],
    tables: &Tables,
    h: usize,
    column: usize,
) -> [__m256i; LANES] {
    let twiddles = &tables.eight.inverse[h * COLUMNS + column];
    let mut v = load_column(values, h, column);
    for level in (0..3).rev() {
        let half = 4 >> level;
        for node in 0..1 << level {
            let twiddle = load_twiddle(&twiddles[(1 << level) - 1 + node]);
            for k in 2 * half * node..2 * half * node + half {
                (v[k], v[k + half]) = merge::<M>(v[k], v[k + half], twiddle);
            }
        }
    }
    transpose(v)
}

/// Where the vector of half `h` is whose number is `high`, then `column`.
#[inline(always)]
fn place(h: usize, high: usize, column: usize) -> usize {
    // The masks change nothing; they show the compiler that no check is needed.
    (h % 2) * ORBIT + LANES * (COLUMNS * high + column % COLUMNS)
}

/// The vectors of half `h` whose number ends in `column`, by the reversed
/// three highest bits of their number.
#[inline]
#[target_feature(enable = "avx2")]
fn load_column(values: &[u32; DEGREE], h: usize, column: usize) -> [__m256i; LANES] {
    let mut v = [_mm256_setzero_si256(); LANES];
    for (vector, high) in v.iter_mut().zip(REVERSED) {
        *vector = load(values, place(h, high, column));
    }
    v
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_column(values: &mut [u32; DEGREE], h: usize, column: usize, v: &[__m256i; LANES]) {
    for (&vector, high) in v.iter().zip(REVERSED) {
        store(
            values,
            h * ORBIT + LANES * (COLUMNS * high + column),
            vector,
        );
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_strided<const N: usize>(
    values: &[u32; DEGREE],
    first: usize,
    stride: usize,
) -> [__m256i; N] {
    let mut v = [_mm256_setzero_si256(); N];
    for (k, vector) in v.iter_mut().enumerate() {
        *vector = load(values, first + stride * k);
    }
    v
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_strided<const N: usize>(
    values: &mut [u32; DEGREE],
    first: usize,
    stride: usize,
    v: &[__m256i; N],
) {
    for (k, &vector) in v.iter().enumerate() {
        store(values, first + stride * k, vector);
    }
}

/// Factor, companion, and companion with the odd lanes moved to the even ones.
type Factor = (__m256i, __m256i, __m256i);

#[inline]
#[target_feature(enable = "avx2")]
fn broadcast(twiddle: Twiddle) -> Factor {
    let companion = _mm256_set1_epi32(twiddle.companion as i32);
    (
        _mm256_set1_epi32(twiddle.factor as i32),
        companion,
        companion,
    )
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_twiddle(twiddle: &TwiddleVector<LANES>) -> Factor {
    // SAFETY: both arrays hold 32 bytes.
    let (factor, companion) = unsafe {
        (
            _mm256_loadu_si256(twiddle.factor.as_ptr().cast()),
            _mm256_loadu_si256(twiddle.companion.as_ptr().cast()),
        )
    };
    (factor, companion, _mm256_srli_epi64::<32>(companion))
}

/// (x, y) in `[0, 4m)` to (x + f·y, x - f·y) in `[0, 4m)`.
#[inline]
#[target_feature(enable = "avx2")]
fn split<M: Prime>(x: __m256i, y: __m256i, factor: Factor) -> (__m256i, __m256i) {
    let twice = _mm256_set1_epi32(2 * M::MODULUS as i32);
    let x = reduce_once(x, twice);
    let product = shoup::<M>(y, factor);
    (
        _mm256_add_epi32(x, product),
        _mm256_sub_epi32(_mm256_add_epi32(x, twice), product),
    )
}

/// (x, y) in `[0, 2m)` to (x + y, f·(x - y)) in `[0, 2m)`.
#[inline]
#[target_feature(enable = "avx2")]
fn merge<M: Prime>(x: __m256i, y: __m256i, factor: Factor) -> (__m256i, __m256i) {
    let twice = _mm256_set1_epi32(2 * M::MODULUS as i32);
    let difference = _mm256_sub_epi32(_mm256_add_epi32(x, twice), y);
    (
        reduce_once(_mm256_add_epi32(x, y), twice),
        shoup::<M>(difference, factor),
    )
}

/// x·factor mod m in `[0, 2m)`, for any x.
#[inline]
#[target_feature(enable = "avx2")]
fn shoup<M: Prime>(x: __m256i, (factor, companion, companion_odd): Factor) -> __m256i {
    let even = _mm256_mul_epu32(x, companion);
    let odd = _mm256_mul_epu32(_mm256_srli_epi64::<32>(x), companion_odd);
    // High halves of both: the odd lanes of `odd` are in place already.
    let quotient = _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd);
    let modulus = _mm256_set1_epi32(M::MODULUS as i32);
    _mm256_sub_epi32(
        _mm256_mullo_epi32(x, factor),
        _mm256_mullo_epi32(quotient, modulus),
    )
}

/// x - m if x ≥ m.
#[inline]
#[target_feature(enable = "avx2")]
fn reduce_once(x: __m256i, modulus: __m256i) -> __m256i {
    _mm256_min_epu32(x, _mm256_sub_epi32(x, modulus))
}

/// Transposes an 8 × 8 matrix of `u32`.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(rows: [__m256i; 8]) -> [__m256i; 8] {
    let mut a = rows;
    for k in (0..8).step_by(2) {
        a[k] = _mm256_unpacklo_epi32(rows[k], rows[k + 1]);
        a[k + 1] = _mm256_unpackhi_epi32(rows[k], rows[k + 1]);
    }
    let mut b = a;
    for k in (0..8).step_by(4) {
        b[k] = _mm256_unpacklo_epi64(a[k], a[k + 2]);
        b[k + 1] = _mm256_unpackhi_epi64(a[k], a[k + 2]);
        b[k + 2] = _mm256_unpacklo_epi64(a[k + 1], a[k + 3]);
        b[k + 3] = _mm256_unpackhi_epi64(a[k + 1], a[k + 3]);
    }
    // b[4g + j] holds, in 128-bit lane L, rows 4g..4g+4 of column 4L + j.
    let mut c = b;
    for j in 0..4 {
        c[j] = _mm256_permute2x128_si256::<0x20>(b[j], b[j + 4]);
        c[j + 4] = _mm256_permute2x128_si256::<0x31>(b[j], b[j + 4]);
    }
    c
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(values: &[u32; DEGREE], index: usize) -> __m256i {
    let slice = &values[index..index + LANES];
    // SAFETY: `slice` holds 32 bytes.
    unsafe { _mm256_loadu_si256(slice.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(values: &mut [u32; DEGREE], index: usize, vector: __m256i) {
    let slice = &mut values[index..index + LANES];
    // SAFETY: `slice` holds 32 bytes.
    unsafe { _mm256_storeu_si256(slice.as_mut_ptr().cast(), vector) }
}
