//! An S3-speaking server of the tests' own: `moto_server`, from PyPI, which
//! `test.sh` installs; stopped when dropped.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

/// Where the program is instead of where `test.sh` puts it.
const PROGRAM: &str = "SOTTO_MOTO_SERVER";

/// Much longer than a start takes.
const START: Duration = Duration::from_secs(60);

/// The bucket that there is.
pub const BUCKET: &str = "sotto-tests";

/// A server that runs until it is dropped.
pub struct S3 {
    child: Child,
    port: u16,
}

impl S3 {
    /// Starts a server with an empty bucket.
    ///
    /// # Errors
    /// That it isn't installed, or doesn't start.
    pub async fn start() -> Result<Self> {
        let program = program()?;
        // Free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(&program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| program.display().to_string())?;
        let server = Self { child, port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(
                begun.elapsed() < START,
                "moto_server is not up after {START:?}"
            );
            thread::sleep(Duration::from_millis(50));
        }
        // An unsigned request is as good as any for it.
        let client = reqwest::Client::new();
        let made = client.put(format!("{}/{BUCKET}", server.endpoint())).send();
        ensure!(made.await?.status().is_success(), "no bucket was made");
        Ok(server)
    }

    /// Its URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What a configuration says of it, under a role.
    #[must_use]
    pub fn config(&self, role: &str) -> String {
        format!(
            "[storage]\nkind = \"s3\"\nrole = \"{role}\"\nfollow_secs = 1\nbucket = \"{BUCKET}\"\n\
             prefix = \"dp\"\nendpoint = \"{}\"\ncredentials_file = \"s3.toml\"\n",
            self.endpoint()
        )
    }

    /// The file with the credentials that it names.
    pub const CREDENTIALS: &str = "access_key_id = \"tests\"\nsecret_access_key = \"tests\"\n";
}

impl Drop for S3 {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Result<PathBuf> {
    let installed = || {
        // target/<profile>/deps/<test>
        let test = std::env::current_exe().ok()?;
        let target = test.ancestors().nth(3)?;
        Some(target.join("moto/bin/moto_server"))
    };
    let program = std::env::var_os(PROGRAM).map(PathBuf::from);
    let program = program.or_else(installed).context("the target directory")?;
    ensure!(
        program.is_file(),
        "{} is missing: run ./test.sh once, or set {PROGRAM}",
        program.display()
    );
    Ok(program)
}
