//! The messages of recipients and CSIPs, as deterministic CBOR.
//!
//! ```text
//! publication = bundle                            ; see `bundle`
//! removal     = [ credential bstr, removal bstr ]
//! proof       = [ credential bstr, inquiry bstr ]
//! holdings    = [ assignment uint, seq uint, [ ? bundle bstr ] ]
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::bundle::{Bundle, BundleError, MAX_BUNDLE_BYTES};
use crate::cbor::{self, CborError, Value};
use crate::credential::{CredentialError, MAX_CREDENTIAL_BYTES, SignedCredential};
use crate::inquiry::{InquiryError, MAX_INQUIRY_BYTES, SignedInquiry};
use crate::precedence::Version;
use crate::removal::{MAX_REMOVAL_BYTES, RemovalError, SignedRemoval};

/// The HTTP authentication scheme of [`HolderProof::to_authorization`].
pub const HOLDER_SCHEME: &str = "Sotto-Holder";

/// A removal with the credential that it stands on.
#[derive(Clone, Debug)]
pub struct RemovalRequest {
    /// Names the key.
    pub credential: SignedCredential,
    /// Signed by that key.
    pub removal: SignedRemoval,
}

/// An inquiry with the credential that it stands on.
#[derive(Clone, Debug)]
pub struct HolderProof {
    /// Names the key.
    pub credential: SignedCredential,
    /// Signed by that key.
    pub inquiry: SignedInquiry,
}

/// What a DP holds about one CSI.
#[derive(Clone, Debug)]
pub struct Holdings {
    /// The newest statement that removed something: a mapping must be above it.
    pub floor: Version,
    /// Credential and mappings, if there are any.
    pub bundle: Option<Bundle>,
}

/// What a DP did with a signed object, in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Whether it changed anything; an object seen again does not.
    pub changed: bool,
    /// Number of entries of the audit log with this one.
    pub audit_entries: u64,
    /// Hash of the last of them, in hexadecimal digits.
    pub audit_hash: String,
}

/// Why bytes are not a message of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HolderMessageError {
    /// More bytes than the largest message has.
    #[error("a message has at most {max} bytes, not {found}")]
    TooLong {
        /// Bytes of the largest message.
        max: usize,
        /// Bytes given.
        found: usize,
    },
    /// Not deterministically encoded CBOR.
    #[error("message: {0}")]
    Cbor(#[from] CborError),
    /// Not CBOR of the message's structure.
    #[error("not the CBOR of this message")]
    Structure,
    /// Not the scheme or the base64url of a proof.
    #[error("expected {HOLDER_SCHEME} and a proof in base64url without padding")]
    Authorization,
    /// The credential.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The removal.
    #[error(transparent)]
    Removal(#[from] RemovalError),
    /// The inquiry.
    #[error(transparent)]
    Inquiry(#[from] InquiryError),
    /// The bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

impl RemovalRequest {
    /// Most bytes.
    pub const BYTES_MAX: usize = pair_bytes(MAX_CREDENTIAL_BYTES, MAX_REMOVAL_BYTES);

    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode_pair(self.credential.as_bytes(), self.removal.as_bytes())
    }

    /// Reads a message and both objects strictly.
    ///
    /// # Errors
    /// [`HolderMessageError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, HolderMessageError> {
        let (credential, removal) = decode_pair(bytes, Self::BYTES_MAX)?;
        Ok(Self {
            credential: SignedCredential::from_bytes(&credential)?,
            removal: SignedRemoval::from_bytes(&removal)?,
        })
    }
}

impl HolderProof {
    /// Most bytes.
    pub const BYTES_MAX: usize = pair_bytes(MAX_CREDENTIAL_BYTES, MAX_INQUIRY_BYTES);

    /// The value of the `Authorization` header: [`HOLDER_SCHEME`] and the proof
    /// in base64url.
    pub fn to_authorization(&self) -> String {
        let proof = encode_pair(self.credential.as_bytes(), self.inquiry.as_bytes());
        format!("{HOLDER_SCHEME} {}", URL_SAFE_NO_PAD.encode(proof))
    }

    /// Reads the header's value and both objects strictly.
    ///
    /// # Errors
    /// [`HolderMessageError`].
    pub fn from_authorization(value: &[u8]) -> Result<Self, HolderMessageError> {
        let (scheme, proof) = value
            .split_at_checked(HOLDER_SCHEME.len())
            .ok_or(HolderMessageError::Authorization)?;
        let proof = proof
            .strip_prefix(b" ")
            .filter(|_| scheme.eq_ignore_ascii_case(HOLDER_SCHEME.as_bytes()))
            .ok_or(HolderMessageError::Authorization)?;
        let proof = URL_SAFE_NO_PAD
            .decode(proof)
            .map_err(|_| HolderMessageError::Authorization)?;
        let (credential, inquiry) = decode_pair(&proof, Self::BYTES_MAX)?;
        Ok(Self {
            credential: SignedCredential::from_bytes(&credential)?,
            inquiry: SignedInquiry::from_bytes(&inquiry)?,
        })
    }
}

impl Holdings {
    /// Most bytes.
    pub const BYTES_MAX: usize = 1 + 9 + 9 + 1 + 3 + MAX_BUNDLE_BYTES;

    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let bundle = self.bundle.iter();
        let message = Value::Array(vec![
            Value::Integer(self.floor.assignment.into()),
            Value::Integer(self.floor.seq.into()),
            Value::Array(
                bundle
                    .map(|bundle| Value::Bytes(bundle.encode().to_vec()))
                    .collect(),
            ),
        ]);
        // Cannot fail: integers, byte strings and arrays.
        cbor::encode(&message).expect("a plain value encodes")
    }

    /// Reads a message and its bundle strictly.
    ///
    /// # Errors
    /// [`HolderMessageError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, HolderMessageError> {
        let [assignment, seq, bundle] = decode_array(bytes, Self::BYTES_MAX)?;
        let unsigned = |value: Value| {
            let integer = value.as_integer()?;
            u64::try_from(integer).ok()
        };
        let (Some(assignment), Some(seq)) = (unsigned(assignment), unsigned(seq)) else {
            return Err(HolderMessageError::Structure);
        };
        let Value::Array(mut bundle) = bundle else {
            return Err(HolderMessageError::Structure);
        };
        let bundle = match (bundle.pop(), bundle.is_empty()) {
            (None, _) => None,
            (Some(Value::Bytes(bundle)), true) => Some(Bundle::decode(&bundle)?),
            _ => return Err(HolderMessageError::Structure),
        };
        Ok(Self {
            floor: Version { assignment, seq },
            bundle,
        })
    }
}

/// Array head, and two byte strings with heads of three bytes.
const fn pair_bytes(first: usize, second: usize) -> usize {
    1 + 3 + first + 3 + second
}

fn encode_pair(first: &[u8], second: &[u8]) -> Vec<u8> {
    let pair = Value::Array(vec![
        Value::Bytes(first.to_vec()),
        Value::Bytes(second.to_vec()),
    ]);
    // Cannot fail: an array of byte strings.
    cbor::encode(&pair).expect("a plain value encodes")
}

fn decode_pair(bytes: &[u8], max: usize) -> Result<(Vec<u8>, Vec<u8>), HolderMessageError> {
    match decode_array(bytes, max)? {
        [Value::Bytes(first), Value::Bytes(second)] => Ok((first, second)),
        _ => Err(HolderMessageError::Structure),
    }
}

fn decode_array<const N: usize>(
    bytes: &[u8],
    max: usize,
) -> Result<[Value; N], HolderMessageError> {
    if bytes.len() > max {
        return Err(HolderMessageError::TooLong {
            max,
            found: bytes.len(),
        });
    }
    match cbor::decode(bytes)? {
        Value::Array(parts) => parts.try_into().map_err(|_| HolderMessageError::Structure),
        _ => Err(HolderMessageError::Structure),
    }
}

#[cfg(test)]
mod tests;
