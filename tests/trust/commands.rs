//! The commands of auditors, recipients, operators and witnesses, as they are
//! called.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use client::identity::{Awaited, Identity};
use client::{Client, ClientError, LogRefusal, Passphrase, Witnesses};
use protocol::cose::SigningKey;
use protocol::log::{Note, NoteKey, SignatureKind};
use protocol::precedence::Version;
use protocol::time::UnixTime;
use protocol::wire::{self, Holdings};
use tests::{Directory, Provider, program};
use tokio::task::spawn_blocking;

use crate::forgery::twin;
use crate::rogue::Rogue;

/// A program, what it is given on standard input, and what it came to.
async fn run(name: &str, arguments: Vec<String>, home: PathBuf, input: Vec<u8>) -> Result<Output> {
    let mut command = Command::new(program(name)?);
    command
        .args(arguments)
        .env("HOME", home)
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("SOTTO_DATA")
        .env_remove("SOTTO_API_KEY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    spawn_blocking(move || -> Result<Output> {
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().context("standard input")?;
        // Who doesn't read it ends before.
        let _ = stdin.write_all(&input);
        drop(stdin);
        Ok(child.wait_with_output()?)
    })
    .await?
}

/// A client's configuration file.
pub(crate) fn configuration(provider: &Provider, server: &str, more: &str) -> Result<PathBuf> {
    let root = provider.directory.data().root();
    let scratch = provider.directory.scratch();
    fs::write(scratch.join("api.key"), provider.api_key())?;
    let path = |name: &str| root.join(name).display().to_string();
    let text = format!(
        "server = {server:?}\ndp_key_file = {:?}\ntrust = {:?}\nca = {:?}\n\
         api_key_file = \"api.key\"\n{more}",
        path("dp.pub"),
        path("trust.toml"),
        path("tls/cert.pem"),
    );
    let file = scratch.join("client.toml");
    fs::write(&file, text)?;
    Ok(file)
}

/// `sotto` with a configuration file.
pub(crate) async fn sotto(
    arguments: &[&str],
    configuration: &Path,
) -> Result<(i32, String, String)> {
    let mut all: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
    all.extend(["--config".to_owned(), configuration.display().to_string()]);
    let home = configuration.with_file_name("home");
    let output = run("sotto", all, home, Vec::new()).await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let code = output.status.code().context("a signal")?;
    Ok((code, text(output.stdout), text(output.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_says_with_its_exit_code_whether_the_provider_passed() -> Result<()> {
    let provider = Directory::build(30, 91)?.serve().await?;
    let first = provider.snapshot().signed_manifest().clone();
    provider.publish()?;
    let rogue = Rogue::before(&provider).await?;
    let front = rogue.config(&provider)?.server;
    let honest = format!("https://localhost:{}", provider.address.port());
    let file = configuration(&provider, &front, "")?;

    let (code, out, errors) = sotto(&["audit"], &file).await?;
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("2 manifests, all in order"), "{out}");
    assert!(out.contains("30 records"), "{out}");
    let arguments = ["audit", "chain", "--json", "--also", &honest];
    let (code, out, errors) = sotto(&arguments, &file).await?;
    assert_eq!(code, 0, "{errors}");
    let printed: serde_json::Value = serde_json::from_str(&out)?;
    assert_eq!(printed["log"]["size"], 2);
    assert_eq!(printed["also"][0]["size"], 2);
    assert_eq!(printed["passed"], true);
    assert!(printed.get("snapshot").is_none(), "{out}");
    // Of an address whose log is shorter it says how much of it is the same.
    let behind = Rogue::before(&provider).await?;
    let url = behind.config(&provider)?.server;
    let beginning = [first.as_bytes()];
    for size in [0, 1] {
        behind.give_log(&provider, &beginning[..size])?;
        let (code, out, errors) = sotto(&["audit", "chain", "--also", &url], &file).await?;
        assert_eq!(code, 0, "{errors}");
        let said = format!("as far as it goes, {size} of 2 manifests");
        assert!(out.contains(&said), "{out}");
    }
    behind.give(wire::MANIFEST_PATH, first.as_bytes());
    let arguments = ["audit", "chain", "--server", &url, "--also", &honest];
    let (code, out, errors) = sotto(&arguments, &file).await?;
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("2 manifests after 1 here"), "{out}");
    // The log of what was accepted is still where it was.
    let (code, out, errors) = sotto(&["audit", "log", "--verify"], &file).await?;
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("all in order"), "{out}");

    let snapshot = provider.snapshot();
    let mut database = snapshot.database().to_vec();
    database[0] ^= 1;
    rogue.give(wire::database_path(&snapshot.id()), database);
    // Another address is not passed over in silence.
    let arguments = ["audit", "snapshot", "--also", "https://localhost:1"];
    let (code, ..) = sotto(&arguments, &file).await?;
    assert_eq!(code, 2);
    let (code, out, errors) = sotto(&["audit", "snapshot", "--json"], &file).await?;
    assert_eq!(code, 3, "{errors}");
    let printed: serde_json::Value = serde_json::from_str(&out)?;
    assert_eq!(printed["passed"], false);
    assert!(errors.contains("the database is not the one"), "{errors}");
    rogue.repent();

    let secret = twin(&provider, snapshot.manifest())?;
    rogue.give(wire::MANIFEST_PATH, secret.as_bytes());
    let (code, _, errors) = sotto(&["audit", "chain"], &file).await?;
    assert_eq!(code, 3, "{errors}");
    assert!(errors.contains("two histories"), "{errors}");
    rogue.repent();

    // Nobody there is no evidence.
    let nobody = configuration(&provider, "https://localhost:1", "")?;
    let (code, ..) = sotto(&["audit"], &nobody).await?;
    assert_eq!(code, 1);
    drop(snapshot);
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn witnesses_sign_what_the_operator_asks_them_to() -> Result<()> {
    let provider = Directory::build(30, 92)?.serve().await?;
    let (data, home) = (provider.directory.data(), provider.directory.scratch());
    let server = async |arguments: &[&str], input: Vec<u8>| -> Result<(Output, String)> {
        let mut all = vec!["--data".to_owned(), data.root().display().to_string()];
        all.extend(arguments.iter().map(|text| (*text).to_owned()));
        let output = run("sotto-server", all, home.to_owned(), input).await?;
        let text = String::from_utf8(output.stdout.clone())?;
        Ok((output, text))
    };
    let key = SigningKey::from_seed(&[11; 32]);
    let name = "witness.example/w1";
    let public = NoteKey::new(name, SignatureKind::Cosignature, key.verifying_key())?;
    let mut config = provider.client_config(provider.address)?;
    config.witnesses = Witnesses::new(&[public.to_string()], 1)?;
    let refused = Client::connect(config.clone()).await.map(drop);
    let unwitnessed = matches!(
        refused,
        Err(ClientError::Log(LogRefusal::Witnesses {
            found: 0,
            quorum: 1
        }))
    );
    assert!(unwitnessed, "{refused:?}");

    let (_, log_key) = server(&["log", "key"], Vec::new()).await?;
    let log_key: NoteKey = log_key.trim().parse()?;
    let (output, _) = server(&["log", "cosign"], Vec::new()).await?;
    assert!(!output.status.success(), "no witness is known yet");
    fs::write(data.root().join("witnesses"), format!("# one\n{public}\n"))?;

    // What a witness does.
    let (_, request) = server(&["log", "request"], Vec::new()).await?;
    let (proof, checkpoint) = request.split_once("\n\n").context("a request")?;
    assert_eq!(proof, "old 0");
    let note = Note::decode(checkpoint.as_bytes())?;
    assert!(note.is_signed_by(&log_key)?);
    let now = UnixTime::now().as_secs();
    let line = note.cosign(name, &key, now)?;
    let stranger = note.cosign("stranger.example", &SigningKey::from_seed(&[12; 32]), 7)?;

    let lines = format!("{line}\n{stranger}\n");
    let (output, said) = server(&["log", "cosign"], lines.into_bytes()).await?;
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said, "1 added, 1 ignored\n");
    let (output, _) = server(&["log", "show"], Vec::new()).await?;
    let errors = String::from_utf8(output.stderr)?;
    assert!(errors.contains("cosigned by 1 of 1"), "{errors}");
    // The server that runs gives it out at once.
    Client::connect(config.clone()).await?;

    // The next manifest needs another one.
    provider.publish()?;
    assert!(Client::connect(config).await.is_err());
    let (output, _) = server(&["log", "cosign"], format!("{line}\n").into_bytes()).await?;
    assert!(!output.status.success(), "of the checkpoint before");
    let (_, request) = server(&["log", "request", "--seen", "1"], Vec::new()).await?;
    let lines = request.lines().take_while(|line| !line.is_empty()).count();
    assert_eq!(lines, 2, "{request}");
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_see_what_others_are_told() -> Result<()> {
    let mut directory = Directory::build(30, 93)?;
    let absent = directory.absent(1)?.remove(0);
    let provider = directory.serve().await?;
    let honest = format!("https://localhost:{}", provider.address.port());
    let records = &provider.directory.records;
    let mut found = None;
    for record in records {
        let bundle = record.bundle()?;
        let now = UnixTime::now();
        let valid = bundle.mappings().iter().all(|mapping| {
            let mapping = mapping.unverified();
            mapping.not_before <= now && now < mapping.expires && !mapping.is_opt_out()
        });
        if valid && !bundle.mappings().is_empty() {
            found = Some((record.csi.clone(), bundle));
            break;
        }
    }
    let (csi, bundle) = found.context("a record with mappings")?;
    let scratch = provider.directory.scratch();
    let identity = Identity::create(
        scratch.join("identity"),
        &SigningKey::from_seed(&[21; 32]),
        &Passphrase::new("correct horse battery staple"),
    )?;
    let hook = scratch.join("hook");
    let told = scratch.join("told");
    fs::write(&hook, format!("#!/bin/sh\ncat > {}\n", told.display()))?;
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(&hook, executable)?;
    let file = configuration(&provider, &honest, "identity = \"identity\"\n")?;
    let hook = hook.display().to_string();
    let monitor = async |csi: &str| {
        let arguments = ["monitor", csi, "--once", "--json", "--hook", &hook];
        sotto(&arguments, &file).await
    };

    // Nothing was published from here, and nothing is there.
    let (code, out, errors) = monitor(absent.canonical()).await?;
    assert_eq!((code, out.as_str()), (0, ""), "{errors}");
    // What is there is somebody else's.
    let (code, out, errors) = monitor(csi.canonical()).await?;
    assert_eq!(code, 1, "{errors}");
    for finding in [
        "\"finding\":\"unknown\"",
        "\"finding\":\"foreign-credential\"",
    ] {
        assert!(out.contains(finding), "{out}");
    }
    assert_eq!(fs::read_to_string(&told)?, out);

    // What was published from here and is not there.
    let key = provider.directory.data().provider_public_key()?;
    let holdings = Holdings {
        floor: Version {
            assignment: 0,
            seq: 0,
        },
        bundle: Some(bundle),
    };
    identity.set_published(key.key_id(), &absent, &holdings)?;
    let (code, out, errors) = monitor(absent.canonical()).await?;
    assert_eq!(code, 1, "{errors}");
    assert!(out.contains("\"finding\":\"missing\""), "{out}");
    // And what is: its credential alone is not this identity's.
    identity.set_published(key.key_id(), &csi, &holdings)?;
    let (_, out, _) = monitor(csi.canonical()).await?;
    ensure!(out.lines().count() == 1, "{out}");
    assert!(out.contains("foreign-credential"), "{out}");

    // What was accepted of another identifier is nothing to wait for.
    let head = |entries| protocol::audit::Head {
        entries,
        hash: protocol::merkle::Hash::of(b"end"),
    };
    identity.add_receipt(key.key_id(), head(1 << 40))?;
    let now = UnixTime::now();
    let mut awaited = Awaited::default();
    awaited.accept(1 << 40, now);
    identity.set_awaited(key.key_id(), &csi, &awaited)?;
    let (code, out, errors) = monitor(absent.canonical()).await?;
    assert_eq!(code, 1, "{errors}");
    assert!(out.contains("\"finding\":\"missing\""), "{out}");

    // What was accepted and isn't in the snapshot may wait, but not for ever, nor
    // because something else was accepted.
    identity.set_awaited(key.key_id(), &absent, &awaited)?;
    let (code, out, errors) = monitor(absent.canonical()).await?;
    assert_eq!((code, out.as_str()), (0, ""), "{errors}");
    let mut awaited = Awaited::default();
    awaited.accept(1 << 40, now.saturating_sub(49 * 3600));
    awaited.accept(1 << 41, now);
    identity.set_awaited(key.key_id(), &absent, &awaited)?;
    let (code, out, errors) = monitor(absent.canonical()).await?;
    assert_eq!(code, 1, "{errors}");
    assert!(out.contains("\"finding\":\"missing\""), "{out}");
    let remembered = identity.awaited(key.key_id(), &absent)?;
    assert!(remembered.to_string().starts_with("since "), "{remembered}");

    // Who can't look is told so, and the hook.
    fs::remove_file(&told)?;
    configuration(
        &provider,
        "https://localhost:1",
        "identity = \"identity\"\n",
    )?;
    let (code, out, errors) = monitor(absent.canonical()).await?;
    assert_eq!(code, 1, "{errors}");
    assert!(out.contains("\"finding\":\"unchecked\""), "{out}");
    assert_eq!(fs::read_to_string(&told)?, out);

    // And of a log that speaks against the provider, with its own exit code.
    let rogue = Rogue::before(&provider).await?;
    let front = rogue.config(&provider)?.server;
    configuration(&provider, &front, "identity = \"identity\"\n")?;
    let secret = twin(&provider, provider.snapshot().manifest())?;
    rogue.give(wire::MANIFEST_PATH, secret.as_bytes());
    let (code, out, errors) = monitor(absent.canonical()).await?;
    assert_eq!(code, 3, "{errors}");
    assert!(out.contains("\"finding\":\"log\""), "{out}");
    assert_eq!(fs::read_to_string(&told)?, out);
    provider.stop().await
}
