//! What of a row is published.

use protocol::bundle::Bundle;
use protocol::time::UnixTime;
use protocol::trust::TrustList;
use zeroize::Zeroizing;

use crate::accept::effective;
use crate::store::{Content, StoreError};

/// What decides what is published.
#[derive(Clone, Copy)]
pub(super) struct Publishing<'a> {
    /// Who may speak for which identifiers.
    pub(super) trust: &'a TrustList,
    /// When it is.
    pub(super) now: UnixTime,
}

impl Publishing<'_> {
    /// The bundle that is published of a row: without mappings that have expired
    /// or been replaced. `None` if no mapping is left, the credential has expired,
    /// or its CSIP is no longer trusted with the identifier.
    pub(super) fn of(&self, content: &Content) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let corrupt = |_| StoreError::Corrupt;
        let bundle = Bundle::decode(&content.bundle).map_err(corrupt)?;
        let credential = bundle.credential();
        let claims = credential.unverified();
        let trusted = self.trust.authorise(
            &claims.issuer,
            credential.key_id(),
            &claims.subject,
            self.now,
        );
        if self.now >= claims.expires || trusted.is_err() {
            return Ok(None);
        }
        let mut mappings = effective(bundle.mappings(), self.now);
        mappings.retain(|mapping| self.now < mapping.unverified().expires);
        if mappings.is_empty() {
            return Ok(None);
        }
        if mappings.len() == bundle.mappings().len() {
            return Ok(Some(content.bundle.clone()));
        }
        let bundle = Bundle::new(credential.clone(), mappings).map_err(corrupt)?;
        Ok(Some(Zeroizing::new(bundle.encode().to_vec())))
    }
}
