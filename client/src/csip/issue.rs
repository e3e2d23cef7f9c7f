//! Verifying holders, issuing credentials and releases.

use std::sync::Arc;
use std::time::Duration;

use protocol::cose::SigningKey;
use protocol::credential::{
    Credential, CredentialError, CredentialRequestError, Issuer, SignedCredential,
    SignedCredentialRequest,
};
use protocol::csi::Csi;
use protocol::removal::{Release, ReleaseReason, RemovalError, SignedRelease};
use protocol::time::UnixTime;
use protocol::wire::csip::{Code, VerificationId, VerificationStarted};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::config::CsipConfig;
use super::directory::{CsipDir, CsipDirError};
use super::hook::{Hook, HookError};
use super::registry::{Registry, RegistryError};
use super::verification::{VerificationError, Verifications};
use crate::key_file::Passphrase;

const DAY_SECS: u64 = 24 * 60 * 60;

/// A CSIP: its key, registry and the verifications under way.
pub struct Csip {
    key: SigningKey,
    config: CsipConfig,
    registry: Arc<Registry>,
    hook: Hook,
    verifications: Verifications,
}

impl Csip {
    /// The CSIP of a directory.
    ///
    /// # Errors
    /// [`CsipDirError`].
    pub fn open(directory: &CsipDir, passphrase: &Passphrase) -> Result<Self, CsipDirError> {
        let config = directory.config()?;
        Ok(Self {
            key: directory.key_file().read(passphrase)?,
            registry: Arc::new(directory.registry()?),
            hook: Hook::new(&config.hook),
            config,
            verifications: Verifications::default(),
        })
    }

    /// What the operator decided.
    pub fn config(&self) -> &CsipConfig {
        &self.config
    }

    /// Sends a code to the identifier of a request that its key signed lately,
    /// for this CSIP, and not before.
    ///
    /// # Errors
    /// [`CsipError::Request`], [`CsipError::OutOfScope`],
    /// [`CsipError::Registry`], [`CsipError::Hook`].
    pub async fn start(
        &self,
        request: &SignedCredentialRequest,
        now: UnixTime,
    ) -> Result<VerificationStarted, CsipError> {
        let asked = request.verify(&self.config.issuer, now)?;
        if !self.config.covers(&asked.subject) {
            return Err(CsipError::OutOfScope);
        }
        let policy = self.config.verification.clone();
        let (subject, payload) = (asked.subject.clone(), request.payload().to_vec());
        let admitted = self
            .on_registry(move |registry| registry.admit(&subject, &payload, &policy, now))
            .await?;
        let policy = &self.config.verification;
        let (id, code) = self.verifications.begin(asked, admitted, policy, now);
        if let Err(error) = self.hook.deliver(&asked.subject, &code).await {
            self.verifications.abandon(&id);
            return Err(error.into());
        }
        Ok(VerificationStarted {
            id,
            expires_in_seconds: policy.code_seconds,
            attempts: policy.attempts,
        })
    }

    /// Issues the credential that the code was sent for.
    ///
    /// Its assignment is durable in the registry before it is signed: whatever
    /// happens afterwards, no other holder gets the same.
    ///
    /// # Errors
    /// [`CsipError::Verification`], [`CsipError::Registry`],
    /// [`CsipError::Credential`].
    pub async fn finish(
        &self,
        id: &VerificationId,
        code: &Code,
        now: UnixTime,
    ) -> Result<SignedCredential, CsipError> {
        let verified = self.verifications.redeem(id, code, now)?;
        let (subject, holder) = (verified.subject.clone(), verified.holder.key_id());
        let admitted = verified.admitted;
        let assigned = self
            .on_registry(move |registry| registry.assign(&subject, holder, admitted, now))
            .await?;
        // Handed out when it is valid.
        sleep(Duration::from_secs(assigned.issued_at.secs_since(now))).await;
        let validity = self.config.credential_days * DAY_SECS;
        let credential = Credential {
            issuer: self.config.issuer.clone(),
            subject: verified.subject,
            holder: verified.holder,
            issued_at: assigned.issued_at,
            expires: assigned.issued_at.saturating_add(validity),
            assignment: assigned.assignment,
        };
        Ok(credential.issue(&self.key)?)
    }

    /// Ends the assignment of an identifier: the next credential for it is of
    /// another. Called again for the same reason, it signs the same release.
    ///
    /// # Errors
    /// [`CsipError::Registry`], [`CsipError::Release`].
    pub async fn release(
        &self,
        subject: &Csi,
        reason: ReleaseReason,
        now: UnixTime,
    ) -> Result<SignedRelease, CsipError> {
        let csi = subject.clone();
        let ended = self
            .on_registry(move |registry| registry.end(&csi, reason, now))
            .await?;
        let release = Release {
            issuer: self.config.issuer.clone(),
            subject: subject.clone(),
            assignment: ended.assignment,
            issued_at: ended.at,
            reason: ended.reason,
        };
        Ok(release.sign(&self.key)?)
    }

    /// Its name.
    pub fn issuer(&self) -> &Issuer {
        &self.config.issuer
    }

    /// The registry waits for files.
    async fn on_registry<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Registry) -> Result<T, RegistryError> + Send + 'static,
    ) -> Result<T, CsipError> {
        let registry = Arc::clone(&self.registry);
        let changed = spawn_blocking(move || change(&registry)).await;
        Ok(changed.map_err(|_| CsipError::Interrupted)??)
    }
}

impl std::fmt::Debug for Csip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Csip")
            .field("issuer", self.issuer())
            .finish_non_exhaustive()
    }
}

/// Why a CSIP refused. Holds no identifier, code or key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CsipError {
    /// The request is not by its key, for another CSIP, or not fresh.
    #[error(transparent)]
    Request(#[from] CredentialRequestError),
    /// The CSIP doesn't speak for the identifier.
    #[error("this CSIP does not speak for the identifier")]
    OutOfScope,
    /// The code could not be delivered.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// The code is of no use.
    #[error(transparent)]
    Verification(#[from] VerificationError),
    /// The registry refused or failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The credential would not be valid.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The release would not be valid.
    #[error(transparent)]
    Release(#[from] RemovalError),
    /// A thread ended early.
    #[error("interrupted")]
    Interrupted,
}

#[cfg(test)]
mod tests;
