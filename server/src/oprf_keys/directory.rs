//! `keys/oprf`: the files of the keys.
//!
//! `<epoch>.key` holds a key, or `<epoch>.share` one of its two shares, the other
//! of which is a file of the same name in a directory anywhere else. A whole key
//! comes before a share of the same epoch, which a split that was interrupted
//! leaves beside it.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use protocol::manifest::Manifest;
use protocol::oprf::{OprfKey, OprfPublicKey, OprfShare};
use protocol::passphrase::Passphrase;
use protocol::time::UnixTime;

use super::notes::{Note, Notes};
use super::{EpochKey, FIRST_EPOCH, OprfKeyRing, OprfKeysError};
use crate::durable::{self, FileError};
use crate::keys::{self, KeyError, KeyKind, PassphraseSource, Protection};

const DAY_SECS: u64 = 24 * 60 * 60;

/// The key's file before there were epochs.
const FORMER_FILE: &str = "oprf.key";

/// The directory of a provider's OPRF keys. What changes it needs the data
/// directory's lock.
#[derive(Clone, Debug)]
pub struct OprfKeyDir {
    /// `keys/oprf`.
    directory: PathBuf,
    /// Where the second shares are, if the keys are split.
    second: Option<PathBuf>,
    passphrases: PassphraseSource,
}

/// How the key of an epoch is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Whole, in one file.
    Whole(Protection),
    /// In two shares; the protection is the first one's.
    Split(Protection),
}

/// What there is to say about an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochStatus {
    /// Which one.
    pub epoch: u64,
    /// Its public key; `None` if the key can't be read.
    pub public: Option<OprfPublicKey>,
    /// How its key is kept.
    pub form: Form,
    /// When the key was made, as far as it is known.
    pub made: Option<UnixTime>,
    /// When it retires, as far as it is known.
    pub retires: Option<UnixTime>,
}

impl OprfKeyDir {
    /// The directory in `keys`, with its second shares in `second`. A key from
    /// before there were epochs becomes that of the first.
    ///
    /// # Errors
    /// [`OprfKeysError::File`].
    pub fn open(
        keys: &Path,
        second: Option<PathBuf>,
        passphrases: PassphraseSource,
    ) -> Result<Self, OprfKeysError> {
        let directory = keys.join("oprf");
        match DirBuilder::new().mode(0o700).create(&directory) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => made.map_err(FileError::new("create", &directory))?,
        }
        let opened = Self {
            directory,
            second,
            passphrases,
        };
        let former = keys.join(FORMER_FILE);
        if former.exists() {
            opened.adopt(&former)?;
        }
        Ok(opened)
    }

    /// The keys that evaluate.
    ///
    /// # Errors
    /// [`OprfKeysError`].
    pub fn load(&self) -> Result<OprfKeyRing, OprfKeysError> {
        let mut epochs = self.epochs()?.into_iter().rev();
        let none = || OprfKeysError::None {
            path: self.directory.clone(),
        };
        let ring = OprfKeyRing::of(self.read(epochs.next().ok_or_else(none)?)?);
        let Some(former) = epochs.next() else {
            return Ok(ring);
        };
        let note = Notes::read(&self.notes_path())?.0.get(&former).copied();
        Ok(ring.with_former(self.read(former)?, note.and_then(|note| note.retires)))
    }

    /// Makes the key of the next epoch, kept as the newest is; gives the epoch.
    /// With `retire`, a former key that still evaluates ends now.
    ///
    /// # Errors
    /// [`OprfKeysError::Live`] or [`OprfKeysError::Unpublished`] if there are two
    /// keys already, and whatever keeps a key from being written: nothing is
    /// changed then.
    pub fn rotate(
        &self,
        published: Option<&Manifest>,
        now: UnixTime,
        retire: bool,
    ) -> Result<u64, OprfKeysError> {
        let epochs = self.epochs()?;
        let newest = epochs.last().copied();
        let mut notes = Notes::read(&self.notes_path())?;
        if let [.., former, newest] = epochs[..] {
            let retires = notes.0.get(&former).and_then(|note| note.retires);
            let built = published.is_some_and(|manifest| manifest.oprf_epoch >= newest);
            if !built {
                return Err(OprfKeysError::Unpublished { epoch: newest });
            }
            if !retire && retires.is_none_or(|retires| now < retires) {
                return Err(OprfKeysError::Live { former, retires });
            }
        }
        let published = published.map_or(0, |manifest| manifest.oprf_epoch);
        let epoch = newest.unwrap_or(0).max(published) + 1;
        let key = OprfKey::generate(&mut rand::rng());
        match newest.map(|newest| self.form(newest)).transpose()? {
            Some(Form::Split(protection)) => {
                let second = self.second_of(&self.share_path(newest.unwrap_or(0)))?;
                let passphrase = self.passphrase_for(protection)?;
                self.write_shares(epoch, &key, second, passphrase.as_ref())?;
            }
            form => {
                let protection = match form {
                    Some(Form::Whole(protection)) => protection,
                    _ => self.protection_at_first()?,
                };
                let passphrase = self.passphrase_for(protection)?;
                let path = self.key_path(epoch);
                keys::create(&path, KeyKind::Oprf, &key.to_bytes(), passphrase.as_ref())?;
            }
        }
        // The new one is there: what goes now isn't needed by any snapshot.
        for gone in epochs.iter().rev().skip(1) {
            self.remove(*gone)?;
            notes.0.remove(gone);
        }
        let retires = None;
        notes.0.insert(epoch, Note { made: now, retires });
        notes.write(&self.notes_path())?;
        Ok(epoch)
    }

    /// Whether the newest key is `days` old and the one before it has retired; 0
    /// days are never over.
    ///
    /// # Errors
    /// [`OprfKeysError::Notes`], [`OprfKeysError::File`].
    pub fn rotation_is_due(&self, days: u64, now: UnixTime) -> Result<bool, OprfKeysError> {
        let notes = Notes::read(&self.notes_path())?;
        let epochs = self.epochs()?;
        let made = |epoch| notes.0.get(epoch).map(|note| note.made);
        Ok(match &epochs[..] {
            [only] => {
                days > 0 && made(only).is_some_and(|at| now.secs_since(at) >= days * DAY_SECS)
            }
            _ => false,
        })
    }

    /// The newest epoch; `None` without keys.
    ///
    /// # Errors
    /// [`OprfKeysError::File`].
    pub fn newest_epoch(&self) -> Result<Option<u64>, OprfKeysError> {
        Ok(self.epochs()?.last().copied())
    }

    /// Whether [`settle`](Self::settle) has nothing to do while a snapshot of
    /// this epoch is published.
    ///
    /// # Errors
    /// [`OprfKeysError::Notes`], [`OprfKeysError::File`].
    pub fn is_settled(&self, published_epoch: u64, now: UnixTime) -> Result<bool, OprfKeysError> {
        let notes = Notes::read(&self.notes_path())?;
        let settled = self.epochs()?.iter().all(|epoch| {
            notes.0.get(epoch).is_some_and(|note| match note.retires {
                Some(retires) => now < retires,
                None => *epoch >= published_epoch,
            })
        });
        Ok(settled)
    }

    /// Takes note of what was published, after `before`: when a former key retires,
    /// which is when `before` expires if it is of its epoch, else `lifetime_secs`
    /// from now. Removes those whose time has come. Gives the ring as it is then.
    ///
    /// # Errors
    /// [`OprfKeysError::Notes`], [`OprfKeysError::File`]; run again, it goes on.
    pub fn settle(
        &self,
        mut ring: OprfKeyRing,
        before: Option<&Manifest>,
        published: &Manifest,
        lifetime_secs: u64,
        now: UnixTime,
    ) -> Result<OprfKeyRing, OprfKeysError> {
        let last = before.filter(|before| before.oprf_epoch < published.oprf_epoch);
        let expires = last.map_or(now.saturating_add(lifetime_secs), |last| last.expires_at);
        let path = self.notes_path();
        let noted = Notes::read(&path)?;
        let mut notes = noted.clone();
        let epochs = self.epochs()?;
        notes.0.retain(|epoch, _| epochs.contains(epoch));
        for epoch in &epochs {
            let (made, retires) = (now, None);
            let note = notes.0.entry(*epoch).or_insert(Note { made, retires });
            if *epoch < published.oprf_epoch && note.retires.is_none() {
                note.retires = Some(expires);
            }
        }
        if notes != noted {
            notes.write(&path)?;
        }
        let retires = |epoch| notes.0.get(&epoch).and_then(|note| note.retires);
        for epoch in epochs {
            let over = retires(epoch).is_some_and(|retires| retires <= now);
            if over && epoch < published.oprf_epoch {
                self.remove(epoch)?;
            }
        }
        ring.former = ring.former.and_then(|mut former| {
            former.retires = retires(former.key.epoch);
            let over = former.retires.is_some_and(|retires| retires <= now);
            (!over).then_some(former)
        });
        Ok(ring)
    }

    /// Splits every key in two, the second shares in `second`, the first ones in
    /// the place of the keys; gives the epochs. A share takes the place of a key
    /// when both shares are on the disk.
    ///
    /// # Errors
    /// [`OprfKeysError`]; what was not split yet is whole.
    pub fn split(&self, second: &Path) -> Result<Vec<u64>, OprfKeysError> {
        let same = |path: &Path| fs::canonicalize(path).map_err(FileError::new("read", path));
        if same(second)? == same(&self.directory)? {
            return Err(OprfKeysError::SamePlace {
                path: second.to_owned(),
            });
        }
        let mut split = Vec::new();
        for epoch in self.epochs()? {
            let Form::Whole(protection) = self.form(epoch)? else {
                continue;
            };
            let key = self.read(epoch)?.key;
            let passphrase = self.passphrase_for(protection)?;
            self.write_shares(epoch, &key, second, passphrase.as_ref())?;
            let joined = self.join(&self.share_path(epoch), second)?;
            if joined.public_key() != key.public_key() {
                return Err(foreign(&self.share_path(epoch), second));
            }
            durable::remove(&self.key_path(epoch))?;
            split.push(epoch);
        }
        if split.is_empty() {
            return Err(OprfKeysError::Split);
        }
        Ok(split)
    }

    /// What there is to say about each epoch, oldest first.
    ///
    /// # Errors
    /// [`OprfKeysError::Notes`], [`OprfKeysError::File`], [`OprfKeysError::Key`].
    pub fn status(&self) -> Result<Vec<EpochStatus>, OprfKeysError> {
        let notes = Notes::read(&self.notes_path())?;
        let status = |epoch| {
            let note = notes.0.get(&epoch);
            Ok(EpochStatus {
                epoch,
                public: self.read(epoch).ok().map(|key| key.public_key()),
                form: self.form(epoch)?,
                made: note.map(|note| note.made),
                retires: note.and_then(|note| note.retires),
            })
        };
        self.epochs()?.into_iter().map(status).collect()
    }

    /// Takes the file of the time before epochs as the first epoch's.
    fn adopt(&self, former: &Path) -> Result<(), OprfKeysError> {
        let first = self.key_path(FIRST_EPOCH);
        match durable::relocate(former, &first) {
            // Linked by a run that was interrupted before the former name went;
            // or another process has done it all.
            Err(error)
                if matches!(
                    error.source.kind(),
                    ErrorKind::AlreadyExists | ErrorKind::NotFound
                ) => {}
            moved => return Ok(moved?),
        }
        match (fs::read(former), fs::read(&first)) {
            (Ok(left), Ok(right)) if left == right => Ok(durable::remove(former)?),
            (Err(error), Ok(_)) if error.kind() == ErrorKind::NotFound => Ok(()),
            _ => Err(OprfKeysError::Ambiguous {
                path: former.to_owned(),
                first,
            }),
        }
    }

    /// Epochs that have a key or a first share, in order.
    fn epochs(&self) -> Result<Vec<u64>, FileError> {
        let failed = || FileError::new("read", &self.directory);
        let mut epochs = BTreeSet::new();
        for entry in fs::read_dir(&self.directory).map_err(failed())? {
            let name = entry.map_err(failed())?.file_name();
            let name = name.to_string_lossy();
            let stem = name.strip_suffix(".key").or(name.strip_suffix(".share"));
            epochs.extend(stem.and_then(|stem| stem.parse::<u64>().ok()));
        }
        Ok(epochs.into_iter().collect())
    }

    fn form(&self, epoch: u64) -> Result<Form, KeyError> {
        let whole = self.key_path(epoch);
        if whole.exists() {
            Ok(Form::Whole(keys::protection(&whole)?))
        } else {
            Ok(Form::Split(keys::protection(&self.share_path(epoch))?))
        }
    }

    fn read(&self, epoch: u64) -> Result<EpochKey, OprfKeysError> {
        let whole = self.key_path(epoch);
        let key = if whole.exists() {
            let bytes = keys::read(&whole, KeyKind::Oprf, &self.passphrases)?;
            OprfKey::from_bytes(&bytes).map_err(|_| KeyError::Unusable { path: whole })?
        } else {
            let share = self.share_path(epoch);
            self.join(&share, self.second_of(&share)?)?
        };
        Ok(EpochKey { epoch, key })
    }

    /// The key of a first share and the one of the same name in `second`.
    fn join(&self, first: &Path, second: &Path) -> Result<OprfKey, OprfKeysError> {
        let other = second.join(first.file_name().unwrap_or_default());
        if !other.exists() {
            return Err(OprfKeysError::SecondMissing {
                path: first.to_owned(),
                second: other,
            });
        }
        let joined = self.share(first)?.join(&self.share(&other)?);
        joined.map_err(|_| foreign(first, second))
    }

    fn share(&self, path: &Path) -> Result<OprfShare, KeyError> {
        let bytes = keys::read(path, KeyKind::OprfShare, &self.passphrases)?;
        OprfShare::from_bytes(&bytes).map_err(|_| KeyError::Unusable {
            path: path.to_owned(),
        })
    }

    /// Writes both shares of a key, the one elsewhere first. A key that is whole
    /// is split anew if that was interrupted; shares of another key stay.
    fn write_shares(
        &self,
        epoch: u64,
        key: &OprfKey,
        second: &Path,
        passphrase: Option<&Passphrase>,
    ) -> Result<(), OprfKeysError> {
        let first = self.share_path(epoch);
        let other = second.join(first.file_name().unwrap_or_default());
        // Of an epoch without a file here, it was left by a rotation that was
        // interrupted: nothing was ever evaluated under it.
        let began = self.key_path(epoch).exists() || first.exists();
        if began && other.exists() && self.share(&other)?.public_key() != key.public_key() {
            return Err(OprfKeysError::Occupied { path: other });
        }
        let shares = key.split(&mut rand::rng());
        for (path, share) in [&other, &first].into_iter().zip(&shares) {
            durable::remove(path)?;
            keys::create(path, KeyKind::OprfShare, &share.to_bytes(), passphrase)?;
        }
        Ok(())
    }

    /// Removes the key of an epoch, or its shares.
    fn remove(&self, epoch: u64) -> Result<(), FileError> {
        let share = self.share_path(epoch);
        durable::remove(&self.key_path(epoch))?;
        durable::remove(&share)?;
        match &self.second {
            // Without its other half it is of no use, wherever it is.
            Some(second) if second.is_dir() => {
                durable::remove(&second.join(share.file_name().unwrap_or_default()))
            }
            _ => Ok(()),
        }
    }

    fn second_of(&self, share: &Path) -> Result<&Path, OprfKeysError> {
        let unset = || OprfKeysError::SecondUnset {
            path: share.to_owned(),
        };
        self.second.as_deref().ok_or_else(unset)
    }

    fn passphrase_for(&self, protection: Protection) -> Result<Option<Passphrase>, KeyError> {
        match protection {
            Protection::Plain => Ok(None),
            Protection::Encrypted => self.passphrases.require().map(Some),
        }
    }

    /// Of a first key: encrypted if there is a passphrase.
    fn protection_at_first(&self) -> Result<Protection, KeyError> {
        Ok(match self.passphrases.find()? {
            Some(_) => Protection::Encrypted,
            None => Protection::Plain,
        })
    }

    fn key_path(&self, epoch: u64) -> PathBuf {
        self.directory.join(format!("{epoch}.key"))
    }

    fn share_path(&self, epoch: u64) -> PathBuf {
        self.directory.join(format!("{epoch}.share"))
    }

    fn notes_path(&self) -> PathBuf {
        self.directory.join("epochs.toml")
    }
}

fn foreign(first: &Path, second: &Path) -> OprfKeysError {
    OprfKeysError::Shares {
        path: first.to_owned(),
        second: second.join(first.file_name().unwrap_or_default()),
    }
}
