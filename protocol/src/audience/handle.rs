//! The name of an audience record.

use std::fmt;

use sha3::{Digest as _, Sha3_256};

use super::AudienceSecret;
use crate::csi::Csi;

const LABEL: &[u8] = b"sotto/v1/audience/handle";

/// Names the record of one CSI for one audience: uniform to whoever lacks the
/// audience's secret. `Debug` is redacted, since a log of handles would link
/// publications.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AudienceHandle([u8; Self::BYTES]);

impl AudienceHandle {
    /// Bytes in a handle.
    pub const BYTES: usize = 32;

    /// SHA3-256 of `"sotto/v1/audience/handle" ‖ length of the canonical CSI as
    /// u16 BE ‖ canonical CSI ‖ secret`.
    pub fn derive(csi: &Csi, secret: &AudienceSecret) -> Self {
        let canonical = csi.canonical().as_bytes();
        let digest = Sha3_256::new()
            .chain_update(LABEL)
            // Canonical forms are at most `csi::MAX_CANONICAL_BYTES`, below 2^16.
            .chain_update((canonical.len() as u16).to_be_bytes())
            .chain_update(canonical)
            .chain_update(secret.as_bytes())
            .finalize();
        Self(digest.into())
    }

    /// The handle with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Debug for AudienceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AudienceHandle(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivation_is_the_documented_one() {
        let csi = Csi::parse("a@b.example").unwrap();
        let secret = AudienceSecret::from_bytes([7; 32]);
        let mut input = b"sotto/v1/audience/handle\x00\x12mailto:a@b.example".to_vec();
        input.extend_from_slice(&[7; 32]);
        let expected: [u8; 32] = Sha3_256::digest(&input).into();
        let handle = AudienceHandle::derive(&csi, &secret);
        assert_eq!(handle.as_bytes(), &expected);
        assert_eq!(AudienceHandle::from_bytes(expected), handle);
        assert_eq!(format!("{handle:?}"), "AudienceHandle(redacted)");
    }

    #[test]
    fn every_part_counts() {
        let csi = |text: &str| Csi::parse(text).unwrap();
        let secret = |fill| AudienceSecret::from_bytes([fill; 32]);
        let handle = AudienceHandle::derive(&csi("a@b.example"), &secret(1));
        assert_ne!(
            AudienceHandle::derive(&csi("c@b.example"), &secret(1)),
            handle
        );
        assert_ne!(
            AudienceHandle::derive(&csi("a@b.example"), &secret(2)),
            handle
        );
    }
}
