//! Loops over the coefficients or slots of polynomials.

use super::{DEGREE, ORBIT, PackPrime, Prime, SpecialPrime};
use super::{
    inverse_mod, montgomery, montgomery_lazy, mul_mod, pow_mod, reduce_once, to_montgomery,
};
use crate::arch::multiversion;

/// P^{-1} mod Q in Montgomery form.
pub(crate) const SPECIAL_INVERSE: u32 = {
    let inverse = inverse_mod(
        SpecialPrime::MODULUS % PackPrime::MODULUS,
        PackPrime::MODULUS,
    );
    mul_mod(
        inverse,
        pow_mod(2, 32, PackPrime::MODULUS),
        PackPrime::MODULUS,
    )
};

/// Products of two residues below 2^30 that a sum below 2^63 holds.
pub(crate) const FOLD_EVERY: usize = 8;

multiversion! {
    /// a·b for b in Montgomery form: `out[i] = a[i]·b[i]·2^{-32} mod m`.
    pub(crate) fn multiply<M: Prime>(
        out: &mut [u32; DEGREE],
        a: &[u32; DEGREE],
        b: &[u32; DEGREE],
    ) {
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *out = montgomery::<M>(u64::from(a) * u64::from(b));
        }
    }

    /// [`multiply`] for b given by its two halves of d/2 slots.
    pub(crate) fn multiply_halves<M: Prime>(
        out: &mut [u32; DEGREE],
        a: &[u32; DEGREE],
        b: [&[u32]; 2],
    ) {
        let halves = out.chunks_exact_mut(ORBIT).zip(a.chunks_exact(ORBIT)).zip(b);
        for ((out, a), b) in halves {
            for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                *out = montgomery::<M>(u64::from(a) * u64::from(b));
            }
        }
    }

    /// a - b mod m.
    pub(crate) fn subtract<M: Prime>(a: &mut [u32; DEGREE], b: &[u32; DEGREE]) {
        for (a, &b) in a.iter_mut().zip(b) {
            *a = reduce_once(*a + M::MODULUS - b, M::MODULUS);
        }
    }

    /// `sum[i] += a[i]·b[i]`; see [`FOLD_EVERY`].
    pub(crate) fn accumulate(sum: &mut [u64; DEGREE], a: &[u32; DEGREE], b: &[u32; DEGREE]) {
        for ((sum, &a), &b) in sum.iter_mut().zip(a).zip(b) {
            *sum += u64::from(a) * u64::from(b);
        }
    }

    /// `total[i] += sum[i]·2^{-32} mod m`, and clears `sum`, for sums below
    /// 2^63.
    pub(crate) fn fold<M: Prime>(total: &mut [u32; DEGREE], sum: &mut [u64; DEGREE]) {
        for (total, sum) in total.iter_mut().zip(sum) {
            // Below 2^31 + m < 4m for the 30-bit prime, the only one summed so.
            let product = reduce_once(montgomery_lazy::<M>(*sum), 2 * M::MODULUS);
            let product = reduce_once(product, M::MODULUS);
            *total = reduce_once(*total + product, M::MODULUS);
            *sum = 0;
        }
    }

    /// a + b mod m.
    pub(crate) fn add<M: Prime>(a: &mut [u32; DEGREE], b: &[u32; DEGREE]) {
        for (a, &b) in a.iter_mut().zip(b) {
            *a = reduce_once(*a + b, M::MODULUS);
        }
    }

    /// `a[i] ← b[i] - a[i] mod m`.
    pub(crate) fn subtract_from<M: Prime>(a: &mut [u32; DEGREE], b: &[u32; DEGREE]) {
        for (a, &b) in a.iter_mut().zip(b) {
            *a = reduce_once(b + M::MODULUS - *a, M::MODULUS);
        }
    }

    /// Into Montgomery form, in place.
    pub(crate) fn into_montgomery<M: Prime>(values: &mut [u32; DEGREE]) {
        for value in values {
            *value = to_montgomery::<M>(*value);
        }
    }

    /// Residues mod Q to the residues mod P of their centred lifts.
    pub(crate) fn lift_to_special(values: &mut [u32; DEGREE]) {
        for value in values {
            let negative = u32::from(*value > PackPrime::MODULUS / 2).wrapping_neg();
            *value += negative & (SpecialPrime::MODULUS - PackPrime::MODULUS);
        }
    }

    /// Residues mod P to (their centred lifts)·P^{-1} mod Q.
    pub(crate) fn divide_by_special(values: &mut [u32; DEGREE]) {
        // A multiple of Q above P makes the negative lifts positive.
        const SHIFT: u32 = SpecialPrime::MODULUS.div_ceil(PackPrime::MODULUS)
            * PackPrime::MODULUS - SpecialPrime::MODULUS;
        for value in values {
            let negative = u32::from(*value > SpecialPrime::MODULUS / 2).wrapping_neg();
            let lifted = *value + (negative & SHIFT);
            *value = montgomery::<PackPrime>(u64::from(lifted) * u64::from(SPECIAL_INVERSE));
        }
    }
}

/// ⌊value·2^bits/m⌉ mod 2^bits, for a residue mod m and bits ≤ 30.
#[inline(always)]
pub(crate) fn round_to_bits<M: Prime>(value: u32, bits: u32) -> u32 {
    // The modulus is a constant, so the division is a multiplication.
    let rounded = ((u64::from(value) << bits) + u64::from(M::MODULUS / 2)) / u64::from(M::MODULUS);
    rounded as u32 & ((1 << bits) - 1)
}

/// ⌊value·m/2^bits⌉ mod m, for value < 2^bits.
#[inline(always)]
pub(crate) fn round_from_bits<M: Prime>(value: u32, bits: u32) -> u32 {
    let scaled = u64::from(value) * u64::from(M::MODULUS) + (1 << (bits - 1));
    reduce_once((scaled >> bits) as u32, M::MODULUS)
}

/// ⌊value·to/from⌉ mod `to`, for a residue mod `from`.
#[inline(always)]
pub(crate) fn switch_modulus<From: Prime, To: Prime>(value: u32) -> u32 {
    let scaled = u64::from(value) * u64::from(To::MODULUS) + u64::from(From::MODULUS / 2);
    reduce_once((scaled / u64::from(From::MODULUS)) as u32, To::MODULUS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_by_the_special_prime_is_exact_on_multiples() {
        let (p, q) = (
            i64::from(SpecialPrime::MODULUS),
            i64::from(PackPrime::MODULUS),
        );
        let inputs = [0, 1, p / 2, p / 2 + 1, p - 1, 12_345_678];
        let mut values = [0u32; DEGREE];
        for (value, &input) in values.iter_mut().zip(&inputs) {
            *value = input as u32;
        }
        divide_by_special(&mut values);
        for (&value, &input) in values.iter().zip(&inputs) {
            let centred = if input > p / 2 { input - p } else { input };
            assert_eq!(
                (i128::from(value) * i128::from(p) - i128::from(centred)).rem_euclid(q.into()),
                0
            );
        }
    }

    #[test]
    fn lift_keeps_the_centred_value() {
        let q = PackPrime::MODULUS;
        let mut values = [0u32; DEGREE];
        values[1] = q / 2;
        values[2] = q / 2 + 1;
        values[3] = q - 1;
        lift_to_special(&mut values);
        let p = SpecialPrime::MODULUS;
        assert_eq!(values[..4], [0, q / 2, p - q / 2, p - 1]);
    }

    #[test]
    fn modulus_switches_round_and_wrap() {
        let (q, pack) = (ScanPrime::MODULUS, PackPrime::MODULUS);
        assert_eq!(round_to_bits::<ScanPrime>(0, 25), 0);
        assert_eq!(round_to_bits::<ScanPrime>(q - 1, 25), 0);
        assert_eq!(round_to_bits::<ScanPrime>(q / 2, 25), 1 << 24);
        assert_eq!(round_from_bits::<PackPrime>(0, 25), 0);
        assert_eq!(round_from_bits::<PackPrime>((1 << 25) - 1, 25), 0);
        assert_eq!(round_from_bits::<PackPrime>(1 << 24, 25), pack / 2 + 1);
        assert_eq!(switch_modulus::<ScanPrime, PackPrime>(q - 1), 0);
        assert_eq!(switch_modulus::<ScanPrime, PackPrime>(q / 2), pack / 2);
    }

    use super::super::ScanPrime;

    #[test]
    fn folding_the_largest_sums_is_exact() {
        let m = ScanPrime::MODULUS;
        let a = [m - 1; DEGREE];
        let mut sum = [0; DEGREE];
        for _ in 0..FOLD_EVERY {
            accumulate(&mut sum, &a, &a);
        }
        let expected = (u128::from(sum[0]) * u128::from(inverse_mod(pow_mod(2, 32, m), m))
            % u128::from(m)) as u32;
        let mut total = [0; DEGREE];
        fold::<ScanPrime>(&mut total, &mut sum);
        assert_eq!(
            (total[0], total[DEGREE - 1], sum[0]),
            (expected, expected, 0)
        );
    }
}
