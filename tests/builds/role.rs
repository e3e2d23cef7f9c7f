//! `sotto-server build`, which serves nothing.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use client::audit::Audit;
use protocol::csi::Csi;
use server::data_dir::DataDir;
use server::memory::Memory;
use server::progress::Progress;
use server::snapshot::{Snapshot, current};
use tests::postgres::Cluster;
use tests::s3::S3;
use tests::{Deployment, Directory, Running, program};
use tokio::task::block_in_place;

use crate::bench::{Bench, until};

fn command(data: &DataDir, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(program("sotto-server")?);
    command
        .arg("--data")
        .arg(data.root())
        .args(arguments)
        .env_remove("SOTTO_STORE_URL")
        .stdin(Stdio::null());
    Ok(command)
}

/// Runs a command of the server to its end.
fn run(data: &DataDir, arguments: &[&str]) -> Result<Output> {
    block_in_place(|| Ok(command(data, arguments)?.output()?))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Builds once; what it printed.
fn once(data: &DataDir) -> Result<String> {
    let output = run(data, &["build", "--once"])?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    Ok(text(&output.stdout))
}

/// Withholds a record, which another snapshot is due for.
fn block(data: &DataDir, csi: &Csi) -> Result<()> {
    let file = data.root().join("blocked.txt");
    fs::write(&file, csi.canonical())?;
    let file = file.display().to_string();
    let output = run(data, &["block", "add", &file])?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    Ok(())
}

/// A builder that runs until it is dropped.
struct Builder {
    child: Child,
    log: PathBuf,
}

impl Builder {
    fn start(data: &DataDir, name: &str) -> Result<Self> {
        let log = data.root().join(name);
        let child = command(data, &["build"])?
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        Ok(Self { child, log })
    }

    fn said(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.log)?)
    }

    /// Ends it as an operator does; what it has logged.
    fn stop(mut self) -> Result<String> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "{ended:?}: {}", self.said()?);
        tests::signal("TERM", self.child.id())?;
        self.child.wait()?;
        self.said()
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A provider whose store no server has open.
fn deployment(count: usize) -> Result<Deployment> {
    let config = "listen = \"127.0.0.1:0\"\n[snapshot]\ninterval_secs = 1\n";
    Directory::build_with(count, 63, Some(config))?.hand_over()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_serves_what_a_builder_beside_it_publishes() -> Result<()> {
    let cluster = block_in_place(|| Cluster::start(None))?;
    let mut bench = Bench::new(&format!(
        "[snapshot]\ninterval_secs = 1\n[storage]\nrole = \"follower\"\nfollow_secs = 1\n\
         [store]\nkind = \"postgres\"\nurl = \"{}\"\n",
        cluster.url("postgres")
    ))?;
    let follower = Running::start(&bench.data)?;
    // Two builders never build at once, and each goes on from the other's.
    let builders = ["one.log", "two.log"].map(|name| Builder::start(&bench.data, name));
    let [one, two] = builders;
    let (one, two) = (one?, two?);
    let mut last = 0;
    for _ in 0..4 {
        let entries = bench.submit(follower.address).await?;
        let client = loop {
            let client = bench.until_served(follower.address, last + 1).await?;
            last = client.snapshot().manifest().sequence;
            if client.snapshot().manifest().audit.entries >= entries {
                break client;
            }
        };
        bench.check(&client).await?;
    }
    let said = one.stop()? + &two.stop()?;
    let built = said.matches("built a snapshot").count() as u64;
    ensure!(bench.sequence()? == built && built >= last, "{said}");
    ensure!(said.contains("peak_bytes="), "{said}");
    // The follower builds nothing, and the log is one chain.
    ensure!(!follower.said()?.contains("built a snapshot"));
    let audit = Audit::new(bench.client_config(follower.address)?)?;
    let chain = audit.chain(&|_| ()).await?;
    ensure!(chain.head.size == built, "{} of {built}", chain.head.size);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_elsewhere_serves_what_a_builder_publishes_in_the_storage() -> Result<()> {
    let s3 = S3::start().await?;
    let publisher = deployment(40)?;
    let data = &publisher.data;
    let secret = data.root().join("s3.toml");
    fs::write(&secret, S3::CREDENTIALS)?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    let follower = publisher.replica("follower")?;
    fs::remove_dir_all(follower.snapshots())?;
    fs::create_dir(follower.snapshots())?;
    for (data, role) in [(data, "publisher"), (&follower, "follower")] {
        let path = data.root().join("config.toml");
        let config = fs::read_to_string(&path)?;
        fs::write(path, config + &s3.config(role))?;
    }
    let follower = Running::start(&follower)?;
    for csi in publisher.expected[..2].iter().map(|(csi, _)| csi) {
        block(data, csi)?;
        let built = once(data)?;
        let config = publisher.client_config(follower.address)?;
        let begun = Instant::now();
        let client = loop {
            if let Ok(client) = client::Client::connect(config.clone()).await
                && client.snapshot().manifest().snapshot.to_string() == built.trim()
            {
                break client;
            }
            ensure!(begun.elapsed() < crate::bench::PATIENCE, "{built}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        for (csi, expected) in &publisher.expected[2..5] {
            ensure!(client.lookup(csi).await? == *expected);
        }
        // Nothing more is due.
        ensure!(once(data)?.is_empty());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_builder_that_is_terminated_leaves_one_of_two_snapshots_whole() -> Result<()> {
    const ROUNDS: u32 = 8;
    let deployment = deployment(200)?;
    let data = &deployment.data;
    let key = data.provider_public_key()?;
    let begun = Instant::now();
    block(data, &deployment.expected[0].0)?;
    let blocked = begun.elapsed();
    ensure!(!once(data)?.is_empty());
    let takes = begun.elapsed().saturating_sub(blocked);
    let mut terminated = 0;
    for round in 0..ROUNDS {
        block(data, &deployment.expected[1 + round as usize].0)?;
        let before = current::read(&data.snapshots())?;
        let child = command(data, &["build", "--once"])?
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        tokio::time::sleep(takes * round / ROUNDS).await;
        // It may have ended already.
        let _ = tests::signal("TERM", child.id());
        let output = block_in_place(|| child.wait_with_output())?;
        let now = current::read(&data.snapshots())?;
        match output.status.signal() {
            Some(signal) => {
                terminated += u32::from(signal == 15);
                // Or killed between the step that publishes and the end.
                ensure!(now == before || output.stdout.is_empty());
            }
            None => ensure!(text(&output.stdout).trim() == now.to_string()),
        }
        let (memory, progress) = (Memory::OfSystem, Progress::Logged);
        Snapshot::load(&data.snapshots(), now, &key, memory, progress)?;
    }
    ensure!(terminated >= 2, "{terminated} of {ROUNDS}");
    // And the next build goes on from there.
    block(data, &deployment.expected[20].0)?;
    let built = once(data)?;
    ensure!(built.trim() == current::read(&data.snapshots())?.to_string());
    let names = fs::read_dir(data.snapshots())?;
    let names: Vec<_> = names.map(|it| Ok(it?.file_name())).collect::<Result<_>>()?;
    let snapshots = |it: &&std::ffi::OsString| it.to_string_lossy().ends_with(".sotto");
    ensure!(names.iter().filter(snapshots).count() == 2, "{names:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_builder_is_refused_while_another_or_a_server_has_the_directory() -> Result<()> {
    let deployment = deployment(20)?;
    let data = &deployment.data;
    block(data, &deployment.expected[0].0)?;
    let before = current::read(&data.snapshots())?;
    let refused = |reason: &str| -> Result<()> {
        let output = run(data, &["build", "--once"])?;
        let said = text(&output.stderr);
        ensure!(output.status.code() == Some(1), "{}: {said}", output.status);
        ensure!(said.contains(reason), "{said}");
        ensure!(current::read(&data.snapshots())? == before);
        Ok(())
    };
    // As another builder, or a command that writes, holds it.
    let lock = data.lock()?;
    refused(&data.lock().err().context("not held")?.to_string())?;
    drop(lock);
    let server = Running::start(data)?;
    refused("in use by another process")?;
    until("a snapshot of the server's", || {
        Ok(current::read(&data.snapshots())? != before)
    })
    .await?;
    server.kill()?;
    let served = current::read(&data.snapshots())?;
    ensure!(once(data)?.is_empty());
    ensure!(current::read(&data.snapshots())? == served);
    Ok(())
}
