use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use protocol::audit::{Action, Head, object_digest};
use protocol::problem::{PROBLEM_BYTES_MAX, Problem, ProblemType};
use protocol::removal::{Release, ReleaseReason, Removal, RemovalTarget};

use super::*;
use crate::fixture::csip_key;
use crate::fixture::party::{Party, issuer};
use crate::fixture::tls::TlsServer;

/// What the server gives for an answer.
#[derive(Clone)]
struct Answer {
    status: u16,
    retry_after: Option<&'static str>,
    body: Vec<u8>,
}

/// What came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    route: String,
    authorization: Option<String>,
    content_type: Option<String>,
    body: Vec<u8>,
}

#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    seen: Mutex<Vec<Seen>>,
}

/// A server that answers by script.
struct Provider {
    script: Arc<Script>,
    server: TlsServer,
}

impl Provider {
    async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let script = Arc::new(Script {
            answers: Mutex::new(answers.into_iter().collect()),
            ..Script::default()
        });
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&script));
        let server = TlsServer::start(app).await;
        Self { script, server }
    }

    fn recipient(&self) -> Recipient {
        let config = RecipientConfig {
            server: self.server.address.clone(),
            dp_key: provider_key(),
            roots: TlsRoots::Only(self.server.certificate.clone().into_bytes()),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            busy_retries: 2,
        };
        Recipient::new(&config).unwrap()
    }

    fn seen(&self) -> Vec<Seen> {
        self.script.seen.lock().unwrap().clone()
    }
}

async fn answer(State(script): State<Arc<Script>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let text = |name| {
        let value = parts.headers.get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let seen = Seen {
        route: format!("{} {}", parts.method, parts.uri.path_and_query().unwrap()),
        authorization: text(header::AUTHORIZATION),
        content_type: text(header::CONTENT_TYPE),
        body: to_bytes(body, 1 << 20).await.unwrap().to_vec(),
    };
    script.seen.lock().unwrap().push(seen);
    let answer = script.answers.lock().unwrap().pop_front().unwrap();
    let mut headers = HeaderMap::new();
    if let Some(secs) = answer.retry_after {
        headers.insert(header::RETRY_AFTER, secs.parse().unwrap());
    }
    let status = StatusCode::from_u16(answer.status).unwrap();
    (status, headers, answer.body).into_response()
}

fn provider_key() -> VerifyingKey {
    SigningKey::from_seed(&[9; 32]).verifying_key()
}

fn ok(body: impl Into<Vec<u8>>) -> Answer {
    Answer {
        status: 200,
        retry_after: None,
        body: body.into(),
    }
}

fn problem(problem: &Problem) -> Answer {
    Answer {
        status: problem.status(),
        retry_after: None,
        body: problem.to_json(),
    }
}

fn receipt() -> Receipt {
    Receipt {
        changed: true,
        audit_entries: 3,
        audit_hash: "ab".repeat(32),
    }
}

fn receipt_json() -> Vec<u8> {
    serde_json::to_vec(&receipt()).unwrap()
}

fn release() -> SignedRelease {
    let release = Release {
        issuer: issuer(),
        subject: Party::new("a").csi(),
        assignment: 1,
        issued_at: UnixTime::now(),
        reason: ReleaseReason::GivenUp,
    };
    release.sign(&csip_key()).unwrap()
}

#[tokio::test]
async fn statements_go_to_their_paths_and_bring_receipts() {
    let provider = Provider::start(vec![ok(receipt_json()); 4]).await;
    let recipient = provider.recipient();
    let party = Party::new("a");
    let bundle = party.bundle(&[party.mapping(1, 5, &["a.example"])]);
    assert_eq!(recipient.publish(&bundle).await.unwrap(), receipt());
    let removal = Removal {
        subject: party.csi(),
        target: RemovalTarget::All,
        seq: 6,
        issued_at: UnixTime::now(),
        assignment: 1,
    };
    let removal = RemovalRequest {
        credential: party.credential.clone(),
        removal: removal.sign(&party.key).unwrap(),
    };
    recipient.remove(&removal).await.unwrap();
    recipient.release(&release()).await.unwrap();
    let key = ApiKey::new("sotto_test").unwrap();
    recipient
        .put_audience_record(b"record", &key)
        .await
        .unwrap();
    let seen = |route: &str, authorization: Option<&str>, media: &str, body: &[u8]| Seen {
        route: route.to_owned(),
        authorization: authorization.map(str::to_owned),
        content_type: Some(media.to_owned()),
        body: body.to_vec(),
    };
    assert_eq!(
        provider.seen(),
        [
            seen("PUT /v1/mappings", None, media::CBOR, bundle.encode()),
            seen("DELETE /v1/mappings", None, media::CBOR, &removal.encode()),
            seen("PUT /v1/releases", None, media::COSE, release().as_bytes()),
            seen(
                "PUT /v1/audience-records",
                Some("Bearer sotto_test"),
                media::COSE,
                b"record"
            ),
        ]
    );
}

#[tokio::test]
async fn an_inquiry_proves_the_key_to_this_provider_alone() {
    let party = Party::new("a");
    let bundle = party.bundle(&[party.mapping(1, 5, &["a.example"])]);
    let held = Holdings {
        floor: protocol::precedence::Version {
            assignment: 1,
            seq: 4,
        },
        bundle: Some(bundle.clone()),
    };
    let provider = Provider::start([ok(held.encode())]).await;
    let recipient = provider.recipient();
    let proof = recipient.prove(&party.credential, &party.key).unwrap();
    let found = recipient.holdings(&proof).await.unwrap();
    assert_eq!(found.encode(), held.encode());
    let [seen] = &provider.seen()[..] else {
        panic!("one request");
    };
    assert_eq!(seen.route, "GET /v1/mappings");
    assert!(seen.body.is_empty());
    let sent = seen.authorization.as_ref().unwrap();
    let sent = HolderProof::from_authorization(sent.as_bytes()).unwrap();
    let claims = party.credential.unverified();
    sent.inquiry
        .verify(claims, provider_key().key_id(), UnixTime::now())
        .unwrap();
}

#[tokio::test]
async fn holdings_of_another_identifier_or_malformed_ones_are_refused() {
    let (party, other) = (Party::new("a"), Party::new("b"));
    let floor = protocol::precedence::Version {
        assignment: 0,
        seq: 0,
    };
    let others = Holdings {
        floor,
        bundle: Some(other.bundle(&[])),
    };
    let foreign = other.mapping(1, 5, &["a.example"]);
    let mixed = Holdings {
        floor,
        bundle: Some(party.bundle(&[foreign])),
    };
    let answers = [
        ok(others.encode()),
        ok(mixed.encode()),
        ok(b"".as_slice()),
        ok(b"\x83\x00\x00".as_slice()),
        ok(vec![0; Holdings::BYTES_MAX + 1]),
    ];
    let provider = Provider::start(answers).await;
    let recipient = provider.recipient();
    let proof = recipient.prove(&party.credential, &party.key).unwrap();
    for _ in 0..2 {
        let error = recipient.holdings(&proof).await.unwrap_err();
        assert!(matches!(error, RecipientError::OtherSubject), "{error}");
    }
    for _ in 0..2 {
        let error = recipient.holdings(&proof).await.unwrap_err();
        assert!(matches!(error, RecipientError::Holdings(_)), "{error}");
    }
    let error = recipient.holdings(&proof).await.unwrap_err();
    assert!(
        matches!(
            error,
            RecipientError::Client(ClientError::BodyTooLong { .. })
        ),
        "{error}"
    );
}

#[tokio::test]
async fn every_problem_is_a_refusal_with_advice() {
    for kind in ProblemType::ALL {
        let provider = Provider::start([problem(&Problem::new(kind))]).await;
        let error = provider.recipient().release(&release()).await.unwrap_err();
        let RecipientError::Refused(refusal) = &error else {
            panic!("{error}");
        };
        assert_eq!(refusal.kind, kind);
        assert!(error.to_string().starts_with("release: "), "{error}");
        assert_eq!(provider.seen().len(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_nobody_else() {
    let busy = |kind, header| Answer {
        retry_after: header,
        ..problem(&Problem::new(kind))
    };
    for kind in [ProblemType::Overloaded, ProblemType::TooManyRequests] {
        let named = problem(&Problem::new(kind).with_retry_after(0));
        let answers = [named, busy(kind, Some("0")), ok(receipt_json())];
        let provider = Provider::start(answers).await;
        let accepted = provider.recipient().release(&release()).await.unwrap();
        assert_eq!(accepted, receipt());
        let seen = provider.seen();
        assert_eq!(seen.len(), 3);
        assert!(seen.iter().all(|request| *request == seen[0]));
    }
    let again = || busy(ProblemType::Overloaded, Some("0"));
    let too_long = busy(ProblemType::Overloaded, Some("3600"));
    for (answers, requests) in [
        (vec![again(), again(), again()], 3),
        (vec![again(), too_long], 2),
        (vec![problem(&Problem::new(ProblemType::Superseded))], 1),
    ] {
        let provider = Provider::start(answers).await;
        let error = provider.recipient().release(&release()).await.unwrap_err();
        assert!(matches!(error, RecipientError::Refused(_)), "{error}");
        assert_eq!(provider.seen().len(), requests);
    }
}

#[tokio::test]
async fn other_statuses_and_bodies_are_no_receipts() {
    let plain = |status: u16, body: &[u8]| Answer {
        status,
        retry_after: None,
        body: body.to_vec(),
    };
    let mut statuses = vec![
        plain(302, b""),
        plain(404, b"<html>not found</html>"),
        plain(500, b""),
        plain(502, b"{}"),
        plain(503, &vec![b' '; PROBLEM_BYTES_MAX + 1]),
    ];
    // A problem with another status than its own.
    let superseded = Problem::new(ProblemType::Superseded).to_json();
    statuses.push(plain(400, &superseded));
    for answer in statuses {
        let expected = answer.status;
        let provider = Provider::start([answer]).await;
        let error = provider.recipient().release(&release()).await.unwrap_err();
        let RecipientError::Client(ClientError::Status { status, .. }) = error else {
            panic!("{error}");
        };
        assert_eq!(status, expected);
    }
    let json = String::from_utf8(receipt_json()).unwrap();
    let bodies = [
        String::new(),
        "null".to_owned(),
        "{}".to_owned(),
        json.replace("ab", "ag"),
        json.replace("abab", "ab"),
        json.replace('3', "-3"),
        json[..json.len() - 1].to_owned(),
    ];
    for body in bodies {
        let provider = Provider::start([ok(body.clone())]).await;
        let error = provider.recipient().release(&release()).await.unwrap_err();
        assert!(
            matches!(error, RecipientError::Receipt { step: "release" }),
            "{body}: {error}"
        );
    }
    let provider = Provider::start([ok(vec![b' '; RECEIPT_BYTES_MAX + 1])]).await;
    let error = provider.recipient().release(&release()).await.unwrap_err();
    assert!(
        matches!(
            error,
            RecipientError::Client(ClientError::BodyTooLong { .. })
        ),
        "{error}"
    );
}

#[tokio::test]
async fn the_audit_log_comes_in_pages() {
    let mut head = Head::EMPTY;
    let mut log = Vec::new();
    for n in 0..4 {
        let (entry, next) = head.append(UnixTime::now(), Action::Mapping, object_digest(&[n]));
        log.push(entry);
        head = next;
    }
    let page = |range: std::ops::Range<usize>| {
        let entries: Vec<Vec<u8>> = log[range].iter().map(|entry| entry.encode()).collect();
        ok(entries.concat())
    };
    let answers = [page(0..3), page(3..4), page(0..0), page(1..2)];
    let provider = Provider::start(answers).await;
    let recipient = provider.recipient();
    let first = recipient.audit(0).await.unwrap();
    assert_eq!(first.entries, log[..3]);
    let second = recipient.audit(first.after.entries).await.unwrap();
    assert_eq!((second.before, second.after), (first.after, head));
    let end = recipient.audit(4).await.unwrap();
    assert!(end.entries.is_empty());
    let error = recipient.audit(0).await.unwrap_err();
    assert!(matches!(error, RecipientError::Audit(_)), "{error}");
    let routes: Vec<String> = provider.seen().into_iter().map(|seen| seen.route).collect();
    assert_eq!(routes[1], "GET /v1/audit?from=3");
}

#[tokio::test]
async fn a_server_of_another_certificate_is_not_talked_to() {
    let provider = Provider::start([]).await;
    let other = TlsServer::start(Router::new()).await;
    let config = RecipientConfig {
        server: provider.server.address.clone(),
        dp_key: provider_key(),
        roots: TlsRoots::Only(other.certificate.clone().into_bytes()),
        connect_timeout: Duration::from_secs(10),
        request_timeout: Duration::from_secs(10),
        busy_retries: 2,
    };
    let recipient = Recipient::new(&config).unwrap();
    let error = recipient.release(&release()).await.unwrap_err();
    assert!(
        matches!(error, RecipientError::Client(ClientError::Transport { .. })),
        "{error}"
    );
    assert!(provider.seen().is_empty());
}
