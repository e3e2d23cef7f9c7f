//! What follows from an OPRF output: where a record is, how it is recognised
//! and which key opens it.
//!
//! HKDF-SHA512 (RFC 5869): the pseudorandom key is
//! `Extract("sotto/v1/derivation", output)`; each value is an `Expand` of it
//! with its own label, so that none tells anything of another. Integers are
//! big-endian.

use std::fmt;

use hkdf::Hkdf;
use rand::CryptoRng;
use sha2::Sha512;
use sha3::{Digest as _, Sha3_256};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::oprf::OprfOutput;

const EXTRACT_SALT: &[u8] = b"sotto/v1/derivation";
const GROUP_LABEL: &[u8] = b"sotto/v1/group";
const PLACEMENT_LABEL: &[u8] = b"sotto/v1/placement";
const TAG_LABEL: &[u8] = b"sotto/v1/tag";
const RECORD_KEY_LABEL: &[u8] = b"sotto/v1/record-key";
const SALT_LABEL: &[u8] = b"sotto/v1/salt";
const MEMBERSHIP_LABEL: &[u8] = b"sotto/v1/membership";

/// Where the record of one identifier is and how it is recognised there: the
/// same at the builder and at a client that paid for the OPRF evaluation.
///
/// `Debug` is redacted: a locator stands for its identifier.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Locator {
    /// Uniform over all `u64`; chooses the group, whose pilot is public.
    pub group_hash: u64,
    /// Uniform over all `u64`; with the pilot, chooses the bucket.
    pub placement_hash: u64,
    /// Marks the record in its bucket.
    pub tag: Tag,
}

/// The mark of a record in its bucket: uniform to whoever lacks the OPRF
/// output. `Debug` is redacted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag([u8; Self::BYTES]);

/// What stands for a record in a [membership filter](crate::filter): uniform
/// over all `u64`, and tells nothing of the record's place, tag or key. `Debug`
/// is redacted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FilterLabel(u64);

/// Random bytes stored beside a sealed record, new whenever its content
/// changes, so that one key seals one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt([u8; Self::BYTES]);

/// The 256-bit AEAD key of one record under one salt. Zeroised on drop,
/// `Debug` is redacted.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct RecordKey([u8; Self::BYTES]);

impl OprfOutput {
    /// The record's group, place and tag.
    pub fn locator(&self) -> Locator {
        let kdf = self.kdf();
        Locator {
            group_hash: u64::from_be_bytes(expand(&kdf, &[GROUP_LABEL])),
            placement_hash: u64::from_be_bytes(expand(&kdf, &[PLACEMENT_LABEL])),
            tag: Tag(expand(&kdf, &[TAG_LABEL])),
        }
    }

    /// The key of the record sealed with this salt.
    pub fn record_key(&self, salt: &Salt) -> RecordKey {
        RecordKey(expand(&self.kdf(), &[RECORD_KEY_LABEL, salt.as_bytes()]))
    }

    /// What stands for the record in a membership filter.
    pub fn filter_label(&self) -> FilterLabel {
        FilterLabel(u64::from_be_bytes(expand(&self.kdf(), &[MEMBERSHIP_LABEL])))
    }

    fn kdf(&self) -> Hkdf<Sha512> {
        Hkdf::new(Some(EXTRACT_SALT), self.as_bytes())
    }
}

impl Tag {
    /// Bytes in a tag.
    pub const BYTES: usize = 8;

    /// The tag with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The tag's bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl FilterLabel {
    /// The label with this value.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The value.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl Salt {
    /// Bytes in a salt.
    pub const BYTES: usize = 16;

    /// A new salt from `rng`.
    pub fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut bytes = [0; Self::BYTES];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The salt with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The salt for one content: the first bytes of `SHA3-256("sotto/v1/salt" ‖
    /// self ‖ content)`. Of one salt, each content has its own, and the same
    /// content always the same.
    #[must_use]
    pub fn bound_to(&self, content: &[u8]) -> Self {
        let digest = Sha3_256::new()
            .chain_update(SALT_LABEL)
            .chain_update(self.0)
            .chain_update(content)
            .finalize();
        let mut bytes = [0; Self::BYTES];
        bytes.copy_from_slice(&digest[..Self::BYTES]);
        Self(bytes)
    }

    /// The salt's bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl RecordKey {
    /// Bytes in a record key.
    pub const BYTES: usize = 32;

    pub(crate) fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Debug for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locator(redacted)")
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag(redacted)")
    }
}

impl fmt::Debug for FilterLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FilterLabel(redacted)")
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordKey(redacted)")
    }
}

fn expand<const N: usize>(kdf: &Hkdf<Sha512>, info: &[&[u8]]) -> [u8; N] {
    const { assert!(N <= 255 * 64) };
    let mut okm = [0; N];
    kdf.expand_multi_info(info, &mut okm)
        // RFC 5869 §2.3: the only failure is more than 255 hashes of output,
        // which the assertion above excludes at compile time.
        .expect("output shorter than 255 hashes");
    okm
}

#[cfg(test)]
mod tests {
    use sha2::Digest;

    use super::*;

    fn output(fill: u8) -> OprfOutput {
        OprfOutput::from_bytes([fill; 64])
    }

    /// RFC 2104 over the hash alone, to compare HKDF's use with its definition.
    fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 64] {
        let mut block = [0u8; 128];
        block[..key.len()].copy_from_slice(key);
        let inner = parts.iter().fold(
            Sha512::new().chain_update(block.map(|b| b ^ 0x36)),
            |hash, part| hash.chain_update(part),
        );
        Sha512::new()
            .chain_update(block.map(|b| b ^ 0x5c))
            .chain_update(inner.finalize())
            .finalize()
            .into()
    }

    #[test]
    fn follows_rfc_5869() {
        let prk = hmac(EXTRACT_SALT, &[&[7; 64]]);
        let locator = output(7).locator();
        let salt = Salt::from_bytes([9; 16]);
        assert_eq!(
            locator.group_hash.to_be_bytes(),
            hmac(&prk, &[GROUP_LABEL, &[1]])[..8]
        );
        assert_eq!(
            locator.placement_hash.to_be_bytes(),
            hmac(&prk, &[PLACEMENT_LABEL, &[1]])[..8]
        );
        assert_eq!(locator.tag.0, hmac(&prk, &[TAG_LABEL, &[1]])[..8]);
        assert_eq!(
            output(7).filter_label().0.to_be_bytes(),
            hmac(&prk, &[MEMBERSHIP_LABEL, &[1]])[..8]
        );
        assert_eq!(
            output(7).record_key(&salt).0,
            hmac(&prk, &[RECORD_KEY_LABEL, &[9; 16], &[1]])[..32]
        );
    }

    #[test]
    fn every_value_depends_on_the_output_and_the_key_on_the_salt() {
        let (a, b) = (output(1), output(2));
        assert_ne!(a.locator().group_hash, b.locator().group_hash);
        assert_ne!(a.locator().placement_hash, b.locator().placement_hash);
        assert_ne!(a.locator().tag, b.locator().tag);
        let (s, t) = (Salt::from_bytes([0; 16]), Salt::from_bytes([1; 16]));
        assert_ne!(a.record_key(&s).0, b.record_key(&s).0);
        assert_ne!(a.record_key(&s).0, a.record_key(&t).0);
        assert_eq!(a.record_key(&s).0, output(1).record_key(&s).0);
    }

    #[test]
    fn a_salt_is_bound_to_one_content() {
        let salt = Salt::from_bytes([9; 16]);
        assert_eq!(salt.bound_to(b"a"), salt.bound_to(b"a"));
        assert_ne!(salt.bound_to(b"a"), salt.bound_to(b"b"));
        assert_ne!(
            salt.bound_to(b"a"),
            Salt::from_bytes([8; 16]).bound_to(b"a")
        );
        assert_ne!(salt.bound_to(b""), salt);
    }

    #[test]
    fn debug_is_redacted() {
        let locator = output(3).locator();
        let key = output(3).record_key(&Salt::from_bytes([0; 16]));
        assert_eq!(
            format!(
                "{locator:?} {:?} {key:?} {:?}",
                locator.tag,
                output(3).filter_label()
            ),
            "Locator(redacted) Tag(redacted) RecordKey(redacted) FilterLabel(redacted)"
        );
    }
}
