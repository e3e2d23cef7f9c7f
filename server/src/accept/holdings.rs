//! What a recipient may see of its own row.

use protocol::bundle::Bundle;
use protocol::cose::KeyId;
use protocol::credential::CredentialError;
use protocol::wire::{HolderProof, Holdings};

use super::{Held, Refusal, Verifier};
use crate::store::{StoreError, View};

/// Shows what is held about the identifier of a proof to who holds it: the outer
/// error is the store's, the inner one refuses the proof.
///
/// The credential must be the newest known or newer, or name the key that is
/// held; its end doesn't matter to the key that is held. Someone to whom the
/// identifier was given since sees nothing of the former holder's mappings.
///
/// # Errors
/// [`StoreError`].
pub fn holdings(
    view: &dyn View,
    proof: &HolderProof,
    provider: KeyId,
    verifier: Verifier<'_>,
) -> Result<Result<Holdings, Refusal>, StoreError> {
    let verified = match proof.credential.verify(verifier.trust, verifier.now) {
        Ok(claims) => Ok(claims),
        Err(CredentialError::Expired { .. }) => Err(proof.credential.unverified().clone()),
        Err(other) => return Ok(Err(other.into())),
    };
    let claims = verified.as_ref().unwrap_or_else(|expired| expired);
    if let Err(error) = proof.inquiry.verify(claims, provider, verifier.now) {
        return Ok(Err(error.into()));
    }
    let held = Held::read(view.find(&claims.subject)?)?;
    let known = held.bundle.as_ref().is_some_and(|bundle| {
        let held = bundle.credential().unverified();
        held.assignment == claims.assignment && held.holder == claims.holder
    });
    if !known {
        if held.marks.has_released(claims.assignment) {
            return Ok(Err(Refusal::Released));
        }
        if proof.credential.revision().version < held.marks.credentials {
            return Ok(Err(Refusal::OlderCredential));
        }
        if let Err(error) = claims.check_time(verifier.now) {
            return Ok(Err(error.into()));
        }
    }
    let same_person =
        |bundle: &Bundle| bundle.credential().unverified().assignment == claims.assignment;
    Ok(Ok(Holdings {
        floor: held.marks.statements,
        bundle: held.bundle.filter(same_person),
    }))
}
