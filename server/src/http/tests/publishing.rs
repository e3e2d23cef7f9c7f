use protocol::audit::{Action, Entry, Head};
use protocol::bundle::Bundle;
use protocol::cose::SigningKey;
use protocol::credential::{Credential, Issuer};
use protocol::csi::Csi;
use protocol::inquiry::Inquiry;
use protocol::mapping::{
    Entry as MspEntry, Mapping, MappingId, MspDomain, Policy, Preference, Replaces,
};
use protocol::removal::{Release, ReleaseReason, Removal, RemovalTarget};
use protocol::time::UnixTime;
use protocol::wire::{HolderProof, Holdings, Receipt, RemovalRequest};

use super::*;
use crate::data_dir::InitOptions;
use crate::rebuild::{Rebuilder, Rebuilt, When};

const CSIP: u8 = 1;
const ANN: u8 = 2;
const BOB: u8 = 3;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn csi() -> Csi {
    Csi::parse("someone@example.org").unwrap()
}

fn credential(holder: u8, assignment: u64) -> Credential {
    let now = UnixTime::now();
    Credential {
        issuer: Issuer::new("csip.example").unwrap(),
        subject: csi(),
        holder: key(holder).verifying_key(),
        issued_at: now.saturating_sub(60),
        expires: now.saturating_add(3600),
        assignment,
    }
}

fn bundle(holder: u8, assignment: u64, seq: u64) -> Bundle {
    let credential = credential(holder, assignment);
    let msp = MspDomain::parse("msp.example").unwrap();
    let mapping = Mapping {
        subject: csi(),
        id: MappingId([1; 16]),
        seq,
        not_before: credential.issued_at,
        expires: credential.expires,
        assignment,
        replaces: Replaces::SameId,
        policy: Policy::OPEN,
        entries: vec![MspEntry::new(msp, Vec::new(), 0, Preference::Ordinary).unwrap()],
    };
    let mapping = mapping.sign(&key(holder)).unwrap();
    Bundle::new(credential.issue(&key(CSIP)).unwrap(), vec![mapping]).unwrap()
}

fn removal(holder: u8, assignment: u64, seq: u64) -> RemovalRequest {
    let credential = credential(holder, assignment);
    let removal = Removal {
        subject: csi(),
        target: RemovalTarget::All,
        seq,
        issued_at: credential.issued_at,
        assignment,
    };
    RemovalRequest {
        credential: credential.issue(&key(CSIP)).unwrap(),
        removal: removal.sign(&key(holder)).unwrap(),
    }
}

/// A provider that begins with nothing, and trusts one CSIP.
struct Bench {
    data: DataDir,
    state: Arc<AppState>,
    _root: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let text = key(CSIP).verifying_key().to_text();
        let trust = format!(
            "[[csip]]\nissuer = \"csip.example\"\nkey = \"{text}\"\nscopes = [\"mailto:*@example.org\"]\n"
        );
        let options = InitOptions {
            trust: Some(trust),
            listen: None,
        };
        let data = DataDir::init(&root.path().join("data"), &options).unwrap();
        let store: Arc<dyn Store> = Arc::from(data.store().unwrap());
        let ledger = data.ledger().unwrap();
        let state = AppState::open(&data, &Config::default(), store, ledger).unwrap();
        Self {
            data,
            state,
            _root: root,
        }
    }

    async fn send(&self, method: Method, path: &str, media: &str, body: Vec<u8>) -> Response<Body> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, media)
            .body(Body::from(body))
            .unwrap();
        ask(&self.state, request).await
    }

    async fn publish(&self, bundle: &Bundle) -> Response<Body> {
        let body = bundle.encode().to_vec();
        self.send(Method::PUT, wire::MAPPINGS_PATH, media::CBOR, body)
            .await
    }

    async fn remove(&self, request: &RemovalRequest) -> Response<Body> {
        self.send(
            Method::DELETE,
            wire::MAPPINGS_PATH,
            media::CBOR,
            request.encode(),
        )
        .await
    }

    async fn release(&self, signer: u8, assignment: u64) -> Response<Body> {
        let release = Release {
            issuer: Issuer::new("csip.example").unwrap(),
            subject: csi(),
            assignment,
            issued_at: UnixTime::now(),
            reason: ReleaseReason::Reassigned,
        };
        let release = release.sign(&key(signer)).unwrap();
        let body = release.as_bytes().to_vec();
        self.send(Method::PUT, wire::RELEASES_PATH, media::COSE, body)
            .await
    }

    async fn held(&self, holder: u8, assignment: u64) -> Response<Body> {
        let provider = self.data.provider_public_key().unwrap().key_id();
        self.held_of(holder, assignment, provider).await
    }

    async fn held_of(&self, holder: u8, assignment: u64, provider: KeyId) -> Response<Body> {
        let inquiry = Inquiry {
            subject: csi(),
            provider,
            issued_at: UnixTime::now(),
        };
        let proof = HolderProof {
            credential: credential(holder, assignment).issue(&key(CSIP)).unwrap(),
            inquiry: inquiry.sign(&key(holder)).unwrap(),
        };
        let request = Request::builder()
            .uri(wire::MAPPINGS_PATH)
            .header(AUTHORIZATION, proof.to_authorization())
            .body(Body::empty())
            .unwrap();
        ask(&self.state, request).await
    }
}

async fn receipt(response: Response<Body>) -> Receipt {
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[CONTENT_TYPE], media::JSON);
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    serde_json::from_slice(&body(response).await).unwrap()
}

async fn holdings(response: Response<Body>) -> Holdings {
    assert_eq!(response.status(), StatusCode::OK);
    Holdings::decode(&body(response).await).unwrap()
}

async fn kind(response: Response<Body>) -> ProblemType {
    problem(response).await.kind
}

#[tokio::test]
async fn a_recipient_publishes_looks_and_removes() {
    let bench = Bench::new();
    let first = receipt(bench.publish(&bundle(ANN, 1, 5)).await).await;
    assert!(first.changed && first.audit_entries == 2);
    let again = receipt(bench.publish(&bundle(ANN, 1, 5)).await).await;
    assert!(!again.changed);
    assert_eq!(again.audit_hash, first.audit_hash);
    let held = holdings(bench.held(ANN, 1).await).await;
    assert_eq!(held.bundle.unwrap().mappings().len(), 1);
    let removed = receipt(bench.remove(&removal(ANN, 1, 6)).await).await;
    assert!(removed.changed && removed.audit_entries == 3);
    let held = holdings(bench.held(ANN, 1).await).await;
    assert!(held.bundle.is_none() && held.floor.seq == 6);
    let replayed = bench.publish(&bundle(ANN, 1, 5)).await;
    assert_eq!(kind(replayed).await, ProblemType::Superseded);

    let log = ask(&bench.state, get_request("/v1/audit?from=0")).await;
    assert_eq!(log.headers()[CONTENT_TYPE], media::CBOR_SEQUENCE);
    let log = body(log).await;
    let mut entries = Vec::new();
    let mut rest = log.as_slice();
    while !rest.is_empty() {
        let mut decoder = minicbor::Decoder::new(rest);
        decoder.skip().unwrap();
        let (entry, after) = rest.split_at(decoder.position());
        entries.push(Entry::decode(entry).unwrap());
        rest = after;
    }
    let actions: Vec<Action> = entries.iter().map(|entry| entry.action).collect();
    assert_eq!(
        actions,
        [Action::Credential, Action::Mapping, Action::Removal]
    );
    let head = entries
        .iter()
        .try_fold(Head::EMPTY, |head, entry| head.follow(entry))
        .unwrap();
    assert_eq!(head.hash.to_string(), removed.audit_hash);
    let late = ask(&bench.state, get_request("/v1/audit?from=3")).await;
    assert!(body(late).await.is_empty());
    for query in ["from=", "from=-1", "form=1", "from=1&from=2"] {
        let path = format!("/v1/audit?{query}");
        refused(
            &bench.state,
            get_request(&path),
            ProblemType::MalformedRequest,
        )
        .await;
    }
}

#[tokio::test]
async fn nobody_sees_or_removes_what_is_anothers() {
    let bench = Bench::new();
    receipt(bench.publish(&bundle(ANN, 1, 5)).await).await;
    // A holder's key alone, without a credential for it.
    let mut forged = removal(BOB, 1, 6);
    forged.credential = credential(ANN, 1).issue(&key(CSIP)).unwrap();
    let refused = bench.remove(&forged).await;
    assert_eq!(kind(refused).await, ProblemType::UnprocessableObject);
    let refused = bench.release(ANN, 1).await;
    assert_eq!(kind(refused).await, ProblemType::Untrusted);
    // The next holder sees nothing of the one before, who then sees nothing.
    let held = holdings(bench.held(BOB, 2).await).await;
    assert!(held.bundle.is_none());
    receipt(bench.release(CSIP, 1).await).await;
    receipt(bench.publish(&bundle(BOB, 2, 1)).await).await;
    assert_eq!(
        kind(bench.held(ANN, 1).await).await,
        ProblemType::Superseded
    );
    let removed = receipt(bench.remove(&removal(ANN, 1, 9)).await).await;
    assert!(!removed.changed);
    let held = holdings(bench.held(BOB, 2).await).await;
    assert_eq!(held.bundle.unwrap().mappings().len(), 1);
    // An inquiry to another provider is not one to this.
    let elsewhere = bench
        .held_of(BOB, 2, key(ANN).verifying_key().key_id())
        .await;
    assert_eq!(kind(elsewhere).await, ProblemType::Unauthorized);
    let without = ask(
        &bench.state,
        Request::builder()
            .uri(wire::MAPPINGS_PATH)
            .body(Body::empty())
            .unwrap(),
    );
    assert_eq!(kind(without.await).await, ProblemType::Unauthorized);
}

#[tokio::test]
async fn malformed_submissions_are_told_apart() {
    let bench = Bench::new();
    let (path, good) = (wire::MAPPINGS_PATH, bundle(ANN, 1, 5));
    let put = |media: &'static str, body: Vec<u8>| bench.send(Method::PUT, path, media, body);
    let unsupported = put(media::COSE, good.encode().to_vec()).await;
    assert_eq!(kind(unsupported).await, ProblemType::UnsupportedMediaType);
    let long = put(media::CBOR, vec![0; 1 << 15]).await;
    assert_eq!(kind(long).await, ProblemType::PayloadTooLarge);
    for body in [
        Vec::new(),
        vec![0xff],
        b"\x80".to_vec(),
        good.encode()[1..].to_vec(),
    ] {
        assert_eq!(
            kind(put(media::CBOR, body).await).await,
            ProblemType::MalformedRequest
        );
    }
    let mut altered = good.encode().to_vec();
    *altered.last_mut().unwrap() ^= 1;
    let altered = put(media::CBOR, altered).await;
    assert_eq!(kind(altered).await, ProblemType::UnprocessableObject);
    let stranger = Bundle::new(credential(ANN, 1).issue(&key(ANN)).unwrap(), Vec::new()).unwrap();
    let untrusted = put(media::CBOR, stranger.encode().to_vec()).await;
    assert_eq!(kind(untrusted).await, ProblemType::Untrusted);
    assert_eq!(bench.state.store().view().unwrap().count().unwrap(), 0);
}

#[tokio::test]
async fn what_was_published_is_served_after_a_build_and_gone_after_another() {
    let bench = Bench::new();
    let manifest = || get_request(wire::MANIFEST_PATH);
    refused(&bench.state, manifest(), ProblemType::NotReady).await;
    refused(
        &bench.state,
        get_request(wire::READY_PATH),
        ProblemType::NotReady,
    )
    .await;
    let rebuilder = Rebuilder::new(
        bench.data.clone(),
        Config::default(),
        Arc::clone(&bench.state),
    );
    let run = async |when| {
        let rebuilder = rebuilder.clone();
        let run = tokio::task::spawn_blocking(move || rebuilder.run(when));
        run.await.unwrap().unwrap()
    };
    assert_eq!(run(When::Now).await, Rebuilt::Empty);
    let records = || bench.state.snapshot().unwrap().manifest().records;
    receipt(bench.publish(&bundle(ANN, 1, 5)).await).await;
    assert!(matches!(run(When::Due).await, Rebuilt::Served(_)));
    assert_eq!(records(), 1);
    assert_eq!(run(When::Due).await, Rebuilt::UpToDate);
    assert_eq!(ask(&bench.state, manifest()).await.status(), StatusCode::OK);
    receipt(bench.remove(&removal(ANN, 1, 6)).await).await;
    assert!(matches!(run(When::Due).await, Rebuilt::Served(_)));
    assert_eq!(records(), 0);
}

#[tokio::test]
async fn a_trust_list_is_read_again() {
    let bench = Bench::new();
    receipt(bench.publish(&bundle(ANN, 1, 5)).await).await;
    let path = bench.data.root().join("trust.toml");
    std::fs::write(&path, "[[csip]]\nissuer = 3\n").unwrap();
    assert!(bench.state.reload(&bench.data).is_err());
    receipt(bench.publish(&bundle(ANN, 1, 6)).await).await;
    std::fs::write(&path, "").unwrap();
    bench.state.reload(&bench.data).unwrap();
    let untrusted = bench.publish(&bundle(ANN, 1, 7)).await;
    assert_eq!(kind(untrusted).await, ProblemType::Untrusted);
}
