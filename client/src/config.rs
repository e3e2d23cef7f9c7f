//! What a client is told before it connects.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use protocol::cose::VerifyingKey;
use protocol::manifest::ManifestPin;
use protocol::pseudonym::Pseudonym;
use protocol::trust::TrustList;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::cache::Cache;
use crate::keyring::Keyring;
use crate::log::Witnesses;
use crate::slots::SlotCount;
use crate::wallet::Wallet;

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
    /// Authenticates the sender as well, or instead.
    pub certificate: Option<ClientCertificate>,
    /// The end sender for whom lookups are made, as an MSP names it to the
    /// provider; without it the account counts as one sender.
    pub sender: Option<Pseudonym>,
    /// Pays for lookups with tokens; then neither API key nor certificate nor
    /// pseudonym is shown.
    pub wallet: Option<Arc<Wallet>>,
    /// The last manifest accepted from this DP, if remembered: older ones are
    /// then refused.
    pub last_manifest: Option<ManifestPin>,
    /// Who must have seen the provider's log of manifests.
    pub witnesses: Witnesses,
    /// The audiences whose records are looked up beside public ones.
    pub keyring: Option<Arc<Keyring>>,
    /// How many records each identifier asks for; if not set,
    /// [`SlotCount::WITH_KEYRING`] or, without keyring,
    /// [`SlotCount::PUBLIC_ONLY`].
    pub slots: Option<SlotCount>,
    /// What is kept between lookups and between runs, if anything is.
    pub cache: Option<Arc<Cache>>,
    /// What of it is used.
    pub reuse: Reuse,
    /// Whether a membership filter decides what is asked for.
    pub filter: FilterUse,
    /// Most PIR queries under way at a time, at least 1.
    pub concurrency: usize,
    /// Longest time for a connection to be made.
    pub connect_timeout: Duration,
    /// Longest time for one request with its answer.
    pub request_timeout: Duration,
    /// Most times that a request is sent again because the server was busy.
    pub busy_retries: u32,
    /// How long one of the provider's servers may be behind the others: an
    /// [audit](crate::audit::Audit) or a [watch](crate::monitor::Watch) that is shown
    /// something older than before looks again after so long, before it says that
    /// the provider has gone back.
    pub server_lag: Duration,
}

/// What is used of what was [kept](ClientConfig::cache). The last manifest always
/// is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Evaluations, and what was fetched from the same snapshot. The provider can
    /// tell how many identifiers are new.
    Kept,
    /// Nothing is used and nothing is kept.
    Nothing,
}

/// Whether the provider's membership filter, if it has one, decides what is asked
/// for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterUse {
    /// It is not fetched. Absence is proven by the PIR.
    Ignore,
    /// Records that it doesn't have are absent and not asked for. The provider can
    /// tell the class of the number of the others: the next power of two, at least
    /// 16.
    SkipAbsent,
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
    pub(crate) certificate: Option<&'a ClientCertificate>,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
}

impl ClientConfig {
    /// The usual [`server_lag`](Self::server_lag): servers look for a new snapshot
    /// every 10 seconds unless they are told otherwise, then they load it.
    pub const SERVER_LAG: Duration = Duration::from_secs(120);

    /// The usual settings, without API key.
    pub fn new(server: impl Into<String>, dp_key: VerifyingKey, trust: TrustList) -> Self {
        Self {
            server: server.into(),
            dp_key,
            trust,
            roots: TlsRoots::System,
            api_key: None,
            certificate: None,
            sender: None,
            wallet: None,
            last_manifest: None,
            witnesses: Witnesses::default(),
            keyring: None,
            slots: None,
            cache: None,
            reuse: Reuse::Kept,
            filter: FilterUse::Ignore,
            concurrency: 16,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            busy_retries: 4,
            server_lag: Self::SERVER_LAG,
        }
    }

    /// The same with an API key.
    #[must_use]
    pub fn with_api_key(mut self, key: ApiKey) -> Self {
        self.api_key = Some(key);
        self
    }

    /// The same with a TLS certificate of the sender's own.
    #[must_use]
    pub fn with_certificate(mut self, certificate: ClientCertificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// The same for an end sender.
    #[must_use]
    pub fn with_sender(mut self, sender: Pseudonym) -> Self {
        self.sender = Some(sender);
        self
    }

    /// The same with these TLS certificates, in PEM, and no others.
    #[must_use]
    pub fn with_tls_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = TlsRoots::Only(pem.into());
        self
    }

    /// The same, paying with tokens, without anything that says who the sender
    /// is.
    #[must_use]
    pub fn with_wallet(mut self, wallet: Wallet) -> Self {
        self.wallet = Some(Arc::new(wallet));
        self.hide_account();
        self
    }

    /// With a wallet, says nothing of an account, whatever was set after it.
    pub(crate) fn hide_account(&mut self) {
        if self.wallet.is_some() {
            self.api_key = None;
            self.certificate = None;
            self.sender = None;
        }
    }

    /// The same with audiences.
    #[must_use]
    pub fn with_keyring(mut self, keyring: Keyring) -> Self {
        self.keyring = Some(Arc::new(keyring));
        self
    }

    /// The same with this number of slots.
    #[must_use]
    pub fn with_slots(mut self, slots: SlotCount) -> Self {
        self.slots = Some(slots);
        self
    }

    /// The same with what is kept between lookups.
    #[must_use]
    pub fn with_cache(mut self, cache: Arc<Cache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// How many records each identifier asks for.
    #[must_use]
    pub fn slot_count(&self) -> SlotCount {
        let usual = match self.keyring {
            Some(_) => SlotCount::WITH_KEYRING,
            None => SlotCount::PUBLIC_ONLY,
        };
        self.slots.unwrap_or(usual)
    }

    pub(crate) fn endpoint(&self) -> Endpoint<'_> {
        Endpoint {
            server: &self.server,
            roots: &self.roots,
            certificate: self.certificate.as_ref(),
            connect_timeout: self.connect_timeout,
            request_timeout: self.request_timeout,
        }
    }
}

/// A TLS certificate by which the provider knows a sender: certificate chain and
/// private key, PEM, one after the other. `Debug` is redacted, wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ClientCertificate(Vec<u8>);

impl ClientCertificate {
    /// Chain and key in one PEM text; whether they are usable is seen when the
    /// client [connects](crate::Client::connect).
    pub fn from_pem(pem: impl Into<Vec<u8>>) -> Self {
        Self(pem.into())
    }

    pub(crate) fn pem(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate(redacted)")
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
    fn the_number_of_slots_follows_the_keyring_unless_set() {
        let key = protocol::cose::SigningKey::from_seed(&[1; 32]).verifying_key();
        let trust = TrustList::new(Vec::new()).unwrap();
        let config = ClientConfig::new("https://dp.example", key, trust);
        assert_eq!(config.slot_count(), SlotCount::PUBLIC_ONLY);
        let with_keyring = config.clone().with_keyring(Keyring::default());
        assert_eq!(with_keyring.slot_count(), SlotCount::WITH_KEYRING);
        for config in [config, with_keyring] {
            let slots = SlotCount::new(7).unwrap();
            assert_eq!(config.with_slots(slots).slot_count(), slots);
        }
    }

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
