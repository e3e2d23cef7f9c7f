//! How rows lie in the store's file.
//!
//! Name: HMAC-SHA-256 of the canonical identifier. Row: XChaCha20-Poly1305 with
//! a random 192-bit nonce in front and `kind ‖ name` as additional data. Plain,
//! integers big-endian:
//!
//! - of a row: the four numbers of its marks (u64), then, if it has content,
//!   `length of identifier (u16) ‖ identifier ‖ salt ‖ bundle`;
//! - of an entry of the block list: the identifier;
//! - of a withdrawal in the removal journal: what [`super::journaled`] says.
//!
//! Both keys come from the store's key by HKDF-SHA256.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use protocol::csi::Csi;
use protocol::derivation::Salt;
use protocol::precedence::Version;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Content, Marks, Row, RowId, StoreError};
use crate::keys::KEY_BYTES;

const NONCE_BYTES: usize = 24;
const MARKS_BYTES: usize = 4 * size_of::<u64>();

/// Kinds of what is sealed, in its additional data.
const ROW: u8 = 0;
const BLOCKED: u8 = 1;
const WITHDRAWAL: u8 = 2;

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
    pub(crate) fn check(&self) -> &[u8; 32] {
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

    pub(crate) fn seal(&self, id: &RowId, row: &Row) -> Result<Vec<u8>, StoreError> {
        self.seal_plain(ROW, id, &encode(row)?)
    }

    pub(crate) fn open(&self, id: &RowId, sealed: &[u8]) -> Result<Row, StoreError> {
        decode(&self.open_plain(ROW, id, sealed)?).ok_or(StoreError::Corrupt)
    }

    pub(super) fn seal_blocked(&self, id: &RowId, csi: &Csi) -> Result<Vec<u8>, StoreError> {
        self.seal_plain(BLOCKED, id, csi.canonical().as_bytes())
    }

    pub(crate) fn open_blocked(&self, id: &RowId, sealed: &[u8]) -> Result<Csi, StoreError> {
        let plain = self.open_plain(BLOCKED, id, sealed)?;
        identifier(&plain).ok_or(StoreError::Corrupt)
    }

    pub(super) fn seal_withdrawal(&self, id: &RowId, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.seal_plain(WITHDRAWAL, id, plain)
    }

    pub(super) fn open_withdrawal(
        &self,
        id: &RowId,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        self.open_plain(WITHDRAWAL, id, sealed)
    }

    fn seal_plain(&self, kind: u8, id: &RowId, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload {
            msg: plain,
            aad: &additional_data(kind, id),
        };
        // The only failure is a message of more than 256 GiB.
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| StoreError::Corrupt)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    fn open_plain(
        &self,
        kind: u8,
        id: &RowId,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(StoreError::Corrupt)?;
        let payload = Payload {
            msg: sealed,
            aad: &additional_data(kind, id),
        };
        let plain = self
            .cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| StoreError::Corrupt)?;
        Ok(Zeroizing::new(plain))
    }
}

fn additional_data(kind: u8, id: &RowId) -> [u8; 33] {
    let mut data = [kind; 33];
    data[1..].copy_from_slice(id.as_bytes());
    data
}

fn encode(row: &Row) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let content = row.content.as_ref().map_or(0, |content| {
        2 + content.csi.canonical().len() + Salt::BYTES + content.bundle.len()
    });
    // Of its final size at once: growing would leave copies behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(MARKS_BYTES + content));
    for version in [row.marks.statements, row.marks.credentials] {
        plain.extend_from_slice(&version.assignment.to_be_bytes());
        plain.extend_from_slice(&version.seq.to_be_bytes());
    }
    if let Some(content) = &row.content {
        let canonical = content.csi.canonical().as_bytes();
        let length = u16::try_from(canonical.len()).map_err(|_| StoreError::Corrupt)?;
        plain.extend_from_slice(&length.to_be_bytes());
        plain.extend_from_slice(canonical);
        plain.extend_from_slice(content.salt.as_bytes());
        plain.extend_from_slice(&content.bundle);
    }
    Ok(plain)
}

fn decode(plain: &[u8]) -> Option<Row> {
    let (statements, rest) = version(plain)?;
    let (credentials, rest) = version(rest)?;
    let marks = Marks {
        statements,
        credentials,
    };
    let content = match rest {
        [] => None,
        rest => Some(decode_content(rest)?),
    };
    Some(Row { marks, content })
}

fn version(bytes: &[u8]) -> Option<(Version, &[u8])> {
    let (assignment, rest) = bytes.split_first_chunk()?;
    let (seq, rest) = rest.split_first_chunk()?;
    let version = Version {
        assignment: u64::from_be_bytes(*assignment),
        seq: u64::from_be_bytes(*seq),
    };
    Some((version, rest))
}

fn decode_content(bytes: &[u8]) -> Option<Content> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (canonical, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let (salt, bundle) = rest.split_first_chunk::<{ Salt::BYTES }>()?;
    Some(Content {
        csi: identifier(canonical)?,
        bundle: Zeroizing::new(bundle.to_vec()),
        salt: Salt::from_bytes(*salt),
    })
}

fn identifier(canonical: &[u8]) -> Option<Csi> {
    Csi::from_canonical(std::str::from_utf8(canonical).ok()?).ok()
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

    fn row(digits: u32, bundle: Option<Vec<u8>>, marks: [u64; 4]) -> (Csi, Row) {
        let csi = Csi::parse(&format!("someone{digits}@example.org")).unwrap();
        let [a, b, c, d] = marks;
        let version = |assignment, seq| Version { assignment, seq };
        let row = Row {
            marks: Marks {
                statements: version(a, b),
                credentials: version(c, d),
            },
            content: bundle.map(|bundle| Content {
                csi: csi.clone(),
                bundle: Zeroizing::new(bundle),
                salt: Salt::from_bytes(rand::random()),
            }),
        };
        (csi, row)
    }

    proptest! {
        #[test]
        fn rows_open_under_their_own_name_and_key_alone(
            bundle in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..600)),
            marks: [u64; 4],
            digits: u32,
            flip: prop::sample::Index,
        ) {
            let keys = StoreKeys::derive(&[1; 32]);
            let (csi, row) = row(digits, bundle, marks);
            let id = keys.row_id(&csi);
            let sealed = keys.seal(&id, &row).unwrap();
            let opened = keys.open(&id, &sealed).unwrap();
            prop_assert_eq!(opened.marks, row.marks);
            match (opened.content, row.content) {
                (None, None) => {}
                (Some(a), Some(b)) => {
                    prop_assert!(a.csi == b.csi && a.bundle == b.bundle && a.salt == b.salt);
                }
                _ => prop_assert!(false, "content came or went"),
            }

            let mut altered = sealed.clone();
            altered[flip.index(sealed.len())] ^= 1;
            prop_assert!(keys.open(&id, &altered).is_err());
            prop_assert!(keys.open(&id, &sealed[..flip.index(sealed.len())]).is_err());
            prop_assert!(keys.open(&RowId([0; 32]), &sealed).is_err());
            let others = StoreKeys::derive(&[2; 32]);
            prop_assert!(others.open(&id, &sealed).is_err());
            prop_assert_ne!(others.row_id(&csi), id);

            // A row is no entry of the block list.
            let blocked = keys.seal_blocked(&id, &csi).unwrap();
            prop_assert!(keys.open_blocked(&id, &blocked).unwrap() == csi);
            prop_assert!(keys.open(&id, &blocked).is_err());
            prop_assert!(keys.open_blocked(&id, &sealed).is_err());
        }
    }
}
