//! The command line.

mod check;
mod input;
mod lookup;
mod settings;
mod show;

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
    /// Exits with 0 if every lookup gave a verified answer (no mapping and
    /// opted out are answers), with 1 otherwise, with 2 if it was called
    /// wrongly.
    Lookup(lookup::LookupArgs),
    /// Connects, verifies manifest and hint, and shows the snapshot's facts.
    Check(check::CheckArgs),
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
    /// Anything else: exit code 1.
    Run(anyhow::Error),
}

impl From<client::ClientError> for Failure {
    fn from(error: client::ClientError) -> Self {
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
            Command::Check(args) => check::run(&args).await,
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
        Failure::Run(error) => (error, 1),
    };
    eprintln!("sotto: {error:#}");
    ExitCode::from(code)
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
