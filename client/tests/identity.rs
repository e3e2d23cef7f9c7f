//! The binary as a recipient uses it, as far as no server is needed: keys,
//! credentials, and what is refused before anything is sent.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use client::{KeyFile, Passphrase};
use protocol::cose::{SigningKey, VerifyingKey};
use protocol::credential::{Credential, Issuer};
use protocol::csi::Csi;
use protocol::time::UnixTime;

/// Someone with a home directory and no terminal.
struct Person {
    home: tempfile::TempDir,
}

impl Person {
    fn new() -> Self {
        let person = Self {
            home: tempfile::tempdir().unwrap(),
        };
        person.write_private("pass", "correct horse\n");
        person
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// A file that only its owner may read.
    fn write_private(&self, name: &str, content: &str) {
        self.write(name, content);
        let owner = fs::Permissions::from_mode(0o600);
        fs::set_permissions(self.path(name), owner).unwrap();
    }

    fn identity(&self) -> PathBuf {
        self.path(".config/sotto/identity")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sotto"));
        command
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .stdin(Stdio::null())
            .args(args);
        command
    }

    fn succeeds(&self, args: &[&str]) -> String {
        text(self.command(args).output().unwrap(), 0)
    }

    /// What a refused command says.
    fn refused(&self, code: i32, args: &[&str]) -> String {
        text(self.command(args).output().unwrap(), code)
    }

    /// A new identity; its public key.
    fn make(&self) -> VerifyingKey {
        let shown = self.succeeds(&["identity", "new", "--passphrase-file", "pass"]);
        public_key(&shown)
    }

    /// Files that hold a credential for `key`, and who trusts its CSIP.
    fn credential(&self, key: &VerifyingKey, name: &str) {
        let csip = SigningKey::from_seed(&[3; 32]);
        let now = UnixTime::now();
        let credential = Credential {
            issuer: Issuer::new("csip.example").unwrap(),
            subject: Csi::parse(name).unwrap(),
            holder: key.clone(),
            issued_at: now.saturating_sub(60),
            expires: now.saturating_add(24 * 60 * 60),
            assignment: 1,
        };
        self.write("a.cose", credential.issue(&csip).unwrap().as_bytes());
        let key = csip.verifying_key().to_text();
        self.write(
            "trust.toml",
            format!(
                "[[csip]]\nissuer = \"csip.example\"\nkey = \"{key}\"\nscopes = \
                 [\"mailto:*@example.org\"]\n"
            ),
        );
    }
}

/// Standard output and error of a command that ended with this code.
fn text(output: Output, code: i32) -> String {
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

fn public_key(shown: &str) -> VerifyingKey {
    let mut words = shown.split_whitespace();
    let key = words.find(|word| word.starts_with("ed25519:") || word.starts_with("es256:"));
    VerifyingKey::from_text(key.unwrap()).unwrap()
}

#[test]
fn a_key_is_made_shown_and_never_overwritten() {
    let person = Person::new();
    let missing = person.refused(1, &["identity", "show"]);
    assert!(missing.contains("sotto identity new"), "{missing}");
    let key = person.make();
    let file = person.identity().join("key.pem");
    let pem = fs::read(&file).unwrap();
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let shown = person.succeeds(&["identity", "show"]);
    assert_eq!(public_key(&shown), key);
    assert!(shown.contains(&hex::encode(key.key_id().as_bytes())));
    assert!(shown.contains("no credentials"), "{shown}");
    let again = person.refused(1, &["identity", "new", "--passphrase-file", "pass"]);
    assert!(again.contains("never overwritten"), "{again}");
    assert_eq!(fs::read(&file).unwrap(), pem);
    // What is in the file is the key of the passphrase, and is printed nowhere.
    let secret = KeyFile::new(&file)
        .read(&Passphrase::new("correct horse"))
        .unwrap();
    assert_eq!(secret.verifying_key(), key);
    let seed = hex::encode(*secret.seed().unwrap());
    let exported = person.succeeds(&["identity", "export", "--public"]);
    assert_eq!(exported, format!("{}\n", key.to_text()));
    for text in [shown, exported] {
        assert!(!text.contains(&seed));
    }
}

#[test]
fn keys_of_both_algorithms_are_made() {
    let person = Person::new();
    let shown = person.succeeds(&[
        "identity",
        "new",
        "--algorithm",
        "es256",
        "--passphrase-file",
        "pass",
    ]);
    let es256 = public_key(&shown);
    let rotated = person.succeeds(&["identity", "rotate", "--passphrase-file", "pass"]);
    assert_ne!(es256.algorithm(), public_key(&rotated).algorithm());
    let shown = person.succeeds(&["identity", "show"]);
    assert_eq!(public_key(&shown), public_key(&rotated));
}

#[test]
fn a_passphrase_comes_from_a_file_or_the_environment_and_must_be_right() {
    let person = Person::new();
    let nobody = person.refused(2, &["identity", "new"]);
    assert!(nobody.contains("--passphrase-file"), "{nobody}");
    person.write_private("weak", "short\n");
    let weak = person.refused(1, &["identity", "new", "--passphrase-file", "weak"]);
    assert!(weak.contains("at least 8"), "{weak}");
    assert!(!person.identity().join("key.pem").exists());
    let made = person
        .command(&["identity", "new"])
        .env("SOTTO_PASSPHRASE", "correct horse")
        .output()
        .unwrap();
    text(made, 0);
    person.write("open", "correct horse\n");
    let open = person.refused(2, &["identity", "rotate", "--passphrase-file", "open"]);
    assert!(open.contains("chmod 600"), "{open}");
    person.write_private("wrong", "wrong horse\n");
    person.write_private("new", "battery staple\n");
    let change = |current: &'static str| {
        [
            "identity",
            "passphrase",
            "--passphrase-file",
            current,
            "--new-passphrase-file",
            "new",
        ]
    };
    let wrong = person.refused(1, &change("wrong"));
    assert!(wrong.contains("wrong passphrase"), "{wrong}");
    assert!(!wrong.contains("horse"), "{wrong}");
    person.succeeds(&change("pass"));
    let wrong = person.refused(1, &change("pass"));
    assert!(wrong.contains("wrong passphrase"), "{wrong}");
    person.succeeds(&change("new"));
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let person = Person::new();
    person.make();
    let file = person.identity().join("key.pem");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let exposed = person.refused(1, &["identity", "rotate", "--passphrase-file", "pass"]);
    assert!(exposed.contains("chmod 600"), "{exposed}");
}

#[test]
fn a_key_moves_to_another_device() {
    let (person, device) = (Person::new(), Person::new());
    let key = person.make();
    person.succeeds(&["identity", "export", "key.exported"]);
    let again = person.refused(1, &["identity", "export", "key.exported"]);
    assert!(again.contains("not there yet"), "{again}");
    let moved = device.path("key.exported");
    fs::copy(person.path("key.exported"), &moved).unwrap();
    let import = ["identity", "import", "key.exported", "--passphrase-file"];
    device.write_private("wrong", "wrong horse");
    let wrong = device.refused(1, &[&import[..], &["wrong"]].concat());
    assert!(wrong.contains("wrong passphrase"), "{wrong}");
    let shown = device.succeeds(&[&import[..], &["pass"]].concat());
    assert_eq!(public_key(&shown), key);
    let again = device.refused(1, &[&import[..], &["pass"]].concat());
    assert!(again.contains("never overwritten"), "{again}");
}

#[test]
fn credentials_are_imported_for_the_own_key_and_listed() {
    let person = Person::new();
    let key = person.make();
    person.credential(&key, "someone@example.org");
    let import = ["credential", "import", "a.cose", "--trust", "trust.toml"];
    let kept = person.succeeds(&import);
    assert!(kept.contains("mailto:someone@example.org"), "{kept}");
    person.succeeds(&import);
    let listed = person.succeeds(&["credential", "list"]);
    assert_eq!(listed.lines().count(), 1, "{listed}");
    let json = person.succeeds(&["credential", "list", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["issuer"], "csip.example");
    assert_eq!(json["holder"], key.to_text());
    assert!(
        person
            .succeeds(&["identity", "show"])
            .contains("csip.example")
    );

    person.credential(&key, "someone@elsewhere.example");
    let untrusted = person.refused(1, &import);
    assert!(untrusted.contains("trust list"), "{untrusted}");
    let stranger = SigningKey::from_seed(&[1; 32]).verifying_key();
    person.credential(&stranger, "other@example.org");
    let foreign = person.refused(1, &import);
    assert!(foreign.contains("does not have"), "{foreign}");
    person.write("a.cose", b"no credential");
    person.refused(1, &import);
    for text in [untrusted, foreign] {
        assert!(!text.contains('@'), "names no identifier: {text}");
    }
}

#[test]
fn wrong_calls_say_what_to_do_before_anything_is_asked() {
    let person = Person::new();
    let key = person.make();
    person.credential(&key, "someone@example.org");
    person.succeeds(&["credential", "import", "a.cose", "--trust", "trust.toml"]);
    person.write("dp.pub", key.to_text());
    person.write(
        ".config/sotto/client.toml",
        "server = 'https://localhost:9'\ndp_key_file = '../../dp.pub'\ntrust = \
         '../../trust.toml'\n",
    );
    let refused = |code, args: &[&str], part: &str| {
        let text = person.refused(code, args);
        assert!(text.contains(part), "{args:?}: {text}");
        assert!(!text.contains("someone"), "names no identifier: {text}");
    };
    refused(2, &["publish"], "--msp");
    refused(2, &["publish", "--msp", "localhost"], "domain");
    refused(2, &["publish", "--priority", "a.example=1"], "--msp");
    refused(
        2,
        &["publish", "--file", "none.toml", "--msp", "a.example"],
        "cannot be used with",
    );
    refused(
        2,
        &["publish", "--credential-only", "--msp", "a.example"],
        "cannot be used with",
    );
    person.write("empty.toml", "exclusive = true\n");
    refused(
        2,
        &[
            "publish",
            "--file",
            "empty.toml",
            "--passphrase-file",
            "pass",
        ],
        "sotto opt-out",
    );
    person.write("wrong.toml", "\nexclusiv = true\n");
    refused(2, &["publish", "--file", "wrong.toml"], "line 2");
    refused(2, &["remove"], "--all");
    refused(2, &["remove", "--id", "xyz"], "32 hexadecimal digits");
    refused(2, &["remove", "12", "--all"], "CSI: ");
    refused(
        1,
        &["remove", "other@example.org", "--all"],
        "sotto credential request",
    );
    refused(2, &["remove", "--all"], "--passphrase-file");
    refused(2, &["release", "--file", "a.cose"], "a.cose");
    person.write("two", "a@example.org\nb@example.org\n");
    refused(
        2,
        &["mappings", "--csi-file", "two"],
        "one line with an identifier",
    );
    let audience = |command: &'static [&'static str]| {
        let label = ["--audience", "climbing", "--passphrase-file", "pass"];
        [command, &label].concat()
    };
    let publish = audience(&["publish", "--msp", "a.example"]);
    refused(2, &publish, "sotto audience");
    refused(2, &audience(&["remove"]), "sotto audience");
    refused(2, &audience(&["remove", "--all"]), "cannot be used with");
    let request = ["credential", "request", "--csip", "https://localhost:9"];
    refused(2, &request, "--code-file");
    refused(2, &request[..2], "--csip");
    let elsewhere = [&request[..], &["other@elsewhere.example"]].concat();
    refused(2, &elsewhere, "--issuer");
    // The servers aren't there.
    let code = ["--code-file", "pass", "--passphrase-file", "pass"];
    refused(
        1,
        &[&request[..], &code].concat(),
        "check the CSIP's address",
    );
    refused(
        1,
        &["remove", "--all", "--passphrase-file", "pass"],
        "no answer from the server",
    );
    refused(1, &["audit", "log"], "no answer from the server");
}
