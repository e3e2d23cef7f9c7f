//! Memory that fails under a server: bits are flipped in a running process.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use client::{Client, ClientError};
use protocol::csi::Csi;
use protocol::lookup::Lookup;
use protocol::problem::ProblemType;
use server::snapshot::file::{self, Section};
use tests::{Directory, Running};

/// No answer of a damaged snapshot leaves. The server reads it again and serves
/// it, and after a third fault stays out of the rotation.
#[tokio::test(flavor = "multi_thread")]
async fn flipped_bits_become_errors_and_never_answers() -> Result<()> {
    let config = "listen = \"127.0.0.1:0\"\n[snapshot]\ninterval_secs = 0\n";
    let deployment = Directory::build_with(300, 31, Some(config))?.hand_over()?;
    let running = Running::start(&deployment.data)?;
    let mut config = deployment.client_config(running.address)?;
    config.busy_retries = 0;
    let client = Client::connect(config).await?;
    let expected = &deployment.expected[..20];

    for (section, fault) in [
        (Section::Database, 1),
        (Section::Packing, 2),
        (Section::Database, 3),
    ] {
        for (csi, expected) in expected {
            ensure!(client.lookup(csi).await? == *expected);
        }
        flip(&running, section)?;
        match client.lookup(&expected[0].0).await {
            Err(ClientError::Problem { problem, .. }) => {
                ensure!(problem.kind == ProblemType::NotReady, "{problem}");
            }
            other => bail!("a damaged snapshot answered: {other:?}"),
        }
        if fault < 3 {
            until_right(&client, &expected[0]).await?;
        }
    }
    // Not ready, and nothing is served, whatever is published.
    until_said(&running, "third time").await?;
    ensure!(client.lookup(&expected[0].0).await.is_err());
    tests::signal("HUP", running.pid())?;
    until_said(&running, "no new snapshot").await?;
    ensure!(client.lookup(&expected[0].0).await.is_err());
    let log = running.kill()?;
    ensure!(log.matches("altered in memory").count() == 2, "{log}");
    ensure!(log.contains("third time"), "{log}");
    Ok(())
}

async fn until_said(running: &Running, text: &str) -> Result<()> {
    for _ in 0..600 {
        if running.said()?.contains(text) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("it was not said: {text}");
}

/// Waits until the snapshot is served again.
async fn until_right(client: &Client, (csi, expected): &(Csi, Lookup)) -> Result<()> {
    for _ in 0..600 {
        match client.lookup(csi).await {
            Ok(found) => {
                ensure!(found == *expected, "a wrong answer");
                return Ok(());
            }
            Err(ClientError::Problem { problem, .. }) if problem.kind == ProblemType::NotReady => {}
            Err(other) => return Err(other.into()),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("the snapshot was not served again");
}

/// Flips a bit in the middle of a section of the snapshot that a process has in
/// its memory.
fn flip(running: &Running, section: Section) -> Result<()> {
    let process = format!("/proc/{}", running.pid());
    let maps = std::fs::read_to_string(format!("{process}/maps"))?;
    let path = format!("{process}/mem");
    let memory = OpenOptions::new().read(true).write(true).open(path)?;
    let mut flipped = 0;
    for line in maps.lines() {
        let (from, rest) = line.split_once('-').context("a mapping")?;
        let to = rest.split(' ').next().context("a mapping")?;
        let (from, to) = (u64::from_str_radix(from, 16)?, u64::from_str_radix(to, 16)?);
        let mut header = vec![0; file::ALIGNMENT];
        // Other mappings can be shorter, or not for reading.
        if memory.read_exact_at(&mut header, from).is_err() || !header.starts_with(b"SOTTOSNP") {
            continue;
        }
        // The length of the file is that of the mapping, less than a page short.
        let length = (0..file::ALIGNMENT as u64).map(|short| to - from - short);
        let sections = length
            .filter_map(|length| file::read_header(&header, length).ok())
            .next()
            .context("a snapshot's header")?;
        let range = sections.range(section);
        let at = from + (range.start + range.len() / 2) as u64;
        let mut byte = [0];
        memory.read_exact_at(&mut byte, at)?;
        memory.write_all_at(&[byte[0] ^ 1], at)?;
        flipped += 1;
    }
    ensure!(flipped == 1, "{flipped} snapshots in memory");
    Ok(())
}
