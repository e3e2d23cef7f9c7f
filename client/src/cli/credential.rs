//! `sotto credential`.

mod request;

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use client::identity::Identity;
use protocol::credential::{CredentialError, MAX_CREDENTIAL_BYTES, SignedCredential};
use protocol::time::UnixTime;
use protocol::trust::TrustList;

use super::settings::Local;
use super::{Failure, Outcome};

/// Commands of `credential`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum CredentialCommand {
    /// Has your CSIP confirm that an identifier is yours.
    ///
    /// The CSIP, the provider of your telephone number or mail address, sends you
    /// a code there; with the code it issues a credential for your key. Run it
    /// again before the credential expires, then `sotto publish --credential-only`.
    Request(request::RequestArgs),
    /// Keeps a credential that a CSIP gave you as a file.
    Import(ImportArgs),
    /// Lists the credentials that are held, the newest of each identifier.
    List(ListArgs),
}

/// Where credentials are kept.
#[derive(Debug, clap::Args)]
struct KeptArgs {
    /// Directory of the identity; without it, that of the configuration file or
    /// ~/.config/sotto/identity.
    #[arg(long, value_name = "DIR")]
    identity: Option<PathBuf>,

    /// Configuration file; without it, ~/.config/sotto/client.toml if there.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// The credential, as a CSIP signed it.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Trust list with the CSIP; without it, that of the configuration file.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,

    #[command(flatten)]
    kept: KeptArgs,
}

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Print a JSON object a line instead of text.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    kept: KeptArgs,
}

impl KeptArgs {
    fn local(&self) -> Result<Local, Failure> {
        Local::read(self.config.as_deref())
    }

    fn open(&self, local: &Local) -> Result<Identity, Failure> {
        Ok(Identity::open(local.identity(self.identity.as_deref())?)?)
    }
}

/// Runs a command of `credential`.
///
/// # Errors
/// [`Failure`], by what could not be done.
pub(super) async fn run(command: &CredentialCommand) -> Result<Outcome, Failure> {
    match command {
        CredentialCommand::Request(args) => request::run(args).await,
        CredentialCommand::Import(args) => import(args),
        CredentialCommand::List(args) => list(args),
    }?;
    Ok(Outcome::Complete)
}

/// A credential in one line, for whoever holds it.
///
/// # Errors
/// [`Failure`], if the identity can't be read.
pub(super) fn line(
    identity: &Identity,
    credential: &SignedCredential,
    now: UnixTime,
) -> Result<String, Failure> {
    let claims = credential.unverified();
    let mut line = format!(
        "{}  by {} until {}",
        claims.subject.canonical(),
        claims.issuer,
        claims.expires
    );
    if claims.expires <= now {
        line += ", expired: renew it with sotto credential request";
    }
    if identity.public_key()?.as_ref() != Some(&claims.holder) {
        line += ", for an earlier key";
    }
    Ok(line)
}

/// Checks a credential against the trust list, if there is one, and keeps it.
fn keep(
    identity: &Identity,
    credential: &SignedCredential,
    trust: Option<&TrustList>,
) -> Result<(), Failure> {
    let now = UnixTime::now();
    let checked = match trust {
        Some(trust) => credential.verify(trust, now).map(drop),
        None => credential.unverified().check_time(now),
    };
    checked.map_err(unusable)?;
    if trust.is_none() {
        eprintln!(
            "sotto: there is no trust list: the signature was not checked, the provider will do \
             so"
        );
    }
    identity.add_credential(credential)?;
    println!("{}", line(identity, credential, now)?);
    Ok(())
}

/// Why a credential is of no use, and what to do about it.
pub(super) fn unusable(error: CredentialError) -> Failure {
    let advice = match error {
        CredentialError::Expired { .. } => "renew it with `sotto credential request`",
        CredentialError::NotYetValid { .. } => "check this device's clock",
        CredentialError::Untrusted(_) => {
            "the trust list does not let this CSIP speak for the identifier: get a credential \
             from one that it lists, or correct the list"
        }
        _ => "get another with `sotto credential request`",
    };
    Failure::Run(anyhow!("{error}; {advice}"))
}

fn import(args: &ImportArgs) -> Result<(), Failure> {
    let local = args.kept.local()?;
    let trust = local.trust(args.trust.as_deref())?;
    let identity = args.kept.open(&local)?;
    let named = || args.file.display().to_string();
    let bytes = read_at_most(&args.file, MAX_CREDENTIAL_BYTES)
        .with_context(|| format!("cannot read {}", named()))
        .map_err(Failure::Usage)?;
    let credential = SignedCredential::from_bytes(&bytes)
        .with_context(named)
        .map_err(Failure::Run)?;
    keep(&identity, &credential, trust.as_ref())
}

/// The file's bytes; of a longer one, one more than `most`.
pub(super) fn read_at_most(path: &std::path::Path, most: usize) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let identity = args.kept.open(&args.kept.local()?)?;
    let now = UnixTime::now();
    for credential in identity.credentials()? {
        if !args.json {
            println!("{}", line(&identity, &credential, now)?);
            continue;
        }
        let claims = credential.unverified();
        let object = serde_json::json!({
            "identifier": claims.subject.canonical(),
            "issuer": claims.issuer.as_str(),
            "issued_at": claims.issued_at,
            "expires": claims.expires,
            "assignment": claims.assignment,
            "holder": claims.holder.to_text(),
        });
        println!("{object}");
    }
    Ok(())
}
