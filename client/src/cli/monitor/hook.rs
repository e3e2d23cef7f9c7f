//! Whom `sotto monitor` tells.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::io::AsyncWriteExt as _;

/// Longest time that a hook may take.
const HOOK_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs an executable with these lines on its standard input.
pub(super) async fn run(path: &Path, lines: &str) -> anyhow::Result<()> {
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
        run(&path, "{\"finding\":\"missing\"}\n").await.unwrap();
        let seen = fs::read_to_string(seen).unwrap();
        assert!(seen.starts_with("{\"finding\":\"missing\"}\n"), "{seen}");
        assert!(!seen.contains("CARGO"), "the environment is not passed on");
        hook("exit 3");
        let error = run(&path, "{}\n").await.unwrap_err();
        assert!(error.to_string().contains('3'), "{error:#}");
        assert!(run(Path::new("/no/such/hook"), "{}\n").await.is_err());
    }
}
