//! What the removal journals say of the time after a backup.

use std::collections::HashMap;
use std::path::Path;

use protocol::audience::AudienceHandle;
use protocol::audit::{Entry, Head};

use super::BackupError;
use crate::store::journaled::{self, Record, Withdrawal};
use crate::store::{AudienceRow, JournalError, RowId, StoreKeys};

/// Everything since the backup that a restore must heed.
pub(super) struct Replay {
    /// Whether any journal knows of the backup's position.
    pub(super) begins: bool,
    /// What was last taken from rows.
    pub(super) rows: HashMap<RowId, Withdrawal>,
    /// The last of the audience records that took the place of others.
    pub(super) audience: HashMap<AudienceHandle, AudienceRow>,
    /// The audit log since.
    pub(super) entries: Vec<Entry>,
    /// Where it ends.
    pub(super) head: Head,
}

impl Replay {
    /// Follows the journals of all servers from the backup's position.
    pub(super) fn read(
        journals: &[&Path],
        keys: &StoreKeys,
        from: Head,
    ) -> Result<Self, BackupError> {
        let mut replay = Self {
            begins: from == Head::EMPTY,
            rows: HashMap::new(),
            audience: HashMap::new(),
            entries: Vec::new(),
            head: from,
        };
        let mut records = Vec::new();
        for path in journals {
            for (number, record) in journaled::read(path)?.into_iter().enumerate() {
                let damaged = || JournalError::Damaged {
                    path: path.to_path_buf(),
                    at: number as u64,
                };
                let (entries, head) = record.chain().ok_or_else(damaged)?;
                replay.begins |= record.from() == from || head == from;
                records.push((record, entries, head));
            }
        }
        // By where they begin. Of those that begin at the same place all but the
        // last that others follow were never committed.
        let mut by_start: HashMap<[u8; 32], Vec<usize>> = HashMap::new();
        for (at, (record, ..)) in records.iter().enumerate() {
            let start = *record.from().hash.as_bytes();
            by_start.entry(start).or_default().push(at);
        }
        while let Some(here) = by_start.remove(replay.head.hash.as_bytes()) {
            let moves = |at: &usize| !records[*at].1.is_empty();
            let followed = |at: &usize| by_start.contains_key(records[*at].2.hash.as_bytes());
            let candidates: Vec<usize> = here.iter().copied().filter(moves).collect();
            let next = candidates.iter().rev().copied().find(|at| followed(at));
            let next = next.or(candidates.last().copied());
            for at in here.iter().copied() {
                // At the very end nobody knows which of them was committed.
                let committed = Some(at) == next || !moves(&at);
                let at_the_end = next.is_some_and(|next| !followed(&next));
                if committed || at_the_end {
                    replay.heed(&records[at].0, keys)?;
                }
            }
            if let Some(next) = next {
                replay.entries.extend_from_slice(&records[next].1);
                replay.head = records[next].2;
            }
        }
        Ok(replay)
    }

    fn heed(&mut self, record: &Record, keys: &StoreKeys) -> Result<(), BackupError> {
        for (id, withdrawal) in record.withdrawals(keys)? {
            let withdrawal = match self.rows.remove(&id) {
                Some(before) => withdrawal.after(&before),
                None => withdrawal,
            };
            self.rows.insert(id, withdrawal);
        }
        for (handle, row) in record.replaced()? {
            self.audience.insert(handle, row);
        }
        Ok(())
    }
}
