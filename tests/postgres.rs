//! The store in a PostgreSQL database, on a real server.

#[path = "postgres/backup.rs"]
mod backup;
#[path = "postgres/ledger.rs"]
mod ledger;
#[path = "postgres/outage.rs"]
mod outage;
#[path = "postgres/relay.rs"]
mod relay;
#[path = "postgres/tls.rs"]
mod tls;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use protocol::audit::{Action, Head, object_digest};
use protocol::csi::Csi;
use protocol::time::UnixTime;
use server::data_dir::{DataDir, InitOptions};
use server::store::contract::{self, Bench, Fresh};
use server::store::journaled;
use server::store::postgres::{PostgresOptions, PostgresStore};
use server::store::{Marks, Row, Store, StoreError, StoreKeys, Update};
use server::writer::contention;
use tests::postgres::Cluster;

const KEY: [u8; 32] = [5; 32];

fn options(url: String) -> PostgresOptions {
    PostgresOptions {
        url: url.into(),
        ca: None,
        connections: 4,
        acquire: Duration::from_secs(5),
        statement: Duration::from_secs(10),
    }
}

fn open(url: String) -> Result<PostgresStore, StoreError> {
    PostgresStore::open(&options(url), StoreKeys::derive(&KEY))
}

/// A database of its own on a shared cluster.
struct Database {
    cluster: Arc<Cluster>,
    name: String,
}

impl Bench for Database {
    fn open(&self) -> Box<dyn Store> {
        Box::new(open(self.cluster.url(&self.name)).expect("a store"))
    }

    fn at_rest(&self) -> Vec<Vec<u8>> {
        self.cluster.files().expect("the cluster's files")
    }
}

/// Runs a suite of what every store must do, each bench a database of its own on
/// one cluster.
fn on_one_cluster(suite: fn(Fresh<'_>)) -> Result<()> {
    let cluster = Arc::new(Cluster::start(None)?);
    let number = AtomicU32::new(0);
    suite(&|| {
        let name = format!("bench{}", number.fetch_add(1, Ordering::Relaxed));
        cluster.create_database(&name).expect("a database");
        Box::new(Database {
            cluster: Arc::clone(&cluster),
            name,
        })
    });
    Ok(())
}

#[test]
fn keeps_the_contract() -> Result<()> {
    on_one_cluster(contract::check)
}

#[test]
fn conflicts_end_as_the_rule_says() -> Result<()> {
    on_one_cluster(contention::check)
}

fn csi(number: u32) -> Csi {
    Csi::parse(&format!("somebody-{number}@example.org")).expect("an address")
}

/// Adds one to a counter in a row and logs it.
fn count(update: &mut dyn Update, of: u32) -> Result<(), StoreError> {
    let mut marks = update.find(&csi(of))?.map_or(Marks::NONE, |row| row.marks);
    marks.statements.seq += 1;
    let head = update.audit_head()?;
    let digest = object_digest(&marks.statements.seq.to_be_bytes());
    let (entry, _) = head.append(UnixTime::from_secs(1), Action::Removal, digest);
    update.put(
        &csi(of),
        &Row {
            marks,
            content: None,
        },
    )?;
    update.append_audit(&[entry])
}

/// What a counter says, and where the log ends if it is one chain.
fn counted(store: &dyn Store, of: u32) -> Result<(u64, Head)> {
    let view = store.view()?;
    let count = view
        .find(&csi(of))?
        .map_or(0, |row| row.marks.statements.seq);
    let head = view
        .audit(0, usize::MAX)?
        .iter()
        .try_fold(Head::EMPTY, |head, entry| head.follow(entry))?;
    assert_eq!(head, view.audit_head()?);
    Ok((count, head))
}

#[test]
fn two_servers_write_one_chain() -> Result<()> {
    const EACH: u64 = 40;
    let cluster = Cluster::start(None)?;
    // They make the tables at the same time too.
    let start = Barrier::new(2);
    thread::scope(|scope| {
        let servers = [1, 2].map(|own| {
            let (cluster, start) = (&cluster, &start);
            scope.spawn(move || -> Result<()> {
                start.wait();
                let store = open(cluster.url("postgres"))?;
                for _ in 0..EACH {
                    store.update(&mut |update| {
                        count(update, 0)?;
                        count(update, own)
                    })?;
                }
                Ok(())
            })
        });
        servers
            .into_iter()
            .try_for_each(|server| server.join().expect("no panic"))
    })?;
    let store = open(cluster.url("postgres"))?;
    let (together, head) = counted(&store, 0)?;
    assert_eq!((together, head.entries), (2 * EACH, 4 * EACH));
    for own in [1, 2] {
        assert_eq!(counted(&store, own)?.0, EACH);
    }
    Ok(())
}

#[test]
fn other_keys_and_versions_are_refused() -> Result<()> {
    let cluster = Cluster::start(None)?;
    let url = || cluster.url("postgres");
    let store = open(url())?;
    let foreign = PostgresStore::open(&options(url()), StoreKeys::derive(&[6; 32]));
    assert!(matches!(foreign, Err(StoreError::ForeignKey { .. })));

    cluster.sql("postgres", "UPDATE sotto.meta SET version = 99")?;
    let refused = open(url());
    assert!(matches!(
        refused,
        Err(StoreError::Version { found: 99, .. })
    ));
    // One that is open already notices too.
    let refused = store.update(&mut |update| count(update, 0));
    assert!(matches!(refused, Err(StoreError::Version { .. })));
    assert!(matches!(store.view(), Err(StoreError::Version { .. })));
    cluster.sql("postgres", "UPDATE sotto.meta SET version = 1")?;

    cluster.sql(
        "postgres",
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (42, 'of a newer program', true, '', 0)",
    )?;
    let newer = open(url());
    assert!(matches!(newer, Err(StoreError::Version { found: 42, .. })));
    Ok(())
}

#[test]
fn a_server_that_may_lose_what_it_acknowledged_is_refused() -> Result<()> {
    let cluster = Cluster::start(None)?;
    cluster.sql("postgres", "ALTER SYSTEM SET fsync = off")?;
    cluster.sql("postgres", "SELECT pg_reload_conf()")?;
    let error = open(cluster.url("postgres")).expect_err("fsync is off");
    assert!(error.to_string().contains("fsync = off"), "{error}");
    Ok(())
}

#[test]
fn a_data_directory_names_its_database() -> Result<()> {
    let cluster = Cluster::start(None)?;
    let root = tempfile::tempdir()?;
    let data = DataDir::init(&root.path().join("data"), &InitOptions::default())?;
    let (config, url) = (
        data.root().join("config.toml"),
        data.root().join("store.url"),
    );
    let text = fs::read_to_string(&config)?
        .replace("kind = \"embedded\"", "kind = \"postgres\"")
        .replace("url_file = \"\"", "url_file = \"store.url\"");
    fs::write(&config, text)?;
    fs::write(&url, cluster.url("postgres"))?;
    fs::set_permissions(&url, Permissions::from_mode(0o600))?;
    data.store()?.update(&mut |update| count(update, 0))?;
    assert_eq!(counted(&data.unjournalled_store()?, 0)?.0, 1);
    assert_eq!(
        cluster.sql("postgres", "SELECT count(*) FROM sotto.rows")?,
        "1"
    );
    assert!(!data.root().join("store.redb").exists());
    let journal = data.journal_path(&data.config()?);
    assert_eq!(journaled::read(&journal)?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "current_thread")]
async fn calls_work_on_the_threads_of_a_runtime() -> Result<()> {
    let cluster = Cluster::start(None)?;
    let store = open(cluster.url("postgres"))?;
    store.update(&mut |update| count(update, 0))?;
    assert_eq!(counted(&store, 0)?.0, 1);
    drop(store);
    Ok(())
}
