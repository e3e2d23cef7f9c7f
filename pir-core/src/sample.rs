//! Secret randomness: the generator, ternary secrets, Gaussian errors.
//!
//! Every sampler here runs in time that does not depend on what it draws.

use std::fmt;

use rand::rngs::SysRng;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroize;

use crate::Error;
use crate::ring::{DEGREE, Prime};

/// Standard deviation σ of the error distribution χ_e.
pub(crate) const SIGMA: f64 = 3.2;

/// ChaCha20 generator for secrets, seeded by the operating system.
pub(crate) struct SecretRng(ChaCha20Rng);

impl SecretRng {
    /// A generator with a fresh 256-bit seed from the operating system.
    ///
    /// # Errors
    ///
    /// [`Error::Randomness`] if the operating system gives none.
    pub(crate) fn from_os() -> Result<Self, Error> {
        ChaCha20Rng::try_from_rng(&mut SysRng)
            .map(Self)
            .map_err(|_| Error::Randomness)
    }

    /// A generator whose output anyone who knows `seed` can repeat, for known
    /// answers and timing.
    #[cfg(any(test, feature = "timing"))]
    pub(crate) fn from_seed(seed: [u8; 32]) -> Self {
        Self(ChaCha20Rng::from_seed(seed))
    }

    /// Sixty-four uniform bits.
    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `[0, bound)`, uniform up to a bias below 2^-32.
    #[cfg(test)]
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u32
    }
}

/// Overwrites the key, from which all secrets drawn could be drawn again.
impl Drop for SecretRng {
    fn drop(&mut self) {
        self.0 = ChaCha20Rng::from_seed([0; 32]);
        // So that the store is not removed as dead.
        std::hint::black_box(&mut self.0);
    }
}

impl fmt::Debug for SecretRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretRng(redacted)")
    }
}

/// A small secret polynomial: coefficients in a few bits, zeroised on drop.
#[derive(Zeroize)]
#[zeroize(drop)]
pub(crate) struct SmallSecret(Box<[i8; DEGREE]>);

impl SmallSecret {
    /// χ_s: every coefficient uniform in {-1, 0, 1}.
    pub(crate) fn ternary(rng: &mut SecretRng) -> Self {
        let mut values = Box::new([0i8; DEGREE]);
        for value in values.iter_mut() {
            *value = ternary(rng.next_u64());
        }
        Self(values)
    }

    /// Given coefficients, for timing.
    #[cfg(feature = "timing")]
    pub(crate) fn from_coefficients(values: &[i8; DEGREE]) -> Self {
        Self(Box::new(*values))
    }

    /// χ_e: every coefficient from the discrete Gaussian of width [`SIGMA`].
    pub(crate) fn gaussian(rng: &mut SecretRng) -> Self {
        let mut values = Box::new([0i8; DEGREE]);
        for value in values.iter_mut() {
            *value = gaussian(rng.next_u64());
        }
        Self(values)
    }

    /// τ_t of the polynomial for odd t < 2d.
    pub(crate) fn automorphism(&self, t: usize) -> Self {
        let mut values = Box::new([0i8; DEGREE]);
        for (i, &value) in self.0.iter().enumerate() {
            let exponent = i * t % (2 * DEGREE);
            // The sign depends on i and t alone.
            let sign = if exponent < DEGREE { 1 } else { -1 };
            values[exponent % DEGREE] = sign * value;
        }
        Self(values)
    }

    /// Coefficients as residues in `[0, m)`.
    pub(crate) fn residues<M: Prime>(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().map(|&x| lift::<M>(x))
    }
}

/// x mod m in `[0, m)` without a branch.
#[inline(always)]
fn lift<M: Prime>(x: i8) -> u32 {
    let x = i32::from(x);
    (x + ((x >> 31) & M::MODULUS as i32)) as u32
}

/// ⌊2^63·Pr[|X| ≤ k]⌉ for k = 0, 1, … of the discrete Gaussian with σ = 3.2,
/// from 60-digit decimal arithmetic; the next entry would be 2^63, so the
/// distribution is within 2^-62 of the ideal one in every probability.
const CUMULATIVE: [u64; 29] = [
    1_149_872_835_429_266_008,
    3_340_023_666_152_832_878,
    5_231_742_854_224_525_755,
    6_713_673_034_491_318_534,
    7_766_573_326_200_196_559,
    8_445_050_402_542_556_634,
    8_841_576_285_654_612_683,
    9_051_758_678_878_186_096,
    9_152_802_451_769_415_979,
    9_196_859_074_767_746_705,
    9_214_281_206_174_004_120,
    9_220_529_764_022_708_441,
    9_222_562_339_745_873_206,
    9_223_161_995_634_596_964,
    9_223_322_447_917_711_088,
    9_223_361_386_320_111_733,
    9_223_369_956_674_611_012,
    9_223_371_667_508_612_691,
    9_223_371_977_254_386_295,
    9_223_372_028_116_140_532,
    9_223_372_035_690_845_298,
    9_223_372_036_713_969_870,
    9_223_372_036_839_307_001,
    9_223_372_036_853_232_778,
    9_223_372_036_854_636_068,
    9_223_372_036_854_764_320,
    9_223_372_036_854_774_951,
    9_223_372_036_854_775_750,
    9_223_372_036_854_775_804,
];

/// A ternary sample from 64 uniform bits, uniform up to a bias below 2^-62.
#[inline(always)]
pub(crate) fn ternary(bits: u64) -> i8 {
    ((u128::from(bits) * 3) >> 64) as i8 - 1
}

/// A Gaussian sample from 64 uniform bits: the top bit is the sign, the rest
/// is looked up by comparing with the whole table.
#[inline(always)]
pub(crate) fn gaussian(bits: u64) -> i8 {
    let uniform = bits & (u64::MAX >> 1);
    let mut magnitude = 0u64;
    for threshold in CUMULATIVE {
        // 1 iff uniform ≥ threshold: both are below 2^63.
        magnitude += threshold.wrapping_sub(uniform + 1) >> 63;
    }
    let sign = (bits >> 63) as i8;
    (magnitude as i8 ^ -sign) + sign
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_the_discrete_gaussian() {
        let density = |k: usize| (-((k * k) as f64) / (2.0 * SIGMA * SIGMA)).exp();
        let total = density(0) + 2.0 * (1..60).map(density).sum::<f64>();
        let mut cumulative = 0.0;
        for (k, &entry) in CUMULATIVE.iter().enumerate() {
            cumulative += if k == 0 { 1.0 } else { 2.0 } * density(k) / total;
            let found = entry as f64 / 2f64.powi(63);
            assert!((found - cumulative).abs() < 1e-15, "entry {k}");
        }
        // Where f64 is too coarse: 2^63 less the tails beyond 25 to 28.
        let tails = CUMULATIVE[25..].iter().map(|entry| (1 << 63) - entry);
        assert_eq!(tails.collect::<Vec<u64>>(), [11_488, 857, 58, 4]);
        assert!(CUMULATIVE.is_sorted());
    }

    #[test]
    fn ternary_picks_the_third_of_its_bits() {
        let third = u64::MAX / 3;
        assert_eq!((ternary(0), ternary(third)), (-1, -1));
        assert_eq!((ternary(third + 1), ternary(2 * third)), (0, 0));
        assert_eq!((ternary(2 * third + 1), ternary(u64::MAX)), (1, 1));
    }

    #[test]
    fn gaussian_picks_the_interval_of_its_bits() {
        assert_eq!(gaussian(0), 0);
        assert_eq!(gaussian(CUMULATIVE[0] - 1), 0);
        assert_eq!(gaussian(CUMULATIVE[0]), 1);
        assert_eq!(gaussian(CUMULATIVE[0] | 1 << 63), -1);
        assert_eq!(gaussian(CUMULATIVE[4]), 5);
        assert_eq!(gaussian(u64::MAX >> 1), 29);
        assert_eq!(gaussian(u64::MAX), -29);
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut rng = SecretRng::from_seed([7; 32]);
        let n = 64 * DEGREE;
        let mut sums = [0f64; 4];
        for _ in 0..64 {
            for &x in SmallSecret::gaussian(&mut rng).0.iter() {
                sums[0] += f64::from(x);
                sums[1] += f64::from(x).powi(2);
            }
            for &x in SmallSecret::ternary(&mut rng).0.iter() {
                sums[2] += f64::from(x);
                sums[3] += f64::from(x).powi(2);
            }
        }
        let mean = sums.map(|s| s / n as f64);
        assert!(mean[0].abs() < 0.05 && mean[2].abs() < 0.02, "{mean:?}");
        assert!((mean[1].sqrt() - SIGMA).abs() < 0.05, "{mean:?}");
        assert!((mean[3] - 2.0 / 3.0).abs() < 0.02, "{mean:?}");
    }

    #[test]
    fn debug_shows_no_state() {
        let rng = SecretRng::from_seed([1; 32]);
        assert_eq!(format!("{rng:?}"), "SecretRng(redacted)");
    }
}
