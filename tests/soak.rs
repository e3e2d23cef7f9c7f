//! Everything at once, for minutes: recipients publish and remove, snapshots are
//! built every two seconds, senders look up, and the server is killed and started
//! again. Every lookup is compared with a model of what the snapshot must say.
//!
//! `SOTTO_SOAK_SECS` says for how long, 120 if it isn't set.

#[path = "durability/history.rs"]
mod history;
#[path = "soak/model.rs"]
mod model;
#[path = "soak/removal.rs"]
mod removal;
#[path = "soak/tasks.rs"]
mod tasks;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use server::data_dir::{DataDir, InitOptions};
use server::senders::SenderName;
use server::store::Store as _;
use tests::Running;
use tokio::task::{JoinSet, spawn_blocking};

use history::History;
use model::Models;
use protocol::time::UnixTime;
use tasks::{Soak, look_up, look_up_all, write};

/// Senders who look up all the time.
const LOOKERS: usize = 3;

/// Of the time between two kills.
const KILL_AFTER_MS: std::ops::RangeInclusive<u64> = 4_000..=9_000;

#[tokio::test(flavor = "multi_thread")]
async fn lookups_are_right_whatever_happens() -> Result<()> {
    let seconds = std::env::var("SOTTO_SOAK_SECS").map_or(Ok(120), |secs| secs.parse())?;
    let seed: u64 = rand::random();
    let root = tempfile::tempdir()?;
    let history = Arc::new(History::new()?);
    // The same port after each start, as senders expect.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let options = InitOptions {
        trust: Some(history.trust()),
        listen: None,
    };
    let data = DataDir::init(&root.path().join("data"), &options)?;
    std::fs::write(data.root().join("config.toml"), config(port))?;
    let mut senders = data.senders()?;
    let key = senders.add(SenderName::new("soak")?, UnixTime::now(), &mut rand::rng())?;
    senders.write(&data.senders_path())?;

    let running = start(&data).await?;
    let models = Models::new(history.people.len());
    let soak = Arc::new(Soak::new(&data, port, key.as_str(), history, models)?);
    let mut tasks = JoinSet::new();
    for person in 0..soak.history.people.len() {
        tasks.spawn(write(Arc::clone(&soak), person, seed));
    }
    for looker in 0..LOOKERS {
        tasks.spawn(look_up(Arc::clone(&soak), looker, seed));
    }
    let ends = Instant::now() + Duration::from_secs(seconds);
    let ran = kill_and_start(&soak, &data, running, ends, seed).await;
    soak.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended?.with_context(|| format!("seed {seed}"))?;
    }
    let (running, kills) = ran?;

    // All that was acknowledged is in a snapshot by now, or soon.
    look_up_all(&soak)
        .await
        .with_context(|| format!("at the end, seed {seed}"))?;
    running.kill()?;
    soak.history.check(&*data.store()?.view()?)?;
    let counts = soak.history.counts();
    let (lookups, snapshots) = soak.looked_up();
    eprintln!("{seconds} s, {kills} kills, {counts:?}, {lookups} lookups in {snapshots} snapshots");
    ensure!(lookups > 20 && snapshots > 3 && kills > 1 && counts.removals > 3);
    Ok(())
}

fn config(port: u16) -> String {
    let quota = "burst = 1000000\nrefill_per_hour = 1000000\nper_day = 1000000\n";
    format!(
        "listen = \"127.0.0.1:{port}\"\n[snapshot]\ninterval_secs = 2\n\
         [quota.sender]\n{quota}[quota.account]\n{quota}[quota.global]\n{quota}"
    )
}

async fn start(data: &DataDir) -> Result<Running> {
    let data = data.clone();
    spawn_blocking(move || Running::start(&data)).await?
}

/// Kills the server at random times and starts it again, until the end.
async fn kill_and_start(
    soak: &Soak,
    data: &DataDir,
    mut running: Running,
    ends: Instant,
    seed: u64,
) -> Result<(Running, u32)> {
    let rng = &mut StdRng::seed_from_u64(seed);
    let mut kills = 0;
    loop {
        let until = Instant::now() + Duration::from_millis(rng.random_range(KILL_AFTER_MS));
        while Instant::now() < until.min(ends) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if soak.stop.load(Ordering::Relaxed) {
                // A task has failed, and says why.
                return Ok((running, kills));
            }
        }
        if Instant::now() >= ends {
            return Ok((running, kills));
        }
        running.kill()?;
        running = start(data).await?;
        kills += 1;
    }
}
