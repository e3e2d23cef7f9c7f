//! The scan in plain Rust; it defines the result.

use super::{CHUNK, Limbs};
use crate::ring::DEGREE;

/// Adds the products of a block's `rows` (d bytes each) with every query, mod
/// 2^32, to `products` (`rows × queries`).
pub(super) fn add_block(rows: &[u8], limbs: &Limbs, block: usize, products: &mut [u32]) {
    let rows = rows.chunks_exact(DEGREE);
    for (row, products) in rows.zip(products.chunks_exact_mut(limbs.queries)) {
        for (product, lines) in products.iter_mut().zip(limbs.block(block)) {
            let chunks = row.chunks_exact(CHUNK).zip(lines.chunks_exact(limbs.count));
            for (digits, lines) in chunks {
                for (limb, line) in lines.iter().enumerate() {
                    let sum: i32 = digits
                        .iter()
                        .zip(&line.0)
                        .map(|(&digit, &limb)| i32::from(digit as i8) * i32::from(limb))
                        .sum();
                    *product = product.wrapping_add((sum as u32) << (8 * limb));
                }
            }
        }
    }
}
