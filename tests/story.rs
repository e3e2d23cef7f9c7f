//! The tutorial, run: every command of docs/tutorial.md in its order, with the
//! programs that were built, on real TLS servers; what it says that they print
//! is compared with what they print.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tests::program;

/// Ports that the tutorial uses, each replaced by a free one.
const PORTS: [&str; 2] = ["8443", "8444"];

/// Commands, and what they print if the tutorial says so.
struct Step {
    line: usize,
    commands: String,
    printed: Option<String>,
}

#[test]
fn the_tutorial_does_what_it_says() -> Result<()> {
    let tutorial = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tutorial.md");
    let mut text = fs::read_to_string(&tutorial).context("docs/tutorial.md")?;
    for port in PORTS {
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        text = text.replace(port, &free.to_string());
    }
    let steps = steps(&text)?;
    ensure!(steps.len() > 10, "only {} steps were found", steps.len());
    let directory = tempfile::tempdir()?;
    let transcript = run(&steps, directory.path())?;
    for (at, step) in steps.iter().enumerate() {
        let printed = section(&transcript, at).with_context(|| {
            format!("docs/tutorial.md:{} did not run:\n{transcript}", step.line)
        })?;
        if let Some(expected) = &step.printed {
            ensure!(
                matches(expected, printed),
                "docs/tutorial.md:{} says\n{expected}\nbut it printed\n{printed}",
                step.line
            );
        }
    }
    Ok(())
}

/// The blocks of commands (```sh) with the blocks of output (```text) that
/// follow them.
fn steps(text: &str) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else {
            continue;
        };
        let mut block = String::new();
        loop {
            match lines.next() {
                Some((_, "```")) => break,
                Some((_, line)) => {
                    block.push_str(line);
                    block.push('\n');
                }
                None => bail!("docs/tutorial.md:{}: a block without an end", at + 1),
            }
        }
        match (kind, steps.last_mut()) {
            ("sh", _) => steps.push(Step {
                line: at + 1,
                commands: block,
                printed: None,
            }),
            ("text", Some(step)) if step.printed.is_none() => step.printed = Some(block),
            _ => bail!("docs/tutorial.md:{}: an unexpected block", at + 1),
        }
    }
    Ok(steps)
}

/// Runs all commands in one shell; what it prints, with a mark before and after
/// each step.
fn run(steps: &[Step], directory: &Path) -> Result<String> {
    let mut script =
        String::from("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n");
    for (at, step) in steps.iter().enumerate() {
        script += &format!("echo '<<< {at}'\n{}echo '>>> {at}'\n", step.commands);
    }
    let path = directory.join("tutorial.sh");
    fs::write(&path, script)?;
    let mut search = [program("sotto")?, program("sotto-server")?]
        .iter()
        .filter_map(|program| program.parent().map(Path::to_owned))
        .collect::<Vec<PathBuf>>();
    search.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let output = directory.join("transcript");
    let transcript = fs::File::create(&output)?;
    let status = Command::new("bash")
        .arg(&path)
        .current_dir(directory)
        .env("PATH", std::env::join_paths(search)?)
        .env("HOME", directory)
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("SOTTO_DATA")
        .stdin(std::process::Stdio::null())
        .stderr(transcript.try_clone()?)
        .stdout(transcript)
        .status()
        .context("bash")?;
    let transcript = fs::read_to_string(&output)?;
    ensure!(status.success(), "{status}:\n{transcript}");
    Ok(transcript)
}

/// What one step printed.
fn section(transcript: &str, at: usize) -> Option<&str> {
    let (_, rest) = transcript.split_once(&format!("<<< {at}\n"))?;
    Some(rest.split_once(&format!(">>> {at}\n"))?.0)
}

/// Whether every line that is expected was printed, in that order; `…` stands
/// for anything within a line, and on a line of its own for any lines.
fn matches(expected: &str, printed: &str) -> bool {
    let expected: Vec<&str> = expected.lines().map(str::trim_end).collect();
    let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
    lines_match(&expected, &printed)
}

fn lines_match(expected: &[&str], printed: &[&str]) -> bool {
    match expected {
        [] => printed.is_empty(),
        ["…", rest @ ..] => (0..=printed.len()).any(|skip| lines_match(rest, &printed[skip..])),
        [line, rest @ ..] => printed
            .split_first()
            .is_some_and(|(first, after)| line_matches(line, first) && lines_match(rest, after)),
    }
}

fn line_matches(expected: &str, mut printed: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(rest) = parts.next().and_then(|first| printed.strip_prefix(first)) else {
        return false;
    };
    printed = rest;
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return printed.is_empty();
    };
    for part in middle {
        match printed.split_once(part) {
            Some((_, rest)) => printed = rest,
            None => return false,
        }
    }
    printed.ends_with(last)
}

#[test]
fn output_is_compared_strictly() {
    assert!(matches("a\nb\n", "a\nb\n"));
    assert!(!matches("a\n", "a\nb\n"));
    assert!(!matches("a\nb\n", "a\n"));
    assert!(matches("a …\n…\nz\n", "a 1\nb\nc\nz\n"));
    assert!(!matches("a …\n…\nz\n", "a 1\nb\nc\n"));
    assert!(matches("…\n", "anything\nat all\n"));
    assert!(matches("…\na\nb\n", "a\nx\na\nb\n"));
    assert!(line_matches("id … is …, yes", "id 7 is 8, yes"));
    assert!(!line_matches("id … is …, yes", "id 7 is 8, no"));
    assert!(!line_matches("a", "ab"));
}
