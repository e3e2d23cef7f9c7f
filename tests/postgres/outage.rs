//! PostgreSQL that stops, or loses connections, in the middle of things.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use server::store::postgres::{PostgresError, PostgresStore};
use server::store::{Store as _, StoreError, StoreKeys};
use tests::postgres::Cluster;

use super::relay::{Next, Relay};
use super::{KEY, count, counted, open, options};

/// Far above what any call may take here: 5 s for a connection, 12 s for an
/// answer.
const BOUND: Duration = Duration::from_secs(60);

/// The process that serves the update under way.
const UPDATING: &str = "SELECT pid FROM pg_stat_activity \
    WHERE application_name = 'sotto-server' AND state = 'idle in transaction'";

#[test]
fn a_stopped_database_is_an_error_and_heals() -> Result<()> {
    let cluster = Cluster::start(None)?;
    let store = open(cluster.url("postgres"))?;
    store.update(&mut |update| count(update, 0))?;
    let view = store.view()?;
    cluster.stop()?;

    let begun = Instant::now();
    let failed = store.update(&mut |update| count(update, 0));
    assert!(matches!(failed, Err(StoreError::Postgres(_))), "{failed:?}");
    assert!(matches!(store.view(), Err(StoreError::Postgres(_))));
    assert!(matches!(view.count(), Err(StoreError::Postgres(_))));
    // What has failed goes on failing: another state would not be one view.
    let again = view.count();
    assert!(matches!(
        again,
        Err(StoreError::Postgres(PostgresError::Ended))
    ));
    drop(view);
    let refused = open(cluster.url("postgres"));
    assert!(matches!(refused, Err(StoreError::Postgres(_))));
    ensure!(begun.elapsed() < BOUND, "took {:?}", begun.elapsed());

    cluster.resume()?;
    store.update(&mut |update| count(update, 0))?;
    assert_eq!(counted(&store, 0)?.0, 2);
    Ok(())
}

#[test]
fn what_is_cut_in_the_middle_never_happened() -> Result<()> {
    let cluster = Cluster::start(None)?;
    let store = open(cluster.url("postgres"))?;
    store.update(&mut |update| count(update, 0))?;
    let terminate = |cluster: &Cluster| -> Result<()> {
        let statement = UPDATING.replace("SELECT pid", "SELECT pg_terminate_backend(pid)");
        assert_eq!(cluster.sql("postgres", &statement)?, "t");
        Ok(())
    };
    let kill = |cluster: &Cluster| -> Result<()> {
        let process = cluster.sql("postgres", UPDATING)?;
        ensure!(
            Command::new("kill")
                .args(["-9", &process])
                .status()?
                .success()
        );
        cluster.wait_for_crash()
    };
    for cut in [&terminate as &dyn Fn(&Cluster) -> Result<()>, &kill] {
        let failed = store.update(&mut |update| {
            count(update, 0)?;
            count(update, 1)?;
            // Rows are sent at the end, this at once.
            update.block(&super::csi(2), server::store::Block::Set)?;
            cut(&cluster).expect("a connection to cut");
            count(update, 0)
        });
        assert!(matches!(failed, Err(StoreError::Postgres(_))), "{failed:?}");
        heal(&store)?;
        assert_eq!(counted(&store, 0)?.0, 1);
        let view = store.view()?;
        assert_eq!((view.count()?, view.blocked()?.len()), (1, 0));
    }
    store.update(&mut |update| count(update, 0))?;
    assert_eq!(counted(&store, 0)?.0, 2);
    Ok(())
}

/// PostgreSQL starts anew when one of its processes is killed.
fn heal(store: &PostgresStore) -> Result<()> {
    let begun = Instant::now();
    while let Err(error) = store.view() {
        ensure!(begun.elapsed() < BOUND, "{error}");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn a_commit_without_an_answer_is_never_called_done_or_undone() -> Result<()> {
    let cluster = Cluster::start(None)?;
    let relay = Relay::to(cluster.port())?;
    let url = cluster.tcp_url("postgres", relay.port, "?sslmode=disable");
    let store = PostgresStore::open(&options(url), StoreKeys::derive(&KEY))?;
    let direct = open(cluster.url("postgres"))?;
    for (next, done) in [(Next::Lost, 0), (Next::Unanswered, 1)] {
        relay.at_next_commit(next);
        let unknown = store.update(&mut |update| count(update, 0));
        assert!(
            matches!(unknown, Err(StoreError::Unknown(_))),
            "{unknown:?}"
        );
        // What was done is there at the latest when the next update is.
        direct.update(&mut |update| count(update, 1))?;
        assert_eq!(counted(&direct, 0)?.0, done);
    }
    store.update(&mut |update| count(update, 0))?;
    assert_eq!(counted(&direct, 0)?.0, 2);
    Ok(())
}

#[test]
fn a_deadlock_is_tried_again() -> Result<()> {
    let cluster = Cluster::start(None)?;
    let store = open(cluster.url("postgres"))?;
    cluster.sql(
        "postgres",
        "CREATE SEQUENCE tries; CREATE FUNCTION conflict() RETURNS trigger AS $$ BEGIN \
         IF nextval('tries') < 4 THEN RAISE EXCEPTION 'conflict' USING ERRCODE = '40P01'; END IF; \
         RETURN NEW; END $$ LANGUAGE plpgsql; \
         CREATE TRIGGER conflict BEFORE INSERT ON sotto.rows FOR EACH STATEMENT \
         EXECUTE FUNCTION conflict()",
    )?;
    let mut calls = 0;
    store.update(&mut |update| {
        calls += 1;
        count(update, 0)
    })?;
    assert_eq!(calls, 4);
    assert_eq!(counted(&store, 0)?.0, 1);
    cluster.sql("postgres", "ALTER SEQUENCE tries MINVALUE -99 RESTART -99")?;
    let mut calls = 0;
    let failed = store.update(&mut |update| {
        calls += 1;
        count(update, 0)
    });
    assert!(matches!(
        failed,
        Err(StoreError::Postgres(PostgresError::Refused { .. }))
    ));
    assert_eq!(calls, 5);
    assert_eq!(counted(&store, 0)?.0, 1);
    Ok(())
}
