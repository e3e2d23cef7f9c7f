//! Trust lists: which CSIP keys may speak for which CSIs.
//!
//! ```toml
//! [[csip]]
//! issuer = "csip.example"
//! key = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
//! scopes = ["tel:+44", "mailto:*@example.com"]
//! not_before = "2026-01-01T00:00:00Z"   # optional
//! not_after = "2028-01-01T00:00:00Z"    # optional
//! ```

mod scope;
mod text;

use std::collections::BTreeMap;

use sha3::{Digest as _, Sha3_256};

pub use scope::{Scope, ScopeError};

use crate::cbor::{self, Value};
use crate::cose::{CoseError, KeyId, VerifyingKey};
use crate::credential::{Issuer, IssuerError};
use crate::csi::Csi;
use crate::time::{TimeError, UnixTime};

/// A key of a CSIP and what it may speak for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedCsip {
    /// The CSIP's name, as in `iss` of its credentials.
    pub issuer: Issuer,
    /// One of its keys.
    pub key: VerifyingKey,
    /// The identifiers that it may speak for with this key; one at least.
    pub scopes: Vec<Scope>,
    /// From when on, if limited.
    pub not_before: Option<UnixTime>,
    /// Until when (exclusive), if limited.
    pub not_after: Option<UnixTime>,
}

/// A checked list of trusted CSIP keys. May be empty: then nobody is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustList {
    csips: Vec<TrustedCsip>,
    by_issuer: BTreeMap<Issuer, BTreeMap<KeyId, usize>>,
}

impl TrustList {
    /// Checks and sorts a list by issuer and key.
    ///
    /// # Errors
    /// [`TrustListError`] for a key listed twice, no scopes, a scope listed
    /// twice, or an empty period; `entry` counts from 1.
    pub fn new(mut csips: Vec<TrustedCsip>) -> Result<Self, TrustListError> {
        for (at, csip) in csips.iter_mut().enumerate() {
            check(at + 1, csip)?;
        }
        let mut by_issuer: BTreeMap<Issuer, BTreeMap<KeyId, usize>> = BTreeMap::new();
        for (at, csip) in csips.iter().enumerate() {
            let keys = by_issuer.entry(csip.issuer.clone()).or_default();
            if keys.insert(csip.key.key_id(), at).is_some() {
                return Err(TrustListError::DuplicateKey { entry: at + 1 });
            }
        }
        let order: Vec<usize> = by_issuer
            .values()
            .flat_map(|keys| keys.values().copied())
            .collect();
        let csips = order.iter().map(|at| csips[*at].clone()).collect();
        for (place, at) in by_issuer
            .values_mut()
            .flat_map(BTreeMap::values_mut)
            .enumerate()
        {
            *at = place;
        }
        Ok(Self { csips, by_issuer })
    }

    /// Reads the TOML form shown above.
    ///
    /// # Errors
    /// [`TrustListError`], naming the entry, counted from 1.
    pub fn from_toml(text: &str) -> Result<Self, TrustListError> {
        text::parse(text)
    }

    /// The TOML form, sorted by issuer and key.
    pub fn to_toml(&self) -> String {
        text::write(self)
    }

    /// The entries, sorted by issuer and key id.
    pub fn csips(&self) -> &[TrustedCsip] {
        &self.csips
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.csips.is_empty()
    }

    /// The key of `issuer` named `key_id`, if it may speak for `csi` at `now`.
    ///
    /// # Errors
    /// [`TrustError`], by what is missing.
    pub fn authorise(
        &self,
        issuer: &Issuer,
        key_id: KeyId,
        csi: &Csi,
        now: UnixTime,
    ) -> Result<&VerifyingKey, TrustError> {
        let keys = self
            .by_issuer
            .get(issuer)
            .ok_or(TrustError::UnknownIssuer)?;
        let csip = &self.csips[*keys.get(&key_id).ok_or(TrustError::UnknownKey)?];
        if !csip.scopes.iter().any(|scope| scope.covers(csi)) {
            return Err(TrustError::OutOfScope);
        }
        if csip.not_before.is_some_and(|begin| now < begin) {
            return Err(TrustError::NotYetValid);
        }
        if csip.not_after.is_some_and(|end| now >= end) {
            return Err(TrustError::Expired);
        }
        Ok(&csip.key)
    }

    /// SHA3-256 over the list's deterministic CBOR: an array, sorted by issuer
    /// and key id, of `[issuer, COSE_Key, [scope, ..] sorted, [not_before] or [],
    /// [not_after] or []]`. The order and spelling of the TOML don't matter.
    pub fn digest(&self) -> [u8; 32] {
        let time = |time: Option<UnixTime>| {
            Value::Array(
                time.iter()
                    .map(|time| Value::Integer(time.as_secs().into()))
                    .collect(),
            )
        };
        let entries = self.csips.iter().map(|csip| {
            let scopes = csip
                .scopes
                .iter()
                .map(|scope| Value::Text(scope.to_string()))
                .collect();
            Value::Array(vec![
                Value::Text(csip.issuer.as_str().to_owned()),
                csip.key.to_cose_key_value(),
                Value::Array(scopes),
                time(csip.not_before),
                time(csip.not_after),
            ])
        });
        // Cannot fail: texts, integers, arrays and maps of distinct integers.
        let encoded =
            cbor::encode(&Value::Array(entries.collect())).expect("a plain value encodes");
        Sha3_256::digest(encoded).into()
    }
}

/// Checks one entry and sorts its scopes.
fn check(entry: usize, csip: &mut TrustedCsip) -> Result<(), TrustListError> {
    csip.scopes.sort();
    if csip.scopes.is_empty() {
        return Err(TrustListError::NoScopes { entry });
    }
    if csip.scopes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(TrustListError::DuplicateScope { entry });
    }
    for (field, time) in [
        ("not_before", csip.not_before),
        ("not_after", csip.not_after),
    ] {
        if time.is_some_and(|time| time > UnixTime::MAX) {
            return Err(TrustListError::Time {
                entry,
                field,
                source: TimeError::OutOfRange,
            });
        }
    }
    let begin = csip.not_before.unwrap_or(UnixTime::from_secs(0));
    if csip.not_after.is_some_and(|end| end <= begin) {
        return Err(TrustListError::EmptyPeriod { entry });
    }
    Ok(())
}

/// Why a CSIP may not speak for an identifier.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The issuer is not listed.
    #[error("issuer is not on the trust list")]
    UnknownIssuer,
    /// The issuer is listed, the key isn't.
    #[error("key is not on the trust list for this issuer")]
    UnknownKey,
    /// The key may not speak for this identifier.
    #[error("issuer may not speak for this identifier")]
    OutOfScope,
    /// The key may not be used yet.
    #[error("issuer's key is not trusted yet")]
    NotYetValid,
    /// The key may no longer be used.
    #[error("issuer's key is no longer trusted")]
    Expired,
}

/// Why a trust list was refused. Entries are counted from 1.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustListError {
    /// Not TOML, or a field is missing, unknown or of the wrong type.
    #[error("trust list: {0}")]
    Toml(#[from] toml::de::Error),
    /// The issuer's name.
    #[error("trust list entry {entry}: issuer: {source}")]
    Issuer {
        /// Which entry.
        entry: usize,
        /// What is wrong.
        source: IssuerError,
    },
    /// The key.
    #[error("trust list entry {entry}: key: {source}")]
    Key {
        /// Which entry.
        entry: usize,
        /// What is wrong.
        source: CoseError,
    },
    /// A scope.
    #[error("trust list entry {entry}: scope {number}: {source}")]
    Scope {
        /// Which entry.
        entry: usize,
        /// Which of its scopes, counted from 1.
        number: usize,
        /// What is wrong.
        source: ScopeError,
    },
    /// A time.
    #[error("trust list entry {entry}: {field}: {source}")]
    Time {
        /// Which entry.
        entry: usize,
        /// Which field.
        field: &'static str,
        /// What is wrong.
        source: TimeError,
    },
    /// No scopes: the key could speak for nothing.
    #[error("trust list entry {entry}: no scopes")]
    NoScopes {
        /// Which entry.
        entry: usize,
    },
    /// A scope is listed twice.
    #[error("trust list entry {entry}: a scope is listed twice")]
    DuplicateScope {
        /// Which entry.
        entry: usize,
    },
    /// The same key of the same issuer is listed twice.
    #[error("trust list entry {entry}: this key of this issuer is listed twice")]
    DuplicateKey {
        /// The later entry.
        entry: usize,
    },
    /// `not_after` is not later than `not_before`.
    #[error("trust list entry {entry}: not_after is not later than not_before")]
    EmptyPeriod {
        /// Which entry.
        entry: usize,
    },
}

#[cfg(test)]
mod tests;
