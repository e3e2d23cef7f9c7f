//! `[tokens]`.

use serde::Deserialize;

/// Tokens of Privacy Pass.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tokens {
    /// The provider's name as issuer and origin: its host, and port unless 443.
    pub issuer: String,
    /// Days that a key issues; its tokens are taken for as many more.
    pub key_days: u16,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            issuer: "localhost".to_owned(),
            key_days: 7,
        }
    }
}
