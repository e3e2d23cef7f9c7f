//! `sotto csip`.

mod init;
mod issue;
mod release;
mod serve;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use client::csip::{Csip, CsipDir};
use client::durable::{self, PUBLIC};

use super::passphrase::PassphraseArgs;
use super::{Failure, Outcome};

/// The way from nothing to a credential.
const EXAMPLE: &str = "\
Example:
  sotto csip init --issuer csip.example --scope tel:+44
  $EDITOR csip/send-code; chmod 700 csip/send-code    # gets two lines: identifier, code
  sotto csip trust                                    # for providers and senders
  sotto csip serve                                    # holders: sotto credential request";

/// Arguments of `csip`.
#[derive(Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct CsipArgs {
    /// Directory of the CSIP: its key, configuration, registry and certificate.
    #[arg(
        long,
        value_name = "DIR",
        env = "SOTTO_CSIP",
        default_value = "csip",
        global = true
    )]
    dir: PathBuf,

    #[command(subcommand)]
    command: CsipCommand,
}

#[derive(Subcommand)]
enum CsipCommand {
    /// Makes the directory of a new CSIP, with a fresh key.
    ///
    /// Afterwards: put an executable that delivers codes where the configuration
    /// says (send-code), give discovery providers and senders what `sotto csip
    /// trust` prints, and run `sotto csip serve`.
    Init(init::InitArgs),
    /// Prints the entry for the trust lists of discovery providers and senders.
    ///
    /// Send it over a channel on which nobody can change it: whoever is on a
    /// trust list can speak for everybody in its scopes.
    Trust,
    /// Verifies a holder and issues a credential, once and without the service.
    ///
    /// Runs the hook, which sends a code to the identifier in the request, and
    /// asks for that code here.
    Issue(issue::IssueArgs),
    /// Ends an assignment: writes a signed release.
    ///
    /// Every mapping of the identifier is void once the discovery providers have
    /// the release. The next credential for it is of a new assignment. Run again
    /// for the same reason, it writes the same release.
    Release(release::ReleaseArgs),
    /// Gives an identifier to somebody else: writes a signed release of the former
    /// assignment.
    ///
    /// Whoever is verified next is its new holder. Codes sent before are of no
    /// use any more.
    Reassign(release::ReassignArgs),
    /// Serves holders over HTTPS until SIGTERM or SIGINT.
    Serve(serve::ServeArgs),
}

/// Runs one of the subcommands.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(args: &CsipArgs) -> Result<Outcome, Failure> {
    let directory = CsipDir::new(&args.dir);
    let done = match &args.command {
        CsipCommand::Init(init) => init::run(&args.dir, init, &init.passphrase.fresh()?),
        CsipCommand::Trust => trust(&directory),
        CsipCommand::Issue(issue) => issue::run(&open(&directory, &issue.passphrase)?, issue).await,
        CsipCommand::Release(release) => {
            release::run(&open(&directory, &release.subject.passphrase)?, release).await
        }
        CsipCommand::Reassign(reassign) => {
            release::reassign(&open(&directory, &reassign.subject.passphrase)?, reassign).await
        }
        CsipCommand::Serve(serve) => serve::run(open(&directory, &serve.passphrase)?, serve).await,
    };
    done.map(|()| Outcome::Complete).map_err(Failure::Run)
}

fn open(directory: &CsipDir, passphrase: &PassphraseArgs) -> Result<Csip, Failure> {
    // Before anybody is asked for a passphrase.
    directory
        .config()
        .map_err(|error| Failure::Usage(error.into()))?;
    Csip::open(directory, &passphrase.current()?).map_err(|error| Failure::Run(error.into()))
}

fn trust(directory: &CsipDir) -> anyhow::Result<()> {
    print!("{}", directory.trust()?.to_toml());
    Ok(())
}

/// Writes a signed object into a file that must not be there yet, so that
/// nothing is signed and then lost for a wrong path.
fn write(path: &std::path::Path, bytes: &[u8]) -> anyhow::Result<()> {
    durable::create(path, PUBLIC, bytes).context("the object was made but not written")
}
