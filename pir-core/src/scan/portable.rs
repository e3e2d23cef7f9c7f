//! The scan in plain Rust; it defines the result.

use super::{CHUNK, Limbs};

/// Products of `rows` (as many as `products` has room for, each as long as the
/// limbs have columns) with every query, mod 2^32.
pub(super) fn scan(rows: &[u8], limbs: &Limbs, products: &mut [u32]) {
    let count = products.len() / limbs.queries;
    let columns = rows.len() / count;
    for (row, products) in rows
        .chunks_exact(columns)
        .zip(products.chunks_exact_mut(limbs.queries))
    {
        products.fill(0);
        for (chunk, digits) in row.chunks_exact(CHUNK).enumerate() {
            let lines = limbs.chunk(chunk).chunks_exact(limbs.count);
            for (product, lines) in products.iter_mut().zip(lines) {
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
