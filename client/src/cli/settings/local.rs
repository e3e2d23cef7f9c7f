//! Settings that concern the recipient alone.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use protocol::trust::TrustList;

use super::{ConfigFile, default_config, read};
use crate::cli::Failure;

/// What a configuration file says about identity and CSIP. Flags are given to
/// the methods and win.
#[derive(Debug)]
pub(in crate::cli) struct Local {
    file: ConfigFile,
}

impl Local {
    /// The configuration file's settings; without a path those of the usual
    /// file, if it is there.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a file that can't be read.
    pub(in crate::cli) fn read(config: Option<&Path>) -> Result<Self, Failure> {
        let file = match (config, default_config()) {
            (Some(path), _) => ConfigFile::read(path),
            (None, Some(path)) if path.exists() => ConfigFile::read(&path),
            _ => Ok(ConfigFile::default()),
        };
        file.map(|file| Self { file }).map_err(Failure::Usage)
    }

    /// The directory of the identity; ~/.config/sotto/identity if nothing is
    /// said.
    ///
    /// # Errors
    /// [`Failure::Usage`] if there is no home directory either.
    pub(in crate::cli) fn identity(&self, flag: Option<&Path>) -> Result<PathBuf, Failure> {
        let usual = || Some(default_config()?.with_file_name("identity"));
        flag.map(Path::to_owned)
            .or_else(|| self.file.identity.clone())
            .or_else(usual)
            .ok_or_else(|| {
                Failure::Usage(anyhow!(
                    "there is no home directory: say where the identity is with --identity"
                ))
            })
    }

    /// The address of the CSIP's service.
    ///
    /// # Errors
    /// [`Failure::Usage`] if nothing is said.
    pub(in crate::cli) fn csip(&self, flag: Option<&str>) -> Result<String, Failure> {
        flag.map(str::to_owned)
            .or_else(|| self.file.csip.clone())
            .ok_or_else(|| {
                Failure::Usage(anyhow!(
                    "--csip is missing, and no configuration file has it: ask your telephone or \
                     mail provider for the address of its credential service"
                ))
            })
    }

    /// The TLS certificates to believe at the CSIP's service, in PEM; `None` for
    /// the system's.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a file that can't be read.
    pub(in crate::cli) fn csip_ca(&self, flag: Option<&Path>) -> Result<Option<String>, Failure> {
        let path = flag.or(self.file.csip_ca.as_deref());
        path.map(read).transpose().map_err(Failure::Usage)
    }

    /// The trust list, if one is named.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a file that can't be read or is none.
    pub(in crate::cli) fn trust(&self, flag: Option<&Path>) -> Result<Option<TrustList>, Failure> {
        let path = flag.or(self.file.trust.as_deref());
        let list = path.map(|path| {
            TrustList::from_toml(&read(path)?).with_context(|| path.display().to_string())
        });
        list.transpose().map_err(Failure::Usage)
    }

    /// Region of phone numbers without country code.
    pub(in crate::cli) fn region(&self) -> Option<&str> {
        self.file.region.as_deref()
    }
}
