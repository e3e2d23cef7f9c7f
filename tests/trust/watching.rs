//! What recipients are told by `sotto monitor` of a provider that can't be trusted,
//! or that only fails.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use client::audit::AuditError;
use client::identity::{Awaited, Identity};
use client::monitor::Watch;
use client::{ClientError, Passphrase};
use protocol::cose::SigningKey;
use protocol::credential::{Credential, Issuer};
use protocol::csi::Csi;
use protocol::manifest::ManifestError;
use protocol::problem::ProblemType;
use protocol::time::UnixTime;
use protocol::wire;
use tests::{Directory, Provider};

use crate::commands::{configuration, sotto};
use crate::forgery::twin;
use crate::rogue::Rogue;

const CSIP: &str = "csip.watching.example";
const PASSPHRASE: &str = "correct horse battery staple";

/// A recipient who watches two identifiers, which nothing was published for, through
/// a front.
struct Watcher {
    provider: Provider,
    rogue: Rogue,
    csis: Vec<Csi>,
    configuration: PathBuf,
}

impl Watcher {
    async fn new(seed: u64) -> Result<Self> {
        let directory = Directory::build(30, seed)?;
        let csip = SigningKey::from_seed(&[22; 32]);
        let trusted = format!(
            "[[csip]]\nissuer = {CSIP:?}\nkey = {:?}\nscopes = [\"mailto:*@watching.example\"]\n",
            csip.verifying_key().to_text()
        );
        let list = directory.data().root().join("trust.toml");
        fs::write(&list, fs::read_to_string(&list)? + &trusted)?;
        let provider = directory.serve().await?;
        let rogue = Rogue::before(&provider).await?;
        let key = SigningKey::from_seed(&[21; 32]);
        let scratch = provider.directory.scratch();
        let identity =
            Identity::create(scratch.join("identity"), &key, &Passphrase::new(PASSPHRASE))?;
        let mut csis = Vec::new();
        for name in ["ann", "ben"] {
            let subject = Csi::parse(&format!("{name}@watching.example"))?;
            let now = UnixTime::now();
            let credential = Credential {
                issuer: Issuer::new(CSIP)?,
                subject: subject.clone(),
                holder: key.verifying_key(),
                issued_at: now,
                expires: now.saturating_add(3600),
                assignment: 1,
            };
            identity.add_credential(&credential.issue(&csip)?)?;
            csis.push(subject);
        }
        let front = rogue.config(&provider)?.server;
        let configuration = configuration(&provider, &front, "identity = \"identity\"\n")?;
        Ok(Self {
            provider,
            rogue,
            csis,
            configuration,
        })
    }

    /// What one look at both comes to.
    async fn look(&self, more: &[&str]) -> Result<(i32, String, String)> {
        let arguments = [&["monitor", "--once"], more].concat();
        sotto(&arguments, &self.configuration).await
    }

    /// The identifiers that a text names.
    fn named(&self, text: &str) -> usize {
        let named = self.csis.iter().map(Csi::canonical);
        named.filter(|csi| text.contains(csi)).count()
    }

    /// Has the lookups meet another manifest than the one that the look began with.
    fn replace_in_midst_of_lookups(&self, bytes: &[u8]) {
        let snapshot = self.provider.snapshot();
        let newest = snapshot.signed_manifest().as_bytes();
        for manifest in [newest, newest, bytes] {
            self.rogue.give_once(wire::MANIFEST_PATH, manifest);
        }
        let path = wire::query_path(&snapshot.id());
        self.rogue.refuse_once(path, ProblemType::SnapshotGone);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lookups_find_wrong_with_the_log_speaks_against_the_provider() -> Result<()> {
    let watcher = Watcher::new(94).await?;
    let (code, out, errors) = watcher.look(&["--json"]).await?;
    assert_eq!((code, out.as_str()), (0, ""), "{errors}");

    let secret = twin(&watcher.provider, watcher.provider.snapshot().manifest())?;
    watcher.replace_in_midst_of_lookups(secret.as_bytes());
    let (code, out, errors) = watcher.look(&["--json"]).await?;
    assert_eq!(code, 3, "{out}{errors}");
    assert_eq!(out.matches("\"finding\":\"log\"").count(), 2, "{out}");
    watcher.replace_in_midst_of_lookups(secret.as_bytes());
    let (code, out, errors) = watcher.look(&[]).await?;
    assert_eq!(code, 3, "{out}{errors}");
    assert_eq!(out.matches("EVIDENCE: ").count(), 2, "{out}");
    assert_eq!(watcher.named(&out), 2, "{out}");
    watcher.provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_that_fails_is_told_beside_the_others() -> Result<()> {
    let watcher = Watcher::new(95).await?;
    let path = wire::query_path(&watcher.provider.snapshot().id());
    watcher.rogue.refuse_once(&path, ProblemType::Internal);
    let (code, out, errors) = watcher.look(&[]).await?;
    assert_eq!(code, 1, "{out}{errors}");
    assert_eq!(out.matches("as published").count(), 1, "{out}");
    assert_eq!(out.matches("UNCHECKED: ").count(), 1, "{out}");
    assert_eq!(watcher.named(&out), 2, "{out}");
    watcher.rogue.refuse_once(&path, ProblemType::Internal);
    let (code, out, errors) = watcher.look(&["--json"]).await?;
    assert_eq!(code, 1, "{out}{errors}");
    assert_eq!(out.matches("\"finding\":\"unchecked\"").count(), 1, "{out}");
    assert_eq!(watcher.named(&out), 1, "{out}");
    watcher.provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_behind_the_others_is_waited_for() -> Result<()> {
    let watcher = Watcher::new(96).await?;
    let first = watcher.provider.snapshot().signed_manifest().clone();
    watcher.provider.publish()?;
    let patiently = ["--json", "--server-lag", "1"];
    watcher.replace_in_midst_of_lookups(first.as_bytes());
    let (code, out, errors) = watcher.look(&patiently).await?;
    assert_eq!((code, out.as_str()), (0, ""), "{errors}");

    // It is not behind for ever.
    watcher.replace_in_midst_of_lookups(first.as_bytes());
    watcher
        .rogue
        .give_once(wire::MANIFEST_PATH, first.as_bytes());
    let (code, out, errors) = watcher.look(&patiently).await?;
    assert_eq!(code, 3, "{out}{errors}");
    assert_eq!(out.matches("\"finding\":\"log\"").count(), 1, "{out}");
    watcher.provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_awaited_until_a_snapshot_has_it() -> Result<()> {
    let watcher = Watcher::new(97).await?;
    let scratch = watcher.provider.directory.scratch();
    let passphrase = scratch.join("passphrase");
    client::durable::create(&passphrase, client::durable::PRIVATE, PASSPHRASE.as_bytes())?;
    let passphrase = passphrase.display().to_string();
    let publish = ["publish", "--yes", "--passphrase-file", &passphrase];
    let ann = [
        &publish[..],
        &["ann@watching.example", "--msp", "a.example"],
    ]
    .concat();
    let identity = Identity::open(scratch.join("identity"))?;
    let provider = watcher
        .provider
        .directory
        .data()
        .provider_public_key()?
        .key_id();
    let awaited = |of: usize| identity.awaited(provider, &watcher.csis[of]);

    let (code, _, errors) = sotto(&ann, &watcher.configuration).await?;
    assert_eq!(code, 0, "{errors}");
    assert_ne!(awaited(0)?, Awaited::default());
    assert_eq!(awaited(1)?, Awaited::default());
    let (code, out, errors) = watcher.look(&["--json"]).await?;
    assert_eq!((code, out.as_str()), (0, ""), "{errors}");
    assert_ne!(awaited(0)?, Awaited::default());

    watcher.provider.publish()?;
    let (code, out, errors) = watcher.look(&["--json"]).await?;
    assert_eq!((code, out.as_str()), (0, ""), "{errors}");
    assert_eq!(awaited(0)?, Awaited::default());
    watcher.provider.stop().await
}

/// What `--every` repeats.
#[tokio::test(flavor = "multi_thread")]
async fn each_look_must_go_on_from_the_one_before_without_a_cache() -> Result<()> {
    let watcher = Watcher::new(98).await?;
    let (provider, rogue, csis) = (&watcher.provider, &watcher.rogue, &watcher.csis);
    let first = provider.snapshot().signed_manifest().clone();
    let mut config = rogue.config(provider)?;
    config.server_lag = Duration::from_millis(10);
    let mut watch = Watch::new(config.clone())?;
    assert_eq!(watch.look(csis).await?.snapshot.manifest().sequence, 1);
    provider.publish()?;
    let look = watch.look(csis).await?;
    assert_eq!(look.snapshot.manifest().sequence, 2);
    assert!(look.found.iter().all(Result::is_ok));

    // All of it as it was before.
    rogue.give(wire::MANIFEST_PATH, first.as_bytes());
    rogue.give_log(provider, &[first.as_bytes()])?;
    let error = watch.look(csis).await.expect_err("passed");
    let rollback = ManifestError::Rollback { known: 2, found: 1 };
    let gone_back =
        matches!(error, AuditError::Client(ClientError::Manifest(found)) if found == rollback);
    assert!(gone_back && error.is_evidence(), "{error:?}");
    // Who has seen nothing before can't tell.
    let look = Watch::new(config.clone())?.look(csis).await?;
    assert_eq!(look.snapshot.manifest().sequence, 1);
    // And what was refused has not taken the place of what was remembered.
    rogue.repent();
    assert_eq!(watch.look(csis).await?.snapshot.manifest().sequence, 2);
    watcher.provider.stop().await
}
