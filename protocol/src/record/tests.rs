use proptest::prelude::*;

use super::*;

fn output(fill: u8) -> OprfOutput {
    OprfOutput::from_bytes([fill; 64])
}

const SALT: Salt = Salt::from_bytes([0x5a; 16]);

fn sealed(content: &[u8]) -> SealedRecord {
    SealedRecord::seal(&output(1), SALT, content).unwrap()
}

/// Seals a plaintext of any form, as no honest builder would.
fn seal_raw(padded: &[u8]) -> SealedRecord {
    let tag = output(1).locator().tag;
    let mut ciphertext = padded.to_vec();
    let authenticator = cipher(&output(1), &SALT)
        .encrypt_inout_detached(&NONCE, tag.as_bytes(), ciphertext.as_mut_slice().into())
        .unwrap();
    ciphertext.extend_from_slice(&authenticator);
    SealedRecord {
        tag,
        salt: SALT,
        ciphertext,
    }
}

#[test]
fn lengths_are_multiples_of_a_unit() {
    for (content, expected) in [(0, 32), (14, 32), (15, 64), (46, 64), (47, 96)] {
        assert_eq!(sealed(&vec![1; content]).ciphertext.len(), expected);
        assert_eq!(sealed_len(content), ENTRY_HEADER_BYTES + expected);
    }
    assert_eq!(sealed(b"").entry_len(), 58);
}

#[test]
fn content_of_the_largest_size_is_sealed_and_one_byte_more_is_not() {
    let largest = vec![7; CONTENT_MAX];
    assert_eq!(*sealed(&largest).open(&output(1)).unwrap(), largest);
    assert_eq!(
        SealedRecord::seal(&output(1), SALT, &vec![7; CONTENT_MAX + 1]),
        Err(RecordError::TooLong {
            found: CONTENT_MAX + 1
        })
    );
}

#[test]
fn another_identifier_or_salt_or_tag_does_not_open() {
    let record = sealed(b"content");
    assert_eq!(record.open(&output(2)), Err(RecordError::ForeignTag));
    let resalted = SealedRecord {
        salt: Salt::from_bytes([0; 16]),
        ..record.clone()
    };
    assert_eq!(resalted.open(&output(1)), Err(RecordError::Authentication));
    // A record moved under another identifier's tag opens for neither.
    let moved = SealedRecord {
        tag: output(2).locator().tag,
        ..record
    };
    assert_eq!(moved.open(&output(1)), Err(RecordError::ForeignTag));
    assert_eq!(moved.open(&output(2)), Err(RecordError::Authentication));
}

#[test]
fn a_new_salt_changes_the_whole_ciphertext() {
    let a = sealed(&[0; 100]).ciphertext;
    let b = SealedRecord::seal(&output(1), Salt::from_bytes([1; 16]), &[0; 100])
        .unwrap()
        .ciphertext;
    let equal = a.iter().zip(&b).filter(|(x, y)| x == y).count();
    assert!(equal < 8, "{equal} of {} bytes equal", a.len());
    assert_eq!(a, sealed(&[0; 100]).ciphertext);
}

#[test]
fn only_canonical_padding_opens() {
    let mut good = vec![0, 3, b'a', b'b', b'c'];
    good.resize(16, 0);
    assert_eq!(*seal_raw(&good).open(&output(1)).unwrap(), b"abc");

    let mut nonzero = good.clone();
    nonzero[15] = 1;
    let mut not_minimal = good.clone();
    not_minimal.resize(48, 0);
    let mut longer_than_plaintext = good.clone();
    longer_than_plaintext[1] = 15;
    let mut over_limit = vec![0; ciphertext_len(CONTENT_MAX + 1) - AEAD_TAG_BYTES];
    over_limit[..2].copy_from_slice(&(CONTENT_MAX as u16 + 1).to_be_bytes());
    for bad in [nonzero, not_minimal, longer_than_plaintext, over_limit] {
        assert_eq!(seal_raw(&bad).open(&output(1)), Err(RecordError::Padding));
    }
}

#[test]
fn decoding_refuses_no_units_and_too_many() {
    let mut bytes = Vec::new();
    sealed(b"content").encode_into(&mut bytes);
    for units in [0, UNITS_MAX as u16 + 1, u16::MAX] {
        bytes[24..26].copy_from_slice(&units.to_be_bytes());
        assert_eq!(
            SealedRecord::decode(&bytes),
            Err(RecordError::Units {
                found: usize::from(units)
            })
        );
    }
}

proptest! {
    #[test]
    fn opens_to_what_was_sealed(content in proptest::collection::vec(any::<u8>(), 0..700)) {
        prop_assert_eq!(&*sealed(&content).open(&output(1)).unwrap(), &content);
    }

    #[test]
    fn any_flipped_bit_is_noticed(len in 0usize..200, at in any::<usize>(), bit in 0u8..8) {
        let mut record = sealed(&vec![3; len]);
        let at = at % record.ciphertext.len();
        record.ciphertext[at] ^= 1 << bit;
        prop_assert_eq!(record.open(&output(1)), Err(RecordError::Authentication));
    }

    #[test]
    fn encoding_round_trips(content in proptest::collection::vec(any::<u8>(), 0..700)) {
        let record = sealed(&content);
        let mut bytes = Vec::new();
        record.encode_into(&mut bytes);
        prop_assert_eq!(bytes.len(), record.entry_len());
        prop_assert_eq!(SealedRecord::decode(&bytes), Ok(record));
        bytes.push(0);
        prop_assert_eq!(
            SealedRecord::decode(&bytes),
            Err(RecordError::TrailingBytes { found: 1 })
        );
    }

    #[test]
    fn truncation_is_refused(len in 0usize..200, keep in any::<usize>()) {
        let mut bytes = Vec::new();
        sealed(&vec![3; len]).encode_into(&mut bytes);
        bytes.truncate(keep % bytes.len());
        let is_truncated =
            matches!(SealedRecord::decode(&bytes), Err(RecordError::Truncated { .. }));
        prop_assert!(is_truncated);
    }

    #[test]
    fn random_bytes_decode_to_themselves_or_are_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        if let Ok(record) = SealedRecord::decode(&bytes) {
            let mut again = Vec::new();
            record.encode_into(&mut again);
            prop_assert_eq!(again, bytes);
        }
    }
}
