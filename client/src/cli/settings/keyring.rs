//! Which keyring, and how many slots.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use client::{ClientConfig, KeyringFile, SlotCount};

use super::{ConfigFile, default_config};
use crate::cli::Failure;

/// Which audiences are asked for, and how many records an identifier.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct AudienceArgs {
    /// Keyring with the audiences to ask for; without it,
    /// ~/.config/sotto/keyring if there.
    #[arg(long, value_name = "FILE")]
    pub(super) keyring: Option<PathBuf>,

    /// Records to ask for each identifier, 1 to 16: the public one, audiences,
    /// and dummies. Usually 4 with a keyring and 1 without. The provider can
    /// tell the number.
    #[arg(long, value_name = "COUNT", value_parser = slot_count)]
    pub(super) slots: Option<SlotCount>,
}

/// Where the keyring is.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct KeyringArgs {
    /// The keyring; without it, that of the configuration file, or
    /// ~/.config/sotto/keyring.
    #[arg(long, global = true, value_name = "FILE")]
    keyring: Option<PathBuf>,

    /// Configuration file; without it, ~/.config/sotto/client.toml if there.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl AudienceArgs {
    /// The client's settings with keyring and slots. A keyring that is named
    /// must be there; the usual one need not.
    pub(super) fn apply(
        &self,
        mut client: ClientConfig,
        file: &ConfigFile,
        usual: Option<&Path>,
    ) -> anyhow::Result<ClientConfig> {
        let named = self.keyring.as_deref().or(file.keyring.as_deref());
        let usual = usual.filter(|path| path.exists());
        if let Some(path) = named.or(usual) {
            client = client.with_keyring(KeyringFile::new(path).read()?);
        }
        let configured = file.slots.map(SlotCount::new).transpose()?;
        if let Some(slots) = self.slots.or(configured) {
            client = client.with_slots(slots);
        }
        Ok(client)
    }
}

impl KeyringArgs {
    /// The keyring's file, whether or not it is there.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a configuration file that can't be read, or if
    /// nothing says where the keyring is.
    pub(in crate::cli) fn file(&self) -> Result<KeyringFile, Failure> {
        if let Some(path) = &self.keyring {
            return Ok(KeyringFile::new(path));
        }
        let file = match (&self.config, default_config()) {
            (Some(path), _) => ConfigFile::read(path),
            (None, Some(path)) if path.exists() => ConfigFile::read(&path),
            _ => Ok(ConfigFile::default()),
        };
        let configured = file.map_err(Failure::Usage)?.keyring;
        configured
            .or_else(usual_keyring)
            .map(KeyringFile::new)
            .ok_or_else(|| {
                Failure::Usage(anyhow!(
                    "there is no home directory: say where the keyring is with --keyring"
                ))
            })
    }
}

/// Where a keyring is if nothing is said: beside the configuration file.
pub(super) fn usual_keyring() -> Option<PathBuf> {
    Some(default_config()?.with_file_name("keyring"))
}

fn slot_count(text: &str) -> anyhow::Result<SlotCount> {
    Ok(SlotCount::new(text.parse()?)?)
}

#[cfg(test)]
mod tests {
    use client::{Keyring, KeyringFileError};
    use protocol::cose::SigningKey;
    use protocol::trust::TrustList;

    use super::*;

    fn client() -> ClientConfig {
        let key = SigningKey::from_seed(&[1; 32]).verifying_key();
        ClientConfig::new(
            "https://dp.example",
            key,
            TrustList::new(Vec::new()).unwrap(),
        )
    }

    fn args(keyring: Option<PathBuf>, slots: Option<u8>) -> AudienceArgs {
        AudienceArgs {
            keyring,
            slots: slots.map(|count| SlotCount::new(count).unwrap()),
        }
    }

    #[test]
    fn a_keyring_is_found_by_flag_file_or_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keyring");
        KeyringFile::new(&path)
            .update(|_: &mut Keyring| Ok::<_, KeyringFileError>(()))
            .unwrap();
        let none = directory.path().join("none");
        let in_file = |keyring: &Path| ConfigFile {
            keyring: Some(keyring.to_owned()),
            ..ConfigFile::default()
        };
        let nothing = ConfigFile::default();
        let has_keyring = |args: &AudienceArgs, file: &ConfigFile, usual: &Path| {
            let client = args.apply(client(), file, Some(usual));
            client.map(|client| client.keyring.is_some())
        };
        let flag = args(Some(path.clone()), None);
        assert!(has_keyring(&flag, &in_file(&none), &none).unwrap());
        let unset = args(None, None);
        assert!(has_keyring(&unset, &in_file(&path), &none).unwrap());
        assert!(has_keyring(&unset, &nothing, &path).unwrap());
        assert!(!has_keyring(&unset, &nothing, &none).unwrap());
        let missing = has_keyring(&unset, &in_file(&none), &path);
        assert!(missing.unwrap_err().to_string().contains("none"));
    }

    #[test]
    fn slots_are_set_by_flag_or_file() {
        let slots = |flag, file| {
            let file = ConfigFile {
                slots: file,
                ..ConfigFile::default()
            };
            let client = args(None, flag).apply(client(), &file, None);
            client.map(|client| client.slot_count().as_usize())
        };
        assert_eq!(slots(None, None).unwrap(), 1);
        assert_eq!(slots(None, Some(6)).unwrap(), 6);
        assert_eq!(slots(Some(2), Some(6)).unwrap(), 2);
        assert!(slots(None, Some(17)).is_err());
        assert!(slot_count("0").is_err() && slot_count("x").is_err());
        assert_eq!(slot_count("16").unwrap(), SlotCount::MAX);
    }
}
