//! What the tests do as operators and as clients.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use client::{Client, ClientConfig, Witnesses};
use protocol::log::{NoteKey, log_key};
use server::data_dir::DataDir;
use tests::{Deployment, Directory, Running, program};

/// Much longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Builds on SIGHUP alone.
pub(crate) const QUIET: &str = "listen = \"127.0.0.1:0\"\n[snapshot]\ninterval_secs = 0\n";

pub(crate) fn deployment(seed: u64) -> Result<Deployment> {
    Directory::build_with(30, seed, Some(QUIET))?.hand_over()
}

pub(crate) fn key_of_log(data: &DataDir) -> Result<NoteKey> {
    Ok(log_key(&data.provider_public_key()?)?)
}

/// Writes the lines of the file `witnesses`.
pub(crate) fn know(data: &DataDir, witnesses: &[(&NoteKey, &str)]) -> Result<()> {
    let lines = witnesses.iter().map(|(key, url)| format!("{key} {url}\n"));
    let text: String = lines.collect();
    Ok(fs::write(data.root().join("witnesses"), text)?)
}

/// Runs `sotto-server` on a data directory.
pub(crate) fn operate(data: &DataDir, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(program("sotto-server")?);
    let command = command.arg("--data").arg(data.root()).args(arguments);
    Ok(command.output()?)
}

/// Has a server build another snapshot.
pub(crate) fn publish(server: &Running) -> Result<()> {
    let pid = server.pid().to_string();
    let status = Command::new("kill").args(["-HUP", &pid]).status()?;
    ensure!(status.success());
    Ok(())
}

/// Connects until it succeeds and shows this manifest or a later one.
pub(crate) async fn until_shown(config: &ClientConfig, sequence: u64) -> Result<Client> {
    let begun = Instant::now();
    loop {
        let refusal = match Client::connect(config.clone()).await {
            Ok(client) if client.snapshot().manifest().sequence >= sequence => return Ok(client),
            Ok(_) => "an older manifest is served".to_owned(),
            Err(error) => error.to_string(),
        };
        ensure!(begun.elapsed() < PATIENCE, "manifest {sequence}: {refusal}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until a server has said something so many times.
pub(crate) async fn until_said(server: &Running, text: &str, times: usize) -> Result<()> {
    let begun = Instant::now();
    loop {
        let said = server.said()?;
        if said.matches(text).count() >= times {
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "{text:?} isn't in {said}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A client that requires these witnesses.
pub(crate) fn requiring(config: &ClientConfig, witnesses: &[&NoteKey]) -> Result<ClientConfig> {
    let keys: Vec<String> = witnesses.iter().map(ToString::to_string).collect();
    let mut config = config.clone();
    config.witnesses = Witnesses::new(&keys, keys.len())?;
    Ok(config)
}

/// `sotto lookup` of the first record, by somebody who requires a witness.
pub(crate) fn lookup(deployment: &Deployment, server: &Running, key: &NoteKey) -> Result<Output> {
    let (root, port) = (deployment.data.root(), server.address.port());
    let home = root.join("home");
    fs::create_dir_all(&home)?;
    fs::write(home.join("api.key"), &deployment.api_key)?;
    let path = |name: &str| root.join(name).display().to_string();
    let text = format!(
        "server = \"https://localhost:{port}\"\ndp_key_file = {:?}\ntrust = {:?}\nca = {:?}\n\
         api_key_file = \"api.key\"\nwitnesses = [\"{key}\"]\n",
        path("dp.pub"),
        path("trust.toml"),
        path("tls/cert.pem"),
    );
    let file: PathBuf = home.join("client.toml");
    fs::write(&file, text)?;
    let mut command = Command::new(program("sotto")?);
    command
        .args(["lookup", deployment.expected[0].0.canonical()])
        .arg("--config")
        .arg(&file)
        .env("HOME", &home)
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("SOTTO_API_KEY");
    Ok(command.output()?)
}
