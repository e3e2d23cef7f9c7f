//! A thousand identifiers in one call of `sotto`, over TLS: killed in the middle
//! and called again, in the next snapshot, with a membership filter, and against
//! a provider that goes back.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use protocol::csi::Csi;
use protocol::lookup::{AnswerLine, Lookup};
use tests::{Directory, Provider, program};

const IDENTIFIERS: usize = 1000;

/// Much longer than any call takes.
const PATIENCE: Duration = Duration::from_secs(300);

/// Most answers that are not in the file yet: a page that is being written, one
/// that waits, one a worker that waits to hand it over, and one on its way to it.
const UNDER_WAY: u64 = 32 + 32 + 16 + 16;

/// The files of a sender, and what it asks for.
struct Sender {
    config: PathBuf,
    asked: PathBuf,
    cache: PathBuf,
    home: PathBuf,
}

/// What a call counted: evaluated, recalled, queries, fetched before, filtered.
type Counts = [u64; 5];

impl Sender {
    fn new(provider: &Provider, asked: &[Csi]) -> Result<Self> {
        let home = provider.directory.scratch().join("sender");
        fs::create_dir(&home)?;
        let data = provider.directory.data().root().display().to_string();
        let sender = Self {
            config: home.join("client.toml"),
            asked: home.join("asked"),
            cache: home.join("cache"),
            home,
        };
        fs::write(sender.home.join("api.key"), provider.api_key())?;
        fs::write(
            &sender.config,
            format!(
                "server = \"https://localhost:{}\"\ndp_key_file = \"{data}/dp.pub\"\n\
                 trust = \"../trust.toml\"\nca = \"{data}/tls/cert.pem\"\n\
                 api_key_file = \"api.key\"\n",
                provider.address.port()
            ),
        )?;
        let lines: Vec<&str> = asked.iter().map(Csi::canonical).collect();
        fs::write(&sender.asked, lines.join("\n"))?;
        Ok(sender)
    }

    fn command(&self, subcommand: &str) -> Result<Command> {
        let mut command = Command::new(program("sotto")?);
        command
            .arg(subcommand)
            .arg("--config")
            .arg(&self.config)
            .env("HOME", &self.home)
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("SOTTO_API_KEY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    fn lookup(&self, flags: &[&str]) -> Result<Command> {
        let mut command = self.command("lookup")?;
        command.args(["--json", "--verbose", "--file"]);
        command.arg(&self.asked).args(flags);
        Ok(command)
    }

    fn cached(&self, flags: &[&str]) -> Result<Command> {
        let mut command = self.lookup(flags)?;
        command.arg("--cache").arg(&self.cache);
        Ok(command)
    }
}

/// Runs a command to its end, beside the server of this process.
async fn run(mut command: Command) -> Result<Output> {
    let output = tokio::task::spawn_blocking(move || command.output());
    Ok(tokio::time::timeout(PATIENCE, output).await???)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The lines that a successful call printed, and its counts.
fn answered(output: &Output) -> Result<(Vec<String>, Counts)> {
    let said = stderr(output);
    ensure!(output.status.success(), "{}: {said}", output.status);
    let lines = String::from_utf8(output.stdout.clone())?;
    let counted = said.lines().last().context("no counts")?;
    let numbers = counted.split(|c: char| !c.is_ascii_digit());
    let numbers: Vec<u64> = numbers.filter_map(|number| number.parse().ok()).collect();
    let counts = numbers.try_into();
    let counts = counts.map_err(|_| anyhow::anyhow!("no counts: {said}"))?;
    Ok((lines.lines().map(str::to_owned).collect(), counts))
}

/// The lines that must be printed.
fn expected(asked: &[(Csi, Lookup)]) -> Vec<String> {
    let line = |(csi, lookup): &(Csi, Lookup)| AnswerLine::found(csi, lookup).to_json();
    asked.iter().map(line).collect()
}

/// Waits until the server has answered so many queries, then kills the client.
async fn kill_after(child: &mut Child, provider: &Provider, queries: u64) -> Result<u64> {
    let begun = Instant::now();
    while provider.snapshot().served().queries < queries {
        if let Some(status) = child.try_wait()? {
            bail!("it ended by itself: {status}");
        }
        ensure!(begun.elapsed() < PATIENCE, "no answers");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    child.kill()?;
    child.wait()?;
    // What was under way is answered all the same.
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok(provider.snapshot().served().queries)
}

/// Half of them are there, in turns.
fn thousand(directory: &mut Directory) -> Result<Vec<(Csi, Lookup)>> {
    let absent = directory.absent(IDENTIFIERS / 2)?;
    let mut asked = Vec::new();
    for (record, absent) in directory.records.iter().zip(absent) {
        asked.push((record.csi.clone(), directory.expected(record)?));
        asked.push((absent, Lookup::NoMapping));
    }
    ensure!(asked.len() == IDENTIFIERS);
    Ok(asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_are_looked_up_although_the_client_is_killed() -> Result<()> {
    let mut directory = Directory::build(IDENTIFIERS / 2, 31)?;
    let mut asked = thousand(&mut directory)?;
    let csis: Vec<Csi> = asked.iter().map(|(csi, _)| csi.clone()).collect();
    let provider = directory.serve().await?;
    let sender = Sender::new(&provider, &csis)?;
    let count = IDENTIFIERS as u64;

    // Killed in the middle of the PIR: the evaluations are there, and most of what
    // was fetched.
    let mut child = sender.cached(&[])?.spawn()?;
    let before = kill_after(&mut child, &provider, 200).await?;
    ensure!(before < count, "killed too late");
    let (lines, counts) = answered(&run(sender.cached(&[])?).await?)?;
    assert_eq!(lines, expected(&asked));
    let [evaluated, recalled, queries, fetched_before, filtered] = counts;
    assert_eq!((evaluated, recalled, filtered), (0, count, 0));
    assert_eq!(queries + fetched_before, count);
    assert!(
        fetched_before + UNDER_WAY >= before,
        "{fetched_before} of {before} kept"
    );
    let served = provider.snapshot().served();
    assert_eq!(served.queries, before + queries);
    assert!(
        served.passes < served.queries,
        "queries shared passes: {served:?}"
    );

    // In the same snapshot nothing is asked again.
    let (lines, counts) = answered(&run(sender.cached(&[])?).await?)?;
    assert_eq!(lines, expected(&asked));
    assert_eq!(counts, [0, count, 0, count, 0]);
    assert_eq!(provider.snapshot().served(), served);
    // Without the cache everything is.
    let (_, counts) = answered(&run(sender.cached(&["--no-cache"])?).await?)?;
    assert_eq!(counts, [count, 0, count, 0, 0]);

    // In the next one the evaluations are still good.
    let old = provider.snapshot().id();
    provider.directory.withhold(&asked[0].0)?;
    provider.publish()?;
    asked[0].1 = Lookup::Blocked;
    let (lines, counts) = answered(&run(sender.cached(&[])?).await?)?;
    assert_eq!(lines, expected(&asked));
    assert_eq!(counts, [0, count, count, 0, 0]);

    // Whoever remembers it refuses a provider that goes back.
    let provider = provider.go_back(old).await?;
    for command in [sender.cached(&[])?, sender.cached(&["--no-cache"])?] {
        let output = run(command).await?;
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("older"), "{said}");
    }
    let mut check = sender.command("check")?;
    check.arg("--cache").arg(&sender.cache);
    assert_eq!(run(check).await?.status.code(), Some(1));
    assert!(run(sender.command("check")?).await?.status.success());
    provider.stop().await
}

/// The server sees the class of the number of hits, whichever identifiers are
/// asked for.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_filter_the_server_sees_a_class_of_hits() -> Result<()> {
    let mut directory = Directory::build(300, 32)?;
    let absent = directory.absent(250)?;
    let mut listed = Vec::new();
    for record in &directory.records {
        let expected = directory.expected(record)?;
        if expected != Lookup::NoMapping {
            listed.push((record.csi.clone(), expected));
        }
    }
    let (withheld, _) = listed.remove(0);
    directory.withhold(&withheld)?;
    directory.publish_filters()?;
    directory.publish()?;
    let provider = directory.serve().await?;
    ensure!(provider.snapshot().manifest().filter.is_some());
    // Room for a few false positives in each class.
    for (round, (hits, queries)) in [(0, 16), (10, 16), (20, 32), (27, 32), (50, 64)]
        .into_iter()
        .enumerate()
    {
        let mut asked = vec![(withheld.clone(), Lookup::Blocked)];
        asked.truncate(hits);
        let those = listed.iter().skip(round).take(hits.saturating_sub(1));
        asked.extend(those.cloned());
        let absent = absent.iter().take(50 * (round + 1));
        asked.extend(absent.map(|csi| (csi.clone(), Lookup::NoMapping)));
        let csis: Vec<Csi> = asked.iter().map(|(csi, _)| csi.clone()).collect();
        let home = provider.directory.scratch().join("sender");
        if home.exists() {
            fs::remove_dir_all(home)?;
        }
        let sender = Sender::new(&provider, &csis)?;
        let before = provider.snapshot().served().queries;
        let (lines, counts) = answered(&run(sender.lookup(&["--filter"])?).await?)?;
        assert_eq!(lines, expected(&asked), "{hits} hits");
        let [evaluated, _, asked_for, _, filtered] = counts;
        assert_eq!((evaluated, asked_for), (csis.len() as u64, queries));
        assert!(filtered <= (csis.len() - hits) as u64);
        assert_eq!(provider.snapshot().served().queries - before, queries);
    }
    provider.stop().await
}
