//! Passphrases of secret keys.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use client::{Passphrase, durable};
use dialoguer::Password;
use zeroize::Zeroizing;

use super::{Failure, interactive};

const VARIABLE: &str = "SOTTO_PASSPHRASE";

/// Where the passphrase of a secret key comes from.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct PassphraseArgs {
    /// File whose first line is the passphrase of the secret key. Without it, the
    /// environment's SOTTO_PASSPHRASE; without that, you are asked.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// The passphrase of a key that is there.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a file that can't be read or is readable by
    /// others, or if there is nobody to ask.
    pub(super) fn current(&self) -> Result<Passphrase, Failure> {
        self.take(|prompt| prompt)
    }

    /// A passphrase for a new key: asked for twice.
    ///
    /// # Errors
    /// As [`current`](Self::current).
    pub(super) fn fresh(&self) -> Result<Passphrase, Failure> {
        self.take(|prompt| prompt.with_confirmation("The same again", "They differ"))
    }

    fn take(
        &self,
        how: impl FnOnce(Password<'static>) -> Password<'static>,
    ) -> Result<Passphrase, Failure> {
        let given = self.given(std::env::var(VARIABLE).ok());
        if let Some(passphrase) = given.map_err(Failure::Usage)? {
            return Ok(passphrase);
        }
        ask("Passphrase of the key", how)
    }

    fn given(&self, environment: Option<String>) -> anyhow::Result<Option<Passphrase>> {
        match (&self.passphrase_file, environment) {
            (Some(path), _) => from_file(path).map(Some),
            (None, Some(text)) => Ok(Some(Passphrase::new(&Zeroizing::new(text)))),
            (None, None) => Ok(None),
        }
    }
}

/// A passphrase that takes the place of another: from a file, or asked for twice.
///
/// # Errors
/// As [`PassphraseArgs::current`].
pub(super) fn replacement(file: Option<&Path>) -> Result<Passphrase, Failure> {
    match file {
        Some(path) => from_file(path).map_err(Failure::Usage),
        None => ask("New passphrase", |prompt| {
            prompt.with_confirmation("The same again", "They differ")
        }),
    }
}

fn ask(
    question: &'static str,
    how: impl FnOnce(Password<'static>) -> Password<'static>,
) -> Result<Passphrase, Failure> {
    if !interactive() {
        return Err(Failure::Usage(anyhow!(
            "the key needs a passphrase: give --passphrase-file or {VARIABLE}"
        )));
    }
    let text = how(Password::new().with_prompt(question))
        .interact()
        .context("cannot ask for the passphrase")
        .map_err(Failure::Run)?;
    Ok(Passphrase::new(&Zeroizing::new(text)))
}

fn from_file(path: &Path) -> anyhow::Result<Passphrase> {
    // Pipes have permissions of their own.
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    if is_file && let Some(mode) = durable::exposure(path)? {
        let path = path.display();
        bail!("{path} may be read by others (mode {mode:o}): run `chmod 600 {path}`");
    }
    let text = fs::read_to_string(path).map(Zeroizing::new);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Passphrase::new(text.lines().next().unwrap_or("")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use client::KeyFile;
    use protocol::cose::SigningKey;

    use super::*;

    #[test]
    fn the_file_wins_over_the_environment() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passphrase");
        fs::write(&path, "of the file \nsecond line\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let args = PassphraseArgs {
            passphrase_file: Some(path.clone()),
        };
        // Passphrases can't be compared: one encrypts, the other reads.
        let key = KeyFile::new(directory.path().join("key.pem"));
        let made = SigningKey::from_seed(&[1; 32]);
        key.create(&made, &Passphrase::new("of the file ")).unwrap();
        let environment = || Some("of the environment".to_owned());
        let from_file = args.given(environment()).unwrap().unwrap();
        assert!(key.read(&from_file).is_ok());
        let none = PassphraseArgs::default();
        let from_environment = none.given(environment()).unwrap().unwrap();
        assert!(key.read(&from_environment).is_err());
        assert!(none.given(None).unwrap().is_none());

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = args.given(None).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
}
