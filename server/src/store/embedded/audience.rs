//! Audience records, their number by owner, and their ends.

use minicbor::{Decode, Encode};
use protocol::audience::AudienceHandle;
use protocol::derivation::Salt;
use protocol::time::UnixTime;
use redb::{ReadableTable as _, Table, WriteTransaction};

use super::{AUDIENCE, AUDIENCE_COUNTS, AUDIENCE_EXPIRY, Bytes, Name, engine};
use crate::senders::SenderName;
use crate::store::{AudienceRow, StoreError};

/// The empty name, which no sender has.
const ALL: &str = "";

/// A record as it lies in the file: an array.
#[derive(Encode, Decode)]
struct Stored {
    #[n(0)]
    owner: String,
    #[n(1)]
    expires: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    salt: [u8; Salt::BYTES],
    #[cbor(n(3), with = "minicbor::bytes")]
    record: Vec<u8>,
}

pub(super) struct Audience<'a> {
    records: Table<'a, Name, Bytes>,
    expiry: Table<'a, (u64, Name), ()>,
    counts: Table<'a, &'static str, u64>,
}

impl<'a> Audience<'a> {
    pub(super) fn open(transaction: &'a WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            records: transaction.open_table(AUDIENCE).map_err(engine)?,
            expiry: transaction.open_table(AUDIENCE_EXPIRY).map_err(engine)?,
            counts: transaction.open_table(AUDIENCE_COUNTS).map_err(engine)?,
        })
    }

    pub(super) fn find(&self, handle: &AudienceHandle) -> Result<Option<AudienceRow>, StoreError> {
        let stored = self.records.get(handle.as_bytes()).map_err(engine)?;
        stored.map(|stored| decode(stored.value())).transpose()
    }

    pub(super) fn put(
        &mut self,
        handle: &AudienceHandle,
        row: &AudienceRow,
    ) -> Result<(), StoreError> {
        self.remove(handle)?;
        let encoded = encode(row)?;
        self.records
            .insert(handle.as_bytes(), encoded.as_slice())
            .map_err(engine)?;
        self.expiry
            .insert((row.expires.as_secs(), handle.as_bytes()), ())
            .map_err(engine)?;
        for name in [ALL, row.owner.as_str()] {
            let count = self.count_of(name)?;
            self.counts.insert(name, count + 1).map_err(engine)?;
        }
        Ok(())
    }

    pub(super) fn count(&self, owner: Option<&SenderName>) -> Result<u64, StoreError> {
        self.count_of(owner.map_or(ALL, SenderName::as_str))
    }

    pub(super) fn forget(&mut self, now: UnixTime) -> Result<(), StoreError> {
        let end = (now.as_secs() + 1, &[0; 32]);
        let mut expired = Vec::new();
        for entry in self.expiry.range(..end).map_err(engine)? {
            let (key, _) = entry.map_err(engine)?;
            expired.push(AudienceHandle::from_bytes(*key.value().1));
        }
        expired.iter().try_for_each(|handle| self.remove(handle))
    }

    fn remove(&mut self, handle: &AudienceHandle) -> Result<(), StoreError> {
        let Some(row) = self.find(handle)? else {
            return Ok(());
        };
        self.records.remove(handle.as_bytes()).map_err(engine)?;
        self.expiry
            .remove((row.expires.as_secs(), handle.as_bytes()))
            .map_err(engine)?;
        for name in [ALL, row.owner.as_str()] {
            match self.count_of(name)? {
                0 | 1 => self.counts.remove(name).map_err(engine)?,
                count => self.counts.insert(name, count - 1).map_err(engine)?,
            };
        }
        Ok(())
    }

    fn count_of(&self, name: &str) -> Result<u64, StoreError> {
        let count = self.counts.get(name).map_err(engine)?;
        Ok(count.map_or(0, |count| count.value()))
    }
}

fn encode(row: &AudienceRow) -> Result<Vec<u8>, StoreError> {
    let stored = Stored {
        owner: row.owner.as_str().to_owned(),
        expires: row.expires.as_secs(),
        salt: *row.salt.as_bytes(),
        record: row.record.clone(),
    };
    minicbor::to_vec(stored).map_err(|_| StoreError::Corrupt)
}

pub(super) fn decode(bytes: &[u8]) -> Result<AudienceRow, StoreError> {
    let stored: Stored = minicbor::decode(bytes).map_err(|_| StoreError::Corrupt)?;
    Ok(AudienceRow {
        owner: SenderName::new(&stored.owner).map_err(|_| StoreError::Corrupt)?,
        expires: UnixTime::from_secs(stored.expires),
        record: stored.record,
        salt: Salt::from_bytes(stored.salt),
    })
}
