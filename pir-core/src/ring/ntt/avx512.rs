//! The transform with AVX-512, sixteen residues a vector.
//!
//! Three passes over the 8 KiB polynomial, each keeping its levels in
//! registers: levels 0–3 on sixteen vectors at stride 128, levels 4–6 on eight
//! neighbouring vectors, levels 7–10 on sixteen vectors transposed so that the
//! butterflies stay vertical. The second pass stores its vectors with two
//! index bits swapped and the third loads its vectors in bit-reversed order;
//! together they put the slots in orbit order, in place.
//!
//! Butterflies are Harvey's lazy ones (arXiv:1205.2926, Algorithms 2 and 4).

#![expect(unsafe_code, reason = "SIMD kernel")]

use std::arch::x86_64::*;

use super::super::{DEGREE, Prime};
use super::tables::{Tables, Twiddle, TwiddleVector};
use crate::arch::Avx512;

/// Four-bit reversal.
const REVERSED: [usize; 16] = [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15];
/// Swap of the two low bits of a three-bit index.
const SWAPPED: [usize; 8] = [0, 2, 1, 3, 4, 6, 5, 7];

/// Coefficients in `[0, 4m)` to slots in `[0, m)`.
pub(super) fn forward<M: Prime>(_proof: Avx512, values: &mut [u32; DEGREE]) {
    // SAFETY: `_proof` shows that the enabled features are there.
    unsafe { forward_kernel::<M>(values, M::tables()) }
}

/// Slots in `[0, 2m)` to coefficients in `[0, m)`.
pub(super) fn inverse<M: Prime>(_proof: Avx512, values: &mut [u32; DEGREE]) {
    // SAFETY: `_proof` shows that the enabled features are there.
    unsafe { inverse_kernel::<M>(values, M::tables()) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn forward_kernel<M: Prime>(values: &mut [u32; DEGREE], tables: &Tables) {
    for offset in (0..128).step_by(16) {
        let mut v: [__m512i; 16] = std::array::from_fn(|k| load(values, offset + 128 * k));
        for level in 0..4 {
            let half = 8 >> level;
            for node in 0..1 << level {
                let twiddle = broadcast(tables.forward[(1 << level) + node]);
                for k in 2 * half * node..2 * half * node + half {
                    (v[k], v[k + half]) = split::<M>(v[k], v[k + half], twiddle);
                }
            }
        }
        for (k, &vector) in v.iter().enumerate() {
            store(values, offset + 128 * k, vector);
        }
    }
    for block in 0..16 {
        let mut v: [__m512i; 8] = std::array::from_fn(|k| load(values, 128 * block + 16 * k));
        for level in 0..3 {
            let half = 4 >> level;
            for node in 0..1 << level {
                let index = ((16 + block) << level) + node;
                let twiddle = broadcast(tables.forward[index]);
                for k in 2 * half * node..2 * half * node + half {
                    (v[k], v[k + half]) = split::<M>(v[k], v[k + half], twiddle);
                }
            }
        }
        for (k, &vector) in v.iter().enumerate() {
            store(values, 128 * block + 16 * SWAPPED[k], vector);
        }
    }
    let modulus = _mm512_set1_epi32(M::MODULUS as i32);
    let twice = _mm512_add_epi32(modulus, modulus);
    for (column, twiddles) in tables.sixteen.forward.iter().enumerate() {
        let base = 1024 * (column / 4) + 16 * (column % 4);
        let rows = std::array::from_fn(|k| load(values, base + 64 * REVERSED[k]));
        let mut v = transpose(rows);
        for level in 0..4 {
            let half = 8 >> level;
            for node in 0..1 << level {
                let twiddle = load_twiddle(&twiddles[(1 << level) - 1 + node]);
                for k in 2 * half * node..2 * half * node + half {
                    (v[k], v[k + half]) = split::<M>(v[k], v[k + half], twiddle);
                }
            }
        }
        for (k, &vector) in v.iter().enumerate() {
            let reduced = reduce_once(reduce_once(vector, twice), modulus);
            store(values, base + 64 * REVERSED[k], reduced);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn inverse_kernel<M: Prime>(values: &mut [u32; DEGREE], tables: &Tables) {
    for (column, twiddles) in tables.sixteen.inverse.iter().enumerate() {
        let base = 1024 * (column / 4) + 16 * (column % 4);
        let mut v: [__m512i; 16] = std::array::from_fn(|k| load(values, base + 64 * REVERSED[k]));
        for level in (0..4).rev() {
            let half = 8 >> level;
            for node in 0..1 << level {
                let twiddle = load_twiddle(&twiddles[(1 << level) - 1 + node]);
                for k in 2 * half * node..2 * half * node + half {
                    (v[k], v[k + half]) = merge::<M>(v[k], v[k + half], twiddle);
                }
            }
        }
        for (k, &vector) in transpose(v).iter().enumerate() {
            store(values, base + 64 * REVERSED[k], vector);
        }
    }
    for block in 0..16 {
        let mut v: [__m512i; 8] =
            std::array::from_fn(|k| load(values, 128 * block + 16 * SWAPPED[k]));
        for level in (0..3).rev() {
            let half = 4 >> level;
            for node in 0..1 << level {
                let index = ((16 + block) << level) + node;
                let twiddle = broadcast(tables.inverse[index]);
                for k in 2 * half * node..2 * half * node + half {
                    (v[k], v[k + half]) = merge::<M>(v[k], v[k + half], twiddle);
                }
            }
        }
        for (k, &vector) in v.iter().enumerate() {
            store(values, 128 * block + 16 * k, vector);
        }
    }
    let modulus = _mm512_set1_epi32(M::MODULUS as i32);
    let twice = _mm512_add_epi32(modulus, modulus);
    let scale = broadcast(tables.scale);
    let scaled_root = broadcast(tables.scaled_root);
    for offset in (0..128).step_by(16) {
        let mut v: [__m512i; 16] = std::array::from_fn(|k| load(values, offset + 128 * k));
        for level in (1..4).rev() {
            let half = 8 >> level;
            for node in 0..1 << level {
                let twiddle = broadcast(tables.inverse[(1 << level) + node]);
                for k in 2 * half * node..2 * half * node + half {
                    (v[k], v[k + half]) = merge::<M>(v[k], v[k + half], twiddle);
                }
            }
        }
        for k in 0..8 {
            let sum = _mm512_add_epi32(v[k], v[k + 8]);
            let difference = _mm512_sub_epi32(_mm512_add_epi32(v[k], twice), v[k + 8]);
            v[k] = reduce_once(shoup::<M>(sum, scale), modulus);
            v[k + 8] = reduce_once(shoup::<M>(difference, scaled_root), modulus);
        }
        for (k, &vector) in v.iter().enumerate() {
            store(values, offset + 128 * k, vector);
        }
    }
}

/// Factor, companion, and companion with the odd lanes moved to the even ones.
type Factor = (__m512i, __m512i, __m512i);

#[inline]
#[target_feature(enable = "avx512f")]
fn broadcast(twiddle: Twiddle) -> Factor {
    let companion = _mm512_set1_epi32(twiddle.companion as i32);
    (
        _mm512_set1_epi32(twiddle.factor as i32),
        companion,
        companion,
    )
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_twiddle(twiddle: &TwiddleVector<16>) -> Factor {
    // SAFETY: both arrays hold 64 bytes.
    let (factor, companion) = unsafe {
        (
            _mm512_loadu_si512(twiddle.factor.as_ptr().cast()),
            _mm512_loadu_si512(twiddle.companion.as_ptr().cast()),
        )
    };
    (factor, companion, _mm512_srli_epi64::<32>(companion))
}

/// (x, y) in `[0, 4m)` to (x + f·y, x - f·y) in `[0, 4m)`.
#[inline]
#[target_feature(enable = "avx512f")]
fn split<M: Prime>(x: __m512i, y: __m512i, factor: Factor) -> (__m512i, __m512i) {
    let twice = _mm512_set1_epi32(2 * M::MODULUS as i32);
    let x = reduce_once(x, twice);
    let product = shoup::<M>(y, factor);
    (
        _mm512_add_epi32(x, product),
        _mm512_sub_epi32(_mm512_add_epi32(x, twice), product),
    )
}

/// (x, y) in `[0, 2m)` to (x + y, f·(x - y)) in `[0, 2m)`.
#[inline]
#[target_feature(enable = "avx512f")]
fn merge<M: Prime>(x: __m512i, y: __m512i, factor: Factor) -> (__m512i, __m512i) {
    let twice = _mm512_set1_epi32(2 * M::MODULUS as i32);
    let difference = _mm512_sub_epi32(_mm512_add_epi32(x, twice), y);
    (
        reduce_once(_mm512_add_epi32(x, y), twice),
        shoup::<M>(difference, factor),
    )
}

/// x·factor mod m in `[0, 2m)`, for any x.
#[inline]
#[target_feature(enable = "avx512f")]
fn shoup<M: Prime>(x: __m512i, (factor, companion, companion_odd): Factor) -> __m512i {
    let even = _mm512_mul_epu32(x, companion);
    let odd = _mm512_mul_epu32(_mm512_srli_epi64::<32>(x), companion_odd);
    // High halves of both: the odd lanes of `odd` are in place already.
    let quotient = _mm512_mask_shuffle_epi32::<0b11_11_01_01>(odd, 0x5555, even);
    let modulus = _mm512_set1_epi32(M::MODULUS as i32);
    _mm512_sub_epi32(
        _mm512_mullo_epi32(x, factor),
        _mm512_mullo_epi32(quotient, modulus),
    )
}

/// x - m if x ≥ m.
#[inline]
#[target_feature(enable = "avx512f")]
fn reduce_once(x: __m512i, modulus: __m512i) -> __m512i {
    _mm512_min_epu32(x, _mm512_sub_epi32(x, modulus))
}

/// Transposes a 16 × 16 matrix of `u32`.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(rows: [__m512i; 16]) -> [__m512i; 16] {
    let mut a = rows;
    for k in (0..16).step_by(2) {
        a[k] = _mm512_unpacklo_epi32(rows[k], rows[k + 1]);
        a[k + 1] = _mm512_unpackhi_epi32(rows[k], rows[k + 1]);
    }
    let mut b = a;
    for k in (0..16).step_by(4) {
        b[k] = _mm512_unpacklo_epi64(a[k], a[k + 2]);
        b[k + 1] = _mm512_unpackhi_epi64(a[k], a[k + 2]);
        b[k + 2] = _mm512_unpacklo_epi64(a[k + 1], a[k + 3]);
        b[k + 3] = _mm512_unpackhi_epi64(a[k + 1], a[k + 3]);
    }
    // b[4g + j] holds, in 128-bit lane L, rows 4g..4g+4 of column 4L + j.
    let mut c = b;
    for j in 0..4 {
        c[j] = _mm512_shuffle_i32x4::<0b10_00_10_00>(b[j], b[j + 4]);
        c[j + 4] = _mm512_shuffle_i32x4::<0b11_01_11_01>(b[j], b[j + 4]);
        c[j + 8] = _mm512_shuffle_i32x4::<0b10_00_10_00>(b[j + 8], b[j + 12]);
        c[j + 12] = _mm512_shuffle_i32x4::<0b11_01_11_01>(b[j + 8], b[j + 12]);
    }
    let mut d = c;
    for j in 0..4 {
        d[j] = _mm512_shuffle_i32x4::<0b10_00_10_00>(c[j], c[j + 8]);
        d[j + 8] = _mm512_shuffle_i32x4::<0b11_01_11_01>(c[j], c[j + 8]);
        d[j + 4] = _mm512_shuffle_i32x4::<0b10_00_10_00>(c[j + 4], c[j + 12]);
        d[j + 12] = _mm512_shuffle_i32x4::<0b11_01_11_01>(c[j + 4], c[j + 12]);
    }
    d
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(values: &[u32; DEGREE], index: usize) -> __m512i {
    let slice = &values[index..index + 16];
    // SAFETY: `slice` holds 64 bytes.
    unsafe { _mm512_loadu_si512(slice.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(values: &mut [u32; DEGREE], index: usize, vector: __m512i) {
    let slice = &mut values[index..index + 16];
    // SAFETY: `slice` holds 64 bytes.
    unsafe { _mm512_storeu_si512(slice.as_mut_ptr().cast(), vector) }
}
