//! `sotto csip issue`.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use client::csip::{Csip, CsipError, VerificationError};
use client::durable::FileError;
use protocol::credential::{CredentialRequest, SignedCredentialRequest};
use protocol::time::UnixTime;
use protocol::wire::csip::Code;

use crate::cli::passphrase::PassphraseArgs;

/// Arguments of `csip issue`.
#[derive(Debug, Args)]
pub(super) struct IssueArgs {
    /// The request, signed by the holder's key within the last five minutes.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,

    /// Where the credential goes; the file must not be there yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    #[command(flatten)]
    pub(super) passphrase: PassphraseArgs,
}

/// Sends a code, asks for it, writes the credential.
///
/// # Errors
/// A request or code that is refused; a hook that fails; a file that can't be
/// written.
pub(super) async fn run(csip: &Csip, args: &IssueArgs) -> anyhow::Result<()> {
    let path = &args.request;
    if args.out.exists() {
        bail!("{} is there already", args.out.display());
    }
    let length = std::fs::metadata(path).map_err(FileError::new("read", path))?;
    if length.len() > CredentialRequest::BYTES_MAX as u64 {
        bail!("{}: too long for a request", path.display());
    }
    let bytes = std::fs::read(path).map_err(FileError::new("read", path))?;
    let request =
        SignedCredentialRequest::from_bytes(&bytes).with_context(|| path.display().to_string())?;
    let started = csip.start(&request, UnixTime::now()).await?;
    eprintln!("The hook has sent a code to the identifier in the request.");
    let credential = loop {
        let Ok(code) = ask()? else {
            eprintln!("Expected {} digits.", Code::DIGITS);
            continue;
        };
        match csip.finish(&started.id, &code, UnixTime::now()).await {
            Err(CsipError::Verification(error @ VerificationError::WrongCode { .. })) => {
                eprintln!("{error}");
            }
            issued => break issued?,
        }
    };
    super::write(&args.out, credential.as_bytes())
}

/// One line, from a person or a program.
fn ask() -> anyhow::Result<Result<Code, protocol::wire::csip::CsipMessageError>> {
    let text = if std::io::stdin().is_terminal() {
        dialoguer::Input::<String>::new()
            .with_prompt("Code")
            .interact_text()
            .context("cannot ask for the code")?
    } else {
        let mut line = String::new();
        let read = std::io::stdin()
            .read_line(&mut line)
            .context("cannot read the code from standard input")?;
        if read == 0 {
            bail!("no code on standard input");
        }
        line
    };
    Ok(Code::parse(&text))
}
