use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use protocol::credential::CredentialRequest;
use protocol::trust::TrustList;

use super::*;
use crate::csip::directory::CsipInit;
use crate::csip::registry::RefusedStart;

const NOW: UnixTime = UnixTime::from_secs(1_795_392_000);

/// A CSIP whose hook keeps what it was given.
struct Fixture {
    root: tempfile::TempDir,
    csip: Csip,
    trust: TrustList,
}

fn fixture() -> Fixture {
    let root = tempfile::tempdir().unwrap();
    let options = CsipInit {
        issuer: Issuer::new("csip.example").unwrap(),
        scopes: vec!["tel:+44".parse().unwrap()],
        listen: None,
    };
    let passphrase = Passphrase::new("a passphrase");
    let directory = CsipDir::init(root.path(), &options, &passphrase).unwrap();
    hook(&root, "cat > sent");
    Fixture {
        csip: Csip::open(&directory, &passphrase).unwrap(),
        trust: directory.trust().unwrap(),
        root,
    }
}

fn hook(root: &tempfile::TempDir, script: &str) {
    let path = root.path().join("send-code");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
}

fn csi() -> Csi {
    Csi::parse("+442079460000").unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn signed(csi: &Csi, seed: u8, now: UnixTime) -> SignedCredentialRequest {
    let issuer = Issuer::new("csip.example").unwrap();
    CredentialRequest::sign(csi, &issuer, &key(seed), now).unwrap()
}

impl Fixture {
    async fn start(&self, seed: u8, now: UnixTime) -> Result<VerificationStarted, CsipError> {
        self.csip.start(&signed(&csi(), seed, now), now).await
    }

    /// The code that the hook was given last.
    fn code(&self) -> Code {
        let sent = fs::read_to_string(self.root.path().join("sent")).unwrap();
        let code = sent.strip_prefix("tel:+442079460000\n").unwrap();
        Code::parse(code).unwrap()
    }

    async fn issue(&self, seed: u8, now: UnixTime) -> SignedCredential {
        let started = self.start(seed, now).await.unwrap();
        self.csip
            .finish(&started.id, &self.code(), now)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn whoever_brings_the_code_back_gets_a_credential_for_the_key_that_asked() {
    let fixture = fixture();
    let started = fixture.start(7, NOW).await.unwrap();
    assert_eq!((started.attempts, started.expires_in_seconds), (5, 600));
    let code = fixture.code();
    let later = NOW.saturating_add(30);
    let credential = fixture
        .csip
        .finish(&started.id, &code, later)
        .await
        .unwrap();
    let claims = credential.verify(&fixture.trust, later).unwrap();
    assert_eq!(claims.subject, csi());
    assert_eq!(claims.holder, key(7).verifying_key());
    assert_eq!((claims.assignment, claims.issued_at), (1, later));
    assert_eq!(claims.expires.secs_since(claims.issued_at), 90 * DAY_SECS);
    let again = fixture.csip.finish(&started.id, &code, later).await;
    assert!(matches!(
        again,
        Err(CsipError::Verification(VerificationError::Ended))
    ));
}

#[tokio::test]
async fn another_key_of_the_holder_supersedes_and_a_new_holder_counts_up() {
    let fixture = fixture();
    let first = fixture.issue(7, NOW).await;
    let rotated = fixture.issue(8, NOW).await;
    let version = |credential: &SignedCredential| credential.revision().version;
    assert_eq!(version(&rotated).assignment, 1);
    assert!(version(&rotated) > version(&first));

    let subject = csi();
    let release = |reason, now| fixture.csip.release(&subject, reason, now);
    let released = release(ReleaseReason::Reassigned, NOW).await.unwrap();
    let stated = released.verify(&fixture.trust, NOW).unwrap();
    assert_eq!(stated.reason, ReleaseReason::Reassigned);
    assert!(stated.voids(1) && !stated.voids(2));
    // A release that got lost can be had again, and is the same.
    let later = NOW.saturating_add(60);
    let again = release(ReleaseReason::Reassigned, later).await.unwrap();
    assert_eq!(again.as_bytes(), released.as_bytes());

    assert_eq!(version(&fixture.issue(9, later).await).assignment, 2);
}

#[tokio::test]
async fn a_code_does_not_outlive_a_release() {
    let fixture = fixture();
    fixture.issue(7, NOW).await;
    let started = fixture.start(8, NOW).await.unwrap();
    let code = fixture.code();
    fixture
        .csip
        .release(&csi(), ReleaseReason::GivenUp, NOW)
        .await
        .unwrap();
    assert!(matches!(
        fixture.csip.finish(&started.id, &code, NOW).await,
        Err(CsipError::Registry(RegistryError::ChangedHands))
    ));
}

#[tokio::test]
async fn requests_that_prove_nothing_send_no_code() {
    let fixture = fixture();
    let late = NOW.saturating_add(CredentialRequest::FRESHNESS_SECS + 1);
    let stale = fixture.csip.start(&signed(&csi(), 7, NOW), late).await;
    assert!(matches!(
        stale,
        Err(CsipError::Request(CredentialRequestError::Stale { .. }))
    ));
    let other = Issuer::new("other.example").unwrap();
    let forwarded = CredentialRequest::sign(&csi(), &other, &key(7), NOW).unwrap();
    assert!(matches!(
        fixture.csip.start(&forwarded, NOW).await,
        Err(CsipError::Request(CredentialRequestError::OtherIssuer))
    ));
    let foreign = Csi::parse("+33199001234").unwrap();
    assert!(matches!(
        fixture.csip.start(&signed(&foreign, 7, NOW), NOW).await,
        Err(CsipError::OutOfScope)
    ));
    assert!(!fixture.root.path().join("sent").exists());

    fixture.start(7, NOW).await.unwrap();
    fs::remove_file(fixture.root.path().join("sent")).unwrap();
    assert!(matches!(
        fixture.start(7, NOW).await,
        Err(CsipError::Registry(RegistryError::Refused(
            RefusedStart::Replayed
        )))
    ));
    assert!(!fixture.root.path().join("sent").exists());
}

#[tokio::test]
async fn a_failing_hook_is_told_and_its_code_is_of_no_use() {
    let fixture = fixture();
    hook(&fixture.root, "cat > sent; echo leak; exit 1");
    let error = fixture.start(7, NOW).await.unwrap_err();
    assert!(matches!(error, CsipError::Hook(HookError::Failed { .. })));
    let code = fixture.code();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("leak") && !shown.contains(code.as_str()));
    assert!(!shown.contains("7946"));
}
