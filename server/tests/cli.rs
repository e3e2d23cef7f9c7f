//! The binary as an operator uses it: what is refused says what to do and
//! leaves everything as it was.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
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
    let started = lines.next().unwrap().unwrap();
    assert!(
        started.contains("serving") && started.contains("127.0.0.1:"),
        "{started}"
    );
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
