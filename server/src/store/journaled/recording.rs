//! An update that notes what it withdraws.

use std::collections::BTreeMap;

use protocol::audience::AudienceHandle;
use protocol::audit::{Entry, Head};
use protocol::csi::Csi;
use protocol::derivation::Salt;
use protocol::time::UnixTime;

use super::Withdrawal;
use super::journal::{AudienceCopy, Record};
use crate::senders::SenderName;
use crate::store::{
    AudienceRow, Block, ImportProgress, Row, RowId, SourceId, StoreError, StoreKeys, Update,
};

pub(super) struct Recording<'a> {
    update: &'a mut dyn Update,
    keys: &'a StoreKeys,
    entries: Vec<Entry>,
    rows: BTreeMap<RowId, Withdrawal>,
    audience: BTreeMap<[u8; 32], AudienceCopy>,
}

impl<'a> Recording<'a> {
    pub(super) fn of(update: &'a mut dyn Update, keys: &'a StoreKeys) -> Self {
        Self {
            update,
            keys,
            entries: Vec::new(),
            rows: BTreeMap::new(),
            audience: BTreeMap::new(),
        }
    }

    /// What to journal; `None` if there is nothing.
    pub(super) fn finish(self) -> Result<Option<Record>, StoreError> {
        if self.entries.is_empty() && self.rows.is_empty() && self.audience.is_empty() {
            return Ok(None);
        }
        let from = match self.entries.first() {
            Some(first) => Head {
                entries: first.index,
                hash: first.previous,
            },
            None => self.update.audit_head()?,
        };
        let mut rows = Vec::with_capacity(self.rows.len());
        for (id, withdrawal) in &self.rows {
            let sealed = self.keys.seal_withdrawal(id, &withdrawal.encode())?;
            rows.push((id.as_bytes().to_vec().into(), sealed.into()));
        }
        Ok(Some(Record {
            from: from.entries,
            from_hash: *from.hash.as_bytes(),
            entries: self
                .entries
                .iter()
                .map(|entry| entry.encode().into())
                .collect(),
            rows,
            audience: self.audience.into_values().collect(),
        }))
    }
}

impl Record {
    /// The rows from which it took something.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the journal is of another store.
    pub fn withdrawals(&self, keys: &StoreKeys) -> Result<Vec<(RowId, Withdrawal)>, StoreError> {
        let open = |(id, sealed): &(minicbor::bytes::ByteVec, minicbor::bytes::ByteVec)| {
            let id: [u8; 32] = id.as_slice().try_into().map_err(|_| StoreError::Corrupt)?;
            let id = RowId::from_bytes(id);
            let opened = keys.open_withdrawal(&id, sealed)?;
            let withdrawal = Withdrawal::decode(&opened).ok_or(StoreError::Corrupt)?;
            Ok((id, withdrawal))
        };
        self.rows.iter().map(open).collect()
    }

    /// The audience records that took the place of others.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn replaced(&self) -> Result<Vec<(AudienceHandle, AudienceRow)>, StoreError> {
        self.audience.iter().map(AudienceCopy::to_row).collect()
    }
}

impl AudienceCopy {
    pub(crate) fn of(handle: &AudienceHandle, row: AudienceRow) -> Self {
        Self {
            handle: *handle.as_bytes(),
            owner: row.owner.as_str().to_owned(),
            expires: row.expires.as_secs(),
            salt: *row.salt.as_bytes(),
            record: row.record,
        }
    }

    pub(crate) fn to_row(&self) -> Result<(AudienceHandle, AudienceRow), StoreError> {
        let row = AudienceRow {
            owner: SenderName::new(&self.owner).map_err(|_| StoreError::Corrupt)?,
            expires: UnixTime::from_secs(self.expires),
            record: self.record.clone(),
            salt: Salt::from_bytes(self.salt),
        };
        Ok((AudienceHandle::from_bytes(self.handle), row))
    }
}

impl Update for Recording<'_> {
    fn find(&mut self, csi: &Csi) -> Result<Option<Row>, StoreError> {
        self.update.find(csi)
    }

    fn prefetch(&mut self, csis: &[&Csi]) -> Result<(), StoreError> {
        self.update.prefetch(csis)
    }

    fn put(&mut self, csi: &Csi, row: &Row) -> Result<(), StoreError> {
        let before = self.update.find(csi)?;
        if let Some(mut withdrawal) = Withdrawal::between(before.as_ref(), row)? {
            let id = self.keys.row_id(csi);
            // A second one in the same update leaves what the first one raised.
            if let Some(first) = self.rows.get(&id) {
                withdrawal.marks = withdrawal.marks.join(first.marks);
            }
            self.rows.insert(id, withdrawal);
        }
        self.update.put(csi, row)
    }

    fn find_audience(
        &mut self,
        handle: &AudienceHandle,
    ) -> Result<Option<AudienceRow>, StoreError> {
        self.update.find_audience(handle)
    }

    fn put_audience(
        &mut self,
        handle: &AudienceHandle,
        row: &AudienceRow,
    ) -> Result<(), StoreError> {
        if self.update.find_audience(handle)?.is_some() {
            let copy = AudienceCopy::of(handle, row.clone());
            self.audience.insert(*handle.as_bytes(), copy);
        }
        self.update.put_audience(handle, row)
    }

    fn count_audience(&mut self, owner: Option<&SenderName>) -> Result<u64, StoreError> {
        self.update.count_audience(owner)
    }

    fn forget_audience(&mut self, now: UnixTime) -> Result<(), StoreError> {
        self.update.forget_audience(now)
    }

    fn block(&mut self, csi: &Csi, block: Block) -> Result<bool, StoreError> {
        self.update.block(csi, block)
    }

    fn audit_head(&mut self) -> Result<Head, StoreError> {
        self.update.audit_head()
    }

    fn append_audit(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        self.entries.extend_from_slice(entries);
        self.update.append_audit(entries)
    }

    fn note_import(
        &mut self,
        source: &SourceId,
        progress: Option<&ImportProgress>,
    ) -> Result<(), StoreError> {
        self.update.note_import(source, progress)
    }

    fn find_sealed(&mut self, id: &RowId) -> Result<Option<Vec<u8>>, StoreError> {
        self.update.find_sealed(id)
    }

    fn put_sealed(&mut self, id: &RowId, sealed: &[u8]) -> Result<(), StoreError> {
        self.update.put_sealed(id, sealed)
    }

    fn block_sealed(&mut self, id: &RowId, sealed: &[u8]) -> Result<(), StoreError> {
        self.update.block_sealed(id, sealed)
    }
}
