//! The ledger in a PostgreSQL database, which several servers may share.
//!
//! Whoever spends locks the one row of `sotto.ledger` first: what is spent by all
//! servers takes effect one after another. A group costs six round trips, however
//! many spends are in it.
//!
//! Calls block their thread, as those of [`crate::store::postgres`].

use std::collections::{HashMap, HashSet};

use protocol::time::UnixTime;
use sqlx::postgres::PgRow;

use super::apply::{self, Changed, Group};
use super::bucket::Balance;
use super::{
    Ledger, LedgerError, LedgerKeys, Level, MeterId, Outcome, Quota, Remaining, Spend, SpentToken,
};
use crate::store::postgres::connect;
use crate::store::postgres::session::{Engine, Session};
use crate::store::postgres::{PostgresError, PostgresOptions, value};

/// The version of the tables' meaning.
const VERSION: u64 = 1;

/// How often spending is begun before a conflict is reported.
const ATTEMPTS: usize = 5;

/// What is forgotten in one statement.
const FORGET_AT_ONCE: i64 = 4096;

/// A ledger in a PostgreSQL database.
pub struct PostgresLedger {
    engine: Engine,
    keys: LedgerKeys,
}

impl PostgresLedger {
    /// Opens the ledger; makes the tables if there are none.
    ///
    /// # Errors
    /// [`LedgerError::Postgres`], [`LedgerError::Version`],
    /// [`LedgerError::ForeignKey`].
    pub fn open(options: &PostgresOptions, keys: LedgerKeys) -> Result<Self, LedgerError> {
        let engine = connect::engine(options)?;
        if let Some(found) = connect::make_tables(&engine)? {
            return Err(LedgerError::Version {
                path: engine.place.clone(),
                expected: VERSION,
                found,
            });
        }
        let mut session = Session::begin(&engine, "BEGIN")?;
        connect::refuse_unsafe(&mut session)?;
        let insert = sqlx::query(
            "INSERT INTO sotto.ledger (version, key_check) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        );
        session.fetch(insert.bind(VERSION as i64).bind(keys.check().to_vec()))?;
        check(
            &mut session,
            &keys,
            "SELECT version, key_check, forgotten FROM sotto.ledger",
        )?;
        session.commit()?;
        Ok(Self { engine, keys })
    }

    fn attempt(&self, spends: &[Spend], now: UnixTime) -> Result<Vec<Outcome>, LedgerError> {
        // Every statement after the lock sees what was spent before. A client that
        // stops in the middle must not keep the others waiting.
        let mut session = Session::begin(
            &self.engine,
            "BEGIN ISOLATION LEVEL READ COMMITTED; \
             SET LOCAL idle_in_transaction_session_timeout = '60s'",
        )?;
        let forgotten = check(
            &mut session,
            &self.keys,
            "SELECT version, key_check, forgotten FROM sotto.ledger FOR UPDATE",
        )?;
        let meters: Vec<MeterId> = apply::meters(spends).into_iter().collect();
        let balances = balances(&mut session, &meters)?;
        let spent = spent(&mut session, spends)?;
        let mut group = Group::new(balances, spent, forgotten);
        let outcomes = group.apply(spends, now);
        write_meters(&mut session, &group.changed())?;
        write_tokens(&mut session, group.added())?;
        session.commit().map_err(|error| {
            if error.is_rollback() {
                LedgerError::Postgres(error)
            } else {
                LedgerError::Unknown(error)
            }
        })?;
        Ok(outcomes)
    }

    /// Runs a statement that deletes a few rows, until none is left; gives how
    /// many there were.
    fn delete(&self, statement: &'static str, now: UnixTime) -> Result<u64, LedgerError> {
        let mut deleted = 0;
        loop {
            let mut session = Session::begin(&self.engine, "BEGIN")?;
            let query = sqlx::query(statement).bind(FORGET_AT_ONCE);
            let rows = session.fetch(query.bind(bigint(now.as_secs())))?;
            session.commit()?;
            deleted += rows.len() as u64;
            if (rows.len() as i64) < FORGET_AT_ONCE {
                return Ok(deleted);
            }
        }
    }

    fn count(&self, statement: &'static str) -> Result<u64, LedgerError> {
        let mut session = Session::begin(&self.engine, "BEGIN")?;
        let rows = session.fetch(sqlx::query(statement))?;
        session.commit()?;
        let count: i64 = value(rows.first().ok_or(PostgresError::Form)?, 0)?;
        Ok(count.unsigned_abs())
    }
}

impl Ledger for PostgresLedger {
    fn spend(&self, spends: &[Spend], now: UnixTime) -> Result<Vec<Outcome>, LedgerError> {
        for _ in 1..ATTEMPTS {
            match self.attempt(spends, now) {
                Err(LedgerError::Postgres(error)) if error.is_conflict() => {}
                ended => return ended,
            }
        }
        self.attempt(spends, now)
    }

    fn remaining(
        &self,
        meters: &[(MeterId, Level, Quota)],
        now: UnixTime,
    ) -> Result<Vec<Remaining>, LedgerError> {
        let mut session = Session::begin(&self.engine, "BEGIN")?;
        let names: Vec<MeterId> = meters.iter().map(|(meter, _, _)| *meter).collect();
        let balances = balances(&mut session, &names)?;
        session.commit()?;
        let remaining = |(meter, level, quota): &(MeterId, Level, Quota)| {
            apply::remaining(balances.get(meter).copied(), *level, quota, now)
        };
        Ok(meters.iter().map(remaining).collect())
    }

    fn forget(&self, now: UnixTime) -> Result<u64, LedgerError> {
        // Before any is gone, and seen by all who spend from then on.
        let mut session = Session::begin(&self.engine, "BEGIN")?;
        let note = sqlx::query("UPDATE sotto.ledger SET forgotten = $1 WHERE forgotten < $1");
        session.fetch(note.bind(bigint(now.as_secs())))?;
        session.commit()?;
        let forgotten = self.delete(
            "DELETE FROM sotto.spent WHERE id IN \
             (SELECT id FROM sotto.spent WHERE expires <= $2 LIMIT $1) RETURNING 1",
            now,
        )?;
        // One that was used meanwhile is looked at again, and stays.
        self.delete(
            "DELETE FROM sotto.quota WHERE meter IN \
             (SELECT meter FROM sotto.quota WHERE full_at <= $2 LIMIT $1) \
             AND full_at <= $2 RETURNING 1",
            now,
        )?;
        Ok(forgotten)
    }

    fn spent_tokens(&self) -> Result<u64, LedgerError> {
        self.count("SELECT count(*) FROM sotto.spent")
    }

    fn meters(&self) -> Result<u64, LedgerError> {
        self.count("SELECT count(*) FROM sotto.quota")
    }
}

/// Compares version and key with those of the database; gives until when expired
/// tokens were forgotten.
fn check(
    session: &mut Session<'_>,
    keys: &LedgerKeys,
    statement: &'static str,
) -> Result<UnixTime, LedgerError> {
    let rows = session.fetch(sqlx::query(statement))?;
    let row = rows.first().ok_or(PostgresError::Form)?;
    let (version, key): (i64, Vec<u8>) = (value(row, 0)?, value(row, 1)?);
    let path = session.place().clone();
    if version != VERSION as i64 {
        return Err(LedgerError::Version {
            path,
            expected: VERSION,
            found: version.unsigned_abs(),
        });
    }
    if key != keys.check() {
        return Err(LedgerError::ForeignKey { path });
    }
    let forgotten = u64::try_from(value::<i64>(row, 2)?).map_err(|_| LedgerError::Corrupt)?;
    Ok(UnixTime::from_secs(forgotten))
}

fn balances(
    session: &mut Session<'_>,
    meters: &[MeterId],
) -> Result<HashMap<MeterId, Balance>, LedgerError> {
    if meters.is_empty() {
        return Ok(HashMap::new());
    }
    let names: Vec<Vec<u8>> = meters.iter().map(|meter| meter.0.to_vec()).collect();
    let rows = session.fetch(
        sqlx::query("SELECT meter, parts, at, spent FROM sotto.quota WHERE meter = ANY($1)")
            .bind(names),
    )?;
    let balance = |row: &PgRow| {
        let number = |index| -> Result<u64, LedgerError> {
            u64::try_from(value::<i64>(row, index)?).map_err(|_| LedgerError::Corrupt)
        };
        let balance = Balance {
            parts: number(1)?,
            at: number(2)?,
            spent: number(3)?,
        };
        Ok((MeterId(name(row)?), balance))
    };
    rows.iter().map(balance).collect()
}

fn spent(session: &mut Session<'_>, spends: &[Spend]) -> Result<HashSet<[u8; 32]>, LedgerError> {
    let ids: Vec<Vec<u8>> = apply::tokens(spends).iter().map(|id| id.to_vec()).collect();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let statement = sqlx::query("SELECT id FROM sotto.spent WHERE id = ANY($1)");
    session
        .fetch(statement.bind(ids))?
        .iter()
        .map(name)
        .collect()
}

fn write_meters(session: &mut Session<'_>, changed: &[Changed]) -> Result<(), LedgerError> {
    if changed.is_empty() {
        return Ok(());
    }
    let names: Vec<Vec<u8>> = changed.iter().map(|each| each.meter.0.to_vec()).collect();
    let numbers = |of: fn(&Changed) -> u64| -> Vec<i64> {
        changed.iter().map(|each| bigint(of(each))).collect()
    };
    session.fetch(
        sqlx::query(
            "INSERT INTO sotto.quota (meter, parts, at, spent, full_at) \
             SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], \
             $5::bigint[]) \
             ON CONFLICT (meter) DO UPDATE SET parts = excluded.parts, at = excluded.at, \
             spent = excluded.spent, full_at = excluded.full_at",
        )
        .bind(names)
        .bind(numbers(|each| each.balance.parts))
        .bind(numbers(|each| each.balance.at))
        .bind(numbers(|each| each.balance.spent))
        .bind(numbers(|each| each.full_at)),
    )?;
    Ok(())
}

fn write_tokens(session: &mut Session<'_>, added: &[SpentToken]) -> Result<(), LedgerError> {
    if added.is_empty() {
        return Ok(());
    }
    let ids: Vec<Vec<u8>> = added.iter().map(|token| token.id.to_vec()).collect();
    let expires: Vec<i64> = added
        .iter()
        .map(|token| bigint(token.expires.as_secs()))
        .collect();
    session.fetch(
        sqlx::query(
            "INSERT INTO sotto.spent (id, expires) \
             SELECT * FROM unnest($1::bytea[], $2::bigint[])",
        )
        .bind(ids)
        .bind(expires),
    )?;
    Ok(())
}

/// The hash in a row's first column.
fn name(row: &PgRow) -> Result<[u8; 32], LedgerError> {
    let name: Vec<u8> = value(row, 0)?;
    name.try_into().map_err(|_| LedgerError::Corrupt)
}

/// Times beyond are as good as never.
fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl std::fmt::Debug for PostgresLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostgresLedger(..)")
    }
}
