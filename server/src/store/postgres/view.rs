//! Reading one state of the store.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use protocol::audience::AudienceHandle;
use protocol::audit::{Entry, Head};
use protocol::csi::Csi;
use sqlx::postgres::PgRow;
use tokio::sync::OwnedSemaphorePermit;

use super::connect::Lock;
use super::session::{Engine, Session, Statement};
use super::{PostgresError, audience, column};
use crate::store::{
    AudienceRow, ImportProgress, Row, RowId, SourceId, StoreError, StoreKeys, View,
};

/// Names that come in one round trip.
const PAGE: i64 = 1 << 16;

pub(super) struct PostgresView<'a> {
    session: Mutex<Session<'a>>,
    keys: &'a StoreKeys,
    _permit: OwnedSemaphorePermit,
}

impl<'a> PostgresView<'a> {
    pub(super) fn begin(engine: &'a Engine, keys: &'a StoreKeys) -> Result<Self, StoreError> {
        let permit = engine.view_permit()?;
        let mut session =
            Session::begin(engine, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        // The first statement is what fixes the state that all others see.
        session.check(keys, Lock::None)?;
        Ok(Self {
            session: Mutex::new(session),
            keys,
            _permit: permit,
        })
    }

    fn fetch(&self, statement: Statement) -> Result<Vec<PgRow>, StoreError> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(session.fetch(statement)?)
    }

    /// The keys of a table, in order, page by page: there may be many millions.
    fn names(&self, page: &'static str) -> Result<Vec<[u8; 32]>, StoreError> {
        let mut names: Vec<[u8; 32]> = Vec::new();
        loop {
            let after = names.last().map_or(Vec::new(), |last| last.to_vec());
            let rows = self.fetch(sqlx::query(page).bind(after).bind(PAGE))?;
            let joined: Option<Vec<u8>> = column(rows.first().ok_or(PostgresError::Form)?, 0)?;
            let Some(joined) = joined else {
                return Ok(names);
            };
            let (page, rest) = joined.as_chunks();
            if !rest.is_empty() {
                return Err(PostgresError::Form.into());
            }
            names.extend_from_slice(page);
        }
    }
}

impl View for PostgresView<'_> {
    fn count(&self) -> Result<u64, StoreError> {
        let rows = self.fetch(sqlx::query("SELECT count(*) FROM sotto.rows"))?;
        let count: i64 = column(rows.first().ok_or(PostgresError::Form)?, 0)?;
        Ok(count.unsigned_abs())
    }

    fn row_ids(&self) -> Result<Vec<RowId>, StoreError> {
        let names = self.names(
            "SELECT string_agg(id, ''::bytea ORDER BY id) FROM \
             (SELECT id FROM sotto.rows WHERE id > $1 ORDER BY id LIMIT $2) AS page",
        )?;
        Ok(names.into_iter().map(RowId::from_bytes).collect())
    }

    fn rows(&self, ids: &[RowId]) -> Result<Vec<Row>, StoreError> {
        let sealed = self.sealed_rows(ids)?;
        let rows = ids.iter().zip(&sealed);
        rows.map(|(id, sealed)| self.keys.open(id, sealed))
            .collect()
    }

    fn sealed_rows(&self, ids: &[RowId]) -> Result<Vec<Vec<u8>>, StoreError> {
        let wanted: Vec<Vec<u8>> = ids.iter().map(|id| id.as_bytes().to_vec()).collect();
        let statement = sqlx::query("SELECT id, sealed FROM sotto.rows WHERE id = ANY($1)");
        let found: HashMap<_, Vec<u8>> =
            by_key(&self.fetch(statement.bind(wanted))?, |row| column(row, 1))?;
        ids.iter()
            .map(|id| found.get(id.as_bytes()).cloned().ok_or(StoreError::Missing))
            .collect()
    }

    fn sealed_blocked(&self) -> Result<Vec<(RowId, Vec<u8>)>, StoreError> {
        let rows = self.fetch(sqlx::query(
            "SELECT id, sealed FROM sotto.blocked ORDER BY id",
        ))?;
        rows.iter()
            .map(|row| Ok((RowId::from_bytes(key(row)?), column(row, 1)?)))
            .collect()
    }

    fn find(&self, csi: &Csi) -> Result<Option<Row>, StoreError> {
        let id = self.keys.row_id(csi);
        let statement = sqlx::query("SELECT sealed FROM sotto.rows WHERE id = $1");
        let rows = self.fetch(statement.bind(id.as_bytes().to_vec()))?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let sealed: Vec<u8> = column(row, 0)?;
        self.keys.open(&id, &sealed).map(Some)
    }

    fn audience_handles(&self) -> Result<Vec<AudienceHandle>, StoreError> {
        let names = self.names(
            "SELECT string_agg(handle, ''::bytea ORDER BY handle) FROM \
             (SELECT handle FROM sotto.audience WHERE handle > $1 ORDER BY handle LIMIT $2) AS page",
        )?;
        Ok(names.into_iter().map(AudienceHandle::from_bytes).collect())
    }

    fn audience_rows(&self, handles: &[AudienceHandle]) -> Result<Vec<AudienceRow>, StoreError> {
        let wanted: Vec<Vec<u8>> = handles.iter().map(|h| h.as_bytes().to_vec()).collect();
        let found = by_key(&self.fetch(audience::find(wanted))?, audience::decode)?;
        handles
            .iter()
            .map(|handle| {
                let row = found.get(handle.as_bytes()).ok_or(StoreError::Missing)?;
                Ok(row.clone())
            })
            .collect()
    }

    fn blocked(&self) -> Result<Vec<Csi>, StoreError> {
        let sealed = self.sealed_blocked()?;
        sealed
            .iter()
            .map(|(id, sealed)| self.keys.open_blocked(id, sealed))
            .collect()
    }

    fn audit_head(&self) -> Result<Head, StoreError> {
        head(&self.fetch(sqlx::query(LAST_ENTRY))?)
    }

    fn audit(&self, from: u64, most: usize) -> Result<Vec<Entry>, StoreError> {
        let Ok(from) = i64::try_from(from) else {
            return Ok(Vec::new());
        };
        let statement =
            sqlx::query("SELECT entry FROM sotto.audit WHERE index >= $1 ORDER BY index LIMIT $2");
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = self.fetch(statement.bind(from).bind(most))?;
        rows.iter().map(entry).collect()
    }

    fn import_progress(&self, source: &SourceId) -> Result<Option<ImportProgress>, StoreError> {
        let statement = sqlx::query("SELECT progress FROM sotto.imports WHERE source = $1");
        let rows = self.fetch(statement.bind(source.0.to_vec()))?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let bytes: Vec<u8> = column(row, 0)?;
        let fields = bytes
            .as_chunks()
            .0
            .iter()
            .map(|field| u64::from_be_bytes(*field));
        let fields: Vec<u64> = fields.collect();
        let fields = fields.try_into().map_err(|_| PostgresError::Form)?;
        Ok(Some(ImportProgress::from_fields(fields)))
    }
}

/// The statement that [`head`] reads the answer of.
pub(super) const LAST_ENTRY: &str = "SELECT entry FROM sotto.audit ORDER BY index DESC LIMIT 1";

/// The end of the log by its last entry.
pub(super) fn head(rows: &[PgRow]) -> Result<Head, StoreError> {
    let Some(row) = rows.first() else {
        return Ok(Head::EMPTY);
    };
    let entry = entry(row)?;
    Ok(Head {
        entries: entry.index + 1,
        hash: entry.hash(),
    })
}

fn entry(row: &PgRow) -> Result<Entry, StoreError> {
    let bytes: Vec<u8> = column(row, 0)?;
    Entry::decode(&bytes).map_err(|_| StoreError::Corrupt)
}

/// Rows by what their first column says.
pub(super) fn by_key<T>(
    rows: &[PgRow],
    value: impl Fn(&PgRow) -> Result<T, StoreError>,
) -> Result<HashMap<[u8; 32], T>, StoreError> {
    rows.iter()
        .map(|row| Ok((key(row)?, value(row)?)))
        .collect()
}

fn key(row: &PgRow) -> Result<[u8; 32], StoreError> {
    let bytes: Vec<u8> = column(row, 0)?;
    Ok(bytes.try_into().map_err(|_| PostgresError::Form)?)
}
