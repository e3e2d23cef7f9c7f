//! `[metrics]`.

use std::net::SocketAddr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::ConfigError;

/// Metrics for the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Where they are served, a loopback address; nowhere without one.
    #[serde(deserialize_with = "address")]
    pub listen: Option<SocketAddr>,
}

impl Metrics {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self.listen {
            Some(found) if !found.ip().is_loopback() => Err(ConfigError::MetricsAddress { found }),
            _ => Ok(()),
        }
    }
}

/// An address, or "" for none.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || D::Error::custom("expected an address and a port such as \"127.0.0.1:9464\"");
    text.parse().map(Some).map_err(|_| wrong())
}
