//! The server, as a process of its own.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::program;
use anyhow::{Context as _, Result, bail, ensure};
use server::data_dir::DataDir;

/// Much longer than a start takes.
const START: Duration = Duration::from_secs(60);

/// A server that runs until it is killed or dropped.
pub struct Running {
    child: Child,
    log: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Running {
    /// Starts `sotto-server serve` and waits until it listens.
    ///
    /// # Errors
    /// What it says when it ends instead.
    pub fn start(data: &DataDir) -> Result<Self> {
        let log = data.root().join("server.log");
        let child = Command::new(program("sotto-server")?)
            .arg("--data")
            .arg(data.root())
            .arg("serve")
            .env_remove("SOTTO_STORE_URL")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("sotto-server")?;
        let mut running = Self {
            child,
            log,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let begun = Instant::now();
        while begun.elapsed() < START {
            let said = running.said()?;
            if let Some(address) = address(&said, "address=") {
                running.address = address;
                return Ok(running);
            }
            if let Some(status) = running.child.try_wait()? {
                bail!("{status}: {said}");
            }
            thread::sleep(Duration::from_millis(2));
        }
        bail!("not up after {START:?}: {}", running.said()?)
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    ///
    /// # Errors
    /// A log that can't be read.
    pub fn said(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.log)?)
    }

    /// Where it shows metrics, if it does.
    ///
    /// # Errors
    /// A log that can't be read, or in which it isn't said.
    pub fn metrics(&self) -> Result<SocketAddr> {
        let said = self.said()?;
        address(&said, "metrics=").context("no metrics are shown")
    }

    /// Kills it at once, whatever it does; gives what it has logged.
    ///
    /// # Errors
    /// It had ended by itself.
    pub fn kill(mut self) -> Result<String> {
        if let Some(status) = self.child.try_wait()? {
            bail!("it ended by itself, {status}: {}", self.said()?);
        }
        self.child.kill()?;
        self.child.wait()?;
        self.said()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address of this name in the line that says so, once the line is whole.
fn address(said: &str, name: &str) -> Option<SocketAddr> {
    let (_, after) = said.split_once(name)?;
    let (address, _) = after.split_once(char::is_whitespace)?;
    address.parse().ok()
}

/// Sends a signal to a process.
///
/// # Errors
/// If `kill` fails.
pub fn signal(name: &str, pid: u32) -> Result<()> {
    let mut kill = Command::new("kill");
    let status = kill.args(["-s", name, &pid.to_string()]).status()?;
    ensure!(status.success(), "kill: {status}");
    Ok(())
}
