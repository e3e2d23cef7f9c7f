//! Fixed-width integers packed into bytes, least significant bit first.

use crate::Error;

/// Appends the low `width` bits of every value (1 ≤ width ≤ 32). The number of
/// values times the width must be a multiple of 8.
pub(crate) fn pack(out: &mut Vec<u8>, values: impl Iterator<Item = u32>, width: u32) {
    let mut pending = 0u64;
    let mut bits = 0;
    for value in values {
        pending |= u64::from(value) << bits;
        bits += width;
        while bits >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            bits -= 8;
        }
    }
    debug_assert_eq!(bits, 0, "values must fill whole bytes");
}

/// Reads `bytes.len()·8/width` values.
pub(crate) fn unpack(bytes: &[u8], width: u32) -> impl ExactSizeIterator<Item = u32> + '_ {
    let width = width as usize;
    let mask = (1u64 << width) - 1;
    (0..bytes.len() * 8 / width).map(move |index| {
        let bit = index * width;
        let start = bit / 8;
        let word = match bytes.get(start..start + 8) {
            Some(word) => u64::from_le_bytes(word.try_into().unwrap_or([0; 8])),
            None => {
                let mut word = [0; 8];
                word[..bytes.len() - start].copy_from_slice(&bytes[start..]);
                u64::from_le_bytes(word)
            }
        };
        ((word >> (bit % 8)) & mask) as u32
    })
}

/// Takes `length` bytes off the front of `bytes`, whose total length the
/// caller has checked.
pub(crate) fn take<'a>(
    bytes: &mut &'a [u8],
    length: usize,
    what: &'static str,
) -> Result<&'a [u8], Error> {
    let Some((front, rest)) = bytes.split_at_checked(length) else {
        return Err(Error::Length {
            what,
            expected: length,
            found: bytes.len(),
        });
    };
    *bytes = rest;
    Ok(front)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn unpack_reverses_pack(
            width in 1u32..=32,
            seeds in prop::collection::vec(any::<u32>(), 0..40),
        ) {
            let mask = ((1u64 << width) - 1) as u32;
            let mut values: Vec<u32> = seeds.iter().map(|x| x & mask).collect();
            values.resize(values.len().next_multiple_of(8), mask);
            let mut bytes = Vec::new();
            pack(&mut bytes, values.iter().copied(), width);
            prop_assert_eq!(bytes.len() * 8, values.len() * width as usize);
            prop_assert_eq!(unpack(&bytes, width).collect::<Vec<_>>(), values);
        }
    }
}
