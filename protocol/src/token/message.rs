//! Requests for tokens of type 0x0001 and their answers.
//!
//! ```text
//! TokenRequest       = type u16 ‖ truncated key id u8 ‖ element [49]
//! TokenResponse      = element [49] ‖ proof [96]
//! BatchTokenRequest  = type u16 ‖ truncated key id u8 ‖ length <V> ‖ 1*256 element [49]
//! BatchTokenResponse = length <V> ‖ 1*256 element [49] ‖ proof [96]
//! ```

use super::structure::{Reader, put_length};
use super::{
    BATCH_MAX, BlindedElement, EvaluatedElement, Proof, TokenError, TokenType, check_batch_size,
};

/// A request for one token (RFC 9578 §5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// Last byte of the id of the key that is asked for.
    pub truncated_key_id: u8,
    /// The blinded token.
    pub element: BlindedElement,
}

/// The answer to a [`TokenRequest`] (RFC 9578 §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenResponse {
    /// The evaluated element.
    pub element: EvaluatedElement,
    /// That it was evaluated under the key.
    pub proof: Proof,
}

/// A request for tokens of one key (`AmortizedBatchTokenRequest`,
/// draft-ietf-privacypass-batched-tokens §5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchTokenRequest {
    /// Last byte of the id of the key that is asked for.
    pub truncated_key_id: u8,
    /// 1 to [`BATCH_MAX`] blinded tokens.
    pub elements: Vec<BlindedElement>,
}

/// The answer to a [`BatchTokenRequest`] (`AmortizedBatchTokenResponse`,
/// draft-ietf-privacypass-batched-tokens §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchTokenResponse {
    /// In the order of the request.
    pub elements: Vec<EvaluatedElement>,
    /// That all were evaluated under the key.
    pub proof: Proof,
}

/// Bytes of the longest length.
const LENGTH_BYTES: usize = 2;

impl TokenRequest {
    /// Bytes of every request.
    pub const BYTES: usize = 3 + BlindedElement::BYTES;

    /// The structure.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = head(self.truncated_key_id);
        bytes.extend_from_slice(self.element.as_bytes());
        bytes
    }

    /// Decodes exactly what [`encode`](Self::encode) produces.
    ///
    /// # Errors
    /// [`TokenError::Structure`], [`TokenError::Type`],
    /// [`TokenError::InvalidElement`].
    pub fn decode(bytes: &[u8]) -> Result<Self, TokenError> {
        let mut reader = Reader::new(bytes);
        let truncated_key_id = read_head(&mut reader)?;
        let element = reader.array()?;
        reader.end()?;
        Ok(Self {
            truncated_key_id,
            element: BlindedElement::from_bytes(element)?,
        })
    }
}

impl TokenResponse {
    /// Bytes of every answer.
    pub const BYTES: usize = EvaluatedElement::BYTES + Proof::BYTES;

    /// The structure.
    pub fn encode(&self) -> Vec<u8> {
        [&self.element.as_bytes()[..], self.proof.as_bytes()].concat()
    }

    /// Decodes exactly what [`encode`](Self::encode) produces.
    ///
    /// # Errors
    /// [`TokenError::Structure`], [`TokenError::InvalidElement`],
    /// [`TokenError::InvalidProof`].
    pub fn decode(bytes: &[u8]) -> Result<Self, TokenError> {
        let mut reader = Reader::new(bytes);
        let (element, proof) = (reader.array()?, reader.array()?);
        reader.end()?;
        Ok(Self {
            element: EvaluatedElement::from_bytes(element)?,
            proof: Proof::from_bytes(proof)?,
        })
    }
}

impl BatchTokenRequest {
    /// Bytes of the largest request.
    pub const BYTES_MAX: usize = 3 + LENGTH_BYTES + BATCH_MAX * BlindedElement::BYTES;

    /// The structure.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = head(self.truncated_key_id);
        put_length(&mut bytes, self.elements.len() * BlindedElement::BYTES);
        for element in &self.elements {
            bytes.extend_from_slice(element.as_bytes());
        }
        bytes
    }

    /// Decodes exactly what [`encode`](Self::encode) produces. The number of
    /// elements is checked before any is decoded.
    ///
    /// # Errors
    /// [`TokenError::Structure`], [`TokenError::Type`],
    /// [`TokenError::BatchSize`], [`TokenError::InvalidElement`].
    pub fn decode(bytes: &[u8]) -> Result<Self, TokenError> {
        let mut reader = Reader::new(bytes);
        let truncated_key_id = read_head(&mut reader)?;
        let elements = read_elements(&mut reader, BlindedElement::from_bytes)?;
        reader.end()?;
        Ok(Self {
            truncated_key_id,
            elements,
        })
    }
}

impl BatchTokenResponse {
    /// Bytes of the largest answer.
    pub const BYTES_MAX: usize = LENGTH_BYTES + BATCH_MAX * EvaluatedElement::BYTES + Proof::BYTES;

    /// The structure.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_length(&mut bytes, self.elements.len() * EvaluatedElement::BYTES);
        for element in &self.elements {
            bytes.extend_from_slice(element.as_bytes());
        }
        bytes.extend_from_slice(self.proof.as_bytes());
        bytes
    }

    /// Decodes exactly what [`encode`](Self::encode) produces. The number of
    /// elements is checked before any is decoded.
    ///
    /// # Errors
    /// [`TokenError::Structure`], [`TokenError::BatchSize`],
    /// [`TokenError::InvalidElement`], [`TokenError::InvalidProof`].
    pub fn decode(bytes: &[u8]) -> Result<Self, TokenError> {
        let mut reader = Reader::new(bytes);
        let elements = read_elements(&mut reader, EvaluatedElement::from_bytes)?;
        let proof = reader.array()?;
        reader.end()?;
        Ok(Self {
            elements,
            proof: Proof::from_bytes(proof)?,
        })
    }
}

impl From<TokenResponse> for BatchTokenResponse {
    fn from(one: TokenResponse) -> Self {
        Self {
            elements: vec![one.element],
            proof: one.proof,
        }
    }
}

fn head(truncated_key_id: u8) -> Vec<u8> {
    let [high, low] = TokenType::Voprf.number().to_be_bytes();
    vec![high, low, truncated_key_id]
}

fn read_head(reader: &mut Reader<'_>) -> Result<u8, TokenError> {
    match reader.token_type()? {
        TokenType::Voprf => reader.u8(),
        other => Err(TokenError::Type {
            found: other.number(),
        }),
    }
}

fn read_elements<T>(
    reader: &mut Reader<'_>,
    decode: impl Fn(&[u8; BlindedElement::BYTES]) -> Result<T, TokenError>,
) -> Result<Vec<T>, TokenError> {
    let length = reader.length()?;
    if length % BlindedElement::BYTES != 0 {
        return Err(TokenError::Structure);
    }
    check_batch_size(length / BlindedElement::BYTES)?;
    let mut elements = Reader::new(reader.take(length)?);
    (0..length / BlindedElement::BYTES)
        .map(|_| decode(elements.array()?))
        .collect()
}
