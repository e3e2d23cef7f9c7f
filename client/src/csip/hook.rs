//! Delivery of codes by an executable of the operator.
//!
//! It gets two lines on standard input, the canonical identifier and the code:
//! not as arguments or in the environment, which others on the machine can see.
//! What it prints goes nowhere, since it may hold either.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use protocol::csi::Csi;
use protocol::wire::csip::Code;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::config::HookConfig;

/// The executable, and how long it may take.
#[derive(Clone, Debug)]
pub(super) struct Hook {
    path: PathBuf,
    limit: Duration,
}

/// Why a code was not delivered. Holds nothing of what the hook said.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HookError {
    /// It can't be run.
    #[error("cannot run {path}", path = .path.display())]
    Start {
        /// The executable.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// It could not be waited for.
    #[error("lost the hook")]
    Lost(#[source] io::Error),
    /// It took too long and was killed.
    #[error("the hook took more than {limit:?}")]
    TimedOut {
        /// How long it may take.
        limit: Duration,
    },
    /// It says that it failed.
    #[error("the hook failed: {status}")]
    Failed {
        /// Its exit code, or the signal that ended it.
        status: ExitStatus,
    },
}

impl Hook {
    pub(super) fn new(config: &HookConfig) -> Self {
        Self {
            path: config.path.clone(),
            limit: config.timeout(),
        }
    }

    /// Runs it. Dropped, it is killed.
    ///
    /// # Errors
    /// [`HookError`].
    pub(super) async fn deliver(&self, csi: &Csi, code: &Code) -> Result<(), HookError> {
        let start = |source| HookError::Start {
            path: self.path.clone(),
            source,
        };
        let mut command = Command::new(&self.path);
        command
            // The passphrase of the key may be in the environment.
            .env_clear()
            .current_dir(self.path.parent().unwrap_or(Path::new("/")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        let mut child = command.spawn().map_err(start)?;
        let input = Zeroizing::new(format!("{}\n{}\n", csi.canonical(), code.as_str()));
        let stdin = child.stdin.take();
        let run = async {
            if let Some(mut stdin) = stdin {
                // A hook that doesn't read all of it may still know what it does.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
            child.wait().await.map_err(HookError::Lost)
        };
        let status = timeout(self.limit, run)
            .await
            .map_err(|_| HookError::TimedOut { limit: self.limit })??;
        if status.success() {
            Ok(())
        } else {
            Err(HookError::Failed { status })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A hook with this script, and its directory.
    fn hook(script: &str) -> (tempfile::TempDir, Hook) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("send-code");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        let limit = Duration::from_secs(20);
        (directory, Hook { path, limit })
    }

    async fn deliver(hook: &Hook) -> Result<(), HookError> {
        let csi = Csi::parse("+442079460000").unwrap();
        hook.deliver(&csi, &Code::parse("12345678").unwrap()).await
    }

    #[tokio::test]
    async fn it_reads_identifier_and_code_and_sees_them_nowhere_else() {
        let (directory, hook) = hook("{ cat; echo \"$@\"; env; } > seen");
        deliver(&hook).await.unwrap();
        let seen = fs::read_to_string(directory.path().join("seen")).unwrap();
        let (input, rest) = seen.split_at("tel:+442079460000\n12345678\n".len());
        assert_eq!(input, "tel:+442079460000\n12345678\n");
        assert!(!rest.contains("12345678") && !rest.contains("7946"));
        assert!(!rest.contains("CARGO"), "the environment is not passed on");
    }

    #[tokio::test]
    async fn its_failure_is_told_without_its_words() {
        let (_directory, failing) = hook("cat; cat >&2; exit 3");
        let error = deliver(&failing).await.unwrap_err();
        assert!(matches!(&error, HookError::Failed { status } if status.code() == Some(3)));
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("7946") && !shown.contains("12345678"));
        let (_directory, deaf) = hook("exit 0");
        deliver(&deaf).await.unwrap();
    }

    #[tokio::test]
    async fn it_is_not_waited_for_for_ever() {
        let (_directory, mut slow) = hook("exec sleep 600");
        slow.limit = Duration::from_millis(50);
        assert!(matches!(
            deliver(&slow).await,
            Err(HookError::TimedOut { .. })
        ));
        let missing = Hook {
            path: "/nonexistent/send-code".into(),
            limit: Duration::from_secs(1),
        };
        assert!(matches!(
            deliver(&missing).await,
            Err(HookError::Start { .. })
        ));
    }
}
