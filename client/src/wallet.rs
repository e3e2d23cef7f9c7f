//! Tokens that were fetched and not used yet.
//!
//! One file, by redb, that only its owner may read. A token is removed, durably,
//! before it is sent: a crash loses those that were under way and sends none
//! twice.

use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use protocol::cose::{KeyId, VerifyingKey};
use protocol::time::UnixTime;
use protocol::token::{Token, TokenType};
use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use zeroize::Zeroizing;

use crate::durable::{FileError, PRIVATE};

/// By expiry, then by what the provider remembers: so the first expire first.
const TOKENS: TableDefinition<'_, (u64, &[u8; 32]), &[u8]> = TableDefinition::new("tokens");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

const VERSION: [u8; 1] = [1];

/// Tokens of one provider.
pub struct Wallet {
    database: Database,
}

/// What a wallet holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletSummary {
    /// Tokens that can be used, by when they expire, the first first, and by who
    /// can issue them.
    pub usable: Vec<WalletLine>,
    /// Tokens that have expired.
    pub expired: u64,
}

/// Tokens of one kind and expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalletLine {
    /// Of which kind.
    pub token_type: TokenType,
    /// When they expire.
    pub expires: UnixTime,
    /// How many.
    pub count: u64,
}

/// Why a wallet can't be used. Holds nothing of a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalletError {
    /// The file can't be opened.
    #[error(transparent)]
    File(#[from] FileError),
    /// Others than the owner may read the file.
    #[error("{path} may be read by others (mode {mode:o}): run `chmod 600 {path}`")]
    Exposed {
        /// The file.
        path: String,
        /// Its permissions.
        mode: u32,
    },
    /// Another process has it open.
    #[error("another command is using the wallet: wait for it to end")]
    InUse,
    /// Not a wallet, or not of this version.
    #[error("not a wallet of this version")]
    Version,
    /// It holds another provider's tokens.
    #[error("the wallet holds tokens of another provider: choose another file")]
    OtherProvider,
    /// Too few tokens are left.
    #[error("{needed} tokens are needed and {found} are left: `sotto token fetch` gets more")]
    TooFew {
        /// How many are needed.
        needed: usize,
        /// How many can be used.
        found: usize,
    },
    /// The file is damaged, or the disk failed.
    #[error("the wallet failed: {0}")]
    Database(#[from] Box<redb::Error>),
}

macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for WalletError {
            fn from(error: $error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        }
    )*};
}

from_redb!(
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);

impl Wallet {
    /// Opens a wallet of the provider with that key, or makes an empty one.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn open(path: &Path, provider: &VerifyingKey) -> Result<Self, WalletError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(PRIVATE)
            .open(path)
            .map_err(FileError::new("open", path))?;
        let metadata = file.metadata().map_err(FileError::new("read", path))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(WalletError::Exposed {
                path: path.display().to_string(),
                mode,
            });
        }
        drop(file);
        let database = Database::create(path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => WalletError::InUse,
            other => WalletError::Database(Box::new(other.into())),
        })?;
        let wallet = Self { database };
        wallet.check(&provider.key_id())?;
        Ok(wallet)
    }

    fn check(&self, provider: &KeyId) -> Result<(), WalletError> {
        let transaction = self.database.begin_write()?;
        {
            let mut meta = transaction.open_table(META)?;
            let version = meta.get("version")?.map(|value| value.value().to_vec());
            match version {
                None => {
                    meta.insert("version", &VERSION[..])?;
                    meta.insert("provider", &provider.as_bytes()[..])?;
                }
                Some(version) if version != VERSION => return Err(WalletError::Version),
                Some(_) => {
                    let owner = meta.get("provider")?.map(|value| value.value().to_vec());
                    if owner.as_deref() != Some(&provider.as_bytes()[..]) {
                        return Err(WalletError::OtherProvider);
                    }
                }
            }
            transaction.open_table(TOKENS)?;
        }
        Ok(transaction.commit()?)
    }

    /// Puts tokens in, which expire then. Durable when this returns.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn put(&self, tokens: &[Token], expires: UnixTime) -> Result<(), WalletError> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(TOKENS)?;
            for token in tokens {
                table.insert((expires.as_secs(), &token.spent_id()), token.as_bytes())?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Takes so many tokens out, those that expire first, and drops those that
    /// have. Durable when this returns: they are never taken again.
    ///
    /// # Errors
    /// [`WalletError::TooFew`]; then none was taken. Others.
    pub fn take(&self, count: usize, now: UnixTime) -> Result<Vec<Token>, WalletError> {
        let transaction = self.database.begin_write()?;
        let mut taken = Vec::with_capacity(count);
        {
            let mut table = transaction.open_table(TOKENS)?;
            table.retain_in(..(now.as_secs() + 1, &[0; 32]), |_, _| false)?;
            while taken.len() < count {
                let Some((_, bytes)) = table.pop_first()? else {
                    break;
                };
                let bytes = Zeroizing::new(bytes.value().to_vec());
                // What was put in was a token.
                taken.extend(Token::decode(&bytes).ok());
            }
        }
        if taken.len() < count {
            let found = taken.len();
            transaction.abort()?;
            return Err(WalletError::TooFew {
                needed: count,
                found,
            });
        }
        transaction.commit()?;
        Ok(taken)
    }

    /// What it holds.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn summary(&self, now: UnixTime) -> Result<WalletSummary, WalletError> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(TOKENS)?;
        let mut summary = WalletSummary {
            usable: Vec::new(),
            expired: 0,
        };
        for entry in table.iter()? {
            let (key, token) = entry?;
            let expires = UnixTime::from_secs(key.value().0);
            if expires <= now {
                summary.expired += 1;
                continue;
            }
            let Some(number) = token.value().first_chunk().copied().map(u16::from_be_bytes) else {
                continue;
            };
            let Ok(token_type) = TokenType::try_from(number) else {
                continue;
            };
            let line = summary
                .usable
                .iter_mut()
                .find(|line| line.expires == expires && line.token_type == token_type);
            match line {
                Some(line) => line.count += 1,
                None => summary.usable.push(WalletLine {
                    token_type,
                    expires,
                    count: 1,
                }),
            }
        }
        Ok(summary)
    }
}

impl WalletSummary {
    /// Tokens that can be used.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.usable.iter().map(|line| line.count).sum()
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wallet(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use protocol::cose::SigningKey;
    use protocol::token::{ServerName, TokenChallenge, TokenInput, TokenKeyId};

    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_795_392_000);

    fn tokens(count: usize, token_type: TokenType) -> Vec<Token> {
        let name = || ServerName::new("dp.example").unwrap();
        let challenge = TokenChallenge::for_origin(token_type, name(), name());
        let id = TokenKeyId::of(b"key");
        (0..count)
            .map(|_| {
                let input = TokenInput::draw(&challenge, &id, &mut rand::rng());
                let authenticator = vec![1; token_type.authenticator_bytes()];
                input.into_token(&authenticator).unwrap()
            })
            .collect()
    }

    fn key(seed: u8) -> VerifyingKey {
        SigningKey::from_seed(&[seed; 32]).verifying_key()
    }

    #[test]
    fn tokens_are_taken_once_and_the_oldest_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("wallet");
        let wallet = Wallet::open(&path, &key(1)).unwrap();
        let (late, soon) = (NOW.saturating_add(100), NOW.saturating_add(10));
        let all = tokens(3, TokenType::Voprf);
        wallet.put(&all[..2], late).unwrap();
        wallet.put(&all[2..], soon).unwrap();
        wallet.put(&tokens(2, TokenType::BlindRsa), NOW).unwrap();
        let summary = wallet.summary(NOW).unwrap();
        assert_eq!((summary.count(), summary.expired), (3, 2));
        assert_eq!(summary.usable[0].expires, soon);
        let first = wallet.take(1, NOW).unwrap();
        assert_eq!(first[0].as_bytes(), all[2].as_bytes());
        assert!(matches!(
            wallet.take(3, NOW),
            Err(WalletError::TooFew {
                needed: 3,
                found: 2
            })
        ));
        drop(wallet);
        let wallet = Wallet::open(&path, &key(1)).unwrap();
        let mut rest: Vec<_> = wallet.take(2, NOW).unwrap();
        rest.sort_by_key(|token| token.as_bytes().to_vec());
        let mut expected = all[..2].to_vec();
        expected.sort_by_key(|token| token.as_bytes().to_vec());
        for (taken, put) in rest.iter().zip(&expected) {
            assert_eq!(taken.as_bytes(), put.as_bytes());
        }
        let empty = wallet.summary(NOW).unwrap();
        assert_eq!((empty.count(), empty.expired), (0, 0));
        assert!(wallet.take(0, NOW).unwrap().is_empty());
    }

    #[test]
    fn a_wallet_is_one_providers_and_its_owners() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("wallet");
        let wallet = Wallet::open(&path, &key(1)).unwrap();
        assert_eq!(format!("{wallet:?}"), "Wallet(redacted)");
        assert!(matches!(
            Wallet::open(&path, &key(1)),
            Err(WalletError::InUse)
        ));
        drop(wallet);
        assert!(matches!(
            Wallet::open(&path, &key(2)),
            Err(WalletError::OtherProvider)
        ));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, PRIVATE);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            Wallet::open(&path, &key(1)),
            Err(WalletError::Exposed { mode: 0o640, .. })
        ));
    }
}
