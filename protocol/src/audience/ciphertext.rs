//! The bundle as its recipient sealed it for an audience.

use std::fmt;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::padding::{OVERHEAD_BYTES, pad, unpad};
use super::{
    AudienceError, AudienceHandle, AudienceSecret, MAX_CIPHERTEXT_BYTES, PADDING_UNIT_BYTES, kdf,
};
use crate::bundle::{Bundle, BundleError};
use crate::lookup::Unverifiable;

const SALT_BYTES: usize = 32;
const TAG_BYTES: usize = OVERHEAD_BYTES - SALT_BYTES;
const KEY_PURPOSE: &[u8] = b"sotto/v1/audience/content-key";

/// Content sealed for an audience: `salt (32) ‖ ChaCha20-Poly1305 ciphertext ‖
/// authentication tag (16)`, of a multiple of
/// [`PADDING_UNIT_BYTES`](super::PADDING_UNIT_BYTES) up to
/// [`MAX_CIPHERTEXT_BYTES`](super::MAX_CIPHERTEXT_BYTES).
///
/// The key comes from the secret, the handle and the salt, and seals one
/// message: the nonce is 0. The handle is additional data as well. The record's
/// `seq` is neither: a sender gets the ciphertext alone, without the record
/// that it was published in.
#[derive(Clone, PartialEq, Eq)]
pub struct AudienceCiphertext(Vec<u8>);

impl AudienceCiphertext {
    /// Seals `content` afresh.
    ///
    /// # Errors
    /// [`AudienceError::ContentTooLong`].
    pub fn seal<R: CryptoRng + ?Sized>(
        secret: &AudienceSecret,
        handle: &AudienceHandle,
        content: &[u8],
        rng: &mut R,
    ) -> Result<Self, AudienceError> {
        let mut padded = pad(content)?;
        let mut salt = [0; SALT_BYTES];
        rng.fill_bytes(&mut salt);
        let tag = cipher(secret, handle, &salt)
            .encrypt_inout_detached(&NONCE, handle.as_bytes(), padded.as_mut_slice().into())
            // The only failure is more than 2^38 bytes of plaintext.
            .expect("plaintext within the AEAD's limit");
        Ok(Self([&salt[..], &padded, &tag].concat()))
    }

    /// A ciphertext read from somewhere.
    ///
    /// # Errors
    /// [`AudienceError::CiphertextLength`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AudienceError> {
        let found = bytes.len();
        if found == 0 || found > MAX_CIPHERTEXT_BYTES || !found.is_multiple_of(PADDING_UNIT_BYTES) {
            return Err(AudienceError::CiphertextLength { found });
        }
        Ok(Self(bytes.to_vec()))
    }

    /// Its bytes: what a DP stores and seals once more.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The content, if it was sealed with this secret for this handle.
    ///
    /// # Errors
    /// [`AudienceError::Authentication`], [`AudienceError::Padding`].
    pub fn open(
        &self,
        secret: &AudienceSecret,
        handle: &AudienceHandle,
    ) -> Result<Zeroizing<Vec<u8>>, AudienceError> {
        let parts = self.0.split_first_chunk::<SALT_BYTES>();
        let parts = parts.and_then(|(salt, rest)| {
            let (body, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
            Some((salt, body, tag))
        });
        // Every constructor makes at least one unit, longer than both.
        let (salt, body, tag) = parts.ok_or(AudienceError::Authentication)?;
        let mut padded = Zeroizing::new(body.to_vec());
        cipher(secret, handle, salt)
            .decrypt_inout_detached(
                &NONCE,
                handle.as_bytes(),
                padded.as_mut_slice().into(),
                &(*tag).into(),
            )
            .map_err(|_| AudienceError::Authentication)?;
        Ok(Zeroizing::new(unpad(&padded)?.to_vec()))
    }

    /// The bundle in it, decoded but not verified.
    ///
    /// # Errors
    /// [`Unverifiable::AudienceDidNotOpen`], [`Unverifiable::MalformedBundle`].
    pub fn open_bundle(
        &self,
        secret: &AudienceSecret,
        handle: &AudienceHandle,
    ) -> Result<Bundle, Unverifiable> {
        let content = self
            .open(secret, handle)
            .map_err(|_| Unverifiable::AudienceDidNotOpen)?;
        Bundle::decode(&content).map_err(|error: BundleError| error.into())
    }
}

impl fmt::Debug for AudienceCiphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AudienceCiphertext({} bytes)", self.0.len())
    }
}

const NONCE: Nonce = chacha20poly1305::aead::array::Array([0; 12]);

fn cipher(
    secret: &AudienceSecret,
    handle: &AudienceHandle,
    salt: &[u8; SALT_BYTES],
) -> ChaCha20Poly1305 {
    let key = kdf::derive(KEY_PURPOSE, secret.as_bytes(), [handle.as_bytes(), salt]);
    ChaCha20Poly1305::new(<&Key>::from(&*key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    const HANDLE: AudienceHandle = AudienceHandle::from_bytes([5; 32]);

    fn secret(fill: u8) -> AudienceSecret {
        AudienceSecret::from_bytes([fill; 32])
    }

    fn sealed(content: &[u8], seed: u64) -> AudienceCiphertext {
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        AudienceCiphertext::seal(&secret(1), &HANDLE, content, rng).unwrap()
    }

    #[test]
    fn only_secret_and_handle_together_open() {
        let ciphertext = sealed(b"content", 1);
        assert_eq!(*ciphertext.open(&secret(1), &HANDLE).unwrap(), b"content");
        let other = AudienceHandle::from_bytes([6; 32]);
        for (secret, handle) in [(secret(2), HANDLE), (secret(1), other)] {
            assert_eq!(
                ciphertext.open(&secret, &handle),
                Err(AudienceError::Authentication)
            );
            assert_eq!(
                ciphertext.open_bundle(&secret, &handle).unwrap_err(),
                Unverifiable::AudienceDidNotOpen
            );
        }
        assert_eq!(
            ciphertext.open_bundle(&secret(1), &HANDLE).unwrap_err(),
            Unverifiable::MalformedBundle
        );
        assert_eq!(format!("{ciphertext:?}"), "AudienceCiphertext(512 bytes)");
    }

    #[test]
    fn every_byte_is_authenticated() {
        let ciphertext = sealed(b"content", 1);
        for at in 0..ciphertext.as_bytes().len() {
            let mut changed = ciphertext.clone();
            changed.0[at] ^= 1;
            assert_eq!(
                changed.open(&secret(1), &HANDLE),
                Err(AudienceError::Authentication),
                "byte {at}"
            );
        }
    }

    #[test]
    fn each_sealing_looks_different() {
        let (a, b) = (sealed(b"content", 1), sealed(b"content", 2));
        let equal = a.0.iter().zip(&b.0).filter(|(a, b)| a == b).count();
        assert!(equal < 20, "{equal} of 512 bytes are the same");
    }

    #[test]
    fn a_plaintext_with_other_padding_is_refused() {
        let mut padded = pad(b"content").unwrap();
        padded[100] = 1;
        let salt = [3; SALT_BYTES];
        let tag = cipher(&secret(1), &HANDLE, &salt)
            .encrypt_inout_detached(&NONCE, HANDLE.as_bytes(), padded.as_mut_slice().into())
            .unwrap();
        let ciphertext = AudienceCiphertext([&salt[..], &padded, &tag].concat());
        assert_eq!(
            ciphertext.open(&secret(1), &HANDLE),
            Err(AudienceError::Padding)
        );
    }

    #[test]
    fn lengths_are_checked() {
        for found in [0, 1, 511, 513, 4097, 4608] {
            assert_eq!(
                AudienceCiphertext::from_bytes(&vec![0; found]),
                Err(AudienceError::CiphertextLength { found })
            );
        }
        for length in [512, 1024, 4096] {
            assert!(AudienceCiphertext::from_bytes(&vec![0; length]).is_ok());
        }
    }

    proptest! {
        #[test]
        fn sealing_round_trips(
            content in proptest::collection::vec(any::<u8>(), 0..=super::super::padding::CONTENT_MAX),
            seed: u64,
        ) {
            let ciphertext = sealed(&content, seed);
            let again = AudienceCiphertext::from_bytes(ciphertext.as_bytes()).unwrap();
            prop_assert_eq!(&*again.open(&secret(1), &HANDLE).unwrap(), &content);
        }
    }
}
