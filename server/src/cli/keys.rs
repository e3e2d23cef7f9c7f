//! `sotto-server keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Outcome;
use crate::data_dir::DataDir;
use crate::keys::{self, Protection};

/// The passphrase comes from --passphrase-file, else from SOTTO_KEY_PASSPHRASE in
/// the environment, else from the file that keys.passphrase_file in config.toml
/// names. A running server needs it again at each build.
#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Show the key files, and whether they are encrypted.
    Show,
    /// Encrypt key files that are plain. New keys are then encrypted as well.
    ///
    /// What was plain before may be recovered from the disk, and from backups.
    Encrypt(Files),
    /// Decrypt key files that are encrypted.
    Decrypt(Files),
}

#[derive(Debug, Args)]
pub(super) struct Files {
    /// Which ones; else all in the data directory. Second shares of OPRF keys lie
    /// elsewhere and are to be named.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(data: &DataDir, command: &KeysCommand) -> anyhow::Result<Outcome> {
    let all = keys::files(&data.keys_path())?;
    match command {
        KeysCommand::Show => {
            for path in all {
                let protection = match keys::protection(&path)? {
                    Protection::Plain => "plain",
                    Protection::Encrypted => "encrypted",
                };
                println!("{protection:<9}  {}", path.display());
            }
        }
        KeysCommand::Encrypt(files) => {
            let _lock = data.lock()?;
            let passphrase = data.passphrases().require()?;
            for path in files.or(all) {
                if keys::encrypt(&path, &passphrase)? {
                    println!("encrypted {}", path.display());
                }
            }
        }
        KeysCommand::Decrypt(files) => {
            let _lock = data.lock()?;
            let passphrase = data.passphrases().require()?;
            for path in files.or(all) {
                if keys::decrypt(&path, &passphrase)? {
                    println!("decrypted {}", path.display());
                }
            }
        }
    }
    Ok(Outcome::Done)
}

impl Files {
    fn or(&self, all: Vec<PathBuf>) -> Vec<PathBuf> {
        match self.files.is_empty() {
            true => all,
            false => self.files.clone(),
        }
    }
}
