//! Key files: `keys/tokens/<begins>-<ends>.key`, in UNIX time.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use protocol::passphrase::Passphrase;
use protocol::time::UnixTime;
use protocol::token::IssuerKey;

use super::TokensError;
use crate::durable::FileError;
use crate::keys::{self, KeyError, KeyKind, PassphraseSource};

const SUFFIX: &str = ".key";

/// Periods for which keys are made ahead: a directory has few keys.
const PERIODS_AHEAD_MAX: u64 = 16;

/// A key of the provider's own, and when it issues.
#[derive(Clone)]
pub struct TokenKey {
    /// The key.
    pub key: IssuerKey,
    /// From when on it issues.
    pub begins: UnixTime,
    /// Until when it issues.
    pub ends: UnixTime,
}

impl TokenKey {
    /// Until when its tokens are taken: one period more.
    pub const fn taken_until(&self) -> UnixTime {
        self.ends.saturating_add(self.ends.secs_since(self.begins))
    }
}

/// The keys of a directory, the oldest first; none if there is no directory.
pub(super) fn read_all(
    directory: &Path,
    passphrases: &PassphraseSource,
) -> Result<Vec<TokenKey>, TokensError> {
    let mut all = Vec::new();
    for (name, begins, ends) in names(directory)? {
        let path = directory.join(name);
        let seed = keys::read(&path, KeyKind::Tokens, passphrases)?;
        let key = IssuerKey::from_seed(&seed).map_err(|_| KeyError::Unusable { path })?;
        all.push(TokenKey { key, begins, ends });
    }
    all.sort_by_key(|key| key.begins);
    Ok(all)
}

/// Makes the keys that are missing, encrypted if there is a passphrase, and
/// removes those that aren't taken any more.
pub(super) fn renew(
    directory: &Path,
    passphrases: &PassphraseSource,
    now: UnixTime,
    period: u64,
    lifetime_secs: u64,
) -> Result<(), TokensError> {
    if !directory.exists() {
        DirBuilder::new()
            .mode(0o700)
            .create(directory)
            .map_err(FileError::new("create", directory))?;
    }
    let mut last = None;
    for (name, begins, ends) in names(directory)? {
        if ends.saturating_add(ends.secs_since(begins)) <= now {
            let path = directory.join(name);
            fs::remove_file(&path).map_err(FileError::new("remove", &path))?;
        } else {
            last = last.max(Some(ends));
        }
    }
    let mut taken: Vec<u8> = read_all(directory, passphrases)?
        .iter()
        .map(|key| key.key.public_key().id().truncated())
        .collect();
    // So that the client of a snapshot has a key as long as it lives, within
    // reason.
    let ahead = lifetime_secs.clamp(period, PERIODS_AHEAD_MAX * period);
    let until = now.saturating_add(ahead);
    // A provider that was off for long begins anew.
    let mut begins = last.map_or(now, |last: UnixTime| last.max(now));
    while begins <= until {
        let ends = begins.saturating_add(period);
        let passphrase = passphrases.find()?;
        let truncated = create(directory, passphrase.as_ref(), begins, ends, &taken)?;
        taken.push(truncated);
        begins = ends;
    }
    Ok(())
}

/// Makes a key whose truncated id no other has, as requests name it by that
/// (RFC 9578 §5.5).
fn create(
    directory: &Path,
    passphrase: Option<&Passphrase>,
    begins: UnixTime,
    ends: UnixTime,
    taken: &[u8],
) -> Result<u8, TokensError> {
    let path = directory.join(format!("{}-{}{SUFFIX}", begins.as_secs(), ends.as_secs()));
    // Fewer than 256 keys are live, so that this ends.
    loop {
        let seed = keys::generate(&mut rand::rng());
        let Ok(key) = IssuerKey::from_seed(&seed) else {
            continue;
        };
        let truncated = key.public_key().id().truncated();
        if taken.len() >= 256 || !taken.contains(&truncated) {
            keys::create(&path, KeyKind::Tokens, &seed, passphrase)?;
            return Ok(truncated);
        }
    }
}

type Named = (String, UnixTime, UnixTime);

fn names(directory: &Path) -> Result<Vec<Named>, TokensError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(FileError::new("read", directory))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(FileError::new("read", directory))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(times) = name.strip_suffix(SUFFIX) else {
            // A write that was interrupted.
            continue;
        };
        let secs = |text: &str| text.parse().ok().map(UnixTime::from_secs);
        match times
            .split_once('-')
            .map(|(begins, ends)| (secs(begins), secs(ends)))
        {
            Some((Some(begins), Some(ends))) if begins < ends => names.push((name, begins, ends)),
            _ => {
                return Err(TokensError::Name {
                    path: entry.path().display().to_string(),
                });
            }
        }
    }
    Ok(names)
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey({} to {})", self.begins, self.ends)
    }
}
