//! The client's side: blind, then finalise once.

use std::fmt;

use rand::CryptoRng;
use voprf_ng::VoprfClient;
use zeroize::Zeroizing;

use super::{
    BlindedElement, Evaluation, OprfError, OprfInput, OprfOutput, OprfPublicKey, Suite,
    check_batch_size,
};

/// Inputs blinded for one request. [`finalize`](Self::finalize) uses it
/// up, so that no blind meets two evaluations:
///
/// ```compile_fail,E0382
/// # use protocol::oprf::*;
/// fn twice(batch: BlindedBatch, evaluation: &Evaluation, key: &OprfPublicKey) {
///     let _ = batch.finalize(evaluation, key);
///     let _ = batch.finalize(evaluation, key);
/// }
/// ```
///
/// Blinds and inputs are zeroised on drop, `Debug` is redacted.
pub struct BlindedBatch {
    inputs: Vec<Zeroizing<Vec<u8>>>,
    blinds: Vec<VoprfClient<Suite>>,
    elements: Vec<BlindedElement>,
}

impl BlindedBatch {
    /// Blinds 1 to [`BATCH_MAX`](super::BATCH_MAX) identifiers and handles
    /// (`Blind`, RFC 9497 §3.3.2).
    ///
    /// # Errors
    /// [`OprfError::BatchSize`]; [`OprfError::NoOutput`], for one input in
    /// 2^252.
    pub fn blind<'a, I, R>(inputs: I, rng: &mut R) -> Result<Self, OprfError>
    where
        I: IntoIterator<Item: Into<OprfInput<'a>>>,
        R: CryptoRng + ?Sized,
    {
        let inputs = inputs.into_iter().map(|input| input.into().to_bytes());
        Self::blind_inputs(inputs.collect(), rng)
    }

    pub(super) fn blind_inputs<R: CryptoRng + ?Sized>(
        inputs: Vec<Zeroizing<Vec<u8>>>,
        mut rng: &mut R,
    ) -> Result<Self, OprfError> {
        check_batch_size(inputs.len())?;
        let mut blinds = Vec::with_capacity(inputs.len());
        let mut elements = Vec::with_capacity(inputs.len());
        for input in &inputs {
            let blinded = VoprfClient::blind(input, &mut rng).map_err(|_| OprfError::NoOutput)?;
            blinds.push(blinded.state);
            elements.push(blinded.message.into());
        }
        Ok(Self {
            inputs,
            blinds,
            elements,
        })
    }

    /// What to send, in the order of the inputs.
    pub fn elements(&self) -> &[BlindedElement] {
        &self.elements
    }

    /// The outputs, in the order of the inputs, if the proof shows that
    /// all were evaluated under `key` (`Finalize`, RFC 9497 §3.3.2).
    ///
    /// # Errors
    /// [`OprfError::ElementCount`], [`OprfError::ProofVerification`].
    pub fn finalize(
        self,
        evaluation: &Evaluation,
        key: &OprfPublicKey,
    ) -> Result<Vec<OprfOutput>, OprfError> {
        if evaluation.elements.len() != self.blinds.len() {
            return Err(OprfError::ElementCount {
                expected: self.blinds.len(),
                found: evaluation.elements.len(),
            });
        }
        let inputs: Vec<&[u8]> = self.inputs.iter().map(|input| input.as_slice()).collect();
        let messages: Vec<_> = evaluation
            .elements
            .iter()
            .map(|element| element.inner.clone())
            .collect();
        VoprfClient::batch_finalize(
            &inputs,
            &self.blinds,
            &messages,
            &evaluation.proof.inner,
            key.element()?,
        )
        .map_err(|_| OprfError::ProofVerification)?
        .map(|output| {
            output
                .map(|bytes| OprfOutput::from_bytes(bytes.into()))
                .map_err(|_| OprfError::NoOutput)
        })
        .collect()
    }
}

impl fmt::Debug for BlindedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlindedBatch({} redacted)", self.elements.len())
    }
}
