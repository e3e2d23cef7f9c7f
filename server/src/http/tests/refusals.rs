//! What is refused says so in a problem document, quotes nothing of what was
//! sent, and leaves the store as it was.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::Encoder;
use protocol::audience::{AudienceHandle, AudienceSecret, SignedAudienceRecord, Term, seal_record};
use protocol::audit::Head;
use protocol::bundle::Bundle;
use protocol::cose::{ContentType, SigningKey};
use protocol::credential::{Credential, Issuer, SignedCredential};
use protocol::csi::Csi;
use protocol::inquiry::{Inquiry, SignedInquiry};
use protocol::mapping::{
    Entry, Mapping, MappingId, MspDomain, Policy, Preference, Readers, Replaces, SignedMapping,
};
use protocol::removal::{Removal, RemovalTarget, SignedRemoval};
use protocol::token::ServerName;
use protocol::wire::HOLDER_SCHEME;

use protocol::oprf::OprfKey;

use super::*;
use crate::ledger::embedded::EmbeddedLedger;
use crate::oprf_keys::EpochKey;
use crate::senders::SenderName;
use crate::store::embedded::EmbeddedStore;
use crate::store::{AudienceRow, Block, Marks, StoreKeys};

mod crossing;
mod vectors;

/// The CSIP and the holder of `tests/vectors/v1/parties.py`.
const CSIP: u8 = 1;
const ANN: u8 = 2;
/// Holds another identifier.
const BOB: u8 = 3;

const ANNS: &str = "+442079460000";
const BOBS: &str = "bob@example.com";

/// When the vectors are verified: 2026-12-01T00:00:00Z.
fn at() -> UnixTime {
    UnixTime::from_secs(1_796_083_200)
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn csi_of(holder: u8) -> Csi {
    Csi::parse(if holder == ANN { ANNS } else { BOBS }).unwrap()
}

fn credential(holder: u8) -> SignedCredential {
    let credential = Credential {
        issuer: Issuer::new("csip.example").unwrap(),
        subject: csi_of(holder),
        holder: key(holder).verifying_key(),
        issued_at: UnixTime::parse_rfc3339("2026-11-23T00:00:00Z").unwrap(),
        expires: UnixTime::parse_rfc3339("2027-02-21T00:00:00Z").unwrap(),
        assignment: 2,
    };
    credential.issue(&key(CSIP)).unwrap()
}

fn mapping(holder: u8, seq: u64) -> SignedMapping {
    let msp = MspDomain::parse("chat.example").unwrap();
    let mapping = Mapping {
        subject: csi_of(holder),
        id: MappingId([1; 16]),
        seq,
        not_before: at().saturating_sub(60),
        expires: at().saturating_add(86_400),
        assignment: 2,
        replaces: Replaces::SameId,
        policy: Policy::OPEN,
        entries: vec![Entry::new(msp, Vec::new(), 0, Preference::Ordinary).unwrap()],
    };
    mapping.sign(&key(holder)).unwrap()
}

fn removal(holder: u8, seq: u64) -> SignedRemoval {
    let removal = Removal {
        subject: csi_of(holder),
        target: RemovalTarget::All,
        seq,
        issued_at: at(),
        assignment: 2,
    };
    removal.sign(&key(holder)).unwrap()
}

fn record(holder: u8, seq: u64) -> SignedAudienceRecord {
    let secret = AudienceSecret::from_bytes([7; 32]);
    let handle = AudienceHandle::derive(&csi_of(ANN), &secret);
    let mapping = mapping(ANN, 1)
        .unverified()
        .sign_for(&key(ANN), Readers::Audience(&handle))
        .unwrap();
    let bundle = Bundle::new(credential(ANN), vec![mapping]).unwrap();
    let term = Term {
        seq,
        issued_at: at(),
        expires: at().saturating_add(3600),
    };
    seal_record(
        &key(holder),
        &csi_of(ANN),
        &secret,
        &bundle,
        term,
        &mut rand::rng(),
    )
    .unwrap()
}

/// Whether a service holds something of Ann's at first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Anns {
    Unknown,
    Held,
}

/// A provider that trusts whom the vectors trust, at the time that they say.
struct Service {
    state: Arc<AppState>,
    provider: KeyId,
    api_keys: [String; 2],
    _root: tempfile::TempDir,
}

/// All that a store holds.
#[derive(PartialEq, Eq)]
struct Contents {
    rows: Vec<(Marks, Option<Held>)>,
    audience: Vec<(AudienceHandle, AudienceRow)>,
    blocked: Vec<Csi>,
    log: Vec<protocol::audit::Entry>,
    head: Head,
}

/// Identifier, bundle and salt of a row.
type Held = (Csi, Vec<u8>, [u8; 16]);

impl Service {
    async fn new(trust: &str, anns: Anns) -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("store.redb");
        let store = EmbeddedStore::open(&path, StoreKeys::derive(&[4; 32])).unwrap();
        store
            .update(&mut |update| update.block(&csi_of(BOB), Block::Set).map(drop))
            .unwrap();
        let mut senders = Senders::default();
        let api_keys = ["first", "second"].map(|name| {
            let name = SenderName::new(name).unwrap();
            let added = senders.add(name, at(), &mut rand::rng()).unwrap();
            added.as_str().to_owned()
        });
        let ledger_keys = LedgerKeys::derive(&[4; 32]);
        let ledger = EmbeddedLedger::open(&root.path().join("ledger.redb"), &ledger_keys).unwrap();
        let provider = key(9).verifying_key().key_id();
        let parts = Parts {
            snapshot: None,
            oprf: OprfKeyRing::of(EpochKey {
                epoch: 1,
                key: OprfKey::generate(&mut rand::rng()),
            }),
            provider,
            senders,
            trust: TrustList::from_toml(trust).unwrap(),
            tokens: Tokens::none(ServerName::new("localhost").unwrap()),
            store: Arc::new(store),
            audience: AudienceLimits {
                per_sender: 2,
                total: 3,
            },
            ledger: Arc::new(ledger),
            ledger_keys,
            quotas: Quotas::DEFAULT,
            limits: Limits {
                max_batch: 1,
                queue_length: 1,
                per_account: 1,
                per_sender: 1,
                deadline: Duration::from_secs(1),
            },
            threads: 1,
            metrics: Metrics::new(None),
            body_timeout: Duration::from_secs(10),
            clock: at,
        };
        let service = Self {
            state: AppState::start(parts).unwrap(),
            provider,
            api_keys,
            _root: root,
        };
        let first = publication(credential(BOB).as_bytes(), mapping(BOB, 5).as_bytes());
        service.accepts(publish(first)).await;
        let first = record(ANN, 5).as_bytes().to_vec();
        service.accepts(service.put_record(0, first)).await;
        if anns == Anns::Held {
            let first = publication(credential(ANN).as_bytes(), mapping(ANN, 5).as_bytes());
            service.accepts(publish(first)).await;
        }
        service
    }

    async fn accepts(&self, request: Request<Body>) {
        let response = ask(&self.state, request).await;
        let status = response.status();
        let said = String::from_utf8_lossy(&body(response).await).into_owned();
        assert_eq!(status, StatusCode::OK, "{said}");
    }

    /// Sends a request that must be refused, with these objects in it; says what
    /// is wrong with the answer, if anything is.
    async fn refuses(
        &self,
        request: Request<Body>,
        objects: &[&[u8]],
        expected: ProblemType,
    ) -> Result<(), String> {
        let before = self.contents();
        let response = ask(&self.state, request).await;
        let status = response.status();
        let headers = format!("{:?}", response.headers());
        let answer = body(response).await;
        if self.contents() != before {
            return Err(format!("the store has changed, {status}"));
        }
        let text = String::from_utf8_lossy(&answer).into_owned() + &headers;
        if objects.iter().any(|object| quotes(&text, object)) {
            return Err(format!("the answer quotes it: {text}"));
        }
        let Ok(problem) = Problem::from_json(&answer) else {
            return Err(format!("no problem document, {status}"));
        };
        if (problem.kind, status.as_u16()) != (expected, expected.status()) {
            return Err(format!("{status}, {problem}; expected {expected:?}"));
        }
        Ok(())
    }

    fn contents(&self) -> Contents {
        let view = self.state.store().view().unwrap();
        let rows = view.rows(&view.row_ids().unwrap()).unwrap();
        let handles = view.audience_handles().unwrap();
        let held = |row: crate::store::Row| {
            let content = row.content.map(|content| {
                let salt = *content.salt.as_bytes();
                (content.csi, content.bundle.to_vec(), salt)
            });
            (row.marks, content)
        };
        Contents {
            rows: rows.into_iter().map(held).collect(),
            audience: handles
                .iter()
                .copied()
                .zip(view.audience_rows(&handles).unwrap())
                .collect(),
            blocked: view.blocked().unwrap(),
            log: view.audit(0, 1000).unwrap(),
            head: view.audit_head().unwrap(),
        }
    }

    fn inquiry(&self, holder: u8) -> SignedInquiry {
        let inquiry = Inquiry {
            subject: csi_of(holder),
            provider: self.provider,
            issued_at: at(),
        };
        inquiry.sign(&key(holder)).unwrap()
    }

    /// Publishes an audience record with the API key of an account.
    fn put_record(&self, account: usize, record: Vec<u8>) -> Request<Body> {
        let key = &self.api_keys[account];
        Request::builder()
            .method(Method::PUT)
            .uri(wire::AUDIENCE_RECORDS_PATH)
            .header(AUTHORIZATION, format!("Bearer {key}"))
            .header(CONTENT_TYPE, media::COSE)
            .body(Body::from(record))
            .unwrap()
    }
}

fn send(method: Method, path: &str, media: &str, body: Vec<u8>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(CONTENT_TYPE, media)
        .body(Body::from(body))
        .unwrap()
}

fn publish(body: Vec<u8>) -> Request<Body> {
    send(Method::PUT, wire::MAPPINGS_PATH, media::CBOR, body)
}

fn remove(body: Vec<u8>) -> Request<Body> {
    send(Method::DELETE, wire::MAPPINGS_PATH, media::CBOR, body)
}

fn release(body: Vec<u8>) -> Request<Body> {
    send(Method::PUT, wire::RELEASES_PATH, media::COSE, body)
}

fn look(proof: &[u8]) -> Request<Body> {
    let proof = URL_SAFE_NO_PAD.encode(proof);
    Request::builder()
        .uri(wire::MAPPINGS_PATH)
        .header(AUTHORIZATION, format!("{HOLDER_SCHEME} {proof}"))
        .body(Body::empty())
        .unwrap()
}

/// The message of a credential and a mapping, whatever they are.
fn publication(credential: &[u8], mapping: &[u8]) -> Vec<u8> {
    let mut message = Encoder::new(Vec::new());
    let encoded = message
        .array(3)
        .and_then(|message| message.u8(1)?.bytes(credential)?.array(1)?.bytes(mapping));
    assert!(encoded.is_ok());
    message.into_writer()
}

/// The message of a credential and an object that stands on it.
fn pair(credential: &[u8], object: &[u8]) -> Vec<u8> {
    let mut message = Encoder::new(Vec::new());
    let encoded = message
        .array(2)
        .and_then(|message| message.bytes(credential)?.bytes(object));
    assert!(encoded.is_ok());
    message.into_writer()
}

/// Whether a text holds a part of an object: as it is, in hexadecimal digits or
/// in base64url.
fn quotes(text: &str, object: &[u8]) -> bool {
    // Which types there are is no secret.
    let kinds = [
        ContentType::Credential,
        ContentType::Mapping,
        ContentType::Removal,
        ContentType::Release,
        ContentType::Inquiry,
        ContentType::AudienceRecord,
    ];
    let of_a_type = |part: &[u8]| {
        let mut types = kinds.iter().map(|kind| kind.media_type().as_bytes());
        types.any(|text| holds(text, part))
    };
    let found = |part: &[u8]| holds(text.as_bytes(), part);
    let mut parts = object.windows(6).filter(|part| !of_a_type(part));
    parts.any(|part| {
        found(part)
            || found(hex::encode(part).as_bytes())
            || found(URL_SAFE_NO_PAD.encode(part).as_bytes())
    })
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|at| at == part)
}

#[test]
fn a_quotation_is_found() {
    let object = mapping(ANN, 5);
    let (object, middle) = (object.as_bytes(), &object.as_bytes()[100..108]);
    let quoted = |text: String| quotes(&text, object);
    assert!(quoted(format!("not {ANNS}")));
    assert!(quoted(format!("not {}", hex::encode(middle))));
    assert!(quoted(format!("not {}", URL_SAFE_NO_PAD.encode(middle))));
    let kind = ContentType::Mapping.media_type();
    assert!(!quoted(format!("object is not of the type {kind}")));
}
