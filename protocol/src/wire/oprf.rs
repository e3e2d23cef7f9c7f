//! The messages of an OPRF evaluation, as deterministic CBOR (RFC 8949 §4.2.1).
//!
//! ```text
//! request  = { 0: epoch uint, 1: [ 1*1024 blinded element bstr .size 32 ] }
//! response = { 0: epoch uint, 1: [ 1*1024 evaluated element bstr .size 32 ],
//!              2: proof bstr .size 64 }
//! ```

use std::convert::Infallible;

use minicbor::{Decoder, Encoder};

use crate::oprf::{
    BATCH_MAX, BlindedElement, ELEMENT_BYTES, EvaluatedElement, Evaluation, OprfError, Proof,
};
use crate::token::TokenError;

/// A client's blinded elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OprfRequest {
    /// Epoch of the key that is asked for, from the manifest.
    pub epoch: u64,
    /// 1 to [`BATCH_MAX`] elements.
    pub elements: Vec<BlindedElement>,
}

/// The server's answer to an [`OprfRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OprfResponse {
    /// Epoch of the key that evaluated.
    pub epoch: u64,
    /// One evaluated element for each blinded one, and the proof.
    pub evaluation: Evaluation,
}

/// Why bytes are not an OPRF message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// More bytes than the largest message has.
    #[error("a message has at most {max} bytes, not {found}")]
    TooLong {
        /// Bytes of the largest message.
        max: usize,
        /// Bytes given.
        found: usize,
    },
    /// Not CBOR of the message's structure.
    #[error("not the CBOR of this message")]
    Structure,
    /// Bytes follow the message.
    #[error("{found} bytes follow the message")]
    TrailingBytes {
        /// Bytes too many.
        found: usize,
    },
    /// A number, length or head is not encoded in its shortest form.
    #[error("the message is not deterministically encoded")]
    NotDeterministic,
    /// An element or proof has another length than it must.
    #[error("expected {expected} bytes, found {found}")]
    Length {
        /// Bytes it must have.
        expected: usize,
        /// Bytes it has.
        found: usize,
    },
    /// The number of elements is out of range, or one of them or the proof is
    /// invalid.
    #[error(transparent)]
    Oprf(#[from] OprfError),
    /// Something in the place of a token is none.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Not one token for each element but the first.
    #[error(
        "{elements} evaluations cost as many tokens: the first in the header, the others in the body, not {found}"
    )]
    TokenCount {
        /// Elements of the request.
        elements: usize,
        /// Tokens in the body.
        found: usize,
    },
}

const EPOCH: u8 = 0;
const ELEMENTS: u8 = 1;
const PROOF: u8 = 2;

/// Map head, two keys, epoch, array head, and the elements with their heads.
const MESSAGE_BYTES_MAX: usize = 1 + 2 + 9 + 3 + BATCH_MAX * (2 + ELEMENT_BYTES);

impl OprfRequest {
    /// Bytes of the largest request.
    pub const BYTES_MAX: usize = MESSAGE_BYTES_MAX;

    /// The encoding that is sent.
    pub fn encode(&self) -> Vec<u8> {
        let elements = self.elements.iter().map(BlindedElement::as_bytes);
        encode(self.epoch, elements, None)
    }

    /// Decodes exactly what [`encode`](Self::encode) produces. Counts and
    /// lengths are checked before anything is allocated.
    ///
    /// # Errors
    /// [`WireError`], by what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut message = Message::open(bytes, Self::BYTES_MAX, 2)?;
        let request = Self {
            epoch: message.epoch()?,
            elements: message.elements(BlindedElement::from_bytes)?,
        };
        message.close()?;
        if request.encode() != bytes {
            return Err(WireError::NotDeterministic);
        }
        Ok(request)
    }
}

impl OprfResponse {
    /// Bytes of the largest response.
    pub const BYTES_MAX: usize = MESSAGE_BYTES_MAX + 1 + 2 + Proof::BYTES;

    /// The encoding that is sent.
    pub fn encode(&self) -> Vec<u8> {
        let Evaluation { elements, proof } = &self.evaluation;
        let elements = elements.iter().map(EvaluatedElement::as_bytes);
        encode(self.epoch, elements, Some(proof))
    }

    /// Decodes exactly what [`encode`](Self::encode) produces. Counts and
    /// lengths are checked before anything is allocated.
    ///
    /// # Errors
    /// [`WireError`], by what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut message = Message::open(bytes, Self::BYTES_MAX, 3)?;
        let response = Self {
            epoch: message.epoch()?,
            evaluation: Evaluation {
                elements: message.elements(EvaluatedElement::from_bytes)?,
                proof: message.proof()?,
            },
        };
        message.close()?;
        if response.encode() != bytes {
            return Err(WireError::NotDeterministic);
        }
        Ok(response)
    }
}

fn encode<'a>(
    epoch: u64,
    elements: impl ExactSizeIterator<Item = &'a [u8; ELEMENT_BYTES]>,
    proof: Option<&Proof>,
) -> Vec<u8> {
    // Writing to a vector is infallible, and the encoder fails for no other
    // reason.
    write(epoch, elements, proof).expect("writing to a vector")
}

fn write<'a>(
    epoch: u64,
    elements: impl ExactSizeIterator<Item = &'a [u8; ELEMENT_BYTES]>,
    proof: Option<&Proof>,
) -> Result<Vec<u8>, minicbor::encode::Error<Infallible>> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.map(if proof.is_some() { 3 } else { 2 })?;
    encoder.u8(EPOCH)?.u64(epoch)?;
    encoder.u8(ELEMENTS)?.array(elements.len() as u64)?;
    for element in elements {
        encoder.bytes(element)?;
    }
    if let Some(proof) = proof {
        encoder.u8(PROOF)?.bytes(proof.as_bytes())?;
    }
    Ok(encoder.into_writer())
}

/// A message being read field by field, in the one order that is allowed.
pub(super) struct Message<'a> {
    pub(super) decoder: Decoder<'a>,
    length: usize,
}

impl<'a> Message<'a> {
    pub(super) fn open(bytes: &'a [u8], max: usize, fields: u64) -> Result<Self, WireError> {
        if bytes.len() > max {
            return Err(WireError::TooLong {
                max,
                found: bytes.len(),
            });
        }
        let mut decoder = Decoder::new(bytes);
        if decoder.map().map_err(structure)? != Some(fields) {
            return Err(WireError::Structure);
        }
        Ok(Self {
            decoder,
            length: bytes.len(),
        })
    }

    pub(super) fn epoch(&mut self) -> Result<u64, WireError> {
        self.key(EPOCH)?;
        self.decoder.u64().map_err(structure)
    }

    pub(super) fn elements<T>(
        &mut self,
        decode: fn(&[u8; ELEMENT_BYTES]) -> Result<T, OprfError>,
    ) -> Result<Vec<T>, WireError> {
        self.key(ELEMENTS)?;
        let count = self.decoder.array().map_err(structure)?;
        let count = usize::try_from(count.ok_or(WireError::Structure)?).unwrap_or(usize::MAX);
        if count == 0 || count > BATCH_MAX {
            return Err(OprfError::BatchSize { found: count }.into());
        }
        (0..count).map(|_| Ok(decode(self.bytes()?)?)).collect()
    }

    fn proof(&mut self) -> Result<Proof, WireError> {
        self.key(PROOF)?;
        Ok(Proof::from_bytes(self.bytes()?)?)
    }

    pub(super) fn close(self) -> Result<(), WireError> {
        match self.length - self.decoder.position() {
            0 => Ok(()),
            found => Err(WireError::TrailingBytes { found }),
        }
    }

    pub(super) fn key(&mut self, expected: u8) -> Result<(), WireError> {
        if self.decoder.u8().map_err(structure)? != expected {
            return Err(WireError::Structure);
        }
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<&'a [u8; N], WireError> {
        let bytes = self.decoder.bytes().map_err(structure)?;
        bytes.try_into().map_err(|_| WireError::Length {
            expected: N,
            found: bytes.len(),
        })
    }
}

/// The decoder's own error holds a message only, and no position that a client
/// could use.
pub(super) fn structure(_: minicbor::decode::Error) -> WireError {
    WireError::Structure
}

#[cfg(test)]
mod tests;
