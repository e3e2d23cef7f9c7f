//! Secrets encrypted under a passphrase.
//!
//! An `EncryptedPrivateKeyInfo` (RFC 5958 §3) in PEM (RFC 7468), by PBES2
//! (RFC 8018 §6.2) with scrypt (RFC 7914 §7) and AES-256-CBC. What is encrypted
//! is up to the caller, and so is the label of the PEM.

use std::fmt;

use pkcs8::der::asn1::OctetStringRef;
use pkcs8::pkcs5::pbes2::{EncryptionScheme, Kdf, Parameters, Salt, ScryptParams};
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, SecretDocument};
use zeroize::Zeroizing;

/// scrypt's N. With [`SCRYPT_R`] it takes 16 MiB; OpenSSL, which shall read what
/// is written here, allows itself less than 32 MiB.
const SCRYPT_N: u64 = 1 << 14;
const SCRYPT_R: u16 = 8;
/// Makes up for the small N: each guess costs five times as much.
const SCRYPT_P: u16 = 5;

const SALT_BYTES: usize = 16;
const IV_BYTES: usize = 16;

/// What a secret is encrypted under. `Debug` is redacted, wiped when dropped.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

/// Why a secret was not encrypted or decrypted. Holds nothing of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassphraseError {
    /// Too easy to guess.
    #[error("passphrase of {found} characters, expected at least {least}", least = Passphrase::CHARS_MIN)]
    Weak {
        /// Its length in characters.
        found: usize,
    },
    /// Not PEM of that label, or not an encrypted secret in it.
    #[error("expected PEM of an encrypted secret")]
    Malformed,
    /// Another passphrase, or what was encrypted was altered.
    #[error("wrong passphrase, or the file is damaged")]
    Wrong,
    /// The secret has no encrypted form. Does not happen.
    #[error("the secret can't be encrypted")]
    Encoding(#[source] pkcs8::Error),
}

impl Passphrase {
    /// Fewest characters under which a secret is encrypted (NIST SP 800-63B
    /// §5.1.1.2). Those that others encrypted are read with any.
    pub const CHARS_MIN: usize = 8;

    /// The text as it is; one line ending at its end is dropped.
    pub fn new(text: &str) -> Self {
        let text = text.strip_suffix('\n').unwrap_or(text);
        Self(Zeroizing::new(
            text.strip_suffix('\r').unwrap_or(text).to_owned(),
        ))
    }

    /// The PEM, of this label, of a secret. Takes a quarter of a second, for
    /// those who guess as well.
    ///
    /// # Errors
    /// [`PassphraseError::Weak`], [`PassphraseError::Encoding`].
    pub fn encrypt(
        &self,
        secret: &[u8],
        label: &'static str,
    ) -> Result<Zeroizing<String>, PassphraseError> {
        let found = self.0.chars().count();
        if found < Self::CHARS_MIN {
            return Err(PassphraseError::Weak { found });
        }
        let scheme = Parameters {
            kdf: Kdf::Scrypt(ScryptParams {
                salt: Salt::new(rand::random::<[u8; SALT_BYTES]>()).map_err(encoding)?,
                cost_parameter: SCRYPT_N,
                block_size: SCRYPT_R,
                parallelization: SCRYPT_P,
                key_length: None,
            }),
            encryption: EncryptionScheme::Aes256Cbc {
                iv: rand::random::<[u8; IV_BYTES]>(),
            },
        };
        let encrypted = scheme
            .encrypt(self.0.as_bytes(), secret)
            .map_err(|error| PassphraseError::Encoding(error.into()))?;
        let info = EncryptedPrivateKeyInfoRef {
            encryption_algorithm: scheme.into(),
            encrypted_data: OctetStringRef::new(&encrypted).map_err(encoding)?,
        };
        SecretDocument::try_from(&info)
            .map_err(PassphraseError::Encoding)?
            .to_pem(label, LineEnding::LF)
            .map_err(encoding)
    }

    /// The secret in a PEM of this label. CBC has no tag: one wrong passphrase
    /// in 256 yields bytes that the caller must recognise as no secret.
    ///
    /// # Errors
    /// [`PassphraseError::Malformed`], [`PassphraseError::Wrong`].
    pub fn decrypt(&self, pem: &str, label: &str) -> Result<Zeroizing<Vec<u8>>, PassphraseError> {
        let malformed = |_| PassphraseError::Malformed;
        let (found, encrypted) = SecretDocument::from_pem(pem).map_err(malformed)?;
        if found != label {
            return Err(PassphraseError::Malformed);
        }
        let info = EncryptedPrivateKeyInfoRef::try_from(encrypted.as_bytes())
            .map_err(|_| PassphraseError::Malformed)?;
        info.encryption_algorithm
            .decrypt(self.0.as_bytes(), info.encrypted_data.as_ref())
            .map(Zeroizing::new)
            .map_err(|_| PassphraseError::Wrong)
    }
}

fn encoding(error: pkcs8::der::Error) -> PassphraseError {
    PassphraseError::Encoding(error.into())
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: &str = "ENCRYPTED TEST";

    #[test]
    fn secrets_round_trip_under_their_passphrase_and_label_alone() {
        let passphrase = Passphrase::new("correct horse\r\n");
        let pem = passphrase.encrypt(b"a secret", LABEL).unwrap();
        assert!(pem.starts_with("-----BEGIN ENCRYPTED TEST-----\n"));
        let same = Passphrase::new("correct horse");
        assert_eq!(&**same.decrypt(&pem, LABEL).unwrap(), b"a secret");
        assert!(matches!(
            same.decrypt(&pem, "ENCRYPTED PRIVATE KEY"),
            Err(PassphraseError::Malformed)
        ));
        // One wrong passphrase in 256 yields something, which is no secret.
        let wrong = Passphrase::new("battery staple").decrypt(&pem, LABEL);
        assert!(wrong.map_or(true, |bytes| &**bytes != b"a secret"));
        assert!(matches!(
            Passphrase::new("seven77").encrypt(b"a secret", LABEL),
            Err(PassphraseError::Weak { found: 7 })
        ));
        assert!(matches!(
            same.decrypt(&pem[..pem.len() / 2], LABEL),
            Err(PassphraseError::Malformed)
        ));
        assert_eq!(format!("{same:?}"), "Passphrase(redacted)");
    }
}
