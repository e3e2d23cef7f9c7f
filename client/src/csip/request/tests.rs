use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::routing::post;
use protocol::credential::{Credential, SignedCredentialRequest};
use protocol::problem::Problem;
use protocol::wire::csip::{VERIFICATION_ROUTE, VerificationId};

use super::*;
use crate::fixture::tls::TlsServer;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn credential() -> Credential {
    Credential {
        issuer: Issuer::new("csip.example").unwrap(),
        subject: Csi::parse("+442079460000").unwrap(),
        holder: key(1).verifying_key(),
        issued_at: UnixTime::now(),
        expires: UnixTime::now().saturating_add(60),
        assignment: 1,
    }
}

fn code() -> Code {
    Code::parse("12345678").unwrap()
}

/// A CSIP that answers the right code with this credential.
async fn csip(credential: Credential) -> (TlsServer, CsipEndpoint, Arc<AtomicU32>) {
    let codes_seen = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&codes_seen);
    let started = VerificationStarted {
        id: VerificationId::generate(&mut rand::rng()),
        expires_in_seconds: 600,
        attempts: 3,
    };
    let start = async move |body: Bytes| {
        let request = SignedCredentialRequest::from_bytes(&body).unwrap();
        let issuer = Issuer::new("csip.example").unwrap();
        request.verify(&issuer, UnixTime::now()).unwrap();
        (StatusCode::ACCEPTED, started.encode())
    };
    let finish = async move |body: Bytes| {
        seen.fetch_add(1, Ordering::Relaxed);
        if Code::decode(&body).unwrap().matches(&code()) {
            let signed = credential.issue(&key(9)).unwrap();
            return signed.as_bytes().to_vec().into_response();
        }
        let problem = Problem::new(ProblemType::WrongCode);
        (StatusCode::FORBIDDEN, problem.to_json()).into_response()
    };
    let app = Router::new()
        .route(VERIFICATIONS_PATH, post(start))
        .route(VERIFICATION_ROUTE, post(finish));
    let server = TlsServer::start(app).await;
    let endpoint = CsipEndpoint {
        server: server.address.clone(),
        issuer: Issuer::new("csip.example").unwrap(),
        roots: TlsRoots::Only(server.certificate.clone().into_bytes()),
    };
    (server, endpoint, codes_seen)
}

async fn ask(
    endpoint: &CsipEndpoint,
    ask: impl AsyncFnMut(CodeWanted) -> Option<Code>,
) -> Result<SignedCredential, RequestError> {
    request(endpoint, &credential().subject, &key(1), ask).await
}

#[tokio::test]
async fn codes_are_asked_for_until_one_is_right() {
    let (_server, endpoint, codes_seen) = csip(credential()).await;
    let mut asked = Vec::new();
    let credential = ask(&endpoint, async |wanted: CodeWanted| {
        asked.push(wanted.attempts_left);
        let right = asked.len() == 3;
        Some(if right {
            code()
        } else {
            Code::parse("00000000").unwrap()
        })
    })
    .await
    .unwrap();
    assert_eq!(credential.unverified().holder, key(1).verifying_key());
    assert_eq!(asked, [3, 2, 1]);
    assert_eq!(codes_seen.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn too_many_wrong_codes_and_none_at_all_end_it() {
    let (_server, endpoint, codes_seen) = csip(credential()).await;
    let error = ask(&endpoint, async |_| Code::parse("00000000").ok())
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        RequestError::Client(ClientError::Problem { .. })
    ));
    assert_eq!(codes_seen.load(Ordering::Relaxed), 3);
    let error = ask(&endpoint, async |_| None).await.unwrap_err();
    assert!(matches!(error, RequestError::GivenUp));
}

#[tokio::test]
async fn a_credential_for_something_else_is_refused() {
    for (given, expected) in [
        (
            Credential {
                subject: Csi::parse("+442079460001").unwrap(),
                ..credential()
            },
            "identifier",
        ),
        (
            Credential {
                holder: key(2).verifying_key(),
                ..credential()
            },
            "key",
        ),
        (
            Credential {
                issuer: Issuer::new("other.example").unwrap(),
                ..credential()
            },
            "issuer",
        ),
    ] {
        let (_server, endpoint, _) = csip(given).await;
        let error = ask(&endpoint, async |_| Some(code())).await.unwrap_err();
        assert!(
            matches!(error, RequestError::OtherCredential { part } if part == expected),
            "{expected}: {error}"
        );
    }
}
