//! The published checkpoint, and what is added to it.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::cose::VerifyingKey;
use protocol::log::{NoteKey, NoteSignature, SignedCheckpoint, prove_consistency};
use protocol::manifest::SignedManifest;
use protocol::time::UnixTime;

use super::WitnessError;
use crate::data_dir::DataDir;
use crate::durable::{FileError, PRIVATE};
use crate::log::{Directory, Objects, PublishedLog, checkpoint_name};
use crate::snapshot::build::published_manifest;
use crate::storage::Storage;

/// Seconds that a witness's clock may differ from this one.
const CLOCKS_APART_SECS: u64 = 300;

/// The published log and its checkpoint.
#[derive(Debug)]
pub struct Published {
    here: Directory,
    storage: Option<Arc<Storage>>,
    lock: PathBuf,
    provider: VerifyingKey,
    manifest: SignedManifest,
    log: PublishedLog,
}

/// What became of cosignatures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// In the checkpoint now.
    pub added: usize,
    /// Of others than the witnesses that count.
    pub ignored: usize,
}

impl Published {
    /// What a data directory has published, and its storage if there is one; `None`
    /// if nothing is.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn open(
        data: &DataDir,
        storage: Option<Arc<Storage>>,
    ) -> Result<Option<Self>, WitnessError> {
        let provider = data.provider_public_key().map_err(Box::new)?;
        let directory = data.snapshots();
        let manifest = published_manifest(&directory, &provider).map_err(Box::new)?;
        let Some(manifest) = manifest else {
            return Ok(None);
        };
        if let Some(storage) = &storage {
            let there = storage.current().map_err(Box::new)?;
            if there.is_none_or(|there| there.pointer.manifest != manifest.digest()) {
                return Err(WitnessError::Unpublished);
            }
        }
        let here = Directory::new(&directory);
        let log = PublishedLog::open(Arc::new(here.clone()), &manifest)?;
        Ok(Some(Self {
            here,
            storage,
            lock: data.root().join("witnesses.lock"),
            provider,
            manifest,
            log,
        }))
    }

    /// The checkpoint with the cosignatures that it has by now.
    ///
    /// # Errors
    /// [`WitnessError::Log`], [`WitnessError::Checkpoint`].
    pub fn checkpoint(&self) -> Result<SignedCheckpoint, WitnessError> {
        let bytes = self.log.checkpoint()?;
        Ok(SignedCheckpoint::open(&bytes, &self.provider)?)
    }

    /// Number of entries of the log.
    pub fn size(&self) -> u64 {
        self.log.tree().size()
    }

    /// What a witness is asked that has seen so many entries.
    ///
    /// # Errors
    /// [`WitnessError::Proof`] if there are not so many.
    pub fn request(
        &self,
        checkpoint: &SignedCheckpoint,
        seen: u64,
    ) -> Result<String, WitnessError> {
        let mut request = format!("old {seen}\n");
        for hash in prove_consistency(seen, self.size(), self.log.tree())? {
            request.push_str(&STANDARD.encode(hash.as_bytes()));
            request.push('\n');
        }
        request.push('\n');
        request.push_str(&String::from_utf8_lossy(&checkpoint.encode()));
        Ok(request)
    }

    /// Adds lines with cosignatures to the published checkpoint, those of these
    /// witnesses, each verified and each witness's once: in the storage first,
    /// which others follow. Either all of them are added or none.
    ///
    /// # Errors
    /// [`WitnessError`], also if one is in a witness's name and not by it, or of
    /// another time than between the publication and `now`.
    pub fn add(
        &self,
        lines: &str,
        witnesses: &[NoteKey],
        now: UnixTime,
    ) -> Result<Added, WitnessError> {
        let _lock = self.lock()?;
        let name = checkpoint_name(&self.manifest.digest());
        let mut checkpoint = self.checkpoint()?;
        if let Some(storage) = &self.storage
            && let Some(there) = storage.get(&name)?
            && let Some(there) = with_more(&there, &checkpoint, &self.provider)
        {
            checkpoint = there;
        }
        let mut done = Added::default();
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            let cosignature: NoteSignature = line.parse().map_err(WitnessError::Malformed)?;
            match by(&checkpoint, &cosignature, witnesses)? {
                None => done.ignored += 1,
                Some(witness) => {
                    self.require_time(witness, &cosignature, now)?;
                    if !checkpoint.note().is_signed_by(witness)? {
                        checkpoint.attach(cosignature, witnesses)?;
                    }
                    done.added += 1;
                }
            }
        }
        if done.added > 0 {
            let bytes = checkpoint.encode();
            if let Some(storage) = &self.storage {
                storage.put(&name, &bytes)?;
            }
            self.here.put(&name, &bytes)?;
        }
        Ok(done)
    }

    fn require_time(
        &self,
        witness: &NoteKey,
        cosignature: &NoteSignature,
        now: UnixTime,
    ) -> Result<(), WitnessError> {
        let published = self.manifest.unverified().published_at;
        let latest = now.saturating_add(CLOCKS_APART_SECS);
        let sane = cosignature
            .cosigned_at()
            .is_some_and(|at| at <= latest && published <= at.saturating_add(CLOCKS_APART_SECS));
        match sane {
            true => Ok(()),
            false => Err(WitnessError::Time {
                witness: witness.name().to_owned(),
            }),
        }
    }

    /// Keeps others from adding at the same time. A build takes another lock, and
    /// waits for nobody who adds.
    fn lock(&self) -> Result<std::fs::File, FileError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(PRIVATE)
            .open(&self.lock)
            .map_err(FileError::new("open", &self.lock))?;
        file.lock().map_err(FileError::new("lock", &self.lock))?;
        Ok(file)
    }
}

/// Whose of these witnesses a cosignature is.
fn by<'a>(
    checkpoint: &SignedCheckpoint,
    cosignature: &NoteSignature,
    witnesses: &'a [NoteKey],
) -> Result<Option<&'a NoteKey>, WitnessError> {
    for witness in witnesses {
        let verified = witness.verify(checkpoint.note().text(), cosignature);
        if verified.map_err(WitnessError::Signature)? {
            return Ok(Some(witness));
        }
    }
    Ok(None)
}

/// A checkpoint that says the same as this one and that more have signed.
fn with_more(
    bytes: &[u8],
    known: &SignedCheckpoint,
    provider: &VerifyingKey,
) -> Option<SignedCheckpoint> {
    let found = SignedCheckpoint::open(bytes, provider).ok()?;
    let signatures = |of: &SignedCheckpoint| of.note().signatures().len();
    let more = found.head() == known.head() && signatures(&found) > signatures(known);
    more.then_some(found)
}

/// Takes over the cosignatures that a checkpoint has got in another place since it
/// was copied from there. One that says anything else is left there.
///
/// # Errors
/// [`WitnessError::Log`], [`WitnessError::Checkpoint`].
pub fn refresh(
    from: &dyn Objects,
    to: &dyn Objects,
    manifest: &SignedManifest,
    provider: &VerifyingKey,
) -> Result<(), WitnessError> {
    let name = checkpoint_name(&manifest.digest());
    let (Some(there), Some(here)) = (from.get(&name)?, to.get(&name)?) else {
        return Ok(());
    };
    let here = SignedCheckpoint::open(&here, provider)?;
    if let Some(there) = with_more(&there, &here, provider) {
        to.put(&name, &there.encode())?;
    }
    Ok(())
}
