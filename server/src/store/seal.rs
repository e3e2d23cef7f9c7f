//! How rows lie in the store's file.
//!
//! Name: HMAC-SHA-256 of the canonical identifier. Content: XChaCha20-Poly1305
//! with a random 192-bit nonce in front and the name as additional data, over
//! `length of identifier (u16 BE) ‖ identifier ‖ salt ‖ bundle`. Both keys come
//! from the store's key by HKDF-SHA256.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use protocol::csi::Csi;
use protocol::derivation::Salt;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Row, RowId, StoreError};
use crate::keys::KEY_BYTES;

const NONCE_BYTES: usize = 24;

/// The store's keys. `Debug` is redacted, wiped when dropped.
pub struct StoreKeys {
    index: Zeroizing<[u8; 32]>,
    cipher: XChaCha20Poly1305,
    check: [u8; 32],
}

impl StoreKeys {
    /// Derives them from the content of the key file.
    pub fn derive(key: &[u8; KEY_BYTES]) -> Self {
        let kdf = Hkdf::<Sha256>::new(Some(b"sotto/v1/store"), key);
        let seal = expand(&kdf, b"sotto/v1/store/seal");
        Self {
            index: expand(&kdf, b"sotto/v1/store/index"),
            cipher: XChaCha20Poly1305::new(<&Key>::from(&*seal)),
            check: *expand(&kdf, b"sotto/v1/store/check"),
        }
    }

    /// A value that tells keys apart and nothing else.
    pub(super) fn check(&self) -> &[u8; 32] {
        &self.check
    }

    /// The name of an identifier's row.
    pub fn row_id(&self, csi: &Csi) -> RowId {
        // HMAC takes keys of any length.
        let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(self.index.as_ref())
            .expect("any key length");
        mac.update(csi.canonical().as_bytes());
        RowId(mac.finalize().into_bytes().into())
    }

    pub(super) fn seal(&self, id: &RowId, row: &Row) -> Result<Vec<u8>, StoreError> {
        let canonical = row.csi.canonical().as_bytes();
        let length = u16::try_from(canonical.len()).map_err(|_| StoreError::Corrupt)?;
        let total = 2 + canonical.len() + Salt::BYTES + row.bundle.len();
        let mut plain = Zeroizing::new(Vec::with_capacity(total));
        plain.extend_from_slice(&length.to_be_bytes());
        plain.extend_from_slice(canonical);
        plain.extend_from_slice(row.salt.as_bytes());
        plain.extend_from_slice(&row.bundle);
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload {
            msg: &plain,
            aad: id.as_bytes(),
        };
        // The only failure is a message of more than 256 GiB.
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| StoreError::Corrupt)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    pub(super) fn open(&self, id: &RowId, sealed: &[u8]) -> Result<Row, StoreError> {
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(StoreError::Corrupt)?;
        let payload = Payload {
            msg: sealed,
            aad: id.as_bytes(),
        };
        let plain = self
            .cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| StoreError::Corrupt)?;
        parse(&Zeroizing::new(plain)).ok_or(StoreError::Corrupt)
    }
}

fn parse(plain: &[u8]) -> Option<Row> {
    let (length, rest) = plain.split_first_chunk::<2>()?;
    let (canonical, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let (salt, bundle) = rest.split_first_chunk::<{ Salt::BYTES }>()?;
    Some(Row {
        csi: Csi::from_canonical(std::str::from_utf8(canonical).ok()?).ok()?,
        bundle: Zeroizing::new(bundle.to_vec()),
        salt: Salt::from_bytes(*salt),
    })
}

fn expand(kdf: &Hkdf<Sha256>, label: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    // RFC 5869 §2.3: the only failure is more than 255 hashes of output.
    kdf.expand(label, key.as_mut())
        .expect("32 bytes are one hash");
    key
}

impl std::fmt::Debug for StoreKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreKeys(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(digits: u32, bundle: Vec<u8>) -> Row {
        let csi = Csi::parse(&format!("someone{digits}@example.org")).unwrap();
        Row {
            csi,
            bundle: Zeroizing::new(bundle),
            salt: Salt::from_bytes(rand::random()),
        }
    }

    proptest! {
        #[test]
        fn rows_open_under_their_own_name_and_key_alone(
            bundle in proptest::collection::vec(any::<u8>(), 0..600),
            digits: u32,
            flip: prop::sample::Index,
        ) {
            let keys = StoreKeys::derive(&[1; 32]);
            let row = row(digits, bundle);
            let id = keys.row_id(&row.csi);
            let sealed = keys.seal(&id, &row).unwrap();
            let opened = keys.open(&id, &sealed).unwrap();
            prop_assert!(opened.csi == row.csi && opened.bundle == row.bundle && opened.salt == row.salt);

            let mut altered = sealed.clone();
            altered[flip.index(sealed.len())] ^= 1;
            prop_assert!(keys.open(&id, &altered).is_err());
            prop_assert!(keys.open(&id, &sealed[..flip.index(sealed.len())]).is_err());
            prop_assert!(keys.open(&RowId([0; 32]), &sealed).is_err());
            let others = StoreKeys::derive(&[2; 32]);
            prop_assert!(others.open(&id, &sealed).is_err());
            prop_assert_ne!(others.row_id(&row.csi), id);
        }
    }
}
