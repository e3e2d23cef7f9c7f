//! The data directory: everything that a provider keeps.
//!
//! | path | what |
//! |---|---|
//! | `config.toml` | what the operator decides |
//! | `keys/{dp,store}.key`, `keys/oprf/<epoch>.key` | secret keys, one file each |
//! | `keys/tokens/*.key` | keys that issue tokens, one a period |
//! | `tokens/<digest>.json`, `issuers.toml` | their public keys, and other issuers |
//! | `dp.pub` | the key that clients pin |
//! | `tls/{cert,key}.pem` | certificate and key |
//! | `trust.toml` | CSIPs and what each may speak for |
//! | `senders.toml` | who may look up |
//! | `store.redb` | credentials and mappings, encrypted |
//! | `ledger.redb` | what senders have spent; in no backup |
//! | `removals.journal` | what was removed, so that no restore publishes it |
//! | `snapshots/<id>.sotto`, `snapshots/current` | what is published |
//! | `lock` | held by the command that writes |

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::cose::{SigningKey, VerifyingKey};
use protocol::time::UnixTime;
use protocol::trust::{TrustList, TrustListError};

use crate::config::StoreKind;
use crate::config::{self, Config, ConfigError};
use crate::durable::{self, FileError, PRIVATE, PUBLIC};
use crate::keys::{self, KeyError, KeyKind, PassphraseSource};
use crate::ledger::embedded::EmbeddedLedger;
use crate::ledger::postgres::PostgresLedger;
use crate::ledger::{Ledger, LedgerError, LedgerKeys};
use crate::oprf_keys::{EpochKey, OprfKeyDir, OprfKeyRing, OprfKeysError};
use crate::senders::{SenderError, Senders};
use crate::storage::{Storage, StorageError};
use crate::store::embedded::EmbeddedStore;
use crate::store::journaled::Journaled;
use crate::store::postgres::PostgresStore;
use crate::store::{Store, StoreError, StoreKeys};
use crate::tls::{self, TlsError};
use crate::tokens::TokensError;

/// The configuration, in the data directory.
pub(crate) const CONFIG_FILE: &str = "config.toml";

const EMPTY_TRUST: &str = "\
# CSIPs (telecom and e-mail providers) and what each may speak for. An import
# refuses whatever nobody listed here has signed. One entry a key:
#
# [[csip]]
# issuer = \"csip.example\"
# key = \"ed25519:<base64url>\"
# scopes = [\"tel:+44\", \"mailto:*@example.com\"]
# not_before = \"2026-01-01T00:00:00Z\"   # optional
# not_after = \"2028-01-01T00:00:00Z\"    # optional
";

/// A data directory that has been initialised.
#[derive(Clone, Debug)]
pub struct DataDir {
    root: PathBuf,
    passphrases: PassphraseSource,
}

/// What `init` lets one choose.
#[derive(Clone, Debug, Default)]
pub struct InitOptions {
    /// The text of a trust list to start with.
    pub trust: Option<String>,
    /// Where to listen.
    pub listen: Option<SocketAddr>,
}

/// The right to write to the directory; given up when dropped.
#[derive(Debug)]
pub struct WriterLock {
    _file: File,
}

/// Why a data directory can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// A file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The storage that other servers follow.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// `init` was run before.
    #[error("{path} is initialised already: nothing was changed", path = .path.display())]
    Initialised {
        /// The directory.
        path: PathBuf,
    },
    /// `init` would mix with other files.
    #[error("{path} is not empty and no data directory: choose another with --data", path = .path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// `init` was never run.
    #[error(
        "{path} is not a data directory: run `sotto-server init`, or name another with --data",
        path = .path.display()
    )]
    NotInitialised {
        /// The directory.
        path: PathBuf,
    },
    /// Another command writes.
    #[error("another sotto-server command is writing to {path}: wait for it to end", path = .path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The OPRF's keys.
    #[error(transparent)]
    OprfKeys(#[from] OprfKeysError),
    /// The trust list.
    #[error("{path}: {source}", path = .path.display())]
    Trust {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TrustListError,
    },
    /// The senders.
    #[error(transparent)]
    Senders(#[from] SenderError),
    /// Certificate and key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Tokens.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl DataDir {
    /// Makes a data directory with fresh keys. It is made beside its place and
    /// renamed: it is there whole or not at all.
    ///
    /// # Errors
    /// [`DataDirError::Initialised`], [`DataDirError::NotEmpty`],
    /// [`DataDirError::Trust`], [`DataDirError::File`].
    pub fn init(root: &Path, options: &InitOptions) -> Result<Self, DataDirError> {
        Self::init_under(root, options, PassphraseSource::default())
    }

    /// The same with keys that are encrypted if there is a passphrase.
    ///
    /// # Errors
    /// As [`DataDir::init`], and [`DataDirError::Key`] for the passphrase.
    pub fn init_under(
        root: &Path,
        options: &InitOptions,
        passphrases: PassphraseSource,
    ) -> Result<Self, DataDirError> {
        let directory = Self {
            root: root.to_owned(),
            passphrases: passphrases.of_data(root),
        };
        if directory.path(CONFIG_FILE).exists() {
            return Err(DataDirError::Initialised {
                path: root.to_owned(),
            });
        }
        if root.exists()
            && fs::read_dir(root)
                .map_err(FileError::new("read", root))?
                .next()
                .is_some()
        {
            return Err(DataDirError::NotEmpty {
                path: root.to_owned(),
            });
        }
        let trust = options.trust.as_deref().unwrap_or(EMPTY_TRUST);
        TrustList::from_toml(trust).map_err(|source| DataDirError::Trust {
            path: directory.path("trust.toml"),
            source,
        })?;
        let parent = root
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            fs::create_dir_all(parent).map_err(FileError::new("create", parent))?;
        }
        let name = root.file_name().unwrap_or_default().to_string_lossy();
        let staging = Self {
            root: root.with_file_name(format!(".{name}.{:016x}.tmp", rand::random::<u64>())),
            passphrases: directory.passphrases.clone(),
        };
        let filled = staging.fill(trust, options.listen).and_then(|()| {
            fs::rename(&staging.root, root).map_err(FileError::new("create", root))?;
            Ok(())
        });
        if filled.is_err() {
            // Nothing of it is of use to anyone.
            let _ = fs::remove_dir_all(&staging.root);
        }
        filled.map(|()| directory)
    }

    fn fill(&self, trust: &str, listen: Option<SocketAddr>) -> Result<(), DataDirError> {
        for part in ["", "keys", "tls", "snapshots"] {
            let path = self.root.join(part);
            DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .map_err(FileError::new("create", &path))?;
        }
        let rng = &mut rand::rng();
        let seed = keys::generate(rng);
        let provider = SigningKey::from_seed(&seed);
        let passphrase = self.passphrases.find()?;
        let create = |name, kind, key| {
            keys::create::<{ keys::KEY_BYTES }>(&self.path(name), kind, key, passphrase.as_ref())
        };
        create("keys/dp.key", KeyKind::Provider, &seed)?;
        create("keys/store.key", KeyKind::Store, &keys::generate(rng))?;
        let oprf = OprfKeyDir::open(&self.path("keys"), None, self.passphrases.clone())?;
        oprf.rotate(None, UnixTime::now(), false)?;
        let public = format!("{}\n", provider.verifying_key().to_text());
        durable::create(&self.path("dp.pub"), PUBLIC, public.as_bytes())?;
        let certificate = tls::self_signed()?;
        durable::create(
            &self.path("tls/cert.pem"),
            PUBLIC,
            certificate.certificate.as_bytes(),
        )?;
        durable::create(
            &self.path("tls/key.pem"),
            PRIVATE,
            certificate.key.as_bytes(),
        )?;
        durable::create(&self.path("trust.toml"), PUBLIC, trust.as_bytes())?;
        Senders::default().write(&self.senders_path())?;
        let listen = listen.unwrap_or_else(|| Config::default().listen);
        let config = config::shipped_listening_on(listen);
        Ok(durable::create(
            &self.path(CONFIG_FILE),
            PUBLIC,
            config.as_bytes(),
        )?)
    }

    /// Opens a data directory.
    ///
    /// # Errors
    /// [`DataDirError::NotInitialised`].
    pub fn open(root: &Path) -> Result<Self, DataDirError> {
        Self::open_under(root, PassphraseSource::default())
    }

    /// The same with a passphrase for encrypted keys.
    ///
    /// # Errors
    /// [`DataDirError::NotInitialised`].
    pub fn open_under(root: &Path, passphrases: PassphraseSource) -> Result<Self, DataDirError> {
        let directory = Self {
            root: root.to_owned(),
            passphrases: passphrases.of_data(root),
        };
        if directory.path(CONFIG_FILE).is_file() {
            Ok(directory)
        } else {
            Err(DataDirError::NotInitialised {
                path: root.to_owned(),
            })
        }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where snapshots are.
    pub fn snapshots(&self) -> PathBuf {
        self.path("snapshots")
    }

    /// Where the senders are.
    pub fn senders_path(&self) -> PathBuf {
        self.path("senders.toml")
    }

    /// Where the keys that issue tokens are.
    pub fn token_keys(&self) -> PathBuf {
        self.path("keys/tokens")
    }

    /// Where the published directories of token keys are.
    pub fn token_directories(&self) -> PathBuf {
        self.path("tokens")
    }

    /// The storage that other servers follow, if there is one.
    ///
    /// # Errors
    /// [`DataDirError`].
    pub fn storage(&self, config: &Config) -> Result<Option<Arc<Storage>>, DataDirError> {
        let Some(options) = config.storage.s3(&self.root)? else {
            return Ok(None);
        };
        Ok(Some(Arc::new(Storage::open(&options)?)))
    }

    /// Where the other issuers of tokens are.
    pub fn issuers_path(&self) -> PathBuf {
        self.path("issuers.toml")
    }

    /// Where it is noted until when their keys were said to be in force.
    pub fn issuer_terms(&self) -> PathBuf {
        self.path("issuers.terms.json")
    }

    /// Keeps other commands from writing.
    ///
    /// # Errors
    /// [`DataDirError::Locked`] at once if one does.
    pub fn lock(&self) -> Result<WriterLock, DataDirError> {
        let path = self.path("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(PRIVATE)
            .open(&path)
            .map_err(FileError::new("open", &path))?;
        match file.try_lock() {
            Ok(()) => {
                // Of a process that was killed while it wrote a key or a snapshot.
                for directory in ["keys", "keys/oprf", "keys/tokens", "snapshots"] {
                    durable::remove_pending(&self.path(directory))?;
                }
                Ok(WriterLock { _file: file })
            }
            Err(TryLockError::WouldBlock) => Err(DataDirError::Locked {
                path: self.root.clone(),
            }),
            Err(TryLockError::Error(error)) => Err(FileError::new("lock", &path)(error).into()),
        }
    }

    /// The configuration.
    ///
    /// # Errors
    /// [`DataDirError::Config`].
    pub fn config(&self) -> Result<Config, DataDirError> {
        Ok(Config::read(&self.path(CONFIG_FILE))?)
    }

    /// The key that signs manifests.
    ///
    /// # Errors
    /// [`DataDirError::Key`].
    pub fn provider_key(&self) -> Result<SigningKey, DataDirError> {
        let path = self.path("keys/dp.key");
        let seed = keys::read(&path, KeyKind::Provider, &self.passphrases)?;
        Ok(SigningKey::from_seed(&seed))
    }

    /// The key that clients pin, as `dp.pub` states it.
    ///
    /// # Errors
    /// [`DataDirError::File`], [`DataDirError::Key`].
    pub fn provider_public_key(&self) -> Result<VerifyingKey, DataDirError> {
        let path = self.path("dp.pub");
        let text = fs::read_to_string(&path).map_err(FileError::new("read", &path))?;
        Ok(VerifyingKey::from_text(text.trim()).map_err(|_| KeyError::Unusable { path })?)
    }

    /// The files of the OPRF's keys.
    ///
    /// # Errors
    /// [`DataDirError::OprfKeys`].
    pub fn oprf_key_dir(&self, config: &Config) -> Result<OprfKeyDir, DataDirError> {
        let second = config.oprf.second_shares(&self.root);
        let keys = self.keys_path();
        Ok(OprfKeyDir::open(&keys, second, self.passphrases.clone())?)
    }

    /// The keys that evaluate the OPRF.
    ///
    /// # Errors
    /// [`DataDirError::Config`], [`DataDirError::OprfKeys`].
    pub fn oprf_keys(&self) -> Result<OprfKeyRing, DataDirError> {
        Ok(self.oprf_key_dir(&self.config()?)?.load()?)
    }

    /// The newest of them, which snapshots are built under.
    ///
    /// # Errors
    /// As [`DataDir::oprf_keys`].
    pub fn oprf_key(&self) -> Result<EpochKey, DataDirError> {
        Ok(self.oprf_keys()?.newest().clone())
    }

    /// Where key files are.
    pub fn keys_path(&self) -> PathBuf {
        self.path("keys")
    }

    /// Where the passphrase of encrypted keys comes from.
    pub fn passphrases(&self) -> &PassphraseSource {
        &self.passphrases
    }

    /// The trust list.
    ///
    /// # Errors
    /// [`DataDirError::File`], [`DataDirError::Trust`].
    pub fn trust(&self) -> Result<TrustList, DataDirError> {
        let path = self.path("trust.toml");
        let text = fs::read_to_string(&path).map_err(FileError::new("read", &path))?;
        TrustList::from_toml(&text).map_err(|source| DataDirError::Trust { path, source })
    }

    /// The senders.
    ///
    /// # Errors
    /// [`DataDirError::Senders`].
    pub fn senders(&self) -> Result<Senders, DataDirError> {
        Ok(Senders::read(&self.senders_path())?)
    }

    /// The store that the configuration names, with its removal journal; hold
    /// the [`lock`](Self::lock).
    ///
    /// # Errors
    /// [`DataDirError::Config`], [`DataDirError::Key`], [`DataDirError::Store`].
    pub fn store(&self) -> Result<Journaled<Box<dyn Store>>, DataDirError> {
        let journal = self.journal_path(&self.config()?);
        let store = self.unjournalled_store()?;
        Ok(Journaled::open(store, self.store_keys()?, &journal)?)
    }

    /// The store alone, for a restore, which heeds journals and adds to none.
    ///
    /// # Errors
    /// As [`DataDir::store`].
    pub fn unjournalled_store(&self) -> Result<Box<dyn Store>, DataDirError> {
        let config = self.config()?.store;
        let keys = self.store_keys()?;
        Ok(match config.kind {
            StoreKind::Embedded => Box::new(EmbeddedStore::open(&self.path("store.redb"), keys)?),
            StoreKind::Postgres => {
                Box::new(PostgresStore::open(&config.postgres(&self.root)?, keys)?)
            }
        })
    }

    /// The keys that the store is sealed under.
    ///
    /// # Errors
    /// [`DataDirError::Key`].
    pub fn store_keys(&self) -> Result<StoreKeys, DataDirError> {
        let path = self.path("keys/store.key");
        let key = keys::read(&path, KeyKind::Store, &self.passphrases)?;
        Ok(StoreKeys::derive(&key))
    }

    /// The ledger that the configuration names.
    ///
    /// # Errors
    /// [`DataDirError::Config`], [`DataDirError::Key`], [`DataDirError::Ledger`].
    pub fn ledger(&self) -> Result<Arc<dyn Ledger>, DataDirError> {
        let config = self.config()?;
        let keys = self.ledger_keys()?;
        Ok(match config.ledger.kind {
            StoreKind::Embedded => {
                Arc::new(EmbeddedLedger::open(&self.path("ledger.redb"), &keys)?)
            }
            StoreKind::Postgres => {
                let options = config.store.postgres(&self.root)?;
                Arc::new(PostgresLedger::open(&options, keys)?)
            }
        })
    }

    /// The keys that name meters.
    ///
    /// # Errors
    /// [`DataDirError::Key`].
    pub fn ledger_keys(&self) -> Result<LedgerKeys, DataDirError> {
        let key = keys::read(
            &self.path("keys/store.key"),
            KeyKind::Store,
            &self.passphrases,
        )?;
        Ok(LedgerKeys::derive(&key))
    }

    /// The removal journal.
    pub fn journal_path(&self, config: &Config) -> PathBuf {
        self.root.join(&config.store.journal)
    }

    /// TLS with the configured certificate.
    ///
    /// # Errors
    /// [`DataDirError::Tls`].
    pub fn tls(&self, config: &Config) -> Result<Arc<rustls::ServerConfig>, DataDirError> {
        let tls = &config.tls;
        let authorities = &tls.client_authorities;
        let authorities =
            (!authorities.as_os_str().is_empty()).then(|| self.root.join(authorities));
        Ok(tls::server_config(
            &self.root.join(&tls.certificate),
            &self.root.join(&tls.key),
            authorities.as_deref(),
        )?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

#[cfg(test)]
mod tests;
