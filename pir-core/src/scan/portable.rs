//! The scan in plain Rust; it defines the result.

use super::{LINE, Line};
use crate::ring::DEGREE;

/// Elements in a line.
const ELEMENTS: usize = LINE / size_of::<u32>();

/// Whole elements and 32-bit products.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel;

impl super::Kernel for Kernel {
    const LINES: usize = DEGREE / ELEMENTS;

    fn encode(self, elements: &[u32; DEGREE], lines: &mut [Line]) {
        for (line, elements) in lines.iter_mut().zip(elements.chunks_exact(ELEMENTS)) {
            for (bytes, element) in line.0.chunks_exact_mut(4).zip(elements) {
                bytes.copy_from_slice(&element.to_ne_bytes());
            }
        }
    }

    fn add_block(self, rows: &[u8], lines: &[Line], queries: usize, products: &mut [u32]) {
        let rows = rows.chunks_exact(DEGREE);
        for (row, products) in rows.zip(products.chunks_exact_mut(queries)) {
            for (product, lines) in products.iter_mut().zip(lines.chunks_exact(Self::LINES)) {
                for (digits, line) in row.chunks_exact(ELEMENTS).zip(lines) {
                    for (&digit, element) in digits.iter().zip(line.0.as_chunks::<4>().0) {
                        let digit = i32::from(digit as i8) as u32;
                        let element = u32::from_ne_bytes(*element);
                        *product = product.wrapping_add(digit.wrapping_mul(element));
                    }
                }
            }
        }
    }
}
