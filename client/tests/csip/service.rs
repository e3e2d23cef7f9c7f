//! A CSIP in a temporary directory, and its service as a child process.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use client::TlsRoots;
use client::csip::CsipEndpoint;
use protocol::credential::Issuer;
use protocol::problem::Problem;
use protocol::trust::TrustList;
use protocol::wire::csip::Code;
use tempfile::TempDir;

const PASSPHRASE: &str = "passphrase of the test";

/// How long anything may take on a busy machine before the test fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// The directory of a CSIP, and beside it where its hook keeps what it sent.
pub(crate) struct Place {
    root: TempDir,
}

/// A running service. Killed when dropped.
pub(crate) struct Service {
    child: Child,
    log: PathBuf,
    address: String,
    http: reqwest::Client,
}

impl Place {
    /// By `sotto csip init`.
    pub(crate) fn init() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("passphrase"), PASSPHRASE).unwrap();
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(root.path().join("passphrase"), private).unwrap();
        fs::create_dir(root.path().join("sent")).unwrap();
        let place = Self { root };
        let scopes = ["--scope", "tel:+44", "mailto:*@example.com"];
        let made = place.command(&[&["init", "--issuer", "csip.example"], &scopes[..]].concat());
        assert!(made.success());
        let sent = place.root().join("sent").display().to_string();
        place.hook(&format!("cat > {sent}/new && mv {sent}/new {sent}/last"));
        place
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    fn directory(&self) -> PathBuf {
        self.root().join("csip")
    }

    /// Replaces the hook, whole: it may be running.
    pub(crate) fn hook(&self, script: &str) {
        let new = self.root().join("new-hook");
        fs::write(&new, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o700)).unwrap();
        fs::rename(new, self.directory().join("send-code")).unwrap();
    }

    /// Changes a line of the configuration.
    pub(crate) fn configure(&self, from: &str, to: &str) {
        let path = self.directory().join("config.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// The trust list that `sotto csip trust` prints.
    pub(crate) fn trust(&self) -> TrustList {
        let output = self.sotto(&["trust"]).output().unwrap();
        assert!(output.status.success());
        TrustList::from_toml(std::str::from_utf8(&output.stdout).unwrap()).unwrap()
    }

    /// Whether the hook sent anything.
    pub(crate) fn was_delivered(&self) -> bool {
        self.root().join("sent/last").exists()
    }

    /// The code that the hook sent last.
    pub(crate) fn delivered(&self) -> Code {
        let sent = fs::read_to_string(self.root().join("sent/last")).unwrap();
        let mut lines = sent.lines();
        assert_eq!(lines.next(), Some("tel:+442079460000"));
        let code = Code::parse(lines.next().unwrap()).unwrap();
        assert_eq!(lines.next(), None);
        code
    }

    /// The content of every file of the CSIP.
    pub(crate) fn files_at_rest(&self) -> impl Iterator<Item = Vec<u8>> {
        let mut files = Vec::new();
        for directory in [self.directory(), self.directory().join("tls")] {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                files.extend(path.is_file().then(|| fs::read(path).unwrap()));
            }
        }
        assert!(
            files.len() >= 7,
            "key, registry, certificate, configuration"
        );
        files.into_iter()
    }

    /// Runs a command of `sotto csip`.
    pub(crate) fn command(&self, args: &[&str]) -> ExitStatus {
        self.command_with_input(args, "")
    }

    /// Runs a command of `sotto csip` with this on standard input.
    pub(crate) fn command_with_input(&self, args: &[&str], input: &str) -> ExitStatus {
        let mut child = self
            .sotto(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // A command that doesn't read it is none the worse.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait().unwrap()
    }

    /// Runs `sotto csip issue`, and types what `answer` makes of the code.
    pub(crate) fn issue(
        &self,
        request: &Path,
        out: &Path,
        answer: impl FnOnce(&Code) -> String,
    ) -> ExitStatus {
        let (request, out) = (request.to_str().unwrap(), out.to_str().unwrap());
        let sent = self.root().join("sent/last");
        let _ = fs::remove_file(&sent);
        let mut child = self
            .sotto(&["issue", "--request", request, "--out", out])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let until = Instant::now() + PATIENCE;
        while !sent.exists() {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "no code was sent");
            sleep(Duration::from_millis(20));
        }
        let typed = answer(&self.delivered());
        let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
        child.wait().unwrap()
    }

    /// Starts the service on a port of the system's choice.
    pub(crate) fn serve(&self) -> Service {
        let log = self.root().join("log");
        let child = self
            .sotto(&["serve", "--listen", "127.0.0.1:0"])
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let certificate = fs::read(self.directory().join("tls/cert.pem")).unwrap();
        let certificates = reqwest::Certificate::from_pem_bundle(&certificate).unwrap();
        let mut service = Service {
            child,
            log,
            address: String::new(),
            http: reqwest::Client::builder()
                .tls_certs_only(certificates)
                .build()
                .unwrap(),
        };
        let until = Instant::now() + PATIENCE;
        service.address = loop {
            if let Some((_, rest)) = service.log().split_once("address=")
                && let Some((address, _)) = rest.split_once(' ')
            {
                break format!("https://{address}");
            }
            assert_eq!(service.child.try_wait().unwrap(), None, "{}", service.log());
            assert!(Instant::now() < until, "{}", service.log());
            sleep(Duration::from_millis(20));
        };
        service
    }

    fn sotto(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sotto"));
        // The directory is the default one, ./csip.
        command.current_dir(self.root()).env_remove("SOTTO_CSIP");
        command.arg("csip").args(args);
        if args != ["trust"] {
            command.args(["--passphrase-file", "passphrase"]);
        }
        command
    }
}

impl Service {
    /// How holders reach it.
    pub(crate) fn endpoint(&self, place: &Place) -> CsipEndpoint {
        let certificate = fs::read(place.directory().join("tls/cert.pem")).unwrap();
        CsipEndpoint {
            server: self.address.clone(),
            issuer: Issuer::new("csip.example").unwrap(),
            roots: TlsRoots::Only(certificate),
        }
    }

    /// Status and body of the answer.
    pub(crate) async fn post(
        &self,
        path: &str,
        media: &'static str,
        body: Vec<u8>,
    ) -> (u16, Vec<u8>) {
        let response = self
            .http
            .post(format!("{}{path}", self.address))
            .header("content-type", media)
            .body(body)
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        (status, response.bytes().await.unwrap().to_vec())
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// By SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// By SIGTERM.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The problem document of an answer.
pub(crate) fn problem(status: u16, body: &[u8]) -> Problem {
    let problem = Problem::from_json(body).unwrap();
    assert_eq!(problem.status(), status);
    problem
}
