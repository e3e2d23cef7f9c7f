//! What can be wrong with an identity.

use std::path::PathBuf;

use protocol::cose::CoseError;
use protocol::credential::CredentialError;

use crate::durable::FileError;
use crate::key_file::KeyFileError;

/// Why an identity could not be used. Holds no identifier and nothing secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key file.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// There is none.
    #[error(
        "no identity in {path}: make one with `sotto identity new`, or bring one from another \
         device with `sotto identity import`",
        path = .path.display()
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is one already.
    #[error(
        "{path} has a key already, which is never overwritten: replace it with `sotto identity \
         rotate`, or give another directory with --identity",
        path = .path.display()
    )]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// key.pub is damaged.
    #[error(
        "{path} holds no public key: remove it, and `sotto identity show` writes it again",
        path = .path.display()
    )]
    PublicKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: CoseError,
    },
    /// A credential names another key.
    #[error(
        "the credential is for a key that this identity does not have: import it where the key is, \
         or request another with `sotto credential request`"
    )]
    NotHolder,
    /// The file of a credential holds something else.
    #[error(
        "{path} holds no credential: remove it, and import or request the credential again",
        path = .path.display()
    )]
    Credential {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: CredentialError,
    },
    /// A newer credential for the identifier is there.
    #[error("a newer credential for this identifier is here already; nothing was changed")]
    OlderCredential,
    /// There is no credential for the identifier.
    #[error(
        "there is no credential for this identifier: get one with `sotto credential request` or \
         `sotto credential import`"
    )]
    NoCredential,
    /// The file of what was published or is awaited, or of a receipt, holds something
    /// else.
    #[error(
        "{path} is damaged: remove it; then nothing that a provider holds is known to be from here",
        path = .path.display()
    )]
    Ledger {
        /// The file.
        path: PathBuf,
    },
}
