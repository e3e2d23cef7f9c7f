//! One item: its form, its signatures, its times.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::bundle::{Bundle, MAX_MAPPINGS};
use protocol::credential::SignedCredential;
use protocol::mapping::SignedMapping;
use serde::Deserialize;

use super::RawItem;
use super::source::Format;
use crate::accept::{Refusal, Submission, Verifier};

/// Why an item was refused. Shows nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ItemError {
    /// Longer than any valid item.
    #[error("longer than {max} bytes")]
    TooLong {
        /// Most bytes.
        max: usize,
    },
    /// Not a JSON object of the expected form.
    #[error("not a JSON object with \"credential\" and \"mappings\" (column {column})")]
    Json {
        /// Where reading ended.
        column: usize,
    },
    /// Not a CBOR array of the expected form.
    #[error("not a CBOR array of a byte string and an array of byte strings")]
    Cbor,
    /// The credential's text.
    #[error("credential: not base64url without padding")]
    CredentialText,
    /// A mapping's text.
    #[error("mapping {number}: not base64url without padding")]
    MappingText {
        /// Which mapping, counted from 1.
        number: usize,
    },
    /// More mappings than an identifier may have.
    #[error("{found} mappings, expected at most {max}", max = MAX_MAPPINGS)]
    TooManyMappings {
        /// How many.
        found: usize,
    },
    /// What it holds.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Decodes an item and verifies everything that doesn't depend on the store.
pub(super) fn verify(item: &RawItem, verifier: Verifier<'_>) -> Result<Submission, ItemError> {
    let content = item.content()?;
    let (credential, mappings) = match item.format {
        Format::JsonLines => decode_json(content)?,
        Format::CborSequence => decode_cbor(content)?,
    };
    let credential = SignedCredential::from_bytes(&credential).map_err(Refusal::Credential)?;
    let mut signed = Vec::with_capacity(mappings.len());
    for (at, mapping) in mappings.iter().enumerate() {
        let refuse = |source| Refusal::Mapping {
            number: at + 1,
            source,
        };
        signed.push(SignedMapping::from_bytes(mapping).map_err(refuse)?);
    }
    let bundle = Bundle::new(credential, signed).map_err(Refusal::Bundle)?;
    Ok(verifier.publication(bundle)?)
}

type Encoded = (Vec<u8>, Vec<Vec<u8>>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    credential: &'a str,
    #[serde(borrow)]
    mappings: Vec<&'a str>,
}

fn decode_json(line: &[u8]) -> Result<Encoded, ItemError> {
    let line: Line<'_> = serde_json::from_slice(line).map_err(|error| ItemError::Json {
        column: error.column(),
    })?;
    check_count(line.mappings.len())?;
    let credential = URL_SAFE_NO_PAD
        .decode(line.credential)
        .map_err(|_| ItemError::CredentialText)?;
    let mappings = line.mappings.iter().enumerate().map(|(at, mapping)| {
        URL_SAFE_NO_PAD
            .decode(mapping)
            .map_err(|_| ItemError::MappingText { number: at + 1 })
    });
    Ok((credential, mappings.collect::<Result<_, _>>()?))
}

fn decode_cbor(item: &[u8]) -> Result<Encoded, ItemError> {
    let shape = |_| ItemError::Cbor;
    let mut decoder = minicbor::Decoder::new(item);
    if decoder.array().map_err(shape)? != Some(2) {
        return Err(ItemError::Cbor);
    }
    let credential = decoder.bytes().map_err(shape)?.to_vec();
    let count = decoder.array().map_err(shape)?.ok_or(ItemError::Cbor)?;
    check_count(usize::try_from(count).unwrap_or(usize::MAX))?;
    let mappings = (0..count).map(|_| decoder.bytes().map(<[u8]>::to_vec).map_err(shape));
    Ok((credential, mappings.collect::<Result<_, _>>()?))
}

fn check_count(found: usize) -> Result<(), ItemError> {
    if found > MAX_MAPPINGS {
        Err(ItemError::TooManyMappings { found })
    } else {
        Ok(())
    }
}
