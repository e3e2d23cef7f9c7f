//! The directory of a CSIP: its key, configuration, registry and certificate.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use protocol::cose::{CoseError, SigningKey, VerifyingKey};
use protocol::credential::Issuer;
use protocol::trust::{Scope, TrustList};

use super::config::{ConfigError, CsipConfig, shipped_for};
use super::registry::{Registry, RegistryError, RegistryKey};
use super::tls::{self, TlsError};
use crate::durable::{self, FileError, PRIVATE, PUBLIC};
use crate::key_file::{KeyFile, KeyFileError, Passphrase};

/// Where a CSIP keeps what it needs.
#[derive(Clone, Debug)]
pub struct CsipDir {
    root: PathBuf,
}

/// What a new CSIP is made of.
#[derive(Clone, Debug)]
pub struct CsipInit {
    /// Its name.
    pub issuer: Issuer,
    /// What it speaks for; one at least.
    pub scopes: Vec<Scope>,
    /// Where to listen, if not at the usual address.
    pub listen: Option<SocketAddr>,
}

impl CsipDir {
    /// The directory at `root`, which was made before.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Makes a directory with a fresh Ed25519 key, which must not be there yet
    /// or be empty.
    ///
    /// # Errors
    /// [`CsipDirError`].
    pub fn init(
        root: &Path,
        options: &CsipInit,
        passphrase: &Passphrase,
    ) -> Result<Self, CsipDirError> {
        let directory = Self::new(root);
        let key = SigningKey::generate(&mut rand::rng());
        let config = shipped_for(&options.issuer, &options.scopes, options.listen);
        make_private(root)?;
        if fs::read_dir(root)
            .map_err(FileError::new("read", root))?
            .next()
            .is_some()
        {
            return Err(CsipDirError::NotEmpty {
                path: root.to_owned(),
            });
        }
        let certificate = tls::self_signed()?;
        make_private(&root.join("tls"))?;
        // The key first: it refuses a passphrase that is too short.
        directory.key_file().create(&key, passphrase)?;
        RegistryKey::generate().create(&directory.registry_key())?;
        let public = format!("{}\n", key.verifying_key().to_text());
        for (name, mode, content) in [
            ("csip.pub", PUBLIC, public.as_str()),
            ("tls/cert.pem", PUBLIC, &certificate.certificate),
            ("tls/key.pem", PRIVATE, &certificate.key),
            ("config.toml", PUBLIC, &config),
        ] {
            durable::create(&root.join(name), mode, content.as_bytes())?;
        }
        // What was written is what will be read.
        directory.trust()?;
        Ok(directory)
    }

    /// The encrypted signing key.
    pub fn key_file(&self) -> KeyFile {
        KeyFile::new(self.root.join("key.pem"))
    }

    /// The configuration.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn config(&self) -> Result<CsipConfig, ConfigError> {
        CsipConfig::read(&self.root.join("config.toml"))
    }

    /// The public key.
    ///
    /// # Errors
    /// [`CsipDirError::File`], [`CsipDirError::PublicKey`].
    pub fn public_key(&self) -> Result<VerifyingKey, CsipDirError> {
        let path = self.root.join("csip.pub");
        let text = fs::read_to_string(&path).map_err(FileError::new("read", &path))?;
        VerifyingKey::from_text(text.trim())
            .map_err(|source| CsipDirError::PublicKey { path, source })
    }

    /// The trust list with this CSIP alone.
    ///
    /// # Errors
    /// [`CsipDirError`].
    pub fn trust(&self) -> Result<TrustList, CsipDirError> {
        Ok(self.config()?.trust(self.public_key()?)?)
    }

    /// The registry.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn registry(&self) -> Result<Registry, RegistryError> {
        let key = RegistryKey::read(&self.registry_key())?;
        Registry::open(self.root.join("registry.redb"), key)
    }

    fn registry_key(&self) -> PathBuf {
        self.root.join("registry.key")
    }
}

fn make_private(path: &Path) -> Result<(), FileError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(FileError::new("create", path)),
    }
}

/// Why a directory can't be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CsipDirError {
    /// A file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is something in it.
    #[error("{path} is not empty: choose another directory", path = .path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The signing key.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The public key.
    #[error("{path}: {source}", path = .path.display())]
    PublicKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: CoseError,
    },
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> CsipInit {
        CsipInit {
            issuer: Issuer::new("csip.example").unwrap(),
            scopes: vec!["tel:+44".parse().unwrap()],
            listen: None,
        }
    }

    #[test]
    fn a_directory_is_made_once_and_its_secrets_are_private() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("csip");
        let passphrase = Passphrase::new("a passphrase");
        let directory = CsipDir::init(&root, &options(), &passphrase).unwrap();
        let key = directory.key_file().read(&passphrase).unwrap();
        assert_eq!(directory.public_key().unwrap(), key.verifying_key());
        assert_eq!(
            directory.trust().unwrap().csips()[0].key,
            key.verifying_key()
        );
        directory.registry().unwrap();
        for name in [
            "",
            "key.pem",
            "registry.key",
            "registry.redb",
            "tls/key.pem",
        ] {
            assert_eq!(durable::exposure(&root.join(name)).unwrap(), None, "{name}");
        }
        assert!(matches!(
            CsipDir::init(&root, &options(), &passphrase),
            Err(CsipDirError::NotEmpty { .. })
        ));
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_not_made() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("csip");
        let short = Passphrase::new("short");
        assert!(matches!(
            CsipDir::init(&root, &options(), &short),
            Err(CsipDirError::KeyFile(_))
        ));
        assert!(!root.join("config.toml").exists());
        let none = CsipDir::new(parent.path().join("none"));
        assert!(matches!(none.trust(), Err(CsipDirError::Config(_))));
        assert!(none.registry().is_err());
    }
}
