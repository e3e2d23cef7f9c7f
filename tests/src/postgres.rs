//! A PostgreSQL server of the tests' own: a fresh cluster in a temporary
//! directory, reached by a local socket or TCP, stopped when dropped.
//!
//! PostgreSQL refuses to run as root: it then runs as the user `postgres`.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

/// The password of the cluster's user by TCP.
const PASSWORD: &str = "of-the-tests";

/// The user that the cluster has.
const USER: &str = "postgres";

/// A PostgreSQL cluster that runs until it is dropped.
pub struct Cluster {
    root: TempDir,
    programs: PathBuf,
    port: u16,
}

/// A certificate and its key, PEM.
pub struct ServerCertificate<'a> {
    /// The certificate.
    pub certificate: &'a str,
    /// The key.
    pub key: &'a str,
}

impl Cluster {
    /// Makes a cluster and starts it; with a certificate it speaks TLS.
    ///
    /// # Errors
    /// What `initdb` or `pg_ctl` says, or that they aren't installed.
    pub fn start(tls: Option<&ServerCertificate<'_>>) -> Result<Self> {
        let cluster = Self {
            root: TempDir::new()?,
            programs: programs()?,
            // Free a moment ago; the local socket is in a directory of its own.
            port: TcpListener::bind("127.0.0.1:0")?.local_addr()?.port(),
        };
        fs::set_permissions(cluster.root.path(), Permissions::from_mode(0o711))?;
        for part in ["data", "socket"] {
            cluster.give(&cluster.path(part), None)?;
        }
        let password = cluster.path("password");
        cluster.give(&password, Some(PASSWORD))?;
        cluster.run(
            "initdb",
            &[
                &format!("--pgdata={}", cluster.path("data").display()),
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
                &format!("--username={USER}"),
                &format!("--pwfile={}", password.display()),
            ],
        )?;
        if let Some(tls) = tls {
            cluster.give(&cluster.path("data/server.crt"), Some(tls.certificate))?;
            cluster.give(&cluster.path("data/server.key"), Some(tls.key))?;
        }
        let settings = cluster.path("data/postgresql.auto.conf");
        let ssl = if tls.is_some() { "on" } else { "off" };
        cluster.give(
            &settings,
            Some(&format!(
                "port = {}\nlisten_addresses = '127.0.0.1'\nssl = {ssl}\n\
                 unix_socket_directories = '{}'\nmax_connections = 40\n\
                 shared_buffers = '16MB'\nmax_wal_size = '128MB'\n",
                cluster.port,
                cluster.path("socket").display()
            )),
        )?;
        cluster.resume()?;
        Ok(cluster)
    }

    /// Starts the cluster again after [`stop`](Self::stop).
    ///
    /// # Errors
    /// What `pg_ctl` says.
    pub fn resume(&self) -> Result<()> {
        let log = format!("--log={}", self.path("data/log").display());
        self.control(&["start", "--wait", &log])
    }

    /// Stops the cluster as a crash would: what isn't on disk is lost.
    ///
    /// # Errors
    /// What `pg_ctl` says.
    pub fn stop(&self) -> Result<()> {
        self.control(&["stop", "--wait", "--mode=immediate"])
    }

    /// The URL of a database by the local socket.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let socket = self.path("socket");
        let (socket, port) = (socket.display(), self.port);
        format!("postgres:///{database}?host={socket}&port={port}&user={USER}")
    }

    /// The URL of a database by TCP, on a port of the cluster's or of a relay to
    /// it, with whatever parameters.
    #[must_use]
    pub fn tcp_url(&self, database: &str, port: u16, parameters: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@localhost:{port}/{database}{parameters}")
    }

    /// The port of the cluster.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub fn create_database(&self, name: &str) -> Result<()> {
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(())
    }

    /// Runs a statement in a database; gives what it answers, unaligned.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub fn sql(&self, database: &str, statement: &str) -> Result<String> {
        let output = self.run(
            "psql",
            &[
                "--no-psqlrc",
                "--tuples-only",
                "--no-align",
                "--set=ON_ERROR_STOP=1",
                &format!("--command={statement}"),
                &self.url(database),
            ],
        )?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Waits until the cluster has noticed that one of its processes was killed
    /// and has ended all others: a connection made before would be cut as well.
    ///
    /// # Errors
    /// A log that can't be read, or doesn't say so within a minute.
    pub fn wait_for_crash(&self) -> Result<()> {
        let begun = Instant::now();
        let log = self.path("data/log");
        while !fs::read_to_string(&log)?.contains("all server processes terminated") {
            ensure!(
                begun.elapsed() < Duration::from_secs(60),
                "PostgreSQL runs on"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Every file of the cluster, with what has reached it so far.
    ///
    /// # Errors
    /// Files that can't be read.
    pub fn files(&self) -> Result<Vec<Vec<u8>>> {
        self.sql("postgres", "CHECKPOINT")?;
        let mut files = Vec::new();
        read_all(&self.path("data"), &mut files)?;
        Ok(files)
    }

    fn control(&self, args: &[&str]) -> Result<()> {
        let data = format!("--pgdata={}", self.path("data").display());
        self.run("pg_ctl", &[args, &["--silent", &data]].concat())?;
        Ok(())
    }

    /// Runs a program of PostgreSQL's as the cluster's owner.
    fn run(&self, program: &str, args: &[&str]) -> Result<Output> {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", USER, "--"]).arg(&program);
            command
        } else {
            Command::new(&program)
        };
        // Its output goes to files: the server that pg_ctl leaves running would
        // keep a pipe open for ever.
        let said = tempfile::tempfile()?;
        let mut answer = tempfile::tempfile()?;
        let status = command
            .args(args)
            .current_dir("/")
            .stdin(std::process::Stdio::null())
            .stdout(answer.try_clone()?)
            .stderr(said.try_clone()?)
            .status()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let (stdout, stderr) = (read_back(&mut answer)?, read_back(&mut { said })?);
        ensure!(
            status.success(),
            "{}: {}",
            program.display(),
            String::from_utf8_lossy(&stderr)
        );
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }

    /// Makes a private file, or a directory, that belongs to the cluster's owner.
    fn give(&self, path: &Path, content: Option<&str>) -> Result<()> {
        let mode = match content {
            Some(content) => {
                fs::write(path, content)?;
                0o600
            }
            None => {
                fs::create_dir(path)?;
                0o700
            }
        };
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        if is_root() {
            let [user, group] = owner()?;
            chown(path, Some(user), Some(group))?;
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It may have been stopped, or never started.
        let _ = self.stop();
    }
}

/// Where PostgreSQL's programs are: Debian keeps them out of PATH.
fn programs() -> Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for version in fs::read_dir("/usr/lib/postgresql").into_iter().flatten() {
        let version = version?;
        let number = version.file_name().to_string_lossy().parse();
        let programs = version.path().join("bin");
        if let (Ok(number), true) = (number, programs.join("initdb").exists()) {
            found.push((number, programs));
        }
    }
    if let Some((_, programs)) = found.into_iter().max() {
        return Ok(programs);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).find(|directory| directory.join("initdb").exists());
    match in_path {
        Some(programs) => Ok(programs),
        None => {
            bail!("PostgreSQL is not installed: run ./test.sh, or install it (Debian: postgresql)")
        }
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// User and group that the cluster runs as.
fn owner() -> Result<[u32; 2]> {
    let id = |which| -> Result<u32> {
        let output = Command::new("id").args([which, USER]).output()?;
        ensure!(output.status.success(), "there is no user {USER}");
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    };
    Ok([id("-u")?, id("-g")?])
}

fn read_back(file: &mut fs::File) -> Result<Vec<u8>> {
    use std::io::{Read as _, Seek as _};
    let mut content = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut content)?;
    Ok(content)
}

fn read_all(directory: &Path, files: &mut Vec<Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path, files)?;
        } else if path.is_file() {
            files.push(fs::read(path)?);
        }
    }
    Ok(())
}
