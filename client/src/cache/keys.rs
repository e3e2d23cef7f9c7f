//! The key of a cache, and what it does.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use protocol::csi::Csi;
use protocol::oprf::OprfOutput;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::CacheError;
use crate::durable::{self, FileError, PRIVATE};

/// What a key file starts with.
const LABEL: &str = "sotto-cache:";

const NONCE_BYTES: usize = 24;

/// What is sealed.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Evaluations,
    Bucket,
}

/// What names and seals rows: all from 256 random bits, by HKDF-SHA256. Wiped
/// when dropped.
pub(super) struct CacheKeys {
    index: Zeroizing<[u8; 32]>,
    cipher: XChaCha20Poly1305,
    check: [u8; 32],
}

impl CacheKeys {
    pub(super) fn generate() -> Self {
        Self::derive(&Zeroizing::new(rand::random()))
    }

    /// Those of the file beside the cache, which is made if there is no cache
    /// yet.
    pub(super) fn beside(cache: &Path) -> Result<Self, CacheError> {
        let path = key_path(cache);
        if !cache.exists() && !path.exists() {
            let key = Zeroizing::new(rand::random::<[u8; 32]>());
            let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(*key));
            let line = Zeroizing::new(format!("{LABEL}{}\n", *encoded));
            match durable::create(&path, PRIVATE, line.as_bytes()) {
                // Another process was quicker.
                Err(error) if error.source.kind() == ErrorKind::AlreadyExists => {}
                created => created?,
            }
        }
        if !path.exists() {
            return Err(CacheError::Key { path });
        }
        if let Some(mode) = durable::exposure(&path)? {
            return Err(CacheError::Exposed { path, mode });
        }
        let text = Zeroizing::new(std::fs::read(&path).map_err(FileError::new("read", &path))?);
        decode(&text)
            .map(|key| Self::derive(&key))
            .ok_or(CacheError::Key { path })
    }

    fn derive(key: &[u8; 32]) -> Self {
        let kdf = Hkdf::<Sha256>::new(Some(b"sotto/v1/cache"), key);
        let seal = expand(&kdf, b"sotto/v1/cache/seal");
        Self {
            index: expand(&kdf, b"sotto/v1/cache/index"),
            cipher: XChaCha20Poly1305::new(<&Key>::from(&*seal)),
            check: *expand(&kdf, b"sotto/v1/cache/check"),
        }
    }

    /// A value that tells keys apart and nothing else.
    pub(super) fn check(&self) -> &[u8; 32] {
        &self.check
    }

    /// What an identifier is called.
    pub(super) fn name_of(&self, csi: &Csi) -> [u8; 32] {
        self.mac(b"sotto/v1/cache/evaluations", csi.canonical().as_bytes())
    }

    /// What the bucket of an OPRF output is called.
    pub(super) fn name_of_bucket(&self, output: &OprfOutput) -> [u8; 32] {
        self.mac(b"sotto/v1/cache/bucket", output.as_bytes())
    }

    pub(super) fn seal(
        &self,
        kind: Kind,
        name: &[u8; 32],
        context: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, CacheError> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload {
            msg: plain,
            aad: &additional_data(kind, name, context),
        };
        // The only failure is a message of more than 256 GiB.
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| CacheError::Corrupt)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    pub(super) fn open(
        &self,
        kind: Kind,
        name: &[u8; 32],
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CacheError> {
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(CacheError::Corrupt)?;
        let payload = Payload {
            msg: sealed,
            aad: &additional_data(kind, name, context),
        };
        let plain = self
            .cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| CacheError::Corrupt)?;
        Ok(Zeroizing::new(plain))
    }

    fn mac(&self, label: &[u8], message: &[u8]) -> [u8; 32] {
        // HMAC takes keys of any length.
        let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(self.index.as_slice())
            .expect("any key length");
        mac.update(label);
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}

/// The file of a cache's key.
pub(super) fn key_path(cache: &Path) -> PathBuf {
    let mut name = cache.as_os_str().to_owned();
    name.push(".key");
    name.into()
}

fn decode(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let encoded = text.strip_prefix(LABEL.as_bytes())?;
    let decoded = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded.trim_ascii_end()).ok()?);
    let mut key = Zeroizing::new([0; 32]);
    if decoded.len() != key.len() {
        return None;
    }
    key.copy_from_slice(&decoded);
    Some(key)
}

fn additional_data(kind: Kind, name: &[u8; 32], context: &[u8]) -> Vec<u8> {
    [&[kind as u8][..], name, context].concat()
}

fn expand(kdf: &Hkdf<Sha256>, label: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    // RFC 5869 §2.3: the only failure is more than 255 hashes of output.
    kdf.expand(label, key.as_mut())
        .expect("32 bytes are one hash");
    key
}
