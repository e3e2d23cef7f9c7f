//! The OPRF key changes while lookups go on over TLS, and none fails.

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use client::Client;
use protocol::csi::Csi;
use protocol::lookup::Lookup;
use protocol::time::UnixTime;
use server::data_dir::{DataDir, InitOptions};
use server::rebuild::{Rebuilder, When};
use tests::{Directory, Provider, program};
use tokio::task::spawn_blocking;

const RECORDS: usize = 120;

/// Clients that look up all the time.
const CLIENTS: usize = 3;

/// Identifiers that a client looks up together.
const TOGETHER: usize = 3;

/// Lookups between two changes, of each client.
const BETWEEN: u64 = 3;

/// What clients ask for and must be told.
type Wanted = HashMap<String, (Csi, Lookup)>;

/// Lookups, one after the other, until they are to stop; counts them.
async fn look_up(
    client: Client,
    wanted: Arc<Wanted>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) -> Result<u64> {
    let all: Vec<&(Csi, Lookup)> = wanted.values().collect();
    for chunk in all.chunks(TOGETHER).cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let csis: Vec<Csi> = chunk.iter().map(|(csi, _)| csi.clone()).collect();
        for ((_, expected), found) in chunk.iter().zip(client.lookup_many(&csis).await) {
            let found = found.context("a lookup failed")?;
            ensure!(found == *expected, "a lookup was wrong");
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(client.snapshot().manifest().oprf_epoch)
}

/// Waits until each client has looked up since.
async fn some_lookups(done: &[Arc<AtomicU64>]) {
    let before: Vec<u64> = done.iter().map(|n| n.load(Ordering::Relaxed)).collect();
    for (now, before) in done.iter().zip(before) {
        while now.load(Ordering::Relaxed) < before + BETWEEN {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn rotate(provider: &Provider, retire: bool) -> Result<()> {
    let snapshot = provider.snapshot();
    let data = provider.directory.data();
    let keys = data.oprf_key_dir(&data.config()?)?;
    spawn_blocking(move || keys.rotate(Some(snapshot.manifest()), UnixTime::now(), retire))
        .await??;
    Ok(())
}

async fn rebuild(rebuilder: &Rebuilder) -> Result<()> {
    let rebuilder = rebuilder.clone();
    spawn_blocking(move || rebuilder.run(When::Now)).await??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lookup_fails_while_the_key_rotates() -> Result<()> {
    let mut directory = Directory::build(RECORDS, 23)?;
    let absent = directory.absent(RECORDS / 4)?;
    let provider = directory.serve().await?;
    let mut wanted = Wanted::new();
    for record in &provider.directory.records {
        let expected = provider.directory.expected(record)?;
        wanted.insert(
            record.csi.canonical().to_owned(),
            (record.csi.clone(), expected),
        );
    }
    for csi in absent {
        wanted.insert(csi.canonical().to_owned(), (csi, Lookup::NoMapping));
    }
    let wanted = Arc::new(wanted);
    let connect = || async {
        Client::connect(provider.client_config(provider.address)?)
            .await
            .map_err(anyhow::Error::from)
    };
    // Asks before everything and after, and nothing between.
    let idle = connect().await?;
    let (csi, expected) = wanted.values().next().context("records")?;
    ensure!(idle.lookup(csi).await? == *expected);

    let stop = Arc::new(AtomicBool::new(false));
    let done: Vec<_> = (0..CLIENTS).map(|_| Arc::new(AtomicU64::new(0))).collect();
    let mut clients = Vec::new();
    for done in &done {
        let client = connect().await?;
        clients.push(tokio::spawn(look_up(
            client,
            Arc::clone(&wanted),
            Arc::clone(&stop),
            Arc::clone(done),
        )));
    }
    let rebuilder = provider.rebuilder()?;
    some_lookups(&done).await;
    rotate(&provider, false).await?;
    some_lookups(&done).await;
    rebuild(&rebuilder).await?;
    ensure!(provider.snapshot().manifest().oprf_epoch == 2);
    some_lookups(&done).await;
    rebuild(&rebuilder).await?;
    some_lookups(&done).await;
    // And again at once: the first key goes, whoever still has its manifest.
    rotate(&provider, true).await?;
    rebuild(&rebuilder).await?;
    some_lookups(&done).await;
    // Until then the snapshot before is served too.
    spawn_blocking(move || rebuilder.retire_before()).await?;
    some_lookups(&done).await;

    stop.store(true, Ordering::Relaxed);
    for client in clients {
        ensure!(client.await?? == 3, "a client didn't follow the manifest");
    }
    ensure!(idle.snapshot().manifest().oprf_epoch == 1);
    ensure!(idle.lookup(csi).await? == *expected);
    ensure!(idle.snapshot().manifest().oprf_epoch == 3);
    provider.stop().await
}

/// The command, killed at any time: the keys that it leaves can be loaded, and the
/// one that was in use still is or is followed by a whole one.
#[test]
fn a_rotation_that_is_killed_leaves_whole_keys() -> Result<()> {
    const ROUNDS: u64 = 12;
    let root = tempfile::tempdir()?;
    let data = DataDir::init(&root.path().join("data"), &InitOptions::default())?;
    let first = data.oprf_key()?.public_key();
    let mut made = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(program("sotto-server")?)
            .arg("--data")
            .arg(data.root())
            .args(["oprf", "rotate"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        std::thread::sleep(Duration::from_millis(2 * round));
        child.kill()?;
        child.wait()?;
        let keys = data.oprf_keys()?;
        ensure!(keys.live(1, UnixTime::now()).map(|key| key.public_key()) == Some(first));
        if keys.newest().epoch == 2 {
            made += 1;
            let second = data.root().join("keys/oprf/2.key");
            std::fs::remove_file(second)?;
        }
        ensure!(data.oprf_key()?.public_key() == first);
    }
    println!("{made} of {ROUNDS} rotations came to their end");
    Ok(())
}
