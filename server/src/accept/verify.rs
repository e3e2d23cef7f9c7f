//! What can be verified without the store.

use protocol::audience::SignedAudienceRecord;
use protocol::bundle::Bundle;
use protocol::credential::CredentialError;
use protocol::csi::Csi;
use protocol::removal::SignedRelease;
use protocol::time::UnixTime;
use protocol::trust::TrustList;
use protocol::wire::RemovalRequest;

use super::Refusal;
use crate::senders::SenderName;

/// How far a `seq`, in milliseconds, may be ahead of the time: a year.
const SEQ_AHEAD_SECS: u64 = 366 * 86_400;

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
    /// A recipient's removal, and whether its credential is of use by itself.
    Removal(Box<RemovalRequest>, Result<(), CredentialError>),
    /// A CSIP's release.
    Release(SignedRelease),
    /// An audience record of this account.
    AudienceRecord(SignedAudienceRecord, SenderName),
}

impl Submission {
    /// Whose row it is about; none for an audience record.
    pub fn subject(&self) -> Option<&Csi> {
        match &self.0 {
            Statement::Publication(bundle) => Some(&bundle.credential().unverified().subject),
            Statement::Removal(request, _) => Some(&request.removal.unverified().subject),
            Statement::Release(release) => Some(&release.unverified().subject),
            Statement::AudienceRecord(..) => None,
        }
    }

    pub(super) const fn statement(&self) -> &Statement {
        &self.0
    }
}

impl Verifier<'_> {
    /// Verifies a recipient's credential and mappings.
    ///
    /// # Errors
    /// [`Refusal::Credential`], [`Refusal::Mapping`], [`Refusal::SeqAhead`].
    pub fn publication(&self, bundle: Bundle) -> Result<Submission, Refusal> {
        let claims = bundle.credential().verify(self.trust, self.now)?;
        for (at, mapping) in bundle.mappings().iter().enumerate() {
            mapping
                .verify(&claims, self.now)
                .map_err(|source| Refusal::Mapping {
                    number: at + 1,
                    source,
                })?;
            self.refuse_ahead(mapping.unverified().seq)?;
        }
        Ok(Submission(Statement::Publication(bundle)))
    }

    /// Verifies a recipient's removal. Its credential may have expired, or its
    /// CSIP lost trust: whether it names the key that is held, the store says.
    ///
    /// # Errors
    /// [`Refusal::Credential`], [`Refusal::Removal`], [`Refusal::SeqAhead`].
    pub fn removal(&self, request: RemovalRequest) -> Result<Submission, Refusal> {
        let standing = match request.credential.verify(self.trust, self.now) {
            Ok(_) => Ok(()),
            Err(error @ (CredentialError::Expired { .. } | CredentialError::Untrusted(_))) => {
                Err(error)
            }
            Err(other) => return Err(other.into()),
        };
        let claims = request.credential.unverified();
        request.removal.verify(claims, self.now)?;
        self.refuse_ahead(request.removal.unverified().seq)?;
        Ok(Submission(Statement::Removal(Box::new(request), standing)))
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

    /// Clients count in milliseconds: a number far ahead of the time would leave
    /// whoever holds the identifier next no higher one.
    fn refuse_ahead(&self, seq: u64) -> Result<(), Refusal> {
        let most = self.now.saturating_add(SEQ_AHEAD_SECS).as_secs() * 1000;
        if seq > most {
            Err(Refusal::SeqAhead { most })
        } else {
            Ok(())
        }
    }
}
