//! The schedule of a server.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::{Running, signal};

use crate::bench::{Bench, until};

/// Longer than it takes the schedule to look several times.
const SEVERAL_LOOKS: Duration = Duration::from_millis(3500);

#[tokio::test(flavor = "multi_thread")]
async fn enough_changes_and_a_signal_dont_wait_for_the_interval() -> Result<()> {
    const AFTER: u64 = 12;
    let config = format!("[snapshot]\ninterval_secs = 86400\nafter_changes = {AFTER}\n");
    let mut bench = Bench::new(&config)?;
    let running = Running::start(&bench.data)?;
    // What it does when it starts has to be over before anybody submits.
    signal("HUP", running.pid())?;
    let over = || Ok(running.said()?.contains("the store is empty"));
    until("an answer to the signal", over).await?;
    let mut entries = 0;
    while entries + 3 < AFTER {
        entries = bench.submit(running.address).await?;
    }
    ensure!(entries < AFTER, "{entries} at once");
    tokio::time::sleep(SEVERAL_LOOKS).await;
    ensure!(bench.sequence()? == 0, "it was not waited: {entries}");
    while entries < AFTER {
        entries = bench.submit(running.address).await?;
    }
    let client = bench.until_served(running.address, 1).await?;
    ensure!(client.snapshot().manifest().audit.entries == entries);
    bench.check(&client).await?;

    // Counted from that one on.
    bench.submit(running.address).await?;
    tokio::time::sleep(SEVERAL_LOOKS).await;
    ensure!(bench.sequence()? == 1);
    signal("HUP", running.pid())?;
    let client = bench.until_served(running.address, 2).await?;
    bench.check(&client).await?;
    // Also if nothing has changed: whoever asks gets one.
    signal("HUP", running.pid())?;
    bench.until_served(running.address, 3).await?;
    let said = running.said()?;
    ensure!(said.matches("were read again").count() == 3, "{said}");
    for figure in ["peak_bytes=", "read_bytes=", "written_bytes="] {
        ensure!(said.matches(figure).count() == 3, "{said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails_is_tried_again_when_the_next_is_due() -> Result<()> {
    let mut bench = Bench::new("[snapshot]\ninterval_secs = 1\n")?;
    let running = Running::start(&bench.data)?;
    bench.submit(running.address).await?;
    bench.until_served(running.address, 1).await?;

    let key = bench.data.root().join("keys/dp.key");
    let away = key.with_extension("away");
    fs::rename(&key, &away)?;
    bench.submit(running.address).await?;
    let failures = || -> Result<usize> { Ok(running.said()?.matches("no new snapshot").count()) };
    until("three failures", || Ok(failures()? >= 3)).await?;
    // What was served still is.
    ensure!(bench.sequence()? == 1);
    let before = bench.until_served(running.address, 1).await?;
    ensure!(before.snapshot().manifest().sequence == 1);

    fs::rename(&away, &key)?;
    let client = bench.until_served(running.address, 2).await?;
    bench.check(&client).await?;
    // With nothing to publish there is nothing to build.
    tokio::time::sleep(SEVERAL_LOOKS).await;
    ensure!(bench.sequence()? == 2);
    bench.submit(running.address).await?;
    let client = bench.until_served(running.address, 3).await?;
    bench.check(&client).await
}
