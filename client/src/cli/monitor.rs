//! `sotto monitor`.

mod hook;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use client::Found;
use client::audit::AuditError;
use client::identity::{Awaited, Identity};
use client::monitor::{Finding, Look, Publication, Watch, compare};
use protocol::bundle::Bundle;
use protocol::cose::KeyId;
use protocol::csi::Csi;
use protocol::mapping::Mapping;
use protocol::time::UnixTime;
use serde::Serialize;

use super::holder::SubjectArgs;
use super::settings::{CacheArgs, LagArgs, Settings};
use super::{Connection, Failure, Outcome};

/// Longest time for a look: a provider that is slow enough would not be found out.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3600);

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

    /// Executable to run when something is found, or could not be looked at. It
    /// gets one JSON object a line on standard input, and neither arguments nor environment but PATH.
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
    lag: LagArgs,

    #[command(flatten)]
    connection: Connection,
}

/// One line of what was found.
#[derive(Debug, Serialize)]
struct Line<'a> {
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    identifier: Option<&'a str>,
    #[serde(flatten)]
    finding: Told<'a>,
    message: String,
}

/// What is told.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
enum Told<'a> {
    /// Of an identifier.
    Finding(&'a Finding),
    /// Of the provider.
    Provider(ProviderFinding),
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
enum ProviderFinding {
    /// The log speaks against it.
    Log,
    /// Something could not be looked at.
    Unchecked,
}

/// Whose identifiers are watched, and at which provider.
struct Watched {
    identity: Identity,
    provider: KeyId,
    csis: Vec<Csi>,
}

/// What is told in one look.
#[derive(Default)]
struct Report {
    /// For the hook.
    lines: String,
    /// What kept from looking at something: the first, or the first evidence.
    failure: Option<Failure>,
}

impl Report {
    fn fail(&mut self, failure: Failure) {
        let is_evidence = |failure: &Failure| matches!(failure, Failure::Evidence(_));
        let outweighed = |known: &Failure| is_evidence(&failure) && !is_evidence(known);
        if self.failure.as_ref().is_none_or(outweighed) {
            self.failure = Some(failure);
        }
    }

    /// What the look came to, and the hook that was told of it.
    fn outcome(self, hooked: anyhow::Result<()>) -> Result<Outcome, Failure> {
        match (self.failure, hooked) {
            (Some(failure), hooked) => {
                if let Err(error) = hooked {
                    eprintln!("sotto: {error:#}");
                }
                Err(failure)
            }
            (None, Err(error)) => Err(Failure::Run(error)),
            (None, Ok(())) if self.lines.is_empty() => Ok(Outcome::Complete),
            (None, Ok(())) => Ok(Outcome::Incomplete),
        }
    }
}

/// Looks, and looks again.
///
/// # Errors
/// [`Failure`]; with several looks only for settings that can't be used.
pub(super) async fn run(args: &MonitorArgs) -> Result<Outcome, Failure> {
    let mut settings = args.connection.settings()?;
    args.cache.apply(&mut settings)?;
    args.lag.apply(&mut settings);
    let mut watch = Watch::new(settings.client.clone())?;
    let directory = args
        .connection
        .local()?
        .identity(args.identity.as_deref())?;
    let identity = Identity::open(directory)?;
    let csis = args.csis(&identity, &settings)?;
    let provider = settings.client.dp_key.key_id();
    let watched = Watched {
        identity,
        provider,
        csis,
    };
    loop {
        let mut report = Report::default();
        let look = look(args, &mut watch, &watched, &mut report);
        if let Err(failure) = within(LOOK_TIMEOUT, look).await {
            args.tell_failure(failure, None, &mut report)?;
        }
        let hooked = args.run_hook(&report.lines).await;
        if args.once {
            return report.outcome(hooked);
        }
        // What was found is told, and the next look may find it in order.
        if let Err(error) = hooked {
            eprintln!("sotto: {error:#}");
        }
        tokio::time::sleep(Duration::from_secs(args.every * 60)).await;
    }
}

fn refused(error: AuditError) -> Failure {
    match error.is_evidence() {
        true => Failure::Evidence(error.into()),
        false => Failure::Run(error.into()),
    }
}

/// A look that may take so long and no longer.
async fn within(
    longest: Duration,
    look: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let looked = tokio::time::timeout(longest, look).await;
    looked.unwrap_or_else(|_| {
        let minutes = longest.as_secs() / 60;
        Err(Failure::Run(anyhow!(
            "a look took longer than {minutes} minutes"
        )))
    })
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
    watch: &mut Watch,
    watched: &Watched,
    report: &mut Report,
) -> Result<(), Failure> {
    let Look { snapshot, found } = watch.look(&watched.csis).await.map_err(refused)?;
    let (entries, now) = (snapshot.manifest().audit.entries, UnixTime::now());
    for (csi, found) in watched.csis.iter().zip(found) {
        let looked = found.map_err(|error| refused(error.into()));
        match looked.and_then(|found| watched.judge(csi, &found, entries, now)) {
            Ok(findings) => args.tell(csi, &findings, now, report)?,
            // The others are looked at all the same.
            Err(failure) => args.tell_failure(failure, Some(csi), report)?,
        }
    }
    Ok(())
}

impl Watched {
    /// Compares what was found of an identifier with what was published, and remembers
    /// what of it is awaited still. The snapshot takes `entries` of the audit log into
    /// account.
    fn judge(
        &self,
        csi: &Csi,
        found: &Found,
        entries: u64,
        now: UnixTime,
    ) -> Result<Vec<Finding>, Failure> {
        let (identity, provider) = (&self.identity, self.provider);
        let before = identity.awaited(provider, csi)?;
        let mut awaited = before.clone();
        let publication = Publication::awaited_since(awaited.seen(entries), now);
        let published = identity.published(provider, csi)?;
        let published = published.and_then(|held| held.bundle);
        let mappings = published.as_ref().map_or(&[][..], Bundle::mappings).iter();
        let mappings: Vec<Mapping> = mappings
            .map(|mapping| mapping.unverified().clone())
            .collect();
        let mut findings = compare(&mappings, &found.public, publication, now);
        if let Some(holder) = &found.holder
            && !identity.has(holder)?
        {
            findings.push(Finding::ForeignCredential);
        }
        if publication == Publication::Complete && findings.is_empty() {
            // All of it is there, whatever the audit log says.
            awaited = Awaited::default();
        }
        if awaited != before {
            identity.set_awaited(provider, csi, &awaited)?;
        }
        Ok(findings)
    }
}

impl MonitorArgs {
    /// Prints what was found of an identifier, and notes it for the hook.
    fn tell(
        &self,
        csi: &Csi,
        findings: &[Finding],
        now: UnixTime,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let identifier = csi.canonical();
        if findings.is_empty() && !self.json {
            println!("{now}  {identifier}  as published");
        }
        for finding in findings {
            let line = Line {
                at: now.to_string(),
                identifier: Some(identifier),
                finding: Told::Finding(finding),
                message: finding.to_string(),
            };
            if !self.json {
                println!("{now}  {identifier}  WARNING: {finding}");
            }
            self.note(&line, report)?;
        }
        Ok(())
    }

    /// Notes what kept from looking at an identifier, or at all of them.
    fn tell_failure(
        &self,
        failure: Failure,
        csi: Option<&Csi>,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let (finding, word, error) = match &failure {
            Failure::Evidence(error) => (ProviderFinding::Log, "EVIDENCE", error),
            Failure::Usage(error) | Failure::Run(error) => {
                (ProviderFinding::Unchecked, "UNCHECKED", error)
            }
        };
        let identifier = csi.map(Csi::canonical);
        let line = Line {
            at: UnixTime::now().to_string(),
            identifier,
            finding: Told::Provider(finding),
            message: format!("{error:#}"),
        };
        if !self.json {
            let whose = identifier.unwrap_or("the provider");
            println!("{}  {whose}  {word}: {}", line.at, line.message);
        }
        self.note(&line, report)?;
        report.fail(failure);
        Ok(())
    }

    fn note(&self, line: &Line<'_>, report: &mut Report) -> Result<(), Failure> {
        let json = serde_json::to_string(line).context("JSON");
        let json = json.map_err(Failure::Run)?;
        if self.json {
            println!("{json}");
        }
        report.lines += &json;
        report.lines.push('\n');
        Ok(())
    }

    async fn run_hook(&self, lines: &str) -> anyhow::Result<()> {
        match &self.hook {
            Some(path) if !lines.is_empty() => hook::run(path, lines).await,
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_outweighs_what_was_met_before_and_after() {
        let unchecked = || Failure::Run(anyhow!("no answer"));
        let evidence = || Failure::Evidence(anyhow!("two histories"));
        let told = |failures: Vec<Failure>| {
            let mut report = Report::default();
            failures
                .into_iter()
                .for_each(|failure| report.fail(failure));
            report.outcome(Ok(()))
        };
        assert!(matches!(told(vec![]), Ok(Outcome::Complete)));
        let of_one = told(vec![unchecked(), unchecked()]);
        assert!(matches!(of_one, Err(Failure::Run(_))));
        for failures in [
            vec![evidence(), unchecked()],
            vec![unchecked(), evidence()],
            vec![unchecked(), evidence(), unchecked()],
        ] {
            assert!(matches!(told(failures), Err(Failure::Evidence(_))));
        }
    }

    #[tokio::test]
    async fn a_look_that_does_not_end_is_told_as_one_that_failed() {
        let endless = within(Duration::from_millis(10), std::future::pending());
        let Err(Failure::Run(error)) = endless.await else {
            panic!("no failure");
        };
        assert!(error.to_string().contains("took longer"), "{error}");
        let evidence = async { Err(Failure::Evidence(anyhow!("two histories"))) };
        let ended = within(LOOK_TIMEOUT, evidence).await;
        assert!(matches!(ended, Err(Failure::Evidence(_))));
        assert!(within(LOOK_TIMEOUT, async { Ok(()) }).await.is_ok());
    }
}
