//! Settings: from flags, the environment and a configuration file.
//!
//! ```toml
//! server = "https://dp.example:8443"
//! dp_key = "ed25519:..."            # or dp_key_file = "dp.pub"
//! trust = "trust.toml"
//! ca = "cert.pem"                   # optional: instead of the system's
//! api_key_file = "api.key"
//! sender = "a3f1c2"                 # optional: an MSP's name for who asks
//! client_certificate = "msp.pem"    # optional: beside, or instead of, the API key
//! region = "DE"                     # optional: of numbers without +
//! apps = ["msp.example"]            # optional: the sender's own applications
//! identity = "identity"             # optional: keys and credentials
//! csip = "https://csip.example"     # optional: who issues credentials
//! csip_ca = "csip.pem"              # optional: instead of the system's
//! keyring = "keyring"               # optional: audiences to ask for
//! slots = 4                         # optional: records asked for each identifier
//! cache = "cache"                   # optional: what is kept between runs
//! witnesses = ["w.example+.."]      # optional: who must have seen the log
//! witness_quorum = 1                # optional: how many of them; else all
//! ```

mod cache;
mod dp_key;
mod keyring;
mod lag;
mod local;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use client::{ApiKey, ClientCertificate, ClientConfig, Witnesses};
use protocol::mapping::MspDomain;
use protocol::pseudonym::Pseudonym;
use protocol::trust::TrustList;
use serde::Deserialize;
use zeroize::Zeroizing;

pub(super) use cache::CacheArgs;
pub(super) use keyring::KeyringArgs;
pub(super) use lag::LagArgs;

use super::Failure;
use dp_key::parse_key;
use keyring::{AudienceArgs, usual_keyring};

pub(super) use local::Local;

/// How to reach a provider and whom to believe. What is not given comes from
/// the configuration file.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Provider")]
pub(super) struct Connection {
    /// Address of the provider.
    #[arg(long, value_name = "URL")]
    server: Option<String>,

    /// Key of the provider, as in its dp.pub.
    #[arg(long, value_name = "KEY", conflicts_with = "dp_key_file")]
    dp_key: Option<String>,

    /// File with the key of the provider: its dp.pub.
    #[arg(long, value_name = "FILE")]
    dp_key_file: Option<PathBuf>,

    /// Trust list: the CSIPs whose credentials are believed.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,

    /// TLS certificates to believe instead of the system's, in PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// File with the API key; without it, the environment's SOTTO_API_KEY.
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,

    /// TLS certificate that the provider knows the sender by, with its private
    /// key, in one PEM file.
    #[arg(long, value_name = "FILE")]
    client_certificate: Option<PathBuf>,

    /// The end sender for whom an MSP asks, by a name that says nothing to the
    /// provider: quotas are kept for each.
    #[arg(long, value_name = "NAME", value_parser = Pseudonym::parse)]
    sender: Option<Pseudonym>,

    #[command(flatten)]
    audiences: AudienceArgs,

    /// Configuration file; without it, ~/.config/sotto/client.toml if there.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A configuration file; paths are relative to its directory.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    server: Option<String>,
    dp_key: Option<String>,
    dp_key_file: Option<PathBuf>,
    trust: Option<PathBuf>,
    ca: Option<PathBuf>,
    api_key_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    sender: Option<String>,
    region: Option<String>,
    #[serde(default)]
    apps: Vec<String>,
    identity: Option<PathBuf>,
    csip: Option<String>,
    csip_ca: Option<PathBuf>,
    keyring: Option<PathBuf>,
    slots: Option<u8>,
    cache: Option<PathBuf>,
    #[serde(default)]
    witnesses: Vec<String>,
    witness_quorum: Option<usize>,
}

/// What a command needs to know.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) client: ClientConfig,
    /// Region of phone numbers without country code.
    pub(super) region: Option<String>,
    /// The MSPs whose own application the sender uses, preferred ones first.
    pub(super) apps: Vec<MspDomain>,
    /// File for what is kept between runs.
    cache: Option<PathBuf>,
}

impl Connection {
    /// The settings in force, files read.
    ///
    /// # Errors
    /// [`Failure::Usage`] for whatever is missing or wrong.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let environment = Environment {
            api_key: std::env::var("SOTTO_API_KEY").ok().map(Zeroizing::new),
            config: default_config(),
            keyring: usual_keyring(),
        };
        self.settings_in(&environment).map_err(Failure::Usage)
    }

    /// What concerns the recipient alone.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a configuration file that can't be read.
    pub(super) fn local(&self) -> Result<Local, Failure> {
        Local::read(self.config.as_deref())
    }

    fn settings_in(&self, environment: &Environment) -> anyhow::Result<Settings> {
        let file = match (&self.config, &environment.config) {
            (Some(path), _) => ConfigFile::read(path)?,
            (None, Some(path)) if path.exists() => ConfigFile::read(path)?,
            _ => ConfigFile::default(),
        };
        let server = self
            .server
            .clone()
            .or(file.server.clone())
            .ok_or_else(|| missing("server"))?;
        let dp_key = match (
            &self.dp_key,
            &self.dp_key_file,
            &file.dp_key,
            &file.dp_key_file,
        ) {
            (Some(text), ..) | (None, None, Some(text), _) => parse_key(text).context("DP key")?,
            (None, Some(path), ..) | (None, None, None, Some(path)) => {
                parse_key(&read(path)?).with_context(|| path.display().to_string())?
            }
            (None, None, None, None) => return Err(missing("dp-key")),
        };
        let trust = self
            .trust
            .as_ref()
            .or(file.trust.as_ref())
            .ok_or_else(|| missing("trust"))?;
        let trust =
            TrustList::from_toml(&read(trust)?).with_context(|| trust.display().to_string())?;
        let mut client = ClientConfig::new(server, dp_key, trust);
        if let Some(path) = self.ca.as_ref().or(file.ca.as_ref()) {
            client = client.with_tls_roots(read(path)?);
        }
        let key_file = self.api_key_file.as_ref();
        let api_key = match (key_file, &environment.api_key, file.api_key_file.as_ref()) {
            (Some(path), ..) | (None, None, Some(path)) => {
                Some((path.display().to_string(), Zeroizing::new(read(path)?)))
            }
            (None, Some(key), _) => Some(("SOTTO_API_KEY".to_owned(), key.clone())),
            (None, None, None) => None,
        };
        if let Some((from, text)) = api_key {
            client = client.with_api_key(ApiKey::new(&text).context(from)?);
        }
        let certificate = self.client_certificate.as_ref();
        if let Some(path) = certificate.or(file.client_certificate.as_ref()) {
            client = client.with_certificate(ClientCertificate::from_pem(read(path)?));
        }
        let quorum = file.witness_quorum.unwrap_or(file.witnesses.len());
        client.witnesses = Witnesses::new(&file.witnesses, quorum).context("witnesses")?;
        let configured = file.sender.as_deref().map(Pseudonym::parse).transpose()?;
        client.sender = self.sender.clone().or(configured);
        let client = self
            .audiences
            .apply(client, &file, environment.keyring.as_deref())?;
        let app = |name: &String| MspDomain::parse(name).with_context(|| format!("apps: {name:?}"));
        Ok(Settings {
            client,
            region: file.region,
            cache: file.cache,
            apps: file.apps.iter().map(app).collect::<Result<_, _>>()?,
        })
    }
}

/// What the process finds around it.
struct Environment {
    api_key: Option<Zeroizing<String>>,
    /// Where a configuration file may be.
    config: Option<PathBuf>,
    /// Where a keyring may be.
    keyring: Option<PathBuf>,
}

impl ConfigFile {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let mut file: Self =
            toml::from_str(&read(path)?).with_context(|| path.display().to_string())?;
        if file.dp_key.is_some() && file.dp_key_file.is_some() {
            bail!(
                "{}: dp_key and dp_key_file exclude each other",
                path.display()
            );
        }
        let directory = path.parent().unwrap_or(Path::new(""));
        let named = [
            &mut file.dp_key_file,
            &mut file.trust,
            &mut file.ca,
            &mut file.api_key_file,
            &mut file.client_certificate,
            &mut file.identity,
            &mut file.csip_ca,
            &mut file.keyring,
            &mut file.cache,
        ];
        for path in named.into_iter().flatten() {
            *path = directory.join(&*path);
        }
        Ok(file)
    }
}

fn default_config() -> Option<PathBuf> {
    let base = match std::env::var_os("XDG_CONFIG_HOME").filter(|base| !base.is_empty()) {
        Some(base) => PathBuf::from(base),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".config"),
    };
    Some(base.join("sotto").join("client.toml"))
}

fn missing(flag: &str) -> anyhow::Error {
    anyhow!("--{flag} is missing, and no configuration file has it")
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests;
