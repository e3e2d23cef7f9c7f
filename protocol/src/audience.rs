//! Audience records: mappings for those alone who share a secret with the
//! recipient (draft CUJ5–7).
//!
//! An *audience* is a closed group, a single sender or whoever has been handed
//! a card; what its members share is an [`AudienceSecret`], from an
//! [`Invitation`] or from a [pairing](PairingKey). The recipient seals a bundle
//! under the secret and publishes it under an [`AudienceHandle`], which tells
//! nothing to whoever lacks the secret:
//!
//! ```text
//! handle     = SHA3-256("sotto/v1/audience/handle" ‖ length of CSI as u16 BE ‖ CSI ‖ secret)
//! OPRF input = "sotto/v1/audience" ‖ handle
//! ciphertext = salt ‖ ChaCha20-Poly1305(HKDF-SHA512(secret, handle, salt), padded bundle)
//! ```
//!
//! A DP treats the ciphertext as it treats the bundle of an identifier: it
//! seals it once more, under the OPRF output of the handle. So a sender needs a
//! metered evaluation as well as the secret, and the bundle inside is believed
//! for its credential and signatures alone.

mod ciphertext;
mod handle;
mod invitation;
mod kdf;
mod label;
pub mod padding;
mod pairing;
mod publishing;
mod record;
mod secret;

pub use ciphertext::AudienceCiphertext;
pub use handle::AudienceHandle;
pub use invitation::{Invitation, InvitationError, MAX_INVITATION_BYTES};
pub use label::{AudienceLabel, LabelError};
pub use pairing::{PairingError, PairingKey, PairingPublicKey, PairingRole};
pub use publishing::{Term, removal_record, seal_record, write_key};
pub use record::{AudienceContent, AudienceRecord, SignedAudienceRecord};
pub use secret::AudienceSecret;

use crate::cbor::CborError;
use crate::cose::CoseError;
use crate::time::UnixTime;

/// The lengths that ciphertexts have are multiples of this.
pub const PADDING_UNIT_BYTES: usize = 512;

/// Most bytes of a ciphertext, salt included.
pub const MAX_CIPHERTEXT_BYTES: usize = 4096;

/// Most bytes of an encoded audience record.
pub const MAX_AUDIENCE_RECORD_BYTES: usize = MAX_CIPHERTEXT_BYTES + 512;

/// Longest time from issue to expiry: 90 days.
pub const MAX_VALIDITY_SECS: u64 = 90 * 24 * 60 * 60;

/// Why an audience record or its content was refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AudienceError {
    /// Longer than [`MAX_AUDIENCE_RECORD_BYTES`].
    #[error("audience record of {found} bytes, expected at most {max}", max = MAX_AUDIENCE_RECORD_BYTES)]
    TooLarge {
        /// Its length in bytes.
        found: usize,
    },
    /// Not a COSE_Sign1 of the accepted form, not a key, or its signature
    /// doesn't verify.
    #[error("audience record: {0}")]
    Cose(#[from] CoseError),
    /// Its fields are not in the accepted form.
    #[error("audience record fields: {0}")]
    Fields(#[from] CborError),
    /// The ciphertext is of another length than sealing gives.
    #[error(
        "ciphertext of {found} bytes, expected a multiple of {PADDING_UNIT_BYTES} up to {MAX_CIPHERTEXT_BYTES}"
    )]
    CiphertextLength {
        /// Its length in bytes.
        found: usize,
    },
    /// The content is too long to be sealed.
    #[error("audience content of {found} bytes, expected at most {max}", max = padding::CONTENT_MAX)]
    ContentTooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// Expiry is not after issue, more than [`MAX_VALIDITY_SECS`] after it, or
    /// past [`UnixTime::MAX`].
    #[error("audience record issued at {issued_at} expires at {expires}, expected at most {max} s later", max = MAX_VALIDITY_SECS)]
    Validity {
        /// When it was issued.
        issued_at: UnixTime,
        /// When it expires.
        expires: UnixTime,
    },
    /// Issued in the future.
    #[error("audience record is not valid before {issued_at}")]
    NotYetValid {
        /// When it was issued.
        issued_at: UnixTime,
    },
    /// No longer valid.
    #[error("audience record expired at {expires}")]
    Expired {
        /// When.
        expires: UnixTime,
    },
    /// The bundle to be sealed is another identifier's.
    #[error("the bundle is for another identifier than the audience record")]
    SubjectMismatch,
    /// A mapping of the bundle is not signed by the holder for this audience.
    #[error("a mapping is not signed for this audience")]
    OtherReaders,
    /// The ciphertext was altered, or sealed with another secret or for
    /// another handle.
    #[error("the audience content does not open")]
    Authentication,
    /// The opened plaintext is not in the one form that sealing produces.
    #[error("the padding of the audience content is not canonical")]
    Padding,
}
