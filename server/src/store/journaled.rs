//! A store whose withdrawals are journalled before they are acknowledged.
//!
//! A backup is of the past. What was removed since must not come back with it,
//! so every update notes in a journal, which lies elsewhere, the entries that it
//! adds to the audit log and what it took away: rows whose marks rose or of which
//! a mapping went, and audience records that took the place of others. The
//! journal is on disk before the update is committed. An update that then isn't
//! is recognised by the next one, which goes on from the same place in the log;
//! the last of all may be applied by a restore: its removal was signed by whoever
//! may, and was answered with an error that says it may have been done.

mod journal;
mod recording;
mod withdrawal;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

pub(crate) use journal::AudienceCopy;
pub use journal::{JournalError, Record, read};
pub use withdrawal::Withdrawal;

use super::{Store, StoreError, StoreKeys, Update, View};
use journal::Journal;
use recording::Recording;

/// A store with its journal.
#[derive(Debug)]
pub struct Journaled<S> {
    store: S,
    keys: StoreKeys,
    journal: Mutex<Journal>,
}

impl<S: Store> Journaled<S> {
    /// Opens the journal of a store, or begins one.
    ///
    /// # Errors
    /// [`StoreError::Journal`], also if the store was put back to a state before
    /// that of the journal.
    pub fn open(store: S, keys: StoreKeys, path: &Path) -> Result<Self, StoreError> {
        let mut journal = Journal::open(path)?;
        let mut head = store.view()?.audit_head()?;
        while journal.knows_more(head)? {
            // Unless another process has written in between.
            let before = std::mem::replace(&mut head, store.view()?.audit_head()?);
            if head == before {
                return Err(JournalError::SetBack {
                    path: path.to_owned(),
                    entries: head.entries,
                }
                .into());
            }
        }
        Ok(Self {
            store,
            keys,
            journal: Mutex::new(journal),
        })
    }

    /// Notes that the log has come so far, so that the journal is known to begin
    /// no later: for a backup, before anything of it is read.
    ///
    /// # Errors
    /// [`StoreError::Journal`], [`StoreError`].
    pub fn note_position(&self) -> Result<(), StoreError> {
        self.store.update(&mut |update| {
            let record = Record::position(update.audit_head()?);
            self.append(&record)
        })
    }

    fn append(&self, record: &Record) -> Result<(), StoreError> {
        // What a panic left half-written, the next append removes.
        let journal = self.journal.lock();
        let mut journal = journal.unwrap_or_else(PoisonError::into_inner);
        Ok(journal.append(record)?)
    }
}

impl<S: Store> Store for Journaled<S> {
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        self.store.view()
    }

    fn update(
        &self,
        change: &mut dyn FnMut(&mut dyn Update) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.store.update(&mut |update| {
            let mut recording = Recording::of(update, &self.keys);
            change(&mut recording)?;
            match recording.finish()? {
                Some(record) => self.append(&record),
                None => Ok(()),
            }
        })
    }
}

#[cfg(test)]
mod tests;
