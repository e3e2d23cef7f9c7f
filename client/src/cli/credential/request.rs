//! `sotto credential request`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use client::TlsRoots;
use client::csip::{CodeWanted, CsipEndpoint, RequestError, request};
use dialoguer::Input;
use protocol::credential::Issuer;
use protocol::csi::Csi;
use protocol::problem::ProblemType;
use protocol::trust::TrustList;
use protocol::wire::csip::Code;

use super::{KeptArgs, keep, read_at_most};
use crate::cli::holder::SubjectArgs;
use crate::cli::passphrase::PassphraseArgs;
use crate::cli::{Failure, interactive};

/// Most bytes of a file with a code.
const CODE_FILE_BYTES_MAX: usize = 64;

/// Arguments of `request`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RequestArgs {
    #[command(flatten)]
    subject: SubjectArgs,

    /// Address of the CSIP's credential service.
    #[arg(long, value_name = "URL")]
    csip: Option<String>,

    /// The name under which the CSIP issues credentials; without it, that of the
    /// only CSIP on the trust list that may speak for the identifier.
    #[arg(long, value_name = "NAME", value_parser = issuer)]
    issuer: Option<Issuer>,

    /// TLS certificates to believe at the CSIP instead of the system's, in PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Trust list with the CSIP; without it, that of the configuration file.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,

    /// File with the code, read once it was sent; - is standard input. Without
    /// it you are asked.
    #[arg(long, value_name = "FILE")]
    code_file: Option<PathBuf>,

    #[command(flatten)]
    passphrase: PassphraseArgs,

    #[command(flatten)]
    kept: KeptArgs,
}

/// Asks the CSIP, takes the code, and keeps the credential.
///
/// # Errors
/// [`Failure`], if there is no credential or it is of no use.
pub(super) async fn run(args: &RequestArgs) -> Result<(), Failure> {
    let local = args.kept.local()?;
    let identity = args.kept.open(&local)?;
    let csi = match args.subject.csi(local.region())? {
        Some(csi) => csi,
        None => only_held(&identity)?,
    };
    let trust = local.trust(args.trust.as_deref())?;
    let issuer = match &args.issuer {
        Some(issuer) => issuer.clone(),
        None => the_issuer(trust.as_ref(), &csi)?,
    };
    let csip = CsipEndpoint {
        server: local.csip(args.csip.as_deref())?,
        issuer,
        roots: match local.csip_ca(args.ca.as_deref())? {
            Some(pem) => TlsRoots::Only(pem.into_bytes()),
            None => TlsRoots::System,
        },
    };
    if args.code_file.is_none() && !interactive() {
        return Err(Failure::Usage(anyhow!(
            "the CSIP sends a code and there is no terminal to ask for it: give --code-file"
        )));
    }
    let key = identity.key(&args.passphrase.current()?)?;
    let mut asked = false;
    let mut failure = None;
    let credential = request(&csip, &csi, &key, async |wanted| {
        let code = match &args.code_file {
            // What is in a file is not tried twice.
            Some(_) if asked => return None,
            Some(path) => from_file(path),
            None => ask(wanted, asked),
        };
        asked = true;
        code.map_err(|error| failure = Some(error)).ok()
    });
    let credential = match (credential.await, failure) {
        (Ok(credential), _) => credential,
        (Err(_), Some(error)) => return Err(Failure::Run(error)),
        (Err(RequestError::GivenUp), None) => {
            return Err(Failure::Run(anyhow!(
                "the code in the file is not the one that was sent: run it again for another"
            )));
        }
        (Err(error), None) => return Err(refused(error)),
    };
    keep(&identity, &credential, trust.as_ref())
}

/// For clap: the name of a CSIP.
fn issuer(text: &str) -> Result<Issuer, protocol::credential::IssuerError> {
    Issuer::new(text)
}

/// The identifier of the only credential, to be renewed.
fn only_held(identity: &client::identity::Identity) -> Result<Csi, Failure> {
    match &identity.credentials()?[..] {
        [credential] => Ok(credential.unverified().subject.clone()),
        _ => Err(Failure::Usage(anyhow!(
            "say for which identifier: on the command line, or in a file with --csi-file"
        ))),
    }
}

fn the_issuer(trust: Option<&TrustList>, csi: &Csi) -> Result<Issuer, Failure> {
    let mut issuers: Vec<&Issuer> = trust
        .map_or(&[][..], TrustList::csips)
        .iter()
        .filter(|csip| csip.scopes.iter().any(|scope| scope.covers(csi)))
        .map(|csip| &csip.issuer)
        .collect();
    issuers.dedup();
    match issuers[..] {
        [issuer] => Ok(issuer.clone()),
        [] => Err(Failure::Usage(anyhow!(
            "the trust list has no CSIP that may speak for this identifier: say which one is asked \
             with --issuer"
        ))),
        _ => Err(Failure::Usage(anyhow!(
            "the trust list has several CSIPs that may speak for this identifier: say which one is \
             asked with --issuer"
        ))),
    }
}

fn ask(wanted: CodeWanted, again: bool) -> anyhow::Result<Code> {
    let minutes = wanted.expires_in_seconds / 60;
    if again {
        eprintln!("that is not the code");
    } else {
        eprintln!("the CSIP has sent a code to the identifier; it is good for {minutes} minutes");
    }
    let text: String = Input::new()
        .with_prompt(format!("Code ({} attempts left)", wanted.attempts_left))
        .validate_with(|text: &String| Code::parse(text).map(drop))
        .interact_text()
        .context("cannot ask for the code")?;
    Ok(Code::parse(&text)?)
}

fn from_file(path: &Path) -> anyhow::Result<Code> {
    let path = match path == Path::new("-") {
        true => Path::new("/dev/stdin"),
        false => path,
    };
    let named = || path.display().to_string();
    let bytes = read_at_most(path, CODE_FILE_BYTES_MAX)
        .with_context(|| format!("cannot read {}", named()))?;
    let text = std::str::from_utf8(&bytes).with_context(named)?;
    Code::parse(text).with_context(named)
}

/// Why the CSIP gave no credential, and what to do about it.
fn refused(error: RequestError) -> Failure {
    let advice = match &error {
        RequestError::Client(client::ClientError::Problem { problem, .. }) => match problem.kind {
            ProblemType::WrongCode | ProblemType::VerificationEnded => {
                "run it again for another code"
            }
            ProblemType::Unauthorized | ProblemType::Untrusted => {
                "ask the CSIP whether the identifier is registered to you there"
            }
            ProblemType::TooManyRequests | ProblemType::Overloaded | ProblemType::NotReady => {
                "try again later"
            }
            _ => "check this device's clock and the CSIP's address and name",
        },
        RequestError::Client(_) => "check the CSIP's address and certificate, --csip and --ca",
        _ => "complain to the CSIP; nothing was kept",
    };
    Failure::Run(anyhow!("{:#}; {advice}", anyhow!(error)))
}
