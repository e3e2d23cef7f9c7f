//! What can be verified without the store.

use protocol::audience::SignedAudienceRecord;
use protocol::bundle::Bundle;
use protocol::credential::CredentialError;
use protocol::removal::SignedRelease;
use protocol::time::UnixTime;
use protocol::trust::TrustList;
use protocol::wire::RemovalRequest;

use super::Refusal;
use crate::senders::SenderName;

/// Verifies at a point in time by a trust list.
#[derive(Clone, Copy, Debug)]
pub struct Verifier<'a> {
    /// Who may speak for which identifiers.
    pub trust: &'a TrustList,
    /// When it is.
    pub now: UnixTime,
}

/// A submission whose signatures and times are in order.
#[derive(Debug)]
pub struct Submission(Statement);

/// What is submitted.
#[derive(Debug)]
pub(super) enum Statement {
    /// A recipient's credential and mappings.
    Publication(Bundle),
    /// A recipient's removal. Its credential may have expired.
    Removal(RemovalRequest),
    /// A CSIP's release.
    Release(SignedRelease),
    /// An audience record of this account.
    AudienceRecord(SignedAudienceRecord, SenderName),
}

impl Submission {
    pub(super) const fn statement(&self) -> &Statement {
        &self.0
    }
}

impl Verifier<'_> {
    /// Verifies a recipient's credential and mappings.
    ///
    /// # Errors
    /// [`Refusal::Credential`], [`Refusal::Mapping`], [`Refusal::LastSeq`].
    pub fn publication(&self, bundle: Bundle) -> Result<Submission, Refusal> {
        let claims = bundle.credential().verify(self.trust, self.now)?;
        for (at, mapping) in bundle.mappings().iter().enumerate() {
            mapping
                .verify(&claims, self.now)
                .map_err(|source| Refusal::Mapping {
                    number: at + 1,
                    source,
                })?;
            refuse_last(mapping.unverified().seq)?;
        }
        Ok(Submission(Statement::Publication(bundle)))
    }

    /// Verifies a recipient's removal. Its credential may have expired: whether
    /// it was the last one, the store says.
    ///
    /// # Errors
    /// [`Refusal::Credential`], [`Refusal::Removal`], [`Refusal::LastSeq`].
    pub fn removal(&self, request: RemovalRequest) -> Result<Submission, Refusal> {
        let claims = match request.credential.verify(self.trust, self.now) {
            Ok(claims) => claims,
            // Everything else about it was in order.
            Err(CredentialError::Expired { .. }) => request.credential.unverified().clone(),
            Err(other) => return Err(other.into()),
        };
        request.removal.verify(&claims, self.now)?;
        refuse_last(request.removal.unverified().seq)?;
        Ok(Submission(Statement::Removal(request)))
    }

    /// Verifies a CSIP's release.
    ///
    /// # Errors
    /// [`Refusal::Removal`].
    pub fn release(&self, release: SignedRelease) -> Result<Submission, Refusal> {
        release.verify(self.trust, self.now)?;
        Ok(Submission(Statement::Release(release)))
    }

    /// Verifies an audience record that an account submits.
    ///
    /// # Errors
    /// [`Refusal::Audience`].
    pub fn audience_record(
        &self,
        record: SignedAudienceRecord,
        owner: SenderName,
    ) -> Result<Submission, Refusal> {
        record.verify(self.now)?;
        Ok(Submission(Statement::AudienceRecord(record, owner)))
    }
}

fn refuse_last(seq: u64) -> Result<(), Refusal> {
    if seq == u64::MAX {
        Err(Refusal::LastSeq)
    } else {
        Ok(())
    }
}
