//! The plaintext of an audience record's ciphertext: `length as u16 BE ‖
//! content ‖ zeros`, as long as the next length that ciphertexts may have
//! leaves room for.

use zeroize::Zeroizing;

use super::{AudienceError, MAX_CIPHERTEXT_BYTES, PADDING_UNIT_BYTES};

/// Bytes of a ciphertext beside its plaintext: salt and authentication tag.
pub(super) const OVERHEAD_BYTES: usize = 32 + 16;

const LENGTH_BYTES: usize = size_of::<u16>();

/// Most bytes of content.
pub const CONTENT_MAX: usize = MAX_CIPHERTEXT_BYTES - OVERHEAD_BYTES - LENGTH_BYTES;

/// Pads content of at most [`CONTENT_MAX`] bytes.
///
/// # Errors
/// [`AudienceError::ContentTooLong`].
pub fn pad(content: &[u8]) -> Result<Zeroizing<Vec<u8>>, AudienceError> {
    if content.len() > CONTENT_MAX {
        return Err(AudienceError::ContentTooLong {
            found: content.len(),
        });
    }
    let padded_len = padded_len(content.len());
    let mut padded = Zeroizing::new(Vec::with_capacity(padded_len));
    // `CONTENT_MAX` fits the length field.
    padded.extend_from_slice(&(content.len() as u16).to_be_bytes());
    padded.extend_from_slice(content);
    padded.resize(padded_len, 0);
    Ok(padded)
}

/// The content in the one form that [`pad`] gives.
///
/// # Errors
/// [`AudienceError::Padding`] for any other.
pub fn unpad(padded: &[u8]) -> Result<&[u8], AudienceError> {
    let (length, rest) = padded
        .split_first_chunk::<LENGTH_BYTES>()
        .ok_or(AudienceError::Padding)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (content, zeros) = rest
        .split_at_checked(length)
        .ok_or(AudienceError::Padding)?;
    let canonical = length <= CONTENT_MAX
        && padded.len() == padded_len(length)
        && zeros.iter().all(|&byte| byte == 0);
    if canonical {
        Ok(content)
    } else {
        Err(AudienceError::Padding)
    }
}

const fn padded_len(content_len: usize) -> usize {
    (OVERHEAD_BYTES + LENGTH_BYTES + content_len).next_multiple_of(PADDING_UNIT_BYTES)
        - OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_are_few() {
        for (content, total) in [
            (0, 512),
            (462, 512),
            (463, 1024),
            (974, 1024),
            (CONTENT_MAX, 4096),
        ] {
            let padded = pad(&vec![9; content]).unwrap();
            assert_eq!(padded.len() + OVERHEAD_BYTES, total, "{content} bytes");
        }
        let found = CONTENT_MAX + 1;
        assert_eq!(
            pad(&vec![9; found]).unwrap_err(),
            AudienceError::ContentTooLong { found }
        );
    }

    #[test]
    fn only_the_shortest_padding_of_zeros_is_accepted() {
        let padded = pad(b"content").unwrap();
        for at in [9, 100, padded.len() - 1] {
            let mut changed = padded.clone();
            changed[at] = 1;
            assert_eq!(unpad(&changed), Err(AudienceError::Padding), "byte {at}");
        }
        let mut longer = padded.to_vec();
        longer.resize(padded.len() + PADDING_UNIT_BYTES, 0);
        let mut claiming = padded.to_vec();
        claiming[0] = 0xff;
        let mut past_the_limit = vec![0; MAX_CIPHERTEXT_BYTES + 512];
        past_the_limit[..2].copy_from_slice(&(CONTENT_MAX as u16 + 1).to_be_bytes());
        past_the_limit.truncate(MAX_CIPHERTEXT_BYTES + 512 - OVERHEAD_BYTES);
        for refused in [
            &longer[..],
            &padded[..padded.len() - 1],
            &claiming,
            &past_the_limit,
            &[0],
            &[],
        ] {
            assert_eq!(unpad(refused), Err(AudienceError::Padding));
        }
    }

    proptest! {
        #[test]
        fn padding_round_trips(content in proptest::collection::vec(any::<u8>(), 0..=CONTENT_MAX)) {
            let padded = pad(&content).unwrap();
            prop_assert_eq!(unpad(&padded), Ok(&content[..]));
        }

        #[test]
        fn what_is_accepted_is_the_one_form(padded in proptest::collection::vec(0..2u8, 0..1200)) {
            if let Ok(content) = unpad(&padded) {
                prop_assert_eq!(&pad(content).unwrap()[..], &padded[..]);
            }
        }
    }
}
