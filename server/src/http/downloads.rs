//! Databases that are being sent: gigabytes, to those who audit.
//!
//! An account has one at a time, and loses its place to others if it hardly reads.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use super::Error;
use crate::senders::SenderIndex;
use crate::snapshot::Snapshot;

/// Databases that are sent at a time.
const DOWNLOADS_MAX: usize = 2;

/// Bytes of the database that are copied at a time.
const CHUNK_BYTES: usize = 1 << 18;

/// In each such time so much must be read: half a megabit a second.
pub(super) const PACE_EVERY: Duration = Duration::from_secs(60);
const PACE_BYTES: usize = 4 << 20;

/// Who downloads.
#[derive(Clone)]
pub(super) struct Downloads {
    places: Arc<Semaphore>,
    pace_every: Duration,
    accounts: Arc<Mutex<HashSet<SenderIndex>>>,
}

/// A database that is being sent. Who reads slowly keeps no snapshot in memory:
/// once it is served no more, the answer breaks off.
pub(super) struct Download {
    snapshot: Weak<Snapshot>,
    progress: Arc<Progress>,
}

struct Progress {
    /// Until it was taken away.
    place: Mutex<Option<Place>>,
    sent: AtomicUsize,
}

/// Given back when it is dropped.
struct Place {
    downloads: Downloads,
    account: SenderIndex,
    _permit: OwnedSemaphorePermit,
}

/// Why an answer breaks off.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the snapshot is served no more")]
    Gone,
    #[error("the database is read too slowly")]
    Slow,
}

impl Downloads {
    /// Of whom each reads [`PACE_BYTES`] in each `pace_every`.
    pub(super) fn new(pace_every: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(DOWNLOADS_MAX)),
            pace_every,
            accounts: Arc::default(),
        }
    }

    /// Begins to send a snapshot's database to an account.
    ///
    /// # Errors
    /// [`Error::Busy`] if others have all places, or the account has one.
    pub(super) fn begin(
        &self,
        account: SenderIndex,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Download, Error> {
        let permit = Arc::clone(&self.places).try_acquire_owned();
        let permit = permit.map_err(|_| Error::Busy)?;
        if !self.accounts().insert(account) {
            return Err(Error::Busy);
        }
        let place = Place {
            downloads: self.clone(),
            account,
            _permit: permit,
        };
        let progress = Arc::new(Progress {
            place: Mutex::new(Some(place)),
            sent: AtomicUsize::new(0),
        });
        tokio::spawn(require_pace(Arc::downgrade(&progress), self.pace_every));
        Ok(Download {
            snapshot: Arc::downgrade(snapshot),
            progress,
        })
    }

    fn accounts(&self) -> MutexGuard<'_, HashSet<SenderIndex>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Download {
    /// The next bytes; `None` after the last.
    pub(super) fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        if self.progress.place().is_none() {
            return Some(Err(Broken::Slow));
        }
        let Some(snapshot) = self.snapshot.upgrade() else {
            return Some(Err(Broken::Gone));
        };
        let sent = self.progress.sent.load(Ordering::Relaxed);
        let rest = snapshot.database().get(sent..)?;
        if rest.is_empty() {
            return None;
        }
        let chunk = &rest[..rest.len().min(CHUNK_BYTES)];
        let sent = sent + chunk.len();
        self.progress.sent.store(sent, Ordering::Relaxed);
        Some(Ok(Bytes::copy_from_slice(chunk)))
    }
}

impl Progress {
    fn place(&self) -> MutexGuard<'_, Option<Place>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the place of a download that doesn't go on, until it has ended.
async fn require_pace(progress: Weak<Progress>, every: Duration) {
    let mut before = 0;
    loop {
        sleep(every).await;
        let Some(progress) = progress.upgrade() else {
            return;
        };
        let sent = progress.sent.load(Ordering::Relaxed);
        if sent - before < PACE_BYTES {
            progress.place().take();
            return;
        }
        before = sent;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.downloads.accounts().remove(&self.account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::fixture::shared;
    use crate::http::published;

    #[tokio::test]
    async fn an_account_has_one_download_and_loses_it_if_it_does_not_read() {
        let snapshot = published(&shared().data, &Config::default()).unwrap();
        let snapshot = Arc::new(snapshot.unwrap());
        let [one, two, three] = [0, 1, 2].map(SenderIndex::from);
        let refused = |begun| assert!(matches!(begun, Err(Error::Busy)));

        let downloads = Downloads::new(PACE_EVERY);
        let mut first = downloads.begin(one, &snapshot).ok().unwrap();
        refused(downloads.begin(one, &snapshot));
        let second = downloads.begin(two, &snapshot).ok().unwrap();
        refused(downloads.begin(three, &snapshot));
        drop(second);
        let mut all = Vec::new();
        while let Some(part) = first.next() {
            all.extend(part.unwrap());
        }
        assert!(all == snapshot.database());
        drop(first);
        assert!(downloads.begin(one, &snapshot).is_ok());

        let downloads = Downloads::new(Duration::from_millis(20));
        let mut slow = downloads.begin(one, &snapshot).ok().unwrap();
        assert!(slow.next().unwrap().is_ok());
        while !downloads.accounts().is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(downloads.begin(one, &snapshot).is_ok());
        assert!(matches!(slow.next(), Some(Err(Broken::Slow))));
    }

    #[tokio::test]
    async fn a_download_keeps_no_snapshot() {
        let snapshot = published(&shared().data, &Config::default()).unwrap();
        let snapshot = Arc::new(snapshot.unwrap());
        let downloads = Downloads::new(PACE_EVERY);
        let mut download = downloads
            .begin(SenderIndex::from(0), &snapshot)
            .ok()
            .unwrap();
        assert!(download.next().unwrap().is_ok());
        drop(snapshot);
        assert!(matches!(download.next(), Some(Err(Broken::Gone))));
    }
}
