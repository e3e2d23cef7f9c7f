//! A server that serves what others publish.

use std::time::Duration;

use protocol::manifest::SnapshotId;
use tokio::signal::unix::Signal;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::schedule::{Schedule, at, tell};
use super::{RebuildError, Rebuilder, Rebuilt};
use crate::background;
use crate::http;
use crate::log::Directory;
use crate::metrics::Stage;
use crate::snapshot::build::published_manifest;
use crate::snapshot::current;
use crate::storage::StorageError;
use crate::tokens::Tokens;
use crate::witness::refresh;

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
        let Some(id) = self.published_elsewhere()? else {
            return Ok(match self.state.snapshot() {
                Some(_) => Rebuilt::UpToDate,
                None => Rebuilt::Empty,
            });
        };
        let metrics = self.state.metrics();
        let _running = metrics.rebuilding();
        let ring = self.load(&self.data.oprf_key_dir(&self.config)?)?;
        self.state.replace_oprf_keys(ring);
        // Two are in memory at most.
        self.retire_before();
        let before = self.state.snapshot().map(|before| before.id());
        let begun = Instant::now();
        let snapshot = http::load(&self.data, &self.config, id)?;
        if self.storage.is_some() {
            let directory = self.data.snapshots();
            current::replace(&directory, id)?;
            let keep: Vec<SnapshotId> = [Some(id), before].into_iter().flatten().collect();
            current::remove_others(&directory, &keep)?;
        }
        let digest = snapshot.manifest().token_keys;
        self.state
            .replace_tokens(Tokens::open(&self.data, digest.as_ref())?);
        self.state.replace_snapshot(snapshot)?;
        metrics.stage(Stage::Load, begun.elapsed());
        Ok(Rebuilt::Served(id))
    }

    /// The published snapshot, if it is another than the served one; its file is
    /// in the data directory then.
    fn published_elsewhere(&self) -> Result<Option<SnapshotId>, RebuildError> {
        let (directory, provider) = (self.data.snapshots(), self.data.provider_public_key()?);
        let served = self.state.snapshot();
        let served = served.as_ref().map(|served| served.signed_manifest());
        let digest = served.map(|served| served.digest());
        let known = served.map_or(0, |served| served.unverified().sequence);
        let older = |found| StorageError::Older { known, found };
        let Some(storage) = &self.storage else {
            let Some(here) = published_manifest(&directory, &provider)? else {
                return Ok(None);
            };
            let manifest = here.unverified();
            return match Some(here.digest()) == digest {
                true => Ok(None),
                false if manifest.sequence < known => Err(older(manifest.sequence).into()),
                false => Ok(Some(manifest.snapshot)),
            };
        };
        let Some(there) = storage.current()? else {
            return Ok(None);
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
            return Ok(None);
        }
        if pointer.sequence < known {
            return Err(older(pointer.sequence).into());
        }
        storage.fetch(&pointer, &directory, &provider)?;
        Ok(Some(pointer.snapshot))
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
