//! Arithmetic limit of the machine: how fast the instructions that a scan
//! can't do without run from registers, against which scans of several queries
//! are measured.

#![expect(unsafe_code, reason = "SIMD kernel")]

use std::time::Instant;

/// Turns of a measurement, each of [`SUMS`] multiplications.
const TURNS: usize = 4_000_000;

/// Independent sums, as many as hide the latency of an addition to one.
const SUMS: usize = 12;

/// Database bytes times queries that the threads of the current rayon pool could
/// pass at most in a second, by the multiplications and additions alone, for
/// elements of 25 to 32 bits; the best of `rounds`. `None` for processors whose
/// kernels aren't known here.
#[must_use]
pub fn limit_bytes_per_second(rounds: usize) -> Option<f64> {
    let round = |_| rayon::broadcast(|_| measure()).into_iter().sum();
    let best = (0..rounds).filter_map(round).reduce(f64::max)?;
    Some(best * (TURNS * SUMS) as f64)
}

/// Bytes of one multiplication over the seconds of a turn's share.
#[cfg(target_arch = "x86_64")]
fn measure() -> Option<f64> {
    /// 64 digits and one of four limbs.
    const VNNI_512: f64 = 16.0;
    /// 16 digits and one of two limbs.
    const WIDE_256: f64 = 8.0;

    let start = Instant::now();
    let bytes = if is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512f") {
        // SAFETY: detected above.
        unsafe { vnni_512() };
        VNNI_512
    } else if is_x86_feature_detected!("avx2") {
        // SAFETY: detected above.
        unsafe { wide_256() };
        WIDE_256
    } else {
        return None;
    };
    Some(bytes / start.elapsed().as_secs_f64())
}

#[cfg(not(target_arch = "x86_64"))]
fn measure() -> Option<f64> {
    None
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
fn vnni_512() {
    use std::arch::x86_64::*;
    let mut sums = [_mm512_setzero_si512(); SUMS];
    let factor = _mm512_set1_epi8(3);
    for _ in 0..TURNS {
        // Unknown to the compiler, so that no turn is like the one before.
        let digits = std::hint::black_box(factor);
        for sum in &mut sums {
            *sum = _mm512_dpbusd_epi32(*sum, factor, digits);
        }
    }
    std::hint::black_box(sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn wide_256() {
    use std::arch::x86_64::*;
    let mut sums = [_mm256_setzero_si256(); SUMS];
    let limbs: [__m256i; SUMS] =
        std::hint::black_box(std::array::from_fn(|i| _mm256_set1_epi16(i as i16)));
    for _ in 0..TURNS {
        // Unknown to the compiler, so that no turn is like the one before.
        let digits = std::hint::black_box(limbs[1]);
        for (sum, limb) in sums.iter_mut().zip(&limbs) {
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(*limb, digits));
        }
    }
    std::hint::black_box(sums);
}
