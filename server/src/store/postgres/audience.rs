//! Audience records of an update: what was read is remembered, what is written
//! is kept until the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use protocol::audience::AudienceHandle;
use protocol::derivation::Salt;
use protocol::time::UnixTime;
use sqlx::postgres::PgRow;

use super::session::{Session, Statement};
use super::{PostgresError, column};
use crate::senders::SenderName;
use crate::store::{AudienceRow, StoreError};

/// The records with these handles.
pub(super) fn find(handles: Vec<Vec<u8>>) -> Statement {
    sqlx::query(
        "SELECT handle, owner, expires, salt, record FROM sotto.audience WHERE handle = ANY($1)",
    )
    .bind(handles)
}

/// Reads a row of [`find`].
pub(super) fn decode(row: &PgRow) -> Result<AudienceRow, StoreError> {
    let owner: String = column(row, 1)?;
    let expires: i64 = column(row, 2)?;
    let salt: Vec<u8> = column(row, 3)?;
    let salt = salt.try_into().map_err(|_| StoreError::Corrupt)?;
    Ok(AudienceRow {
        owner: SenderName::new(&owner).map_err(|_| StoreError::Corrupt)?,
        expires: UnixTime::from_secs(u64::try_from(expires).map_err(|_| StoreError::Corrupt)?),
        record: column(row, 4)?,
        salt: Salt::from_bytes(salt),
    })
}

#[derive(Default)]
pub(super) struct Audience {
    known: HashMap<[u8; 32], Option<AudienceRow>>,
    changed: BTreeSet<[u8; 32]>,
    /// Numbers by owner; that of all under `None`.
    counts: BTreeMap<Option<SenderName>, u64>,
}

impl Audience {
    pub(super) fn find(
        &mut self,
        session: &mut Session<'_>,
        handle: &AudienceHandle,
    ) -> Result<Option<AudienceRow>, StoreError> {
        if let Some(known) = self.known.get(handle.as_bytes()) {
            return Ok(known.clone());
        }
        let rows = session.fetch(find(vec![handle.as_bytes().to_vec()]))?;
        let found = rows.first().map(decode).transpose()?;
        self.known.insert(*handle.as_bytes(), found.clone());
        Ok(found)
    }

    pub(super) fn put(
        &mut self,
        session: &mut Session<'_>,
        handle: &AudienceHandle,
        row: &AudienceRow,
    ) -> Result<(), StoreError> {
        if let Some(before) = self.find(session, handle)? {
            for name in [None, Some(before.owner)] {
                self.counts.entry(name).and_modify(|count| *count -= 1);
            }
        }
        for name in [None, Some(row.owner.clone())] {
            self.counts.entry(name).and_modify(|count| *count += 1);
        }
        self.known.insert(*handle.as_bytes(), Some(row.clone()));
        self.changed.insert(*handle.as_bytes());
        Ok(())
    }

    pub(super) fn count(
        &mut self,
        session: &mut Session<'_>,
        owner: Option<&SenderName>,
    ) -> Result<u64, StoreError> {
        let owner = owner.cloned();
        if let Some(count) = self.counts.get(&owner) {
            return Ok(*count);
        }
        self.flush(session)?;
        let statement = match &owner {
            Some(owner) => sqlx::query("SELECT count(*) FROM sotto.audience WHERE owner = $1")
                .bind(owner.as_str().to_owned()),
            None => sqlx::query("SELECT count(*) FROM sotto.audience"),
        };
        let rows = session.fetch(statement)?;
        let count: i64 = column(rows.first().ok_or(PostgresError::Form)?, 0)?;
        self.counts.insert(owner, count.unsigned_abs());
        Ok(count.unsigned_abs())
    }

    pub(super) fn forget(
        &mut self,
        session: &mut Session<'_>,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.flush(session)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        session.fetch(sqlx::query("DELETE FROM sotto.audience WHERE expires <= $1").bind(now))?;
        *self = Self::default();
        Ok(())
    }

    /// Writes what has changed.
    pub(super) fn flush(&mut self, session: &mut Session<'_>) -> Result<(), StoreError> {
        let changed = std::mem::take(&mut self.changed);
        let rows: Vec<(&[u8; 32], &AudienceRow)> = changed
            .iter()
            .filter_map(|handle| Some((handle, self.known.get(handle)?.as_ref()?)))
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let expires = rows
            .iter()
            .map(|(_, row)| i64::try_from(row.expires.as_secs()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| StoreError::Corrupt)?;
        let bytes = |part: fn(&AudienceRow) -> &[u8]| -> Vec<Vec<u8>> {
            rows.iter().map(|(_, row)| part(row).to_vec()).collect()
        };
        let handles: Vec<Vec<u8>> = rows.iter().map(|(handle, _)| handle.to_vec()).collect();
        let owners: Vec<String> = rows
            .iter()
            .map(|(_, row)| row.owner.as_str().to_owned())
            .collect();
        session.fetch(
            sqlx::query(
                "INSERT INTO sotto.audience (handle, owner, expires, salt, record) \
                 SELECT * FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::bytea[], $5::bytea[]) \
                 ON CONFLICT (handle) DO UPDATE SET owner = excluded.owner, \
                 expires = excluded.expires, salt = excluded.salt, record = excluded.record",
            )
            .bind(handles)
            .bind(owners)
            .bind(expires)
            .bind(bytes(|row| row.salt.as_bytes()))
            .bind(bytes(|row| &row.record)),
        )?;
        Ok(())
    }
}
