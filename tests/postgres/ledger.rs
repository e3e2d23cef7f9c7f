//! The ledger in PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use protocol::time::UnixTime;
use server::ledger::contract::{self, Bench};
use server::ledger::postgres::PostgresLedger;
use server::ledger::{
    Charge, Ledger, LedgerError, LedgerKeys, Level, MeterId, Outcome, Quota, Spend, SpentToken,
};
use server::store::StoreKeys;
use server::store::postgres::PostgresStore;
use tests::postgres::Cluster;

use super::{KEY, options};

const QUOTA: Quota = Quota {
    burst: 1_000_000,
    refill_per_hour: 1,
    per_day: 1_000_000,
};

fn now() -> UnixTime {
    UnixTime::from_secs(1_795_392_000)
}

fn open(url: String) -> Result<PostgresLedger, LedgerError> {
    let mut options = options(url);
    // Many are open at a time, each uses one.
    options.connections = 2;
    PostgresLedger::open(&options, LedgerKeys::derive(&KEY))
}

struct Database {
    cluster: Arc<Cluster>,
    name: String,
}

impl Bench for Database {
    fn open(&self) -> Box<dyn Ledger> {
        Box::new(open(self.cluster.url(&self.name)).expect("a ledger"))
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// One element, and a token.
fn spend(token: u64) -> Spend {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&token.to_be_bytes());
    Spend {
        charges: vec![Charge {
            meter: MeterId([1; 32]),
            quota: QUOTA,
            amount: 1,
            level: Level::Account,
        }],
        tokens: vec![SpentToken {
            id,
            expires: now().saturating_add(3600),
        }],
    }
}

fn taken(ledger: &dyn Ledger) -> Result<u64, LedgerError> {
    let meter = (MeterId([1; 32]), Level::Account, QUOTA);
    let left = ledger.remaining(&[meter], now())?[0].elements();
    Ok(u64::from(QUOTA.burst - left))
}

#[test]
fn keeps_the_contract() -> Result<()> {
    let cluster = Arc::new(Cluster::start(None)?);
    let number = AtomicU32::new(0);
    contract::check(&|| {
        let name = format!("ledger{}", number.fetch_add(1, Ordering::Relaxed));
        cluster.create_database(&name).expect("a database");
        Box::new(Database {
            cluster: Arc::clone(&cluster),
            name,
        })
    });
    Ok(())
}

#[test]
fn shares_a_database_with_a_store_of_the_same_key() -> Result<()> {
    let cluster = Cluster::start(None)?;
    let url = || cluster.url("postgres");
    PostgresStore::open(&options(url()), StoreKeys::derive(&KEY))?;
    let ledger = open(url())?;
    ledger.spend(&[spend(1)], now())?;
    let foreign = PostgresLedger::open(&options(url()), LedgerKeys::derive(&[6; 32]));
    assert!(matches!(foreign, Err(LedgerError::ForeignKey { .. })));
    cluster.sql("postgres", "UPDATE sotto.ledger SET version = 99")?;
    let refused = ledger.spend(&[spend(2)], now());
    assert!(matches!(
        refused,
        Err(LedgerError::Version { found: 99, .. })
    ));
    cluster.sql("postgres", "UPDATE sotto.ledger SET version = 1")?;
    assert_eq!(taken(&ledger)?, 1);
    Ok(())
}

/// Two servers spend while the database crashes again and again. What was
/// acknowledged stays spent, and of the rest no token without its charge.
#[test]
fn crashes_give_nothing_back() -> Result<()> {
    const CRASHES: u32 = 4;
    let cluster = Cluster::start(None)?;
    let servers = [
        open(cluster.url("postgres"))?,
        open(cluster.url("postgres"))?,
    ];
    let acknowledged: [AtomicU64; 2] = Default::default();
    let crashes = AtomicU32::new(0);
    thread::scope(|scope| -> Result<()> {
        for (own, ledger) in servers.iter().enumerate() {
            let (acknowledged, crashes) = (&acknowledged[own], &crashes);
            scope.spawn(move || {
                let mut token = (own as u64) << 32;
                while crashes.load(Ordering::Relaxed) < CRASHES {
                    token += 1;
                    match ledger.spend(&[spend(token)], now()) {
                        Ok(outcomes) => {
                            assert!(matches!(outcomes[..], [Outcome::Spent { .. }]));
                            acknowledged.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(LedgerError::Postgres(_) | LedgerError::Unknown(_)) => {
                            thread::sleep(Duration::from_millis(20));
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            });
        }
        let crash = || -> Result<()> {
            let before: Vec<u64> = of(&acknowledged);
            // Until both have got on.
            while of(&acknowledged)
                .iter()
                .zip(&before)
                .any(|(a, b)| a < &(b + 5))
            {
                thread::sleep(Duration::from_millis(5));
            }
            cluster.stop()?;
            cluster.resume()
        };
        let crashed = (0..CRASHES).try_for_each(|_| {
            let crashed = crash();
            crashes.fetch_add(1, Ordering::Relaxed);
            crashed
        });
        crashes.store(CRASHES, Ordering::Relaxed);
        crashed
    })?;
    let ledger = open(cluster.url("postgres"))?;
    let (tokens, charged) = (ledger.spent_tokens()?, taken(&ledger)?);
    let acknowledged: u64 = of(&acknowledged).iter().sum();
    assert_eq!(tokens, charged, "a token without its charge");
    ensure!(acknowledged <= tokens, "{acknowledged} of {tokens}");
    // What is unknown counts as spent: at most one for each server and crash.
    ensure!(tokens <= acknowledged + 2 * u64::from(CRASHES));
    Ok(())
}

fn of(acknowledged: &[AtomicU64; 2]) -> Vec<u64> {
    let each = acknowledged.iter();
    each.map(|each| each.load(Ordering::Relaxed)).collect()
}
