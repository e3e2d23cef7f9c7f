//! What of a row is published.

use protocol::bundle::Bundle;
use protocol::time::UnixTime;
use zeroize::Zeroizing;

use crate::store::{Content, StoreError};

/// The bundle that is published of a row at `now`: without mappings that have
/// expired. `None` if no mapping is left, or the credential has expired.
pub(super) fn published(
    content: &Content,
    now: UnixTime,
) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    let corrupt = |_| StoreError::Corrupt;
    let bundle = Bundle::decode(&content.bundle).map_err(corrupt)?;
    if now >= bundle.credential().unverified().expires {
        return Ok(None);
    }
    let held = bundle.mappings();
    let lives = |at: &usize| now < held[*at].unverified().expires;
    let living: Vec<usize> = (0..held.len()).filter(lives).collect();
    if living.is_empty() {
        return Ok(None);
    }
    if living.len() == held.len() {
        return Ok(Some(content.bundle.clone()));
    }
    let mappings = living.iter().map(|at| held[*at].clone()).collect();
    let bundle = Bundle::new(bundle.credential().clone(), mappings).map_err(corrupt)?;
    Ok(Some(Zeroizing::new(bundle.encode().to_vec())))
}
