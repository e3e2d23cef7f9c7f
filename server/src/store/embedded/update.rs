//! A change under way.

use protocol::audience::AudienceHandle;
use protocol::audit::{Entry, Head};
use protocol::csi::Csi;
use protocol::time::UnixTime;
use redb::{ReadableTable as _, Table, WriteTransaction};

use super::audience::Audience;
use super::{AUDIT, BLOCKED, Bytes, IMPORTS, Name, ROWS, engine, view};
use crate::senders::SenderName;
use crate::store::{
    AudienceRow, Block, ImportProgress, Row, RowId, SourceId, StoreError, StoreKeys, Update,
};

pub(super) struct EmbeddedUpdate<'a> {
    rows: Table<'a, Name, Bytes>,
    blocked: Table<'a, Name, Bytes>,
    audience: Audience<'a>,
    audit: Table<'a, u64, Bytes>,
    imports: Table<'a, Name, [u64; 7]>,
    keys: &'a StoreKeys,
}

impl<'a> EmbeddedUpdate<'a> {
    pub(super) fn open(
        transaction: &'a WriteTransaction,
        keys: &'a StoreKeys,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            rows: transaction.open_table(ROWS).map_err(engine)?,
            blocked: transaction.open_table(BLOCKED).map_err(engine)?,
            audience: Audience::open(transaction)?,
            audit: transaction.open_table(AUDIT).map_err(engine)?,
            imports: transaction.open_table(IMPORTS).map_err(engine)?,
            keys,
        })
    }
}

impl Update for EmbeddedUpdate<'_> {
    fn find(&mut self, csi: &Csi) -> Result<Option<Row>, StoreError> {
        let id = self.keys.row_id(csi);
        let sealed = self.rows.get(id.as_bytes()).map_err(engine)?;
        sealed
            .map(|sealed| self.keys.open(&id, sealed.value()))
            .transpose()
    }

    fn put(&mut self, csi: &Csi, row: &Row) -> Result<(), StoreError> {
        let id = self.keys.row_id(csi);
        let sealed = self.keys.seal(&id, row)?;
        self.rows
            .insert(id.as_bytes(), sealed.as_slice())
            .map_err(engine)?;
        Ok(())
    }

    fn find_sealed(&mut self, id: &RowId) -> Result<Option<Vec<u8>>, StoreError> {
        let sealed = self.rows.get(id.as_bytes()).map_err(engine)?;
        Ok(sealed.map(|sealed| sealed.value().to_vec()))
    }

    fn put_sealed(&mut self, id: &RowId, sealed: &[u8]) -> Result<(), StoreError> {
        self.rows.insert(id.as_bytes(), sealed).map_err(engine)?;
        Ok(())
    }

    fn block_sealed(&mut self, id: &RowId, sealed: &[u8]) -> Result<(), StoreError> {
        if self.blocked.get(id.as_bytes()).map_err(engine)?.is_none() {
            self.blocked.insert(id.as_bytes(), sealed).map_err(engine)?;
        }
        Ok(())
    }

    fn find_audience(
        &mut self,
        handle: &AudienceHandle,
    ) -> Result<Option<AudienceRow>, StoreError> {
        self.audience.find(handle)
    }

    fn put_audience(
        &mut self,
        handle: &AudienceHandle,
        row: &AudienceRow,
    ) -> Result<(), StoreError> {
        self.audience.put(handle, row)
    }

    fn count_audience(&mut self, owner: Option<&SenderName>) -> Result<u64, StoreError> {
        self.audience.count(owner)
    }

    fn forget_audience(&mut self, now: UnixTime) -> Result<(), StoreError> {
        self.audience.forget(now)
    }

    fn block(&mut self, csi: &Csi, block: Block) -> Result<bool, StoreError> {
        let id = self.keys.row_id(csi);
        let before = match block {
            Block::Set => {
                let sealed = self.keys.seal_blocked(&id, csi)?;
                let before = self.blocked.insert(id.as_bytes(), sealed.as_slice());
                before.map_err(engine)?.is_none()
            }
            Block::Lift => {
                let before = self.blocked.remove(id.as_bytes()).map_err(engine)?;
                before.is_some()
            }
        };
        Ok(before)
    }

    fn audit_head(&mut self) -> Result<Head, StoreError> {
        view::head(&self.audit)
    }

    fn append_audit(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        for entry in entries {
            self.audit
                .insert(entry.index, entry.encode().as_slice())
                .map_err(engine)?;
        }
        Ok(())
    }

    fn note_import(
        &mut self,
        source: &SourceId,
        progress: Option<&ImportProgress>,
    ) -> Result<(), StoreError> {
        match progress {
            Some(progress) => self
                .imports
                .insert(&source.0, progress.to_fields())
                .map_err(engine)?,
            None => self.imports.remove(&source.0).map_err(engine)?,
        };
        Ok(())
    }
}
