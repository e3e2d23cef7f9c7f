//! A change under way.

use std::collections::{BTreeSet, HashMap};

use protocol::audience::AudienceHandle;
use protocol::audit::{Entry, Head};
use protocol::csi::Csi;
use protocol::time::UnixTime;

use super::audience::Audience;
use super::column;
use super::connect::Lock;
use super::session::{Engine, Session};
use super::view::{LAST_ENTRY, by_key, head};
use crate::senders::SenderName;
use crate::store::{
    AudienceRow, Block, ImportProgress, Row, RowId, SourceId, StoreError, StoreKeys, Update,
};

pub(super) struct PostgresUpdate<'a> {
    session: Session<'a>,
    keys: &'a StoreKeys,
    /// Sealed rows that were read or written; `None` for those that aren't there.
    known: HashMap<RowId, Option<Vec<u8>>>,
    changed: BTreeSet<RowId>,
    audience: Audience,
    head: Option<Head>,
    entries: Vec<Entry>,
}

impl<'a> PostgresUpdate<'a> {
    pub(super) fn begin(engine: &'a Engine, keys: &'a StoreKeys) -> Result<Self, StoreError> {
        // Every statement after the lock sees what the updates before did. A
        // client that stops in the middle must not keep the others waiting.
        let mut session = Session::begin(
            engine,
            "BEGIN ISOLATION LEVEL READ COMMITTED; \
             SET LOCAL idle_in_transaction_session_timeout = '60s'",
        )?;
        session.check(keys, Lock::Update)?;
        Ok(Self {
            session,
            keys,
            known: HashMap::new(),
            changed: BTreeSet::new(),
            audience: Audience::default(),
            head: None,
            entries: Vec::new(),
        })
    }

    pub(super) fn commit(mut self) -> Result<(), StoreError> {
        self.flush_rows()?;
        self.audience.flush(&mut self.session)?;
        self.flush_entries()?;
        self.session.commit().map_err(|error| {
            if error.is_rollback() {
                StoreError::Postgres(error)
            } else {
                StoreError::Unknown(error)
            }
        })
    }

    fn flush_rows(&mut self) -> Result<(), StoreError> {
        let (mut ids, mut sealed) = (Vec::new(), Vec::new());
        for id in std::mem::take(&mut self.changed) {
            if let Some(Some(row)) = self.known.remove(&id) {
                ids.push(id.as_bytes().to_vec());
                sealed.push(row);
            }
        }
        if ids.is_empty() {
            return Ok(());
        }
        self.session.fetch(
            sqlx::query(
                "INSERT INTO sotto.rows (id, sealed) \
                 SELECT * FROM unnest($1::bytea[], $2::bytea[]) \
                 ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed",
            )
            .bind(ids)
            .bind(sealed),
        )?;
        Ok(())
    }

    fn flush_entries(&mut self) -> Result<(), StoreError> {
        let (mut indices, mut entries) = (Vec::new(), Vec::new());
        for entry in std::mem::take(&mut self.entries) {
            indices.push(i64::try_from(entry.index).map_err(|_| StoreError::Corrupt)?);
            entries.push(entry.encode());
        }
        if indices.is_empty() {
            return Ok(());
        }
        self.session.fetch(
            sqlx::query(
                "INSERT INTO sotto.audit (index, entry) \
                 SELECT * FROM unnest($1::bigint[], $2::bytea[])",
            )
            .bind(indices)
            .bind(entries),
        )?;
        Ok(())
    }

    /// Reads the rows that aren't known yet.
    fn learn(&mut self, ids: &[RowId]) -> Result<(), StoreError> {
        let unknown: Vec<Vec<u8>> = ids
            .iter()
            .filter(|id| !self.known.contains_key(*id))
            .map(|id| id.as_bytes().to_vec())
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let statement = sqlx::query("SELECT id, sealed FROM sotto.rows WHERE id = ANY($1)");
        let rows = self.session.fetch(statement.bind(unknown))?;
        let mut found = by_key(&rows, |row| column(row, 1))?;
        for id in ids {
            let known = self.known.entry(*id);
            known.or_insert_with(|| found.remove(id.as_bytes()));
        }
        Ok(())
    }

    fn open(&self, id: &RowId) -> Result<Option<Row>, StoreError> {
        let known = self.known.get(id).and_then(Option::as_ref);
        known.map(|sealed| self.keys.open(id, sealed)).transpose()
    }
}

impl Update for PostgresUpdate<'_> {
    fn find(&mut self, csi: &Csi) -> Result<Option<Row>, StoreError> {
        let id = self.keys.row_id(csi);
        self.learn(&[id])?;
        self.open(&id)
    }

    fn prefetch(&mut self, csis: &[&Csi]) -> Result<(), StoreError> {
        let ids: Vec<RowId> = csis.iter().map(|csi| self.keys.row_id(csi)).collect();
        self.learn(&ids)
    }

    fn put(&mut self, csi: &Csi, row: &Row) -> Result<(), StoreError> {
        let id = self.keys.row_id(csi);
        self.known.insert(id, Some(self.keys.seal(&id, row)?));
        self.changed.insert(id);
        Ok(())
    }

    fn find_sealed(&mut self, id: &RowId) -> Result<Option<Vec<u8>>, StoreError> {
        self.learn(&[*id])?;
        Ok(self.known.get(id).cloned().flatten())
    }

    fn put_sealed(&mut self, id: &RowId, sealed: &[u8]) -> Result<(), StoreError> {
        self.known.insert(*id, Some(sealed.to_vec()));
        self.changed.insert(*id);
        Ok(())
    }

    fn block_sealed(&mut self, id: &RowId, sealed: &[u8]) -> Result<(), StoreError> {
        self.session.fetch(
            sqlx::query(
                "INSERT INTO sotto.blocked (id, sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            )
            .bind(id.as_bytes().to_vec())
            .bind(sealed.to_vec()),
        )?;
        Ok(())
    }

    fn find_audience(
        &mut self,
        handle: &AudienceHandle,
    ) -> Result<Option<AudienceRow>, StoreError> {
        self.audience.find(&mut self.session, handle)
    }

    fn put_audience(
        &mut self,
        handle: &AudienceHandle,
        row: &AudienceRow,
    ) -> Result<(), StoreError> {
        self.audience.put(&mut self.session, handle, row)
    }

    fn count_audience(&mut self, owner: Option<&SenderName>) -> Result<u64, StoreError> {
        self.audience.count(&mut self.session, owner)
    }

    fn forget_audience(&mut self, now: UnixTime) -> Result<(), StoreError> {
        self.audience.forget(&mut self.session, now)
    }

    fn block(&mut self, csi: &Csi, block: Block) -> Result<bool, StoreError> {
        let id = self.keys.row_id(csi);
        let name = id.as_bytes().to_vec();
        let rows = self.session.fetch(match block {
            Block::Set => sqlx::query(
                "INSERT INTO sotto.blocked (id, sealed) VALUES ($1, $2) \
                 ON CONFLICT DO NOTHING RETURNING id",
            )
            .bind(name)
            .bind(self.keys.seal_blocked(&id, csi)?),
            Block::Lift => {
                sqlx::query("DELETE FROM sotto.blocked WHERE id = $1 RETURNING id").bind(name)
            }
        })?;
        Ok(!rows.is_empty())
    }

    fn audit_head(&mut self) -> Result<Head, StoreError> {
        if let Some(head) = self.head {
            return Ok(head);
        }
        let found = head(&self.session.fetch(sqlx::query(LAST_ENTRY))?)?;
        self.head = Some(found);
        Ok(found)
    }

    fn append_audit(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        self.entries.extend_from_slice(entries);
        if let Some(last) = entries.last() {
            self.head = Some(Head {
                entries: last.index + 1,
                hash: last.hash(),
            });
        }
        Ok(())
    }

    fn note_import(
        &mut self,
        source: &SourceId,
        progress: Option<&ImportProgress>,
    ) -> Result<(), StoreError> {
        let source = source.0.to_vec();
        self.session.fetch(match progress {
            Some(progress) => sqlx::query(
                "INSERT INTO sotto.imports (source, progress) VALUES ($1, $2) \
                 ON CONFLICT (source) DO UPDATE SET progress = excluded.progress",
            )
            .bind(source)
            .bind(progress.to_fields().map(u64::to_be_bytes).concat()),
            None => sqlx::query("DELETE FROM sotto.imports WHERE source = $1").bind(source),
        })?;
        Ok(())
    }
}
