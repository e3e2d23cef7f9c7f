//! The binary as an operator uses it: what is refused says what to do and
//! leaves everything as it was.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

struct Operator {
    root: tempfile::TempDir,
}

impl Operator {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sotto-server"));
        command
            .current_dir(self.root.path())
            .env_remove("SOTTO_DATA")
            .env_remove("SOTTO_KEY_PASSPHRASE")
            .args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn succeeds(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs what must fail; gives what it says.
    fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// A sample, a data directory and, if wanted, its snapshot.
    fn prepare(&self, snapshot: bool) {
        self.succeeds(&[
            "sample",
            "--count",
            "40",
            "--out",
            "sample.jsonl",
            "--trust",
            "trust.toml",
        ]);
        self.succeeds(&["init", "--trust", "trust.toml", "--listen", "127.0.0.1:0"]);
        if snapshot {
            self.succeeds(&["import", "sample.jsonl"]);
            self.succeeds(&["snapshot", "build"]);
        }
    }
}

/// Every file below a directory, with its content.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), std::fs::read(path).unwrap()));
        }
    }
    found.sort();
    found
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn init_leaves_what_is_there_alone() {
    let operator = Operator::new();
    operator.prepare(false);
    let before = files(&operator.path("sotto-data"));
    let error = operator.fails(&["init"]);
    assert!(error.contains("initialised already"), "{error}");
    assert_eq!(files(&operator.path("sotto-data")), before);
}

#[test]
fn commands_without_their_input_say_what_is_missing() {
    let operator = Operator::new();
    let error = operator.fails(&["snapshot", "build"]);
    assert!(error.contains("sotto-server init"), "{error}");
    operator.prepare(false);
    for (args, expected) in [
        (&["import", "nowhere.jsonl"][..], "nowhere.jsonl"),
        (&["snapshot", "build"], "sotto-server import"),
        (&["snapshot", "inspect"], "snapshot build"),
    ] {
        let error = operator.fails(args);
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    std::fs::write(operator.path("empty.jsonl"), "").unwrap();
    let error = operator.fails(&["import", "empty.jsonl"]);
    assert!(error.contains("holds nothing to import"), "{error}");
}

#[test]
fn a_busy_port_is_said_to_be_busy() {
    let operator = Operator::new();
    operator.prepare(true);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = operator.fails(&["serve", "--listen", &address]);
    assert!(
        error.contains("is in use") && error.contains("--listen"),
        "{error}"
    );
}

#[test]
fn a_second_import_changes_nothing() {
    let operator = Operator::new();
    operator.prepare(false);
    let first = operator.succeeds(&["import", "sample.jsonl"]);
    assert!(first.contains("40 added"), "{first}");
    let lines = std::fs::read_to_string(operator.path("sample.jsonl")).unwrap();
    // Another file with the same content in another order.
    let reversed: Vec<&str> = lines.lines().rev().collect();
    std::fs::write(operator.path("again.jsonl"), reversed.join("\n") + "\n").unwrap();
    let again = operator.succeeds(&["import", "again.jsonl"]);
    assert!(
        again.contains("0 added") && again.contains("40 unchanged"),
        "{again}"
    );
}

#[test]
fn serving_starts_says_where_and_ends_on_sigterm() {
    let operator = Operator::new();
    operator.prepare(true);
    let mut command = operator.command(&["serve"]);
    let mut server = Killed(command.stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(server.0.stderr.take().unwrap()).lines();
    let started = line_with(&mut lines, "serving");
    assert!(started.contains("127.0.0.1:"), "{started}");
    let pid = server.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert!(server.0.wait().unwrap().success());
}

/// Who keeps a connection to the metrics open, and has sent half of a request, doesn't
/// keep the server.
#[test]
fn metrics_are_shown_where_the_configuration_says_and_end_with_the_server() {
    let operator = Operator::new();
    operator.prepare(true);
    configure(&operator, "listen = \"\"", "listen = \"127.0.0.1:0\"");
    configure(&operator, "drain_ms = 20000", "drain_ms = 100");
    let mut command = operator.command(&["serve"]);
    let mut server = Killed(command.stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(server.0.stderr.take().unwrap()).lines();
    let shown = line_with(&mut lines, "metrics=");
    let address = shown.rsplit("metrics=").next().unwrap().trim().to_owned();
    line_with(&mut lines, "serving");
    let mut idle = TcpStream::connect(&address).unwrap();
    idle.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
    let mut asked = TcpStream::connect(&address).unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    asked.write_all(request).unwrap();
    let mut text = String::new();
    asked.read_to_string(&mut text).unwrap();
    assert!(text.contains("\nsotto_ready 1\n"), "{text}");
    let pid = server.0.id().to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(told.success());
    assert!(server.0.wait().unwrap().success());

    configure(
        &operator,
        "listen = \"127.0.0.1:0\"\n\n[log]",
        "listen = \"0.0.0.0:0\"\n\n[log]",
    );
    let error = operator.fails(&["serve"]);
    assert!(
        error.contains("metrics.listen") && error.contains("loopback"),
        "{error}"
    );
}

#[test]
fn a_backup_is_restored_with_its_journal() {
    let operator = Operator::new();
    operator.prepare(false);
    operator.succeeds(&["import", "sample.jsonl"]);
    let made = operator.succeeds(&["backup", "backup"]);
    assert!(made.starts_with("40 rows"), "{made}");
    let data = operator.path("sotto-data");
    std::fs::remove_file(data.join("store.redb")).unwrap();
    std::fs::rename(data.join("removals.journal"), operator.path("journal")).unwrap();
    let refusal = operator.fails(&["restore", "backup"]);
    assert!(refusal.contains("--withhold"), "{refusal}");
    let missing = operator.fails(&["restore", "nothing"]);
    assert!(missing.contains("nothing"), "{missing}");
    let restored = operator.succeeds(&["restore", "backup", "--journal", "journal"]);
    assert!(restored.starts_with("40 rows"), "{restored}");
    operator.succeeds(&["snapshot", "build"]);
}

/// The next line of a log that has this.
fn line_with(lines: &mut impl Iterator<Item = std::io::Result<String>>, text: &str) -> String {
    let found = lines.map(Result::unwrap).find(|line| line.contains(text));
    found.unwrap_or_else(|| panic!("the log ends without {text}"))
}

/// Replaces a line of config.toml.
fn configure(operator: &Operator, from: &str, to: &str) {
    let path = operator.path("sotto-data/config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    assert!(config.contains(from), "{from}");
    std::fs::write(path, config.replace(from, to)).unwrap();
}

fn private_file(operator: &Operator, name: &str, content: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = operator.path(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn encrypted_keys_need_their_passphrase_from_one_of_three_sources() {
    let operator = Operator::new();
    operator.prepare(true);
    let before = files(&operator.path("sotto-data/keys"));
    let error = operator.fails(&["keys", "encrypt"]);
    assert!(error.contains("SOTTO_KEY_PASSPHRASE"), "{error}");
    private_file(&operator, "short", "1234567\n");
    let error = operator.fails(&["keys", "encrypt", "--passphrase-file", "short"]);
    assert!(error.contains("7 characters"), "{error}");
    assert_eq!(files(&operator.path("sotto-data/keys")), before);

    private_file(&operator, "passphrase", "correct horse\n");
    let given = ["--passphrase-file", "passphrase"];
    let said = operator.succeeds(&[&["keys", "encrypt"], &given[..]].concat());
    // Three of init and two that issue tokens, of the first build.
    assert_eq!(said.matches("encrypted ").count(), 5, "{said}");
    let shown = operator.succeeds(&["keys", "show"]);
    assert_eq!(shown.matches("encrypted").count(), 5, "{shown}");
    assert!(
        !shown.contains("plain") && shown.contains("oprf/1.key"),
        "{shown}"
    );
    let epochs = operator.succeeds(&["oprf", "show"]);
    assert!(epochs.contains("(can't be read)"), "{epochs}");

    let error = operator.fails(&["snapshot", "build"]);
    assert!(
        error.contains("is encrypted") && error.contains("keys.passphrase_file"),
        "{error}"
    );
    let mut command = operator.command(&["snapshot", "build"]);
    let output = command.env("SOTTO_KEY_PASSPHRASE", "battery staple");
    let output = output.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && error.contains("wrong passphrase"),
        "{error}"
    );
    let mut command = operator.command(&["snapshot", "build"]);
    command.env("SOTTO_KEY_PASSPHRASE", "correct horse");
    assert!(command.output().unwrap().status.success());
    configure(
        &operator,
        "passphrase_file = \"\"",
        "passphrase_file = \"../passphrase\"",
    );
    operator.succeeds(&["snapshot", "build"]);

    operator.succeeds(&["keys", "decrypt"]);
    assert_eq!(files(&operator.path("sotto-data/keys")), before);
}

#[test]
fn keys_are_encrypted_from_the_beginning_if_there_is_a_passphrase() {
    let operator = Operator::new();
    let mut command = operator.command(&["init"]);
    command.env("SOTTO_KEY_PASSPHRASE", "correct horse");
    assert!(command.output().unwrap().status.success());
    let shown = operator.succeeds(&["keys", "show"]);
    assert!(
        shown.lines().count() == 3 && !shown.contains("plain"),
        "{shown}"
    );
    let mut command = operator.command(&["oprf", "rotate"]);
    command.env("SOTTO_KEY_PASSPHRASE", "correct horse");
    assert!(command.output().unwrap().status.success());
    let shown = operator.succeeds(&["keys", "show"]);
    assert!(
        shown.lines().count() == 4 && !shown.contains("plain"),
        "{shown}"
    );
}

#[test]
fn oprf_keys_are_rotated_and_split() {
    let operator = Operator::new();
    operator.prepare(true);
    let made = operator.succeeds(&["oprf", "rotate"]);
    assert!(made.contains("epoch 2"), "{made}");
    let error = operator.fails(&["oprf", "rotate", "--retire"]);
    assert!(error.contains("no snapshot was built"), "{error}");
    operator.succeeds(&["snapshot", "build"]);
    let shown = operator.succeeds(&["oprf", "show"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 3, "{shown}");
    assert!(lines[1].contains("evaluates until") && !lines[1].contains("builds"));
    assert!(lines[2].ends_with("builds, published"), "{shown}");
    let error = operator.fails(&["oprf", "rotate"]);
    assert!(
        error.contains("still evaluates") && error.contains("--retire"),
        "{error}"
    );

    let error = operator.fails(&["oprf", "split"]);
    assert!(error.contains("--second"), "{error}");
    let error = operator.fails(&["oprf", "split", "--second", "nowhere"]);
    assert!(error.contains("nowhere"), "{error}");
    std::fs::create_dir(operator.path("stick")).unwrap();
    let said = operator.succeeds(&["oprf", "split", "--second", "stick"]);
    assert!(
        said.contains("epoch 1") && said.contains("epoch 2"),
        "{said}"
    );
    let line = said.lines().last().unwrap();
    assert!(line.starts_with("second_shares = \"/"), "{said}");
    let error = operator.fails(&["snapshot", "build"]);
    assert!(
        error.contains("one of two shares") && error.contains("oprf.second_shares"),
        "{error}"
    );
    configure(&operator, "second_shares = \"\"", line);
    operator.succeeds(&["snapshot", "build"]);
    let again = operator.fails(&["oprf", "split"]);
    assert!(again.contains("split already"), "{again}");
    operator.succeeds(&["oprf", "rotate", "--retire"]);
    operator.succeeds(&["snapshot", "build"]);
    let shown = operator.succeeds(&["oprf", "show"]);
    assert_eq!(shown.matches("split, plain").count(), 2, "{shown}");
    std::fs::rename(operator.path("stick"), operator.path("pocket")).unwrap();
    let error = operator.fails(&["snapshot", "build"]);
    assert!(error.contains("stick/3.share"), "{error}");
}
