//! The configuration file of a CSIP.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::cose::VerifyingKey;
use protocol::credential::{Issuer, IssuerError};
use protocol::csi::Csi;
use protocol::trust::{Scope, ScopeError, TrustList, TrustListError, TrustedCsip};
use serde::Deserialize;

use crate::durable::FileError;

/// The commented file that `init` writes, for another issuer and other scopes.
pub(super) const SHIPPED: &str = include_str!("../../csip.toml");

/// What the operator decides. See `csip.toml` for what each value means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsipConfig {
    /// The name that credentials are issued under.
    pub issuer: Issuer,
    /// What it speaks for; one at least.
    pub scopes: Vec<Scope>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Days that a credential is valid, 1 to 90.
    pub credential_days: u64,
    /// Certificate and key.
    pub tls: TlsFiles,
    /// What delivers codes.
    pub hook: HookConfig,
    /// How codes are handled.
    pub verification: VerificationPolicy,
}

/// Certificate and key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

/// The executable that delivers codes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HookConfig {
    /// Where it is.
    pub path: PathBuf,
    /// How long it may take, 1 to 60.
    pub timeout_seconds: u64,
}

/// How codes are handled.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VerificationPolicy {
    /// How long a code is good, 1 to 3600.
    pub code_seconds: u64,
    /// How often it may be tried, 1 to 10.
    pub attempts: u32,
    /// Codes sent to one identifier within an hour, 1 to 20.
    pub codes_per_identifier_hour: u32,
    /// Codes sent within a minute, 1 to 600.
    pub codes_per_minute: u32,
}

impl CsipConfig {
    /// Reads and checks a file; relative paths start at its directory and become
    /// absolute.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(FileError::new("read", path))?;
        let mut config = Self::from_toml(&text)?;
        // The hook runs in another directory than this process.
        let path = std::path::absolute(path).map_err(FileError::new("find", path))?;
        let directory = path.parent().unwrap_or(Path::new("/"));
        for path in [
            &mut config.tls.certificate,
            &mut config.tls.key,
            &mut config.hook.path,
        ] {
            *path = directory.join(&*path);
        }
        Ok(config)
    }

    fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text)?;
        let scopes = file.scopes.iter().enumerate().map(|(at, text)| {
            text.parse().map_err(|source| ConfigError::Scope {
                number: at + 1,
                source,
            })
        });
        let config = Self {
            issuer: Issuer::new(&file.issuer)?,
            scopes: scopes.collect::<Result<_, _>>()?,
            listen: file.listen,
            credential_days: file.credential_days,
            tls: file.tls,
            hook: file.hook,
            verification: file.verification,
        };
        config.check()?;
        Ok(config)
    }

    /// The entry for trust lists: `key` speaks for the scopes.
    ///
    /// # Errors
    /// [`ConfigError::Trust`] for scopes that a trust list refuses.
    pub fn trust(&self, key: VerifyingKey) -> Result<TrustList, ConfigError> {
        let entry = TrustedCsip {
            issuer: self.issuer.clone(),
            key,
            scopes: self.scopes.clone(),
            not_before: None,
            not_after: None,
        };
        Ok(TrustList::new(vec![entry])?)
    }

    /// Whether the CSIP may speak for the identifier.
    pub fn covers(&self, csi: &Csi) -> bool {
        self.scopes.iter().any(|scope| scope.covers(csi))
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.scopes.is_empty() {
            return Err(ConfigError::NoScopes);
        }
        let policy = &self.verification;
        for (key, found, most) in [
            ("credential_days", self.credential_days, 90),
            ("hook.timeout_seconds", self.hook.timeout_seconds, 60),
            ("verification.code_seconds", policy.code_seconds, 3600),
            ("verification.attempts", policy.attempts.into(), 10),
            (
                "verification.codes_per_identifier_hour",
                policy.codes_per_identifier_hour.into(),
                20,
            ),
            (
                "verification.codes_per_minute",
                policy.codes_per_minute.into(),
                600,
            ),
        ] {
            if !(1..=most).contains(&found) {
                return Err(ConfigError::Range { key, most, found });
            }
        }
        Ok(())
    }
}

impl HookConfig {
    /// How long it may take.
    pub const fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

/// The shipped file with this issuer, scopes and, if given, address.
pub(super) fn shipped_for(issuer: &Issuer, scopes: &[Scope], listen: Option<SocketAddr>) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let scopes: Vec<String> = scopes
        .iter()
        .map(|scope| quoted(&scope.to_string()))
        .collect();
    let listen = listen.unwrap_or_else(listen_by_default);
    let lines = SHIPPED.lines().map(|line| match line.split_once(" = ") {
        Some(("issuer", _)) => format!("issuer = {}\n", quoted(issuer.as_str())),
        Some(("scopes", _)) => format!("scopes = [{}]\n", scopes.join(", ")),
        Some(("listen", _)) => format!("listen = \"{listen}\"\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not TOML, or a key is missing, unknown or of the wrong type.
    #[error("configuration: {0}")]
    Toml(#[from] toml::de::Error),
    /// The issuer's name.
    #[error("configuration: issuer: {0}")]
    Issuer(#[from] IssuerError),
    /// A scope.
    #[error("configuration: scope {number}: {source}")]
    Scope {
        /// Which, counted from 1.
        number: usize,
        /// What is wrong.
        source: ScopeError,
    },
    /// No scopes: the CSIP could speak for nothing.
    #[error("configuration: no scopes")]
    NoScopes,
    /// What no trust list would take.
    #[error("configuration: {0}")]
    Trust(#[from] TrustListError),
    /// A value is out of its range.
    #[error("configuration: {key} is {found}, expected 1 to {most}")]
    Range {
        /// Which value.
        key: &'static str,
        /// The most accepted.
        most: u64,
        /// What it is.
        found: u64,
    },
}

/// The file as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    issuer: String,
    scopes: Vec<String>,
    #[serde(default = "listen_by_default")]
    listen: SocketAddr,
    #[serde(default = "days_by_default")]
    credential_days: u64,
    #[serde(default)]
    tls: TlsFiles,
    #[serde(default)]
    hook: HookConfig,
    #[serde(default)]
    verification: VerificationPolicy,
}

fn listen_by_default() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8445))
}

const fn days_by_default() -> u64 {
    90
}

impl Default for TlsFiles {
    fn default() -> Self {
        Self {
            certificate: "tls/cert.pem".into(),
            key: "tls/key.pem".into(),
        }
    }
}

impl Default for HookConfig {
    fn default() -> Self {
        Self {
            path: "send-code".into(),
            timeout_seconds: 20,
        }
    }
}

impl Default for VerificationPolicy {
    fn default() -> Self {
        Self {
            code_seconds: 600,
            attempts: 5,
            codes_per_identifier_hour: 5,
            codes_per_minute: 60,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str =
        "issuer = \"csip.example\"\nscopes = [\"tel:+44\", \"mailto:*@example.com\"]\n";

    #[test]
    fn the_shipped_file_states_the_defaults() {
        let shipped = CsipConfig::from_toml(SHIPPED).unwrap();
        assert_eq!(shipped, CsipConfig::from_toml(LEAST).unwrap());
        // It states all of them.
        let table: toml::Table = SHIPPED.parse().unwrap();
        let keys = table
            .values()
            .map(|value| value.as_table().map_or(1, toml::Table::len));
        assert_eq!(keys.sum::<usize>(), 12);
    }

    #[test]
    fn issuer_scopes_and_address_are_put_into_the_shipped_file() {
        let issuer = Issuer::new("https://csip.example/\"quoted\\").unwrap();
        let scopes = [
            "tel:*".parse().unwrap(),
            "mailto:*@x.example".parse().unwrap(),
        ];
        let listen = "[::1]:9000".parse().unwrap();
        let text = shipped_for(&issuer, &scopes, Some(listen));
        let expected = CsipConfig {
            issuer: issuer.clone(),
            scopes: scopes.to_vec(),
            listen,
            ..CsipConfig::from_toml(LEAST).unwrap()
        };
        assert_eq!(CsipConfig::from_toml(&text).unwrap(), expected);
        let text = shipped_for(&issuer, &scopes, None);
        let listen = CsipConfig::from_toml(&text).unwrap().listen;
        assert_eq!(listen, listen_by_default());
    }

    #[test]
    fn paths_start_at_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, format!("{LEAST}[hook]\npath = \"/bin/true\"\n")).unwrap();
        let config = CsipConfig::read(&path).unwrap();
        assert_eq!(config.hook.path, Path::new("/bin/true"));
        assert_eq!(config.tls.key, directory.path().join("tls/key.pem"));
        assert!(matches!(
            CsipConfig::read(&directory.path().join("none")),
            Err(ConfigError::File(_))
        ));
    }

    #[test]
    fn what_is_unknown_missing_or_out_of_range_is_refused() {
        for text in [
            "",
            "issuer = \"csip.example\"",
            "scopes = [\"tel:*\"]",
            &format!("{LEAST}lissten = \"127.0.0.1:1\""),
            &format!("{LEAST}[tls]\nciphers = 1"),
        ] {
            let refused = CsipConfig::from_toml(text);
            assert!(matches!(refused, Err(ConfigError::Toml(_))), "{text}");
        }
        let refused = |text: &str| CsipConfig::from_toml(text).unwrap_err();
        assert!(matches!(
            refused("issuer = \"a b\"\nscopes = [\"tel:*\"]"),
            ConfigError::Issuer(_)
        ));
        assert!(matches!(
            refused("issuer = \"a\"\nscopes = [\"tel:*\", \"fax:*\"]"),
            ConfigError::Scope { number: 2, .. }
        ));
        assert!(matches!(
            refused("issuer = \"a\"\nscopes = []"),
            ConfigError::NoScopes
        ));
        for (text, expected) in [
            ("credential_days = 0", "credential_days"),
            ("credential_days = 91", "credential_days"),
            ("[hook]\ntimeout_seconds = 61", "hook.timeout_seconds"),
            ("[verification]\nattempts = 11", "verification.attempts"),
            (
                "[verification]\ncode_seconds = 0",
                "verification.code_seconds",
            ),
            (
                "[verification]\ncodes_per_identifier_hour = 21",
                "verification.codes_per_identifier_hour",
            ),
            (
                "[verification]\ncodes_per_minute = 0",
                "verification.codes_per_minute",
            ),
        ] {
            match CsipConfig::from_toml(&format!("{LEAST}{text}")) {
                Err(ConfigError::Range { key, .. }) => assert_eq!(key, expected),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_trust_entry_speaks_for_the_scopes() {
        let config = CsipConfig::from_toml(LEAST).unwrap();
        let key = protocol::cose::SigningKey::from_seed(&[1; 32]).verifying_key();
        let list = config.trust(key.clone()).unwrap();
        assert_eq!(list.csips()[0].key, key);
        assert_eq!(TrustList::from_toml(&list.to_toml()).unwrap(), list);
        for (text, covered) in [
            ("+442079460000", true),
            ("+33199001234", false),
            ("a@example.com", true),
            ("a@example.org", false),
        ] {
            assert_eq!(config.covers(&Csi::parse(text).unwrap()), covered, "{text}");
        }
    }
}
