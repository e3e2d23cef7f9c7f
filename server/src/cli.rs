//! The command line of `sotto-server`.

mod backup;
mod block;
mod build;
mod import;
mod init;
mod keys;
mod log;
mod logging;
mod oprf;
mod quota;
mod sender;
mod serve;
mod snapshot;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::data_dir::{DataDir, DataDirError};
use crate::keys::PassphraseSource;
use crate::sample::{self, SampleArgs};

/// A discovery provider for private lookups.
///
/// Keeps signed credentials and mappings, publishes them as an encrypted
/// snapshot, and answers who can be reached where without learning who was
/// asked for.
#[derive(Debug, Parser)]
#[command(name = "sotto-server", version)]
pub struct Cli {
    /// The data directory.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "./sotto-data",
        env = "SOTTO_DATA"
    )]
    data: PathBuf,
    /// A file whose first line is the passphrase of encrypted key files. Without
    /// it, the environment's SOTTO_KEY_PASSPHRASE, else keys.passphrase_file in
    /// config.toml.
    #[arg(long, global = true, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

impl Cli {
    fn open(&self) -> Result<DataDir, DataDirError> {
        DataDir::open_under(&self.data, self.passphrases())
    }

    fn passphrases(&self) -> PassphraseSource {
        PassphraseSource::new(self.passphrase_file.clone())
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a data directory: keys, certificate for loopback, configuration.
    Init(init::InitArgs),
    /// Say who may look up.
    #[command(subcommand)]
    Sender(sender::SenderCommand),
    /// Show the quotas, and what they cost somebody who tries all numbers.
    Quota(quota::QuotaArgs),
    /// Import credentials and mappings from JSON Lines or a CBOR sequence.
    ///
    /// Exits with 0 if everything was good, with 2 if some of it was refused:
    /// what was good is imported then. Run it again after an interruption: it
    /// goes on where it ended.
    Import(import::ImportArgs),
    /// Withhold records, for all to see.
    #[command(subcommand)]
    Block(block::BlockCommand),
    /// Write a backup of the store.
    ///
    /// It is sealed under keys/store.key and of no use without: keep that
    /// elsewhere. A server may run meanwhile unless the store is the embedded one.
    Backup(backup::BackupArgs),
    /// Restore a backup into the store, without what was removed since.
    ///
    /// Needs the removal journal of every server that wrote to the store.
    Restore(backup::RestoreArgs),
    /// Show, rotate and split the keys that evaluate identifiers.
    #[command(subcommand)]
    Oprf(oprf::OprfCommand),
    /// Encrypt the secret keys' files under a passphrase, or decrypt them.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Build and inspect what is published.
    #[command(subcommand)]
    Snapshot(snapshot::SnapshotCommand),
    /// Build a snapshot whenever it is due, and publish it for servers that follow.
    ///
    /// Serves nothing itself, and shares the store with servers: PostgreSQL.
    Build(build::BuildArgs),
    /// Show the log of manifests, and add witnesses' cosignatures.
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Serve the published snapshot until SIGTERM or SIGINT.
    Serve(serve::ServeArgs),
    /// Make a directory of invented recipients to try things with.
    Sample(SampleArgs),
}

/// How a command ended that didn't fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Everything was done.
    Done,
    /// Some of it was refused.
    Partly,
}

/// Runs the command line: 0 when all was done, 1 on errors, 2 when a part was
/// refused or the usage is wrong.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Partly) => ExitCode::from(2),
        Err(error) => {
            eprintln!("error: {}", explain(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<Outcome> {
    match &cli.command {
        Command::Init(args) => init::run(&cli.data, args, cli.passphrases()),
        Command::Sender(command) => sender::run(&cli.open()?, command),
        Command::Quota(args) => quota::run(&cli.open()?, args),
        Command::Import(args) => import::run(&cli.open()?, args),
        Command::Block(command) => block::run(&cli.open()?, command),
        Command::Backup(args) => backup::backup(&cli.open()?, args),
        Command::Restore(args) => backup::restore(&cli.open()?, args),
        Command::Oprf(command) => oprf::run(&cli.open()?, command),
        Command::Keys(command) => keys::run(&cli.open()?, command),
        Command::Snapshot(command) => snapshot::run(&cli.open()?, command),
        Command::Build(args) => build::run(&cli.open()?, args),
        Command::Log(command) => log::run(&cli.open()?, command),
        Command::Serve(args) => serve::run(&cli.open()?, args),
        Command::Sample(args) => sample::run(args).map(|()| Outcome::Done),
    }
}

/// An error with those of its causes that it doesn't quote itself.
fn explain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn causes_are_told_once() {
        let inner = std::io::Error::other("disk on fire");
        let error = anyhow::Error::from(inner)
            .context("cannot write: disk on fire")
            .context("import");
        assert_eq!(explain(&error), "import: cannot write: disk on fire");
    }
}
