//! The command line.

mod audience;
mod audience_record;
mod audit;
mod check;
mod credential;
mod csip;
mod holder;
mod identity;
mod input;
mod lookup;
mod mappings;
mod monitor;
mod passphrase;
mod progress;
mod publish;
mod receipt;
mod release;
mod remove;
mod settings;
mod show;
mod statement;
mod token;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use settings::Connection;

/// Looks phone numbers and e-mail addresses up at a discovery provider, which
/// does not learn which.
#[derive(Parser)]
#[command(name = "sotto", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Finds out where identifiers can be reached.
    ///
    /// Many at once: `sotto lookup --file contacts --cache contacts.cache` asks for
    /// each once, and after an interruption for the rest; see docs/bulk.md.
    ///
    /// Exits with 0 if every lookup gave a verified answer (no mapping and
    /// opted out are answers), with 1 otherwise, with 2 if it was called
    /// wrongly.
    Lookup(lookup::LookupArgs),
    /// Issues tokens to users: for MSPs that a provider lists as issuers.
    #[cfg(feature = "blind-rsa")]
    #[command(subcommand)]
    Issuer(token::IssuerCommand),
    /// Tokens: pay for lookups without saying who you are.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Connects, verifies manifest and hint, and shows the snapshot's facts.
    Check(check::CheckArgs),
    /// Makes, shows and moves the keys that you sign with.
    #[command(subcommand)]
    Identity(identity::IdentityCommand),
    /// Gets and keeps the credentials that say which identifiers are yours.
    #[command(subcommand)]
    Credential(credential::CredentialCommand),
    /// Publishes where you can be reached under an identifier of yours.
    Publish(publish::PublishArgs),
    /// Shows what the provider holds about your identifiers.
    Mappings(mappings::MappingsArgs),
    /// Removes what you have published.
    Remove(remove::RemoveArgs),
    /// Says that you are not to be found under an identifier of yours.
    OptOut(publish::OptOutArgs),
    /// Hands a CSIP's release in: the end of an identifier's assignment.
    Release(release::ReleaseArgs),
    /// Checks all that a provider publishes, and reads what it has accepted.
    ///
    /// Alone: reads the whole log of manifests and checks that each follows the
    /// one before, that the provider has signed their end and that it goes on from
    /// what was seen before; then downloads the newest snapshot's database and
    /// computes root and hint from it. `audit chain` and `audit snapshot` do one
    /// of the two; the download needs an API key. With --also, other addresses
    /// must show the same log as far as both go. A manifest or log that seems to have gone back is
    /// looked at again after --server-lag, as one of the provider's servers may be
    /// behind the others.
    ///
    /// Exits with 0 if everything is in order, with 3 if what was found speaks
    /// against the provider: keep it; with 1 if it could not be looked at, with 2
    /// if it was called wrongly.
    Audit(audit::AuditArgs),
    /// Watches what others are told about your own identifiers.
    ///
    /// Looks them up like anybody would, and compares with what you have published
    /// from here: missing, older, altered or unknown mappings, an opt-out that
    /// isn't yours, a withheld record. Reads the provider's log of manifests each
    /// time, which must go on from the look before; with --cache also across runs.
    /// What seems to have gone back is looked at again after --server-lag.
    ///
    /// With --once exits with 0 if all is as published, with 1 if not or if it
    /// could not be seen, with 3 if something speaks against the provider, whatever
    /// else was found, with 2 if it was called wrongly.
    Monitor(monitor::MonitorArgs),
    /// Audiences: who else may find what you publish for few, and whose you
    /// may find.
    Audience(audience::AudienceArgs),
    /// Vouches for who holds which identifier: for telecom and e-mail providers.
    Csip(csip::CsipArgs),
}

/// What a command came to.
enum Outcome {
    /// All that was asked for.
    Complete,
    /// An answer is missing, or can't be believed.
    Incomplete,
}

/// Why a command could not run.
enum Failure {
    /// It was called wrongly, or its settings are wrong: exit code 2.
    Usage(anyhow::Error),
    /// What was found speaks against the provider: exit code 3.
    Evidence(anyhow::Error),
    /// Anything else: exit code 1.
    Run(anyhow::Error),
}

impl From<client::ClientError> for Failure {
    fn from(error: client::ClientError) -> Self {
        Self::Run(error.into())
    }
}

impl From<client::recipient::RecipientError> for Failure {
    fn from(error: client::recipient::RecipientError) -> Self {
        Self::Run(error.into())
    }
}

impl From<client::identity::IdentityError> for Failure {
    fn from(error: client::identity::IdentityError) -> Self {
        Self::Run(error.into())
    }
}

/// Runs the command that the process was called with.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Failure::Run(error.into())),
    };
    let outcome = runtime.block_on(async {
        match arguments.command {
            Command::Lookup(args) => lookup::run(&args).await,
            #[cfg(feature = "blind-rsa")]
            Command::Issuer(command) => token::issuer(&command),
            Command::Token(args) => token::run(&args).await,
            Command::Check(args) => check::run(&args).await,
            Command::Identity(command) => identity::run(&command),
            Command::Credential(command) => credential::run(&command).await,
            Command::Publish(args) => publish::run(&args).await,
            Command::Mappings(args) => mappings::run(&args).await,
            Command::Remove(args) => remove::run(&args).await,
            Command::OptOut(args) => publish::opt_out(&args).await,
            Command::Release(args) => release::run(&args).await,
            Command::Audit(args) => audit::run(&args).await,
            Command::Monitor(args) => monitor::run(&args).await,
            Command::Audience(args) => audience::run(&args),
            Command::Csip(args) => csip::run(&args).await,
        }
    });
    match outcome {
        Ok(Outcome::Complete) => ExitCode::SUCCESS,
        Ok(Outcome::Incomplete) => ExitCode::from(1),
        Err(failure) => fail(&failure),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    let (error, code) = match failure {
        Failure::Usage(error) => (error, 2),
        Failure::Evidence(error) => (error, 3),
        Failure::Run(error) => (error, 1),
    };
    eprintln!("sotto: {error:#}");
    ExitCode::from(code)
}

/// Whether a person can be asked.
fn interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether a person is waiting who wants to know what is going on.
fn watched() -> bool {
    std::io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
