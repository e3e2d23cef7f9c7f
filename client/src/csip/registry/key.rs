//! The key that hides identifiers, and the names it gives them.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use protocol::csi::Csi;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::RegistryError;
use crate::durable::{self, FileError, PRIVATE};

/// What a key file starts with.
const LABEL: &str = "sotto-csip-registry:";

const NAME_LABEL: &[u8] = b"sotto/v1/csip/registry/name";
const CHECK_LABEL: &[u8] = b"sotto/v1/csip/registry/check";

/// 256 random bits, kept in a file of one line that only its owner may read.
/// Whoever has them and the registry can find out by trying which phone numbers
/// are in it. `Debug` is redacted, wiped when dropped.
pub struct RegistryKey(Zeroizing<[u8; 32]>);

/// How an identifier is called in the registry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct RowName([u8; 32]);

impl RegistryKey {
    /// A fresh key.
    pub fn generate() -> Self {
        Self(Zeroizing::new(rand::random()))
    }

    /// Writes the key into a file, which must not be there yet.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn create(&self, path: &Path) -> Result<(), FileError> {
        let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(*self.0));
        let line = Zeroizing::new(format!("{LABEL}{}\n", *encoded));
        durable::create(path, PRIVATE, line.as_bytes())
    }

    /// The key in a file.
    ///
    /// # Errors
    /// [`RegistryError::File`], [`RegistryError::Exposed`],
    /// [`RegistryError::MalformedKey`].
    pub fn read(path: &Path) -> Result<Self, RegistryError> {
        if let Some(mode) = durable::exposure(path)? {
            let path = path.to_owned();
            return Err(RegistryError::Exposed { path, mode });
        }
        let malformed = || RegistryError::MalformedKey {
            path: path.to_owned(),
        };
        let text = Zeroizing::new(std::fs::read(path).map_err(FileError::new("read", path))?);
        let encoded = text.strip_prefix(LABEL.as_bytes()).ok_or_else(malformed)?;
        let decoded = URL_SAFE_NO_PAD.decode(encoded.trim_ascii_end());
        let decoded = Zeroizing::new(decoded.map_err(|_| malformed())?);
        let mut key = Zeroizing::new([0; 32]);
        if decoded.len() != key.len() {
            return Err(malformed());
        }
        key.copy_from_slice(&decoded);
        Ok(Self(key))
    }

    /// HMAC-SHA-256 over a label and the canonical identifier.
    pub(super) fn name(&self, csi: &Csi) -> RowName {
        RowName(self.mac(NAME_LABEL, csi.canonical().as_bytes()))
    }

    /// A value that tells keys apart and nothing else.
    pub(super) fn check(&self) -> [u8; 32] {
        self.mac(CHECK_LABEL, b"")
    }

    fn mac(&self, label: &[u8], message: &[u8]) -> [u8; 32] {
        // HMAC takes keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_slice()).expect("any key length");
        mac.update(label);
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}

impl RowName {
    pub(super) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for RegistryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RegistryKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_files_round_trip_and_others_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("registry.key");
        let key = RegistryKey::generate();
        key.create(&path).unwrap();
        assert!(key.create(&path).is_err());
        assert_eq!(*RegistryKey::read(&path).unwrap().0, *key.0);
        assert!(!format!("{key:?}").contains(&hex::encode(*key.0)[..4]));
        for text in [
            "",
            LABEL,
            "sotto-csip-registry:AAAA",
            "sotto-csip-registry:!",
        ] {
            durable::replace(&path, PRIVATE, text.as_bytes()).unwrap();
            assert!(
                matches!(
                    RegistryKey::read(&path),
                    Err(RegistryError::MalformedKey { .. })
                ),
                "{text}"
            );
        }
        durable::replace(&path, durable::PUBLIC, b"").unwrap();
        assert!(matches!(
            RegistryKey::read(&path),
            Err(RegistryError::Exposed { .. })
        ));
    }

    #[test]
    fn names_depend_on_key_and_identifier() {
        let csi = |text| Csi::parse(text).unwrap();
        let (one, other) = (RegistryKey::generate(), RegistryKey::generate());
        let name = one.name(&csi("a@example.org"));
        assert!(name == one.name(&csi("A@example.org")));
        assert!(name != one.name(&csi("b@example.org")));
        assert!(name != other.name(&csi("a@example.org")));
        assert_ne!(one.check(), other.check());
    }
}
