//! A server that serves what others publish.

use std::time::Duration;

use protocol::manifest::SnapshotId;
use tokio::signal::unix::Signal;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::retirement::Retirement;
use super::schedule::{Schedule, Told, at, tell};
use super::{RebuildError, Rebuilder, Rebuilt};
use crate::background;
use crate::data_dir::WriterLock;
use crate::http::{self, StartError};
use crate::log::{Directory, forget_before};
use crate::metrics::Stage;
use crate::snapshot::build::published_manifest;
use crate::snapshot::current;
use crate::storage::{Download, known};
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
        self.state.require_trusted()?;
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
        let copied = downloaded.is_some();
        if let Some((download, _lock)) = downloaded {
            let directory = self.data.snapshots();
            download.place()?;
            current::replace(&directory, id)?;
            known::note(&directory, &snapshot.signed_manifest().digest())?;
            let keep: Vec<SnapshotId> = [Some(id), before].into_iter().flatten().collect();
            current::remove_others(&directory, &keep)?;
        }
        self.state.replace_tokens(tokens);
        self.state.replace_snapshot(snapshot)?;
        if copied {
            self.forget_log_ends();
        }
        metrics.stage(Stage::Load, begun.elapsed());
        Ok(Rebuilt::Served(id))
    }

    /// Gives back the space of the ends of the log that aren't served any more.
    fn forget_log_ends(&self) {
        let Some(newest) = self.state.snapshot() else {
            return;
        };
        let oldest = self.state.snapshot_before();
        let oldest = oldest.as_ref().unwrap_or(&newest).manifest().sequence;
        if let Err(error) = forget_before(newest.log(), oldest) {
            tracing::warn!(%error, "old ends of the log stay");
        }
    }

    /// The published snapshot, if it is another than the served one.
    fn published_elsewhere(&self) -> Result<Elsewhere, RebuildError> {
        let (directory, provider) = (self.data.snapshots(), self.data.provider_public_key()?);
        let served = self.state.snapshot();
        let served = served.as_ref().map(|served| served.signed_manifest());
        let digest = served.map(|served| served.digest());
        let Some(storage) = &self.storage else {
            let Some(here) = published_manifest(&directory, &provider)? else {
                return Ok(Elsewhere::Nothing);
            };
            let manifest = here.unverified();
            if Some(here.digest()) == digest {
                return Ok(Elsewhere::Nothing);
            }
            self.state
                .require_later(manifest.sequence, &here.digest())?;
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
        self.state
            .require_later(pointer.sequence, &pointer.manifest)?;
        let lock = self.data.lock()?;
        let download = storage.fetch(&pointer, &directory, &provider)?;
        Ok(Elsewhere::Downloaded(download, lock))
    }
}

/// Looks every so often whether something else is published, and on SIGHUP reads
/// trust list, senders and quotas again.
pub async fn follow(rebuilder: Rebuilder, every: Duration, before: Schedule, mut hangup: Signal) {
    let mut retirement = Retirement::new(&rebuilder, before);
    loop {
        let next = Instant::now() + every;
        let (of_task, begun) = (rebuilder.clone(), Instant::now());
        let taken_over = spawn_blocking(move || of_task.take_over());
        let ended = retirement.beside(taken_over).await;
        if tell(rebuilder.state.metrics(), ended, begun) == Told::Served {
            retirement.begin();
        }
        loop {
            tokio::select! {
                () = at(Some(next)) => break,
                () = retirement.due() => {}
                _ = hangup.recv() => {
                    rebuilder.reload_and_tell();
                    break;
                }
            }
        }
    }
}
