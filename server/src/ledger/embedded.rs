//! The ledger in one file, by redb.

use std::collections::{HashMap, HashSet};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use protocol::time::UnixTime;
use redb::{
    Database, DatabaseError, ReadableDatabase as _, ReadableTable, ReadableTableMetadata as _,
    TableDefinition,
};

use super::apply::{self, Group};
use super::bucket::Balance;
use super::{Ledger, LedgerError, LedgerKeys, Level, MeterId, Outcome, Quota, Remaining, Spend};
use crate::durable::{FileError, PRIVATE};

type Name = &'static [u8; 32];
/// A meter: parts, time, spent, and when it may be forgotten.
type Meter = [u64; 4];

const METERS: TableDefinition<'_, Name, Meter> = TableDefinition::new("meters");
/// Spent tokens, with the time at which they expire.
const SPENT: TableDefinition<'_, Name, u64> = TableDefinition::new("spent");
/// Spent tokens by that time.
const EXPIRY: TableDefinition<'_, (u64, Name), ()> = TableDefinition::new("expiry");
const META: TableDefinition<'_, &'static str, &'static [u8]> = TableDefinition::new("meta");

const VERSION: u64 = 1;

/// In [`META`]: until when expired tokens were forgotten.
const FORGOTTEN: &str = "forgotten";

const CACHE_BYTES: usize = 32 << 20;

/// What is forgotten in one commit: spends wait no longer than for that.
const FORGET_AT_ONCE: usize = 4096;

/// A ledger in one file.
pub struct EmbeddedLedger {
    database: Database,
}

impl EmbeddedLedger {
    /// Opens the ledger, or makes an empty one.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn open(path: &Path, keys: &LedgerKeys) -> Result<Self, LedgerError> {
        // redb makes the file itself, with the permissions of the umask.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(PRIVATE)
            .open(path)
            .map_err(FileError::new("open", path))?;
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)
            .map_err(|error| match error {
                DatabaseError::DatabaseAlreadyOpen => LedgerError::InUse {
                    path: path.to_owned(),
                },
                other => engine(other),
            })?;
        let ledger = Self { database };
        ledger.check(path, keys)?;
        Ok(ledger)
    }

    /// Compares version and key with those of the file, or writes them into a
    /// new one.
    fn check(&self, path: &Path, keys: &LedgerKeys) -> Result<(), LedgerError> {
        let transaction = self.database.begin_write().map_err(engine)?;
        {
            let mut meta = transaction.open_table(META).map_err(engine)?;
            let version = meta.get("version").map_err(engine)?;
            match version.map(|value| value.value().to_vec()) {
                None => {
                    meta.insert("version", VERSION.to_be_bytes().as_slice())
                        .map_err(engine)?;
                    meta.insert("key", keys.check().as_slice())
                        .map_err(engine)?;
                }
                Some(version) => {
                    let version = version.try_into().map_err(|_| LedgerError::Corrupt)?;
                    let found = u64::from_be_bytes(version);
                    if found != VERSION {
                        return Err(LedgerError::Version {
                            path: path.to_owned(),
                            expected: VERSION,
                            found,
                        });
                    }
                    let key = meta.get("key").map_err(engine)?;
                    if key.is_none_or(|key| key.value() != keys.check()) {
                        return Err(LedgerError::ForeignKey {
                            path: path.to_owned(),
                        });
                    }
                }
            }
            // A reader can only open tables that are there.
            transaction.open_table(METERS).map_err(engine)?;
            transaction.open_table(SPENT).map_err(engine)?;
            transaction.open_table(EXPIRY).map_err(engine)?;
        }
        transaction.commit().map_err(engine)
    }

    /// Meters that may be forgotten, by a reader who keeps nobody waiting.
    fn full_meters(&self, now: UnixTime) -> Result<Vec<MeterId>, LedgerError> {
        let transaction = self.database.begin_read().map_err(engine)?;
        let meters = transaction.open_table(METERS).map_err(engine)?;
        let mut full = Vec::new();
        for entry in meters.iter().map_err(engine)? {
            let (name, meter) = entry.map_err(engine)?;
            if is_full(&meter.value(), now) {
                full.push(MeterId(*name.value()));
            }
        }
        Ok(full)
    }

    fn forget_meters(&self, names: &[MeterId], now: UnixTime) -> Result<(), LedgerError> {
        let transaction = self.database.begin_write().map_err(engine)?;
        {
            let mut meters = transaction.open_table(METERS).map_err(engine)?;
            for name in names {
                let meter = meters.get(&name.0).map_err(engine)?;
                // It may have been used meanwhile.
                if meter.is_some_and(|meter| is_full(&meter.value(), now)) {
                    meters.remove(&name.0).map_err(engine)?;
                }
            }
        }
        transaction.commit().map_err(engine)
    }

    /// Forgets some expired tokens, and says how many.
    fn forget_tokens(&self, now: UnixTime) -> Result<usize, LedgerError> {
        let transaction = self.database.begin_write().map_err(engine)?;
        let mut expired = Vec::new();
        {
            let mut meta = transaction.open_table(META).map_err(engine)?;
            if forgotten(&meta)? < now {
                meta.insert(FORGOTTEN, now.as_secs().to_be_bytes().as_slice())
                    .map_err(engine)?;
            }
            let mut spent = transaction.open_table(SPENT).map_err(engine)?;
            let mut expiry = transaction.open_table(EXPIRY).map_err(engine)?;
            let end = (now.as_secs(), &[0xff; 32]);
            for entry in expiry.range(..=end).map_err(engine)?.take(FORGET_AT_ONCE) {
                let (key, _) = entry.map_err(engine)?;
                let (expires, id) = key.value();
                expired.push((expires, *id));
            }
            for (expires, id) in &expired {
                spent.remove(id).map_err(engine)?;
                expiry.remove((*expires, id)).map_err(engine)?;
            }
        }
        transaction.commit().map_err(engine)?;
        Ok(expired.len())
    }
}

impl Ledger for EmbeddedLedger {
    fn spend(&self, spends: &[Spend], now: UnixTime) -> Result<Vec<Outcome>, LedgerError> {
        // Dropped without a commit, the transaction never was.
        let transaction = self.database.begin_write().map_err(engine)?;
        let outcomes = {
            let mut meters = transaction.open_table(METERS).map_err(engine)?;
            let mut spent = transaction.open_table(SPENT).map_err(engine)?;
            let mut expiry = transaction.open_table(EXPIRY).map_err(engine)?;
            let mut balances = HashMap::new();
            for meter in apply::meters(spends) {
                if let Some(balance) = read(&meters, &meter)? {
                    balances.insert(meter, balance);
                }
            }
            let mut known = HashSet::new();
            for id in apply::tokens(spends) {
                if spent.get(&id).map_err(engine)?.is_some() {
                    known.insert(id);
                }
            }
            let meta = transaction.open_table(META).map_err(engine)?;
            let mut group = Group::new(balances, known, forgotten(&meta)?);
            let outcomes = group.apply(spends, now);
            for changed in group.changed() {
                let Balance { parts, at, spent } = changed.balance;
                meters
                    .insert(&changed.meter.0, [parts, at, spent, changed.full_at])
                    .map_err(engine)?;
            }
            for token in group.added() {
                let expires = token.expires.as_secs();
                spent.insert(&token.id, expires).map_err(engine)?;
                expiry.insert((expires, &token.id), ()).map_err(engine)?;
            }
            outcomes
        };
        transaction.commit().map_err(engine)?;
        Ok(outcomes)
    }

    fn remaining(
        &self,
        meters: &[(MeterId, Level, Quota)],
        now: UnixTime,
    ) -> Result<Vec<Remaining>, LedgerError> {
        let transaction = self.database.begin_read().map_err(engine)?;
        let table = transaction.open_table(METERS).map_err(engine)?;
        let remaining = |(meter, level, quota): &(MeterId, Level, Quota)| {
            Ok(apply::remaining(read(&table, meter)?, *level, quota, now))
        };
        meters.iter().map(remaining).collect()
    }

    fn forget(&self, now: UnixTime) -> Result<u64, LedgerError> {
        let mut forgotten = 0;
        loop {
            let tokens = self.forget_tokens(now)?;
            forgotten += tokens as u64;
            if tokens < FORGET_AT_ONCE {
                break;
            }
        }
        for names in self.full_meters(now)?.chunks(FORGET_AT_ONCE) {
            self.forget_meters(names, now)?;
        }
        Ok(forgotten)
    }

    fn spent_tokens(&self) -> Result<u64, LedgerError> {
        let transaction = self.database.begin_read().map_err(engine)?;
        let spent = transaction.open_table(SPENT).map_err(engine)?;
        spent.len().map_err(engine)
    }

    fn meters(&self) -> Result<u64, LedgerError> {
        let transaction = self.database.begin_read().map_err(engine)?;
        let meters = transaction.open_table(METERS).map_err(engine)?;
        meters.len().map_err(engine)
    }
}

fn read(
    meters: &impl ReadableTable<Name, Meter>,
    meter: &MeterId,
) -> Result<Option<Balance>, LedgerError> {
    let found = meters.get(&meter.0).map_err(engine)?;
    Ok(found.map(|found| {
        let [parts, at, spent, _] = found.value();
        Balance { parts, at, spent }
    }))
}

/// Until when expired tokens were forgotten; never, at first.
fn forgotten(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<UnixTime, LedgerError> {
    let Some(found) = meta.get(FORGOTTEN).map_err(engine)? else {
        return Ok(UnixTime::from_secs(0));
    };
    let secs = found.value().try_into().map_err(|_| LedgerError::Corrupt)?;
    Ok(UnixTime::from_secs(u64::from_be_bytes(secs)))
}

fn is_full(meter: &Meter, now: UnixTime) -> bool {
    meter[3] <= now.as_secs()
}

fn engine(error: impl Into<redb::Error>) -> LedgerError {
    LedgerError::Embedded(Box::new(error.into()))
}

impl std::fmt::Debug for EmbeddedLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmbeddedLedger(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    use super::*;
    use crate::ledger::contract::{self, Bench};
    use crate::ledger::{Charge, SpentToken};

    fn open(path: &Path) -> EmbeddedLedger {
        EmbeddedLedger::open(path, &LedgerKeys::derive(&[5; 32])).unwrap()
    }

    struct InDirectory(tempfile::TempDir);

    impl Bench for InDirectory {
        fn open(&self) -> Box<dyn Ledger> {
            Box::new(open(&self.0.path().join("ledger.redb")))
        }
    }

    #[test]
    fn keeps_the_contract() {
        contract::check(&|| Box::new(InDirectory(tempfile::tempdir().unwrap())));
    }

    #[test]
    fn is_private_opened_once_and_with_its_own_key() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.redb");
        let ledger = open(&path);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = EmbeddedLedger::open(&path, &LedgerKeys::derive(&[5; 32]));
        assert!(matches!(again, Err(LedgerError::InUse { .. })));
        drop(ledger);
        let foreign = EmbeddedLedger::open(&path, &LedgerKeys::derive(&[6; 32]));
        assert!(matches!(foreign, Err(LedgerError::ForeignKey { .. })));
        drop(open(&path));
    }

    const WIDE: Quota = Quota {
        burst: 1_000_000,
        refill_per_hour: 1,
        per_day: 1_000_000,
    };
    const LEDGER: &str = "SOTTO_TEST_LEDGER";

    fn now() -> UnixTime {
        UnixTime::from_secs(1_795_392_000)
    }

    /// Not a test by itself: the process that the next one kills. It spends an
    /// element and a token at a time, and says so afterwards.
    #[test]
    fn spends_until_it_is_killed() {
        let Some(path) = std::env::var_os(LEDGER) else {
            return;
        };
        let ledger = open(Path::new(&path));
        for number in 0u64.. {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&ledger.spent_tokens().unwrap().to_be_bytes());
            let spend = Spend {
                charges: vec![Charge {
                    meter: MeterId([1; 32]),
                    quota: WIDE,
                    amount: 1,
                    level: Level::Account,
                }],
                tokens: vec![SpentToken {
                    id,
                    expires: now().saturating_add(3600),
                }],
            };
            let outcomes = ledger.spend(&[spend], now()).unwrap();
            assert!(matches!(outcomes[..], [Outcome::Spent { .. }]));
            println!("spent {number}");
        }
    }

    #[test]
    fn what_a_killed_process_has_spent_stays_spent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.redb");
        let mut acknowledged = 0;
        for round in 0..8 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "ledger::embedded::tests::spends_until_it_is_killed",
                ])
                .arg("--nocapture")
                .env(LEDGER, &path)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let said = BufReader::new(child.stdout.take().unwrap());
            let mut of_round = 0;
            for line in said.lines().map_while(Result::ok) {
                if line.contains("spent ") {
                    of_round += 1;
                }
                if of_round == 5 + round {
                    // What it still says is read until the pipe is empty.
                    child.kill().unwrap();
                }
            }
            child.wait().unwrap();
            assert!(of_round >= 5 + round, "{of_round}");
            acknowledged += of_round;
            let ledger = open(&path);
            let meter = (MeterId([1; 32]), Level::Account, WIDE);
            let left = ledger.remaining(&[meter], now()).unwrap()[0].elements();
            let tokens = ledger.spent_tokens().unwrap();
            assert_eq!(u64::from(WIDE.burst - left), tokens, "whole or not at all");
            // The last one of each round may not have been told any more.
            assert!((acknowledged..=acknowledged + round + 1).contains(&tokens));
        }
    }
}
