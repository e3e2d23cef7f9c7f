//! The client's side of type 0x0001: blind, then finalise once.

use std::fmt;

use rand::CryptoRng;
use voprf_ng::VoprfClient;

use super::{
    BatchTokenRequest, BatchTokenResponse, BlindedElement, IssuerPublicKey, Suite, Token,
    TokenChallenge, TokenError, TokenInput, TokenRequest, check_batch_size,
};

/// Tokens blinded for one request. [`finalize`](Self::finalize) uses it up, so
/// that no blind meets two evaluations.
///
/// Blinds and nonces are zeroised on drop, `Debug` is redacted.
pub struct PendingTokens {
    key: IssuerPublicKey,
    inputs: Vec<TokenInput>,
    blinds: Vec<VoprfClient<Suite>>,
    elements: Vec<BlindedElement>,
}

impl PendingTokens {
    /// Draws and blinds 1 to [`BATCH_MAX`](super::BATCH_MAX) tokens for a
    /// challenge of type 0x0001 (RFC 9578 §5.1).
    ///
    /// # Errors
    /// [`TokenError::BatchSize`]; [`TokenError::Type`] for a challenge of
    /// another type; [`TokenError::NoOutput`], for one nonce in 2^384.
    pub fn blind<R: CryptoRng + ?Sized>(
        challenge: &TokenChallenge,
        key: &IssuerPublicKey,
        count: usize,
        rng: &mut R,
    ) -> Result<Self, TokenError> {
        check_batch_size(count)?;
        let id = key.id();
        let inputs = (0..count)
            .map(|_| TokenInput::draw(challenge, &id, rng))
            .collect();
        Self::blind_inputs(challenge, key, inputs, rng)
    }

    pub(super) fn blind_inputs<R: CryptoRng + ?Sized>(
        challenge: &TokenChallenge,
        key: &IssuerPublicKey,
        inputs: Vec<TokenInput>,
        mut rng: &mut R,
    ) -> Result<Self, TokenError> {
        if challenge.token_type != super::TokenType::Voprf {
            return Err(TokenError::Type {
                found: challenge.token_type.number(),
            });
        }
        check_batch_size(inputs.len())?;
        let mut blinds = Vec::with_capacity(inputs.len());
        let mut elements = Vec::with_capacity(inputs.len());
        for input in &inputs {
            let blinded =
                VoprfClient::blind(input.as_bytes(), &mut rng).map_err(|_| TokenError::NoOutput)?;
            blinds.push(blinded.state);
            elements.push(blinded.message.into());
        }
        Ok(Self {
            key: *key,
            inputs,
            blinds,
            elements,
        })
    }

    /// What to send for all of them.
    pub fn request(&self) -> BatchTokenRequest {
        BatchTokenRequest {
            truncated_key_id: self.key.id().truncated(),
            elements: self.elements.clone(),
        }
    }

    /// What to send for one, if there is exactly one: its answer is finalised as
    /// a batch.
    pub fn single_request(&self) -> Option<TokenRequest> {
        match &self.elements[..] {
            [element] => Some(TokenRequest {
                truncated_key_id: self.key.id().truncated(),
                element: element.clone(),
            }),
            _ => None,
        }
    }

    /// The tokens, if the proof shows that all were made with the key
    /// (`FinalizeBatch`, draft-ietf-privacypass-batched-tokens §5.3).
    ///
    /// # Errors
    /// [`TokenError::ElementCount`], [`TokenError::ProofVerification`].
    pub fn finalize(self, response: &BatchTokenResponse) -> Result<Vec<Token>, TokenError> {
        if response.elements.len() != self.blinds.len() {
            return Err(TokenError::ElementCount {
                expected: self.blinds.len(),
                found: response.elements.len(),
            });
        }
        let inputs: Vec<&[u8]> = self.inputs.iter().map(TokenInput::as_bytes).collect();
        let messages: Vec<_> = response
            .elements
            .iter()
            .map(|element| element.inner.clone())
            .collect();
        VoprfClient::batch_finalize(
            &inputs,
            &self.blinds,
            &messages,
            &response.proof.inner,
            self.key.element()?,
        )
        .map_err(|_| TokenError::ProofVerification)?
        .zip(&self.inputs)
        .map(|(output, input)| {
            let output = output.map_err(|_| TokenError::NoOutput)?;
            input.clone().into_token(&output)
        })
        .collect()
    }
}

impl fmt::Debug for PendingTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingTokens({} redacted)", self.elements.len())
    }
}
