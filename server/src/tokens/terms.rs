//! Until when each key of another issuer was said to be in force.
//!
//! Spent tokens are forgotten when their key ends. A key that is in force again
//! afterwards would make them good again: so what was said once can only become
//! shorter, also for a key that was taken out of `issuers.toml` in between.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use protocol::time::UnixTime;

use super::{Issuers, TokensError};
use crate::durable::{self, FileError, PRIVATE};

/// Ends by the hex digits of a key's id, in UNIX time.
type Terms = BTreeMap<String, u64>;

/// Gives the issuers back if none of their keys is in force for longer than it
/// was said before, and notes until when they are.
///
/// # Errors
/// [`TokensError::Extended`], [`TokensError::Issuers`], [`TokensError::File`].
pub(super) fn accept(issuers: Issuers, path: &Path) -> Result<Issuers, TokensError> {
    let known = read(path)?;
    let mut terms = known.clone();
    for issuer in issuers.all() {
        let (id, ends) = (hex::encode(issuer.key.id().as_bytes()), issuer.not_after);
        match known.get(&id) {
            Some(&known) if known < ends.as_secs() => {
                return Err(TokensError::Extended {
                    name: issuer.name.as_str().to_owned(),
                    known: UnixTime::from_secs(known),
                });
            }
            _ => terms.insert(id, ends.as_secs()),
        };
    }
    if terms != known {
        // A map of text and integers can always be encoded.
        let json = serde_json::to_vec_pretty(&terms).unwrap_or_default();
        durable::replace(path, PRIVATE, &json)?;
    }
    Ok(issuers)
}

fn read(path: &Path) -> Result<Terms, TokensError> {
    match fs::read(path) {
        Ok(json) => serde_json::from_slice(&json).map_err(|error| TokensError::Issuers {
            path: path.display().to_string(),
            message: error.to_string(),
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Terms::new()),
        Err(error) => Err(FileError::new("read", path)(error).into()),
    }
}
