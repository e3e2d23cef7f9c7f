//! A witness of somebody else's making: `aics-witness`, from PyPI, which `test.sh`
//! installs, with `aics-tlog`, which verifies logs; stopped when dropped.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use protocol::log::NoteKey;

/// Where the programs are instead of where `test.sh` puts them.
const PROGRAMS: &str = "SOTTO_WITNESS_BIN";

/// Much longer than a start takes.
const START: Duration = Duration::from_secs(60);

/// A witness that runs until it is stopped or dropped.
pub struct Witness {
    /// What it remembers.
    directory: PathBuf,
    port: u16,
    child: Option<Child>,
    /// Its key.
    pub key: NoteKey,
}

impl Witness {
    /// Makes a witness of a log, in a directory of its own, and starts it.
    ///
    /// # Errors
    /// That it isn't installed, or doesn't start.
    pub fn start(directory: &Path, name: &str, log: &NoteKey) -> Result<Self> {
        fs::create_dir(directory)?;
        // Free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let listen = format!("127.0.0.1:{port}");
        let key = run(
            directory,
            &[
                "init", "--name", name, "--listen", &listen, "--prefix", "/w",
            ],
        )?;
        let (origin, log) = (log.name(), log.to_string());
        run(directory, &["add-log", "--origin", origin, "--vkey", &log])?;
        let mut witness = Self {
            directory: directory.to_owned(),
            port,
            child: None,
            key: key.trim().parse()?,
        };
        witness.resume()?;
        Ok(witness)
    }

    /// Starts it again, with what it remembers.
    ///
    /// # Errors
    /// It doesn't start.
    pub fn resume(&mut self) -> Result<()> {
        let child = Command::new(program("aics-witness")?)
            .arg("serve")
            .arg("--config")
            .arg(self.directory.join("witness.json"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        self.child = Some(child);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            ensure!(
                begun.elapsed() < START,
                "aics-witness is not up after {START:?}"
            );
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Kills it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The URL that `/add-checkpoint` is below.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/w", self.port)
    }

    /// What it says of the logs that it knows, in JSON.
    ///
    /// # Errors
    /// What the program says.
    pub fn status(&self) -> Result<String> {
        run(&self.directory, &["status", "--json"])
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs `aics-witness` for the witness in a directory.
fn run(directory: &Path, arguments: &[&str]) -> Result<String> {
    let (command, rest) = arguments.split_first().context("a command")?;
    let output = Command::new(program("aics-witness")?)
        .arg(command)
        .arg("--config")
        .arg(directory.join("witness.json"))
        .args(rest)
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{errors}");
    Ok(String::from_utf8(output.stdout)?)
}

/// One of the programs.
///
/// # Errors
/// It isn't installed.
pub fn program(name: &str) -> Result<PathBuf> {
    let installed = || {
        // target/<profile>/deps/<test>
        let test = std::env::current_exe().ok()?;
        Some(test.ancestors().nth(3)?.join("witness/bin"))
    };
    let programs = std::env::var_os(PROGRAMS).map(PathBuf::from);
    let programs = programs
        .or_else(installed)
        .context("the target directory")?;
    let program = programs.join(name);
    ensure!(
        program.is_file(),
        "{} is missing: run ./test.sh once, or set {PROGRAMS}",
        program.display()
    );
    Ok(program)
}
