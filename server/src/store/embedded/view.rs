//! Reading one state of the store.

use protocol::audience::AudienceHandle;
use protocol::audit::{Entry, Head};
use protocol::csi::Csi;
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable as _, ReadableTableMetadata as _};

use super::audience;
use super::{AUDIENCE, AUDIT, BLOCKED, Bytes, IMPORTS, Name, ROWS, engine};
use crate::store::{
    AudienceRow, ImportProgress, Row, RowId, SourceId, StoreError, StoreKeys, View,
};

pub(super) struct EmbeddedView<'a> {
    rows: ReadOnlyTable<Name, Bytes>,
    blocked: ReadOnlyTable<Name, Bytes>,
    audience: ReadOnlyTable<Name, Bytes>,
    audit: ReadOnlyTable<u64, Bytes>,
    imports: ReadOnlyTable<Name, [u64; 7]>,
    keys: &'a StoreKeys,
}

impl<'a> EmbeddedView<'a> {
    pub(super) fn open(
        transaction: &ReadTransaction,
        keys: &'a StoreKeys,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            rows: transaction.open_table(ROWS).map_err(engine)?,
            blocked: transaction.open_table(BLOCKED).map_err(engine)?,
            audience: transaction.open_table(AUDIENCE).map_err(engine)?,
            audit: transaction.open_table(AUDIT).map_err(engine)?,
            imports: transaction.open_table(IMPORTS).map_err(engine)?,
            keys,
        })
    }
}

impl View for EmbeddedView<'_> {
    fn count(&self) -> Result<u64, StoreError> {
        self.rows.len().map_err(engine)
    }

    fn row_ids(&self) -> Result<Vec<RowId>, StoreError> {
        let mut ids = Vec::new();
        for entry in self.rows.iter().map_err(engine)? {
            let (id, _) = entry.map_err(engine)?;
            ids.push(RowId::from_bytes(*id.value()));
        }
        Ok(ids)
    }

    fn sealed_rows(&self, ids: &[RowId]) -> Result<Vec<Vec<u8>>, StoreError> {
        let sealed = |id: &RowId| {
            let sealed = self.rows.get(id.as_bytes()).map_err(engine)?;
            Ok(sealed.ok_or(StoreError::Missing)?.value().to_vec())
        };
        ids.iter().map(sealed).collect()
    }

    fn sealed_blocked(&self) -> Result<Vec<(RowId, Vec<u8>)>, StoreError> {
        let mut blocked = Vec::new();
        for entry in self.blocked.iter().map_err(engine)? {
            let (id, sealed) = entry.map_err(engine)?;
            blocked.push((RowId::from_bytes(*id.value()), sealed.value().to_vec()));
        }
        Ok(blocked)
    }

    fn rows(&self, ids: &[RowId]) -> Result<Vec<Row>, StoreError> {
        let row = |id: &RowId| {
            let sealed = self.rows.get(id.as_bytes()).map_err(engine)?;
            let sealed = sealed.ok_or(StoreError::Missing)?;
            self.keys.open(id, sealed.value())
        };
        ids.iter().map(row).collect()
    }

    fn find(&self, csi: &Csi) -> Result<Option<Row>, StoreError> {
        let id = self.keys.row_id(csi);
        let sealed = self.rows.get(id.as_bytes()).map_err(engine)?;
        sealed
            .map(|sealed| self.keys.open(&id, sealed.value()))
            .transpose()
    }

    fn audience_handles(&self) -> Result<Vec<AudienceHandle>, StoreError> {
        let mut handles = Vec::new();
        for entry in self.audience.iter().map_err(engine)? {
            let (handle, _) = entry.map_err(engine)?;
            handles.push(AudienceHandle::from_bytes(*handle.value()));
        }
        Ok(handles)
    }

    fn audience_rows(&self, handles: &[AudienceHandle]) -> Result<Vec<AudienceRow>, StoreError> {
        let row = |handle: &AudienceHandle| {
            let stored = self.audience.get(handle.as_bytes()).map_err(engine)?;
            audience::decode(stored.ok_or(StoreError::Missing)?.value())
        };
        handles.iter().map(row).collect()
    }

    fn blocked(&self) -> Result<Vec<Csi>, StoreError> {
        let sealed = self.sealed_blocked()?;
        sealed
            .iter()
            .map(|(id, sealed)| self.keys.open_blocked(id, sealed))
            .collect()
    }

    fn audit_head(&self) -> Result<Head, StoreError> {
        head(&self.audit)
    }

    fn audit(&self, from: u64, most: usize) -> Result<Vec<Entry>, StoreError> {
        let entries = self.audit.range(from..).map_err(engine)?;
        let decode = |entry: Result<(_, redb::AccessGuard<'_, Bytes>), _>| {
            let (_, entry) = entry.map_err(engine)?;
            Entry::decode(entry.value()).map_err(|_| StoreError::Corrupt)
        };
        entries.take(most).map(decode).collect()
    }

    fn import_progress(&self, source: &SourceId) -> Result<Option<ImportProgress>, StoreError> {
        Ok(self
            .imports
            .get(&source.0)
            .map_err(engine)?
            .map(|fields| ImportProgress::from_fields(fields.value())))
    }
}

/// The end of the log in a table.
pub(super) fn head(audit: &impl redb::ReadableTable<u64, Bytes>) -> Result<Head, StoreError> {
    match audit.last().map_err(engine)? {
        None => Ok(Head::EMPTY),
        Some((index, entry)) => {
            let entry = Entry::decode(entry.value()).map_err(|_| StoreError::Corrupt)?;
            Ok(Head {
                entries: index.value() + 1,
                hash: entry.hash(),
            })
        }
    }
}
