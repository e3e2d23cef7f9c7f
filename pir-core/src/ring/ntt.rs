//! Negacyclic number-theoretic transform of degree d = 2048 in orbit order.
//!
//! *Orbit order*: slot `(h, i)`, stored at index `h·d/2 + i` with h ∈ {0, 1}
//! and i < d/2, holds the value at ψ^u with u = (-1)^h·5^i mod 2d. In it the
//! automorphism τ_{5^k} is the rotation i → i + k of both halves, and τ_{-1}
//! swaps the halves.
//!
//! The transform is the usual tree of splittings X^{2n} - ρ² → (X^n - ρ)(X^n + ρ).
//! A node on level m holds the slots that agree in h and in the low m - 1 bits
//! of i (u mod 2^{m+1} depends on nothing else), so taking the square root
//! that belongs to the next bit of i being 0 as the left child yields the
//! slots in bit-reversed orbit order, and orbit order costs no more than any
//! other.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
mod tables;

pub use tables::Tables;

use super::{DEGREE, Prime};
use crate::arch::{Avx2, Avx512};

/// Coefficients to slots, in place.
///
/// Takes values in `[0, 4m)` congruent to the coefficients; gives residues in
/// `[0, m)`. Runs in constant time.
pub fn forward<M: Prime>(values: &mut [u32; DEGREE]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(proof) = Avx512::detect() {
        return avx512::forward::<M>(proof, values);
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(proof) = Avx2::detect() {
        return avx2::forward::<M>(proof, values);
    }
    portable::forward::<M>(values);
}

/// Slots to coefficients, in place.
///
/// Takes residues in `[0, 2m)`; gives residues in `[0, m)`. Runs in constant
/// time.
pub fn inverse<M: Prime>(values: &mut [u32; DEGREE]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(proof) = Avx512::detect() {
        return avx512::inverse::<M>(proof, values);
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(proof) = Avx2::detect() {
        return avx2::inverse::<M>(proof, values);
    }
    portable::inverse::<M>(values);
}

#[cfg(test)]
mod tests;
