//! A server that serves what others publish.

use std::cmp::Ordering;
use std::time::Duration;

use protocol::manifest::SnapshotId;
use tokio::signal::unix::Signal;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::schedule::{Schedule, at, tell};
use super::{RebuildError, Rebuilder, Rebuilt};
use crate::background;
use crate::data_dir::WriterLock;
use crate::http::{self, StartError};
use crate::log::Directory;
use crate::metrics::Stage;
use crate::snapshot::build::published_manifest;
use crate::snapshot::current;
use crate::storage::{Download, StorageError};
use crate::tokens::Tokens;
use crate::witness::refresh;

/// A snapshot that isn't served yet.
enum Elsewhere {
    Nothing,
    /// Its file is in its place.
    Here(SnapshotId),
    /// It has its place once it was loaded and tried; nothing else writes until then.
    Downloaded(Download, WriterLock),
}

impl Rebuilder {
    /// Serves what is published in the storage, or without one in the data
    /// directory, if it isn't served yet, in the [background]. Takes as long as
    /// downloading, verifying and trying it does: call it from a thread that may
    /// block.
    ///
    /// # Errors
    /// [`RebuildError`]; what was served still is.
    pub fn take_over(&self) -> Result<Rebuilt, RebuildError> {
        background::run(|| self.load_and_serve())?
    }

    fn load_and_serve(&self) -> Result<Rebuilt, RebuildError> {
        let (id, path, downloaded) = match self.published_elsewhere()? {
            Elsewhere::Nothing => {
                return Ok(match self.state.snapshot() {
                    Some(_) => Rebuilt::UpToDate,
                    None => Rebuilt::Empty,
                });
            }
            Elsewhere::Here(id) => {
                let path = current::snapshot_path(&self.data.snapshots(), id);
                (id, path, None)
            }
            Elsewhere::Downloaded(download, lock) => {
                let path = download.path().to_owned();
                (download.id(), path, Some((download, lock)))
            }
        };
        let metrics = self.state.metrics();
        let _running = metrics.rebuilding();
        let ring = self.load(&self.data.oprf_key_dir(&self.config)?)?;
        self.state.replace_oprf_keys(ring);
        // Two are in memory at most.
        self.retire_before();
        let before = self.state.snapshot().map(|before| before.id());
        let begun = Instant::now();
        let loaded = http::load_from(path, &self.data, &self.config, id);
        let snapshot = match (loaded, &self.storage, &downloaded) {
            // Only the trial has shown it.
            (Err(StartError::Snapshot(error)), Some(storage), Some((download, _))) => {
                return Err(storage.refuse(download, error).into());
            }
            (loaded, ..) => loaded?,
        };
        // What a start would refuse isn't named as the published one.
        let tokens = Tokens::open(&self.data, snapshot.manifest().token_keys.as_ref())?;
        self.state.require_key_of(&snapshot)?;
        if let Some((download, _lock)) = downloaded {
            let directory = self.data.snapshots();
            download.place()?;
            current::replace(&directory, id)?;
            let keep: Vec<SnapshotId> = [Some(id), before].into_iter().flatten().collect();
            current::remove_others(&directory, &keep)?;
        }
        self.state.replace_tokens(tokens);
        self.state.replace_snapshot(snapshot)?;
        metrics.stage(Stage::Load, begun.elapsed());
        Ok(Rebuilt::Served(id))
    }

    /// The published snapshot, if it is another than the served one.
    fn published_elsewhere(&self) -> Result<Elsewhere, RebuildError> {
        let (directory, provider) = (self.data.snapshots(), self.data.provider_public_key()?);
        let served = self.state.snapshot();
        let served = served.as_ref().map(|served| served.signed_manifest());
        let digest = served.map(|served| served.digest());
        let known = served.map_or(0, |served| served.unverified().sequence);
        let Some(storage) = &self.storage else {
            let Some(here) = published_manifest(&directory, &provider)? else {
                return Ok(Elsewhere::Nothing);
            };
            let manifest = here.unverified();
            if Some(here.digest()) == digest {
                return Ok(Elsewhere::Nothing);
            }
            require_later(manifest.sequence, known)?;
            return Ok(Elsewhere::Here(manifest.snapshot));
        };
        let Some(there) = storage.current()? else {
            return Ok(Elsewhere::Nothing);
        };
        let pointer = there.pointer;
        if let Some(served) = served
            && served.digest() == pointer.manifest
        {
            // Witnesses sign what is already published.
            let here = Directory::new(&directory);
            if let Err(error) = refresh(&**storage, &here, served, &provider) {
                tracing::warn!(%error, "who has cosigned the checkpoint is not known");
            }
            return Ok(Elsewhere::Nothing);
        }
        require_later(pointer.sequence, known)?;
        let lock = self.data.lock()?;
        let download = storage.fetch(&pointer, &directory, &provider)?;
        Ok(Elsewhere::Downloaded(download, lock))
    }
}

/// Clients who have seen the manifest `known` refuse an older one, and another one in
/// its place.
fn require_later(found: u64, known: u64) -> Result<(), StorageError> {
    match found.cmp(&known) {
        Ordering::Greater => Ok(()),
        Ordering::Equal => Err(StorageError::Equivocation { sequence: found }),
        Ordering::Less => Err(StorageError::Older { known, found }),
    }
}

/// Looks every so often whether something else is published, and on SIGHUP reads
/// trust list, senders and quotas again.
pub async fn follow(rebuilder: Rebuilder, every: Duration, before: Schedule, mut hangup: Signal) {
    let mut retires = None;
    loop {
        let next = Instant::now() + every;
        let (of_task, begun) = (rebuilder.clone(), Instant::now());
        let ended = spawn_blocking(move || of_task.take_over()).await;
        if tell(rebuilder.state.metrics(), ended, begun) {
            retires = Some(Instant::now() + before.before());
        }
        loop {
            tokio::select! {
                () = at(Some(next)) => break,
                () = at(retires) => {
                    retires = None;
                    let of_task = rebuilder.clone();
                    let _ = spawn_blocking(move || of_task.retire_before()).await;
                }
                _ = hangup.recv() => {
                    rebuilder.reload_and_tell();
                    break;
                }
            }
        }
    }
}
