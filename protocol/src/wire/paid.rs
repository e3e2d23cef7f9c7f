//! An OPRF evaluation that tokens pay for.

use std::convert::Infallible;

use minicbor::Encoder;

use super::oprf::{Message, OprfRequest, WireError, structure};
use crate::oprf::{BATCH_MAX, BlindedElement};
use crate::token::Token;

const TOKENS: u8 = 2;

/// An [`OprfRequest`] of one element, which the token in the header pays for; or
/// one of more elements, with a token for each but the first:
///
/// ```text
/// request = { 0: epoch uint, 1: [ 2*1024 blinded element bstr .size 32 ],
///             2: [ 1*1023 token bstr ] }
/// ```
#[derive(Debug, Clone)]
pub struct PaidOprfRequest {
    /// What is asked for.
    pub request: OprfRequest,
    /// One less than there are elements.
    pub tokens: Vec<Token>,
}

impl PaidOprfRequest {
    /// Bytes of the largest request: a token has a head of three bytes.
    pub const BYTES_MAX: usize =
        OprfRequest::BYTES_MAX + 1 + 3 + (BATCH_MAX - 1) * (3 + Token::BYTES_MAX);

    /// The encoding that is sent.
    pub fn encode(&self) -> Vec<u8> {
        if self.tokens.is_empty() {
            return self.request.encode();
        }
        // Writing to a vector is infallible, and the encoder fails for no other
        // reason.
        self.write().expect("writing to a vector")
    }

    /// Decodes exactly what [`encode`](Self::encode) produces. Counts and
    /// lengths are checked before anything is allocated.
    ///
    /// # Errors
    /// [`WireError`], by what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let paid = if bytes.first() == Some(&0xa2) {
            Self {
                request: OprfRequest::decode(bytes)?,
                tokens: Vec::new(),
            }
        } else {
            Self::read(bytes)?
        };
        let (elements, found) = (paid.request.elements.len(), paid.tokens.len());
        if elements != found + 1 {
            return Err(WireError::TokenCount { elements, found });
        }
        Ok(paid)
    }

    fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let mut message = Message::open(bytes, Self::BYTES_MAX, 3)?;
        let request = OprfRequest {
            epoch: message.epoch()?,
            elements: message.elements(BlindedElement::from_bytes)?,
        };
        message.key(TOKENS)?;
        let count = message.decoder.array().map_err(structure)?;
        let count = count.ok_or(WireError::Structure)?;
        if count == 0 || count >= BATCH_MAX as u64 {
            return Err(WireError::Structure);
        }
        let tokens = (0..count)
            .map(|_| {
                let token = message.decoder.bytes().map_err(structure)?;
                Ok(Token::decode(token)?)
            })
            .collect::<Result<_, WireError>>()?;
        message.close()?;
        let paid = Self { request, tokens };
        if paid.encode() != bytes {
            return Err(WireError::NotDeterministic);
        }
        Ok(paid)
    }

    fn write(&self) -> Result<Vec<u8>, minicbor::encode::Error<Infallible>> {
        let mut encoder = Encoder::new(Vec::new());
        encoder.map(3)?;
        encoder.u8(0)?.u64(self.request.epoch)?;
        encoder.u8(1)?.array(self.request.elements.len() as u64)?;
        for element in &self.request.elements {
            encoder.bytes(element.as_bytes())?;
        }
        encoder.u8(TOKENS)?.array(self.tokens.len() as u64)?;
        for token in &self.tokens {
            encoder.bytes(token.as_bytes())?;
        }
        Ok(encoder.into_writer())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::csi::Csi;
    use crate::oprf::BlindedBatch;
    use crate::token::{ServerName, TokenChallenge, TokenInput, TokenKeyId, TokenType};

    fn paid(count: usize, token_type: TokenType) -> PaidOprfRequest {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let csi = Csi::parse("someone@example.org").unwrap();
        let batch = BlindedBatch::blind(&vec![csi; count], &mut rng).unwrap();
        let name = || ServerName::new("dp.example").unwrap();
        let challenge = TokenChallenge::for_origin(token_type, name(), name());
        let id = TokenKeyId::of(b"key");
        let tokens = (1..count)
            .map(|_| {
                let input = TokenInput::draw(&challenge, &id, &mut rng);
                let authenticator = vec![7; token_type.authenticator_bytes()];
                input.into_token(&authenticator).unwrap()
            })
            .collect();
        PaidOprfRequest {
            request: OprfRequest {
                epoch: u64::MAX,
                elements: batch.elements().to_vec(),
            },
            tokens,
        }
    }

    #[test]
    fn one_element_is_a_plain_request() {
        let one = paid(1, TokenType::Voprf);
        assert_eq!(one.encode(), one.request.encode());
        let decoded = PaidOprfRequest::decode(&one.encode()).unwrap();
        assert_eq!(decoded.request, one.request);
        assert!(decoded.tokens.is_empty());
    }

    #[test]
    fn round_trips_up_to_the_stated_size() {
        for (count, token_type) in [(2, TokenType::Voprf), (BATCH_MAX, TokenType::BlindRsa)] {
            let request = paid(count, token_type);
            let bytes = request.encode();
            let decoded = PaidOprfRequest::decode(&bytes).unwrap();
            assert_eq!(decoded.encode(), bytes);
            if count == BATCH_MAX {
                assert_eq!(bytes.len(), PaidOprfRequest::BYTES_MAX);
            }
            for cut in [1, bytes.len() / 2, bytes.len() - 1] {
                assert!(PaidOprfRequest::decode(&bytes[..cut]).is_err());
            }
            let longer = [&bytes[..], &[0]].concat();
            assert!(PaidOprfRequest::decode(&longer).is_err());
        }
    }

    #[test]
    fn every_element_costs_a_token() {
        let mut few = paid(3, TokenType::Voprf);
        few.tokens.pop();
        assert!(matches!(
            PaidOprfRequest::decode(&few.encode()),
            Err(WireError::TokenCount {
                elements: 3,
                found: 1
            })
        ));
        let none = paid(2, TokenType::Voprf).request.encode();
        assert!(matches!(
            PaidOprfRequest::decode(&none),
            Err(WireError::TokenCount { .. })
        ));
        let mut many = paid(2, TokenType::Voprf);
        many.tokens.push(many.tokens[0].clone());
        assert!(matches!(
            PaidOprfRequest::decode(&many.encode()),
            Err(WireError::TokenCount { .. })
        ));
    }

    #[test]
    fn tokens_are_not_shown() {
        let text = format!("{:?}", paid(2, TokenType::Voprf));
        assert!(text.contains("Token(redacted)"), "{text}");
    }
}
