//! The rings R_m = Z_m\[X\]/(X^d + 1) for the three prime moduli m.
//!
//! Residues are `u32` in `[0, m)`. A polynomial is held either by its
//! coefficients or by its values at the primitive 2d-th roots of unity, in
//! *orbit order* (see [`ntt`]).

pub mod ntt;
pub(crate) mod pointwise;
pub mod poly;

/// Ring degree d, which is also the LWE dimension.
pub const DEGREE: usize = 2048;

/// Slots of one orbit of τ_5, d/2.
pub const ORBIT: usize = DEGREE / 2;

/// A prime modulus with 2d | m - 1 and m < 2^30, so that residues below 4m fit
/// a `u32` (lazy reduction, Harvey, arXiv:1205.2926).
pub trait Prime: Copy + Send + Sync + 'static {
    /// The modulus m.
    const MODULUS: u32;
    /// A fixed primitive 2d-th root of unity ψ modulo m.
    const PSI: u32;
    /// Bits of a residue on the wire.
    const BITS: u32 = u32::BITS - Self::MODULUS.leading_zeros();
    /// -m^{-1} mod 2^32.
    const NEG_INVERSE: u32 = neg_inverse(Self::MODULUS);
    /// 2^64 mod m: multiplies into Montgomery form.
    const R_SQUARED: u32 = ((1u128 << 64) % Self::MODULUS as u128) as u32;

    /// The transform's constants for this modulus, computed once.
    fn tables() -> &'static ntt::Tables;
}

/// Scan modulus q, 30 bits: queries and hints.
#[derive(Clone, Copy, Debug)]
pub enum ScanPrime {}

/// Packing modulus Q, 23 bits.
#[derive(Clone, Copy, Debug)]
pub enum PackPrime {}

/// Special prime P of the key switch, 27 bits.
#[derive(Clone, Copy, Debug)]
pub enum SpecialPrime {}

macro_rules! prime {
    ($name:ident, $modulus:expr, $psi:expr) => {
        impl Prime for $name {
            const MODULUS: u32 = $modulus;
            const PSI: u32 = $psi;
            fn tables() -> &'static ntt::Tables {
                static TABLES: std::sync::LazyLock<ntt::Tables> =
                    std::sync::LazyLock::new(ntt::Tables::new::<$name>);
                &TABLES
            }
        }
    };
}

prime!(ScanPrime, 1_073_692_673, 77_672_603);
prime!(PackPrime, 8_380_417, 7_901_702);
prime!(SpecialPrime, 134_176_769, 51_394_918);

/// a·b mod m.
#[inline(always)]
pub(crate) const fn mul_mod(a: u32, b: u32, modulus: u32) -> u32 {
    (a as u64 * b as u64 % modulus as u64) as u32
}

/// base^exponent mod m.
pub(crate) const fn pow_mod(base: u32, mut exponent: u64, modulus: u32) -> u32 {
    let mut power = base;
    let mut result = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = mul_mod(result, power, modulus);
        }
        power = mul_mod(power, power, modulus);
        exponent >>= 1;
    }
    result
}

/// a^{-1} mod m, for prime m and a ≠ 0.
pub(crate) const fn inverse_mod(a: u32, modulus: u32) -> u32 {
    pow_mod(a, modulus as u64 - 2, modulus)
}

/// x - m if x ≥ m, for x < 2m, without a branch.
#[inline(always)]
pub(crate) fn reduce_once(x: u32, modulus: u32) -> u32 {
    x.min(x.wrapping_sub(modulus))
}

/// x·2^{-32} mod m in `[0, 2m)`, for x < 2^32·m (Montgomery reduction).
#[inline(always)]
pub(crate) fn montgomery_lazy<M: Prime>(x: u64) -> u32 {
    let quotient = (x as u32).wrapping_mul(M::NEG_INVERSE);
    ((x + u64::from(quotient) * u64::from(M::MODULUS)) >> 32) as u32
}

/// x·2^{-32} mod m, fully reduced, for x < 2^32·m.
#[inline(always)]
pub(crate) fn montgomery<M: Prime>(x: u64) -> u32 {
    reduce_once(montgomery_lazy::<M>(x), M::MODULUS)
}

/// a·2^32 mod m.
#[inline(always)]
pub(crate) fn to_montgomery<M: Prime>(a: u32) -> u32 {
    montgomery::<M>(u64::from(a) * u64::from(M::R_SQUARED))
}

/// -m^{-1} mod 2^32 by Newton's iteration.
const fn neg_inverse(modulus: u32) -> u32 {
    let mut inverse = 1u32;
    let mut round = 0;
    while round < 5 {
        inverse = inverse.wrapping_mul(2u32.wrapping_sub(modulus.wrapping_mul(inverse)));
        round += 1;
    }
    inverse.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<M: Prime>() {
        let m = M::MODULUS;
        assert!(m < 1 << 30);
        assert_eq!((m - 1) % (2 * DEGREE as u32), 0);
        let mut divisor = 2;
        while divisor * divisor <= m {
            assert_ne!(m % divisor, 0, "{m} is divisible by {divisor}");
            divisor += 1;
        }
        assert_eq!(pow_mod(M::PSI, DEGREE as u64, m), m - 1);
        assert_eq!(m.wrapping_mul(M::NEG_INVERSE), u32::MAX);
        for a in [0, 1, 2, m / 2, m - 1] {
            assert_eq!(montgomery::<M>(u64::from(to_montgomery::<M>(a))), a);
        }
    }

    #[test]
    fn moduli_are_transform_primes() {
        check::<ScanPrime>();
        check::<PackPrime>();
        check::<SpecialPrime>();
        assert_eq!(ScanPrime::BITS, 30);
        assert_eq!(PackPrime::BITS, 23);
        assert_eq!(SpecialPrime::BITS, 27);
    }
}
