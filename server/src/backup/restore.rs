//! From a backup, and the journals of what was removed since, into a store.

use std::path::Path;

use protocol::audit::{Entry, Head};
use protocol::bundle::Bundle;
use protocol::time::UnixTime;

use super::file::{Item, Reader};
use super::replay::Replay;
use super::{BATCH, BackupError};
use crate::progress::Progress;
use crate::store::{Marks, Row, RowId, Store, StoreError, StoreKeys, Update};

/// What of the backup's content is published again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// What wasn't removed since.
    Restored,
    /// Nothing: rows come back as marks, and recipients publish again.
    Withheld,
}

/// How to restore.
#[derive(Clone, Copy, Debug)]
pub struct RestoreOptions<'a> {
    /// The keys of the backup and the store.
    pub keys: &'a StoreKeys,
    /// The removal journals of all servers that wrote to the store.
    pub journals: &'a [&'a Path],
    /// What is published again.
    pub content: Content,
    /// Entries that the audit log is known to have had.
    pub known_entries: u64,
    /// When it is.
    pub now: UnixTime,
    /// How to show progress.
    pub progress: Progress,
}

/// What a restore did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Rows of the backup, and of the journals alone.
    pub rows: u64,
    /// Rows of which the journals took something, or that were withheld.
    pub withdrawn: u64,
    /// Audience records that were put.
    pub audience: u64,
    /// Where the store's audit log ends now.
    pub entries: u64,
}

/// Restores a backup. Interrupted, it goes on when it is run again: the audit
/// log comes last.
///
/// # Errors
/// [`BackupError`].
pub fn restore(
    store: &dyn Store,
    path: &Path,
    options: &RestoreOptions<'_>,
) -> Result<Restored, BackupError> {
    let backup = Reader::open(path)?;
    let summary = backup.summary()?;
    if !summary.is_of(options.keys) {
        return Err(BackupError::ForeignKey {
            path: path.to_owned(),
        });
    }
    let held = store.view()?.audit_head()?;
    compare_logs(store, &backup, path, held, summary.head)?;
    let replay = Replay::read(options.journals, options.keys, summary.head)?;
    if options.content == Content::Restored {
        let needed = held.entries.max(options.known_entries);
        if !replay.begins || replay.head.entries < needed {
            return Err(BackupError::Unknown {
                ends: replay.head.entries,
                needed: replay.begins.then_some(needed),
            });
        }
    }
    let mut work = Work {
        store,
        options,
        replay,
        store_is_later: held.entries > 0 && held.entries >= summary.head.entries,
        done: Restored::default(),
    };
    if work.store_is_later {
        // It may have been put back to before what the journals know.
        work.catch_up(Replay::read(options.journals, options.keys, held)?)?;
    }
    let stage = options.progress.stage("restore", 0);
    let mut batch = Vec::new();
    for item in backup.items()? {
        batch.push(item?);
        if batch.len() == BATCH {
            work.put(&batch)?;
            stage.advance(batch.len() as u64);
            batch.clear();
        }
    }
    work.put(&batch)?;
    work.put_rest()?;
    work.continue_log(&backup, held)?;
    stage.finish(&format!("{} rows", work.done.rows));
    Ok(work.done)
}

/// One log must be the beginning of the other.
fn compare_logs(
    store: &dyn Store,
    backup: &Reader,
    path: &Path,
    held: Head,
    stated: Head,
) -> Result<(), BackupError> {
    let diverged = || BackupError::Diverged {
        path: path.to_owned(),
        before: held.entries.min(stated.entries),
    };
    let mut head = Head::EMPTY;
    let mut is_beginning = held == Head::EMPTY;
    for item in backup.items()? {
        if let Item::Entry(entry) = item? {
            head = head.follow(&entry).map_err(|_| backup.damaged())?;
            is_beginning |= head == held;
        }
    }
    if head != stated {
        return Err(backup.damaged());
    }
    if held.entries > stated.entries && stated.entries > 0 {
        let last = store.view()?.audit(stated.entries - 1, 1)?;
        is_beginning = last.first().is_some_and(|last| last.hash() == stated.hash);
    } else if stated.entries == 0 {
        is_beginning = true;
    }
    if is_beginning {
        Ok(())
    } else {
        Err(diverged())
    }
}

struct Work<'a> {
    store: &'a dyn Store,
    options: &'a RestoreOptions<'a>,
    replay: Replay,
    store_is_later: bool,
    done: Restored,
}

impl Work<'_> {
    /// Takes from the store's own rows what was taken after it.
    fn catch_up(&mut self, since: Replay) -> Result<(), BackupError> {
        let keys = self.options.keys;
        let rows: Vec<_> = since.rows.into_iter().collect();
        for rows in rows.chunks(BATCH) {
            self.store.update(&mut |update| {
                for (id, withdrawal) in rows {
                    if let Some(held) = update.find_sealed(id)? {
                        let row = withdrawal.apply(Some(keys.open(id, &held)?))?;
                        update.put_sealed(id, &keys.seal(id, &row)?)?;
                    }
                }
                Ok(())
            })?;
        }
        self.store.update(&mut |update| {
            since
                .audience
                .iter()
                .try_for_each(|(handle, row)| update.put_audience(handle, row))
        })?;
        Ok(())
    }

    /// Puts a batch of the backup's records; those of the log come later.
    fn put(&mut self, batch: &[Item]) -> Result<(), BackupError> {
        let (options, replay) = (self.options, &self.replay);
        let mut done = self.done;
        self.store.update(&mut |update| {
            done = self.done;
            for item in batch {
                match item {
                    Item::Row(id, sealed) => {
                        done.rows += 1;
                        let row = self.row(id, sealed)?;
                        done.withdrawn += u64::from(row.is_some());
                        self.put_row(update, id, sealed, row)?;
                    }
                    // What was lifted since stays lifted.
                    Item::Blocked(id, sealed) if !self.store_is_later => {
                        options.keys.open_blocked(id, sealed)?;
                        update.block_sealed(id, sealed)?;
                    }
                    Item::Audience(handle, row) if options.content == Content::Restored => {
                        let row = replay.audience.get(handle).unwrap_or(row);
                        let held = update.find_audience(handle)?.is_some();
                        if row.expires > options.now && !(held && self.store_is_later) {
                            update.put_audience(handle, row)?;
                            done.audience += 1;
                        }
                    }
                    Item::Summary(_) | Item::Entry(_) | Item::Blocked(..) | Item::Audience(..) => {}
                }
            }
            Ok(())
        })?;
        self.done = done;
        for item in batch {
            match item {
                Item::Row(id, _) => drop(self.replay.rows.remove(id)),
                Item::Audience(handle, _) => drop(self.replay.audience.remove(handle)),
                _ => {}
            }
        }
        Ok(())
    }

    /// What of the backup's row remains, if that isn't all of it.
    fn row(&self, id: &RowId, sealed: &[u8]) -> Result<Option<Row>, StoreError> {
        let before = self.options.keys.open(id, sealed)?;
        let mut row = match self.replay.rows.get(id) {
            Some(withdrawal) => Some(withdrawal.apply(Some(before.clone()))?),
            None => None,
        };
        if self.options.content == Content::Withheld && before.content.is_some() {
            row = Some(withhold(row.unwrap_or(before))?);
        }
        Ok(row)
    }

    /// Puts a row; joined with the store's if that has an earlier one.
    fn put_row(
        &self,
        update: &mut dyn Update,
        id: &RowId,
        sealed: &[u8],
        row: Option<Row>,
    ) -> Result<(), StoreError> {
        let keys = self.options.keys;
        let Some(held) = update.find_sealed(id)? else {
            return match row {
                Some(row) => update.put_sealed(id, &keys.seal(id, &row)?),
                None => update.put_sealed(id, sealed),
            };
        };
        if self.store_is_later || row.is_none() && held == sealed {
            // All of it has happened there already.
            return Ok(());
        }
        let held = keys.open(id, &held)?;
        let row = match row {
            Some(row) => row,
            None => keys.open(id, sealed)?,
        };
        let marks = held.marks.join(row.marks);
        // What the store alone knows to be withdrawn is not published.
        let content = row.content.filter(|_| row.marks == marks);
        update.put_sealed(id, &keys.seal(id, &Row { marks, content })?)
    }

    /// Puts what the journals alone know: marks of rows that the backup hasn't.
    fn put_rest(&mut self) -> Result<(), BackupError> {
        let rows: Vec<_> = std::mem::take(&mut self.replay.rows).into_iter().collect();
        for rows in rows.chunks(BATCH) {
            self.store.update(&mut |update| {
                for (id, withdrawal) in rows {
                    let row = withdrawal.apply(None)?;
                    let sealed = self.options.keys.seal(id, &row)?;
                    self.put_row(update, id, &sealed, Some(row))?;
                }
                Ok(())
            })?;
            self.done.rows += rows.len() as u64;
            self.done.withdrawn += rows.len() as u64;
        }
        let audience: Vec<_> = std::mem::take(&mut self.replay.audience)
            .into_iter()
            .collect();
        self.store.update(&mut |update| {
            for (handle, row) in &audience {
                if row.expires > self.options.now && update.find_audience(handle)?.is_none() {
                    update.put_audience(handle, row)?;
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Adds the entries that the store lacks.
    fn continue_log(&mut self, backup: &Reader, held: Head) -> Result<(), BackupError> {
        let mut head = held;
        let mut batch: Vec<Entry> = Vec::with_capacity(BATCH);
        let replayed = std::mem::take(&mut self.replay.entries);
        let entries = backup.items()?.filter_map(|item| match item {
            Ok(Item::Entry(entry)) => Some(Ok(entry)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        });
        for entry in entries.chain(replayed.into_iter().map(Ok)) {
            let entry = entry?;
            if entry.index < head.entries {
                continue;
            }
            head = head.follow(&entry).map_err(|_| StoreError::Corrupt)?;
            batch.push(entry);
            if batch.len() == BATCH {
                self.store
                    .update(&mut |update| update.append_audit(&batch))?;
                batch.clear();
            }
        }
        self.store
            .update(&mut |update| update.append_audit(&batch))?;
        self.done.entries = head.entries;
        Ok(())
    }
}

/// The row without content, and marks that keep all of it from coming back but
/// by a new statement of its owner.
fn withhold(row: Row) -> Result<Row, StoreError> {
    let mut marks: Marks = row.marks;
    if let Some(content) = &row.content {
        let bundle = Bundle::decode(&content.bundle).map_err(|_| StoreError::Corrupt)?;
        for mapping in bundle.mappings() {
            marks.statements = marks.statements.max(mapping.unverified().version());
        }
    }
    Ok(Row {
        marks,
        content: None,
    })
}
