//! The TOML form of a trust list.

use serde::{Deserialize, Serialize};

use super::{TrustList, TrustListError, TrustedCsip};
use crate::cose::VerifyingKey;
use crate::credential::Issuer;
use crate::time::UnixTime;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    csip: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    issuer: String,
    key: String,
    scopes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<String>,
}

pub(super) fn parse(text: &str) -> Result<TrustList, TrustListError> {
    let file: File = toml::from_str(text)?;
    let csips = file
        .csip
        .into_iter()
        .enumerate()
        .map(|(at, entry)| parse_entry(at + 1, entry));
    TrustList::new(csips.collect::<Result<_, _>>()?)
}

fn parse_entry(entry: usize, fields: Entry) -> Result<TrustedCsip, TrustListError> {
    let scope = |(at, text): (usize, &String)| {
        text.parse().map_err(|source| TrustListError::Scope {
            entry,
            number: at + 1,
            source,
        })
    };
    let time = |field: &'static str, text: Option<String>| {
        text.map(|text| UnixTime::parse_rfc3339(&text))
            .transpose()
            .map_err(|source| TrustListError::Time {
                entry,
                field,
                source,
            })
    };
    Ok(TrustedCsip {
        issuer: Issuer::new(&fields.issuer)
            .map_err(|source| TrustListError::Issuer { entry, source })?,
        key: VerifyingKey::from_text(&fields.key)
            .map_err(|source| TrustListError::Key { entry, source })?,
        scopes: fields
            .scopes
            .iter()
            .enumerate()
            .map(scope)
            .collect::<Result<_, _>>()?,
        not_before: time("not_before", fields.not_before)?,
        not_after: time("not_after", fields.not_after)?,
    })
}

pub(super) fn write(list: &TrustList) -> String {
    let entries = list.csips().iter().map(|csip| Entry {
        issuer: csip.issuer.to_string(),
        key: csip.key.to_text(),
        scopes: csip.scopes.iter().map(ToString::to_string).collect(),
        not_before: csip.not_before.map(|time| time.to_string()),
        not_after: csip.not_after.map(|time| time.to_string()),
    });
    // Cannot fail: tables of strings have a TOML form.
    toml::to_string(&File {
        csip: entries.collect(),
    })
    .expect("tables of strings have a TOML form")
}
