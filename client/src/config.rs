//! What a client is told before it connects.

use std::fmt;
use std::time::Duration;

use protocol::cose::VerifyingKey;
use protocol::manifest::ManifestPin;
use protocol::trust::TrustList;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Where the provider is, what proves that it is the one meant, and whom the
/// client believes.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Base URL, `https` only, such as `https://dp.example:8443`.
    pub server: String,
    /// The DP's key, pinned.
    pub dp_key: VerifyingKey,
    /// The CSIPs whose credentials are believed.
    pub trust: TrustList,
    /// Who may vouch for the server's TLS certificate.
    pub roots: TlsRoots,
    /// Authenticates the sender.
    pub api_key: Option<ApiKey>,
    /// The last manifest accepted from this DP, if remembered: older ones are
    /// then refused.
    pub last_manifest: Option<ManifestPin>,
    /// Most PIR queries under way at a time, at least 1.
    pub concurrency: usize,
    /// Longest time for a connection to be made.
    pub connect_timeout: Duration,
    /// Longest time for one request with its answer.
    pub request_timeout: Duration,
    /// Most times that a request is sent again because the server was busy.
    pub busy_retries: u32,
}

/// Who may vouch for the server's TLS certificate.
#[derive(Clone, Debug)]
pub enum TlsRoots {
    /// The certificate authorities of the system.
    System,
    /// The certificates in this PEM text and no others.
    Only(Vec<u8>),
}

/// Where a server is and how long it may take.
#[derive(Clone, Copy)]
pub(crate) struct Endpoint<'a> {
    pub(crate) server: &'a str,
    pub(crate) roots: &'a TlsRoots,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
}

impl ClientConfig {
    /// The usual settings, without API key.
    pub fn new(server: impl Into<String>, dp_key: VerifyingKey, trust: TrustList) -> Self {
        Self {
            server: server.into(),
            dp_key,
            trust,
            roots: TlsRoots::System,
            api_key: None,
            last_manifest: None,
            concurrency: 16,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            busy_retries: 4,
        }
    }

    /// The same with an API key.
    #[must_use]
    pub fn with_api_key(mut self, key: ApiKey) -> Self {
        self.api_key = Some(key);
        self
    }

    /// The same with these TLS certificates, in PEM, and no others.
    #[must_use]
    pub fn with_tls_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = TlsRoots::Only(pem.into());
        self
    }

    pub(crate) fn endpoint(&self) -> Endpoint<'_> {
        Endpoint {
            server: &self.server,
            roots: &self.roots,
            connect_timeout: self.connect_timeout,
            request_timeout: self.request_timeout,
        }
    }
}

/// The secret by which the provider knows a sender. `Debug` is redacted, wiped
/// when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ApiKey(String);

impl ApiKey {
    /// Most bytes.
    pub const MAX_LEN: usize = 256;

    /// A key as the provider gave it; white space around it is dropped.
    ///
    /// # Errors
    /// [`ApiKeyError`].
    pub fn new(text: &str) -> Result<Self, ApiKeyError> {
        let text = text.trim();
        // RFC 6750 §2.1: b68token.
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if text.is_empty() || text.len() > Self::MAX_LEN || !text.bytes().all(allowed) {
            return Err(ApiKeyError);
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(redacted)")
    }
}

/// The text is no API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an API key: 1 to {max} letters, digits and -._~+/=", max = ApiKey::MAX_LEN)]
pub struct ApiKeyError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_keys_are_tokens_and_not_shown() {
        let key = ApiKey::new(" sotto_abc-DEF_123\n").unwrap();
        assert_eq!(key.as_str(), "sotto_abc-DEF_123");
        assert_eq!(format!("{key:?}"), "ApiKey(redacted)");
        let long = "a".repeat(ApiKey::MAX_LEN + 1);
        for text in ["", "  ", "a b", "a\nb", "ä", "a\"", &long] {
            assert_eq!(ApiKey::new(text).unwrap_err(), ApiKeyError, "{text}");
        }
    }
}
