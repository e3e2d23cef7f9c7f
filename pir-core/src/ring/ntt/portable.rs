//! The transform in plain Rust; it defines the result.

use super::super::{DEGREE, Prime, reduce_once};
use super::tables::{Twiddle, orbit_index};

/// Coefficients in `[0, 4m)` to slots in `[0, m)`.
pub(super) fn forward<M: Prime>(values: &mut [u32; DEGREE]) {
    let tables = M::tables();
    for level in 0..DEGREE.ilog2() {
        let half = DEGREE >> (level + 1);
        for (node, block) in values.chunks_exact_mut(2 * half).enumerate() {
            let twiddle = tables.forward[(1 << level) + node];
            let (low, high) = block.split_at_mut(half);
            for (x, y) in low.iter_mut().zip(high) {
                let reduced = reduce_once(*x, 2 * M::MODULUS);
                let product = shoup::<M>(*y, twiddle);
                *x = reduced + product;
                *y = reduced + 2 * M::MODULUS - product;
            }
        }
    }
    permute(values);
    for value in values {
        *value = reduce_once(reduce_once(*value, 2 * M::MODULUS), M::MODULUS);
    }
}

/// Slots in `[0, 2m)` to coefficients in `[0, m)`.
pub(super) fn inverse<M: Prime>(values: &mut [u32; DEGREE]) {
    let tables = M::tables();
    permute(values);
    for level in (0..DEGREE.ilog2()).rev() {
        let half = DEGREE >> (level + 1);
        for (node, block) in values.chunks_exact_mut(2 * half).enumerate() {
            let (sum_factor, difference_factor) = if level == 0 {
                (Some(tables.scale), tables.scaled_root)
            } else {
                (None, tables.inverse[(1 << level) + node])
            };
            let (low, high) = block.split_at_mut(half);
            for (x, y) in low.iter_mut().zip(high) {
                let sum = *x + *y;
                let difference = *x + 2 * M::MODULUS - *y;
                *x = match sum_factor {
                    Some(twiddle) => shoup::<M>(sum, twiddle),
                    None => reduce_once(sum, 2 * M::MODULUS),
                };
                *y = shoup::<M>(difference, difference_factor);
            }
        }
    }
    for value in values {
        *value = reduce_once(*value, M::MODULUS);
    }
}

/// x·factor mod m in `[0, 2m)`, for any x (Harvey, arXiv:1205.2926, §2).
#[inline(always)]
fn shoup<M: Prime>(x: u32, twiddle: Twiddle) -> u32 {
    let quotient = ((u64::from(x) * u64::from(twiddle.companion)) >> 32) as u32;
    x.wrapping_mul(twiddle.factor)
        .wrapping_sub(quotient.wrapping_mul(M::MODULUS))
}

/// Exchanges orbit order and the tree's bit-reversed order, an involution, in
/// place: a copy on the stack would outlive a secret.
fn permute(values: &mut [u32; DEGREE]) {
    for position in 0..DEGREE {
        let other = orbit_index(position);
        if position < other {
            values.swap(position, other);
        }
    }
}
