//! `sotto monitor`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use client::audit::Audit;
use client::identity::Identity;
use client::monitor::{Finding, Publication, compare};
use client::{Client, ClientError};
use protocol::bundle::Bundle;
use protocol::csi::Csi;
use protocol::mapping::Mapping;
use protocol::time::UnixTime;
use serde::Serialize;
use tokio::io::AsyncWriteExt as _;

use super::holder::SubjectArgs;
use super::settings::{CacheArgs, Settings};
use super::{Connection, Failure, Outcome};

/// Longest time that a hook may take.
const HOOK_TIMEOUT: Duration = Duration::from_secs(60);

/// Arguments of `monitor`.
#[derive(Debug, clap::Args)]
pub(super) struct MonitorArgs {
    #[command(flatten)]
    subject: SubjectArgs,

    /// Minutes between two looks.
    #[arg(long, value_name = "MINUTES", default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,

    /// Look once, and say with the exit code what was found.
    #[arg(long, conflicts_with = "every")]
    once: bool,

    /// Executable to run when something is found. It gets one JSON object a line
    /// on standard input, and neither arguments nor environment but PATH.
    #[arg(long, value_name = "FILE")]
    hook: Option<PathBuf>,

    /// Print a JSON object a line instead of text.
    #[arg(long)]
    json: bool,

    /// Directory of the identity; without it, that of the configuration file or
    /// ~/.config/sotto/identity.
    #[arg(long, value_name = "DIR")]
    identity: Option<PathBuf>,

    #[command(flatten)]
    cache: CacheArgs,

    #[command(flatten)]
    connection: Connection,
}

/// One line of what was found.
#[derive(Debug, Serialize)]
struct Line<'a> {
    at: String,
    identifier: &'a str,
    #[serde(flatten)]
    finding: &'a Finding,
    message: String,
}

/// Looks, and looks again.
///
/// # Errors
/// [`Failure`]; with several looks only if the first can't be made.
pub(super) async fn run(args: &MonitorArgs) -> Result<Outcome, Failure> {
    let mut settings = args.connection.settings()?;
    args.cache.apply(&mut settings)?;
    let directory = args
        .connection
        .local()?
        .identity(args.identity.as_deref())?;
    let identity = Identity::open(directory)?;
    let csis = args.csis(&identity, &settings)?;
    let mut first = true;
    loop {
        let looked = look(args, &settings, &identity, &csis).await;
        if args.once {
            return looked;
        }
        match looked {
            Err(failure @ Failure::Usage(_)) if first => return Err(failure),
            // It is told, and the next look may find it in order.
            Err(Failure::Usage(error) | Failure::Run(error) | Failure::Evidence(error)) => {
                eprintln!("sotto: {error:#}");
            }
            Ok(_) => {}
        }
        first = false;
        tokio::time::sleep(Duration::from_secs(args.every * 60)).await;
    }
}

impl MonitorArgs {
    /// The identifiers that are watched.
    fn csis(&self, identity: &Identity, settings: &Settings) -> Result<Vec<Csi>, Failure> {
        if let Some(csi) = self.subject.csi(settings.region.as_deref())? {
            return Ok(vec![csi]);
        }
        let credentials = identity.credentials()?;
        let subjects = credentials.iter();
        let csis: Vec<Csi> = subjects
            .map(|credential| credential.unverified().subject.clone())
            .collect();
        if csis.is_empty() {
            return Err(Failure::Usage(anyhow!(
                "you hold no credentials: say which identifier is meant"
            )));
        }
        Ok(csis)
    }
}

/// One look at the log and at all identifiers.
async fn look(
    args: &MonitorArgs,
    settings: &Settings,
    identity: &Identity,
    csis: &[Csi],
) -> Result<Outcome, Failure> {
    let audit = Audit::new(settings.client.clone())?;
    match audit.chain(&|_| ()).await {
        Ok(_) => {}
        Err(error) if error.is_evidence() => {
            let message = error.to_string();
            args.tell_log(&message).await?;
            return Err(Failure::Evidence(error.into()));
        }
        Err(error) => return Err(Failure::Run(error.into())),
    }
    let client = Client::connect(settings.client.clone()).await?;
    let found: Vec<Result<_, ClientError>> = client.find_many(csis).await;
    let (snapshot, now) = (client.snapshot(), UnixTime::now());
    let provider = settings.client.dp_key.key_id();
    let accepted = identity.receipt(provider)?;
    let publication = match accepted {
        Some(head) if head.entries > snapshot.manifest().audit.entries => Publication::Pending,
        _ => Publication::Complete,
    };
    let mut outcome = Outcome::Complete;
    for (csi, found) in csis.iter().zip(found) {
        let published = identity.published(provider, csi)?;
        let published = published.and_then(|held| held.bundle);
        let mappings = published.as_ref().map_or(&[][..], Bundle::mappings).iter();
        let mappings: Vec<Mapping> = mappings
            .map(|mapping| mapping.unverified().clone())
            .collect();
        let found = found?;
        let mut findings = compare(&mappings, &found.public, publication, now);
        if let Some(holder) = &found.holder
            && !identity.has(holder)?
        {
            findings.push(Finding::ForeignCredential);
        }
        if !findings.is_empty() {
            outcome = Outcome::Incomplete;
        }
        args.tell(csi, &findings, now).await?;
    }
    Ok(outcome)
}

impl MonitorArgs {
    /// Prints what was found of an identifier, and runs the hook.
    async fn tell(&self, csi: &Csi, findings: &[Finding], now: UnixTime) -> Result<(), Failure> {
        let identifier = csi.canonical();
        if findings.is_empty() && !self.json {
            println!("{now}  {identifier}  as published");
        }
        let mut lines = String::new();
        for finding in findings {
            let line = Line {
                at: now.to_string(),
                identifier,
                finding,
                message: finding.to_string(),
            };
            let json = serde_json::to_string(&line).context("JSON");
            let json = json.map_err(Failure::Run)?;
            if self.json {
                println!("{json}");
            } else {
                println!("{now}  {identifier}  WARNING: {finding}");
            }
            lines += &json;
            lines.push('\n');
        }
        self.run_hook(lines).await
    }

    /// The same of the log.
    async fn tell_log(&self, message: &str) -> Result<(), Failure> {
        let line = serde_json::json!({
            "at": UnixTime::now().to_string(),
            "finding": "log",
            "message": message,
        });
        if self.json {
            println!("{line}");
        }
        self.run_hook(format!("{line}\n")).await
    }

    async fn run_hook(&self, lines: String) -> Result<(), Failure> {
        match &self.hook {
            Some(path) if !lines.is_empty() => run_hook(path, &lines).await.map_err(Failure::Run),
            _ => Ok(()),
        }
    }
}

/// Runs an executable with these lines on its standard input.
async fn run_hook(path: &Path, lines: &str) -> anyhow::Result<()> {
    let mut command = tokio::process::Command::new(path);
    command
        // The API key may be in the environment.
        .env_clear()
        .stdin(Stdio::piped())
        .kill_on_drop(true);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    let failed = || format!("hook {}", path.display());
    let mut child = command.spawn().with_context(failed)?;
    let stdin = child.stdin.take();
    let run = async {
        if let Some(mut stdin) = stdin {
            // A hook that doesn't read all of it may still know what it does.
            let _ = stdin.write_all(lines.as_bytes()).await;
        }
        child.wait().await
    };
    let ended = tokio::time::timeout(HOOK_TIMEOUT, run).await;
    let status = ended.with_context(failed)?.with_context(failed)?;
    if status.success() {
        Ok(())
    } else {
        Err(anyhow!("{}: {status}", failed()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_hook_reads_what_was_found_and_says_whether_it_could() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hook");
        let hook = |script: &str| {
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        };
        let seen = directory.path().join("seen");
        hook(&format!("{{ cat; env; }} > {}", seen.display()));
        run_hook(&path, "{\"finding\":\"missing\"}\n")
            .await
            .unwrap();
        let seen = fs::read_to_string(seen).unwrap();
        assert!(seen.starts_with("{\"finding\":\"missing\"}\n"), "{seen}");
        assert!(!seen.contains("CARGO"), "the environment is not passed on");
        hook("exit 3");
        let error = run_hook(&path, "{}\n").await.unwrap_err();
        assert!(error.to_string().contains('3'), "{error:#}");
        assert!(run_hook(Path::new("/no/such/hook"), "{}\n").await.is_err());
    }
}
