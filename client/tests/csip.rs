//! `sotto csip` as its operator and holders use it: the real program over TLS,
//! with a real hook.

#[path = "csip/service.rs"]
mod service;

use client::csip::{RequestError, request};
use protocol::cose::{ContentType, SigningKey, sign1};
use protocol::credential::{CredentialRequest, Issuer, SignedCredential};
use protocol::csi::Csi;
use protocol::problem::ProblemType;
use protocol::removal::{ReleaseReason, SignedRelease};
use protocol::time::UnixTime;
use protocol::wire::csip::{Code, VERIFICATIONS_PATH, VerificationStarted, verification_path};
use protocol::wire::media;

use service::{Place, Service};

const NUMBER: &str = "+442079460000";

fn csi() -> Csi {
    Csi::parse(NUMBER).unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn signed_for(issuer: &str, seed: u8) -> Vec<u8> {
    let issuer = Issuer::new(issuer).unwrap();
    let signed = CredentialRequest::sign(&csi(), &issuer, &key(seed), UnixTime::now());
    signed.unwrap().as_bytes().to_vec()
}

/// A credential for this key, by way of the client library.
async fn get(place: &Place, service: &Service, seed: u8) -> SignedCredential {
    let endpoint = service.endpoint(place);
    let ask = async |_| Some(place.delivered());
    let credential = request(&endpoint, &csi(), &key(seed), ask).await.unwrap();
    credential.verify(&place.trust(), UnixTime::now()).unwrap();
    credential
}

/// A verification that was started with this key.
async fn start(service: &Service, seed: u8) -> VerificationStarted {
    let (status, body) = service
        .post(
            VERIFICATIONS_PATH,
            media::COSE,
            signed_for("csip.example", seed),
        )
        .await;
    assert_eq!(status, 202, "{}", String::from_utf8_lossy(&body));
    VerificationStarted::decode(&body).unwrap()
}

/// What a code comes to: a credential, or the type of a problem.
async fn finish(
    service: &Service,
    started: &VerificationStarted,
    code: &Code,
) -> Result<SignedCredential, ProblemType> {
    let path = verification_path(&started.id);
    let (status, body) = service.post(&path, media::JSON, code.encode()).await;
    match status {
        200 => Ok(SignedCredential::from_bytes(&body).unwrap()),
        _ => Err(service::problem(status, &body).kind),
    }
}

fn other_than(code: &Code) -> Code {
    let last = if code.as_str().ends_with('0') {
        '1'
    } else {
        '0'
    };
    Code::parse(&format!("{}{last}", &code.as_str()[..7])).unwrap()
}

#[tokio::test]
async fn a_holder_gets_credentials_and_no_file_and_no_log_names_it() {
    let place = Place::init();
    let mut service = place.serve();
    let mut asked = 0;
    let ask = async |_| {
        asked += 1;
        let code = place.delivered();
        Some(if asked == 1 { other_than(&code) } else { code })
    };
    let endpoint = service.endpoint(&place);
    let first = request(&endpoint, &csi(), &key(1), ask).await.unwrap();
    assert_eq!(asked, 2);
    let claims = first.verify(&place.trust(), UnixTime::now()).unwrap();
    assert_eq!((claims.subject, claims.assignment), (csi(), 1));
    assert_eq!(claims.holder, key(1).verifying_key());

    // Another key of the same holder takes the place of the first.
    let rotated = get(&place, &service, 2).await;
    assert_eq!(rotated.unverified().assignment, 1);
    assert!(rotated.revision().version > first.revision().version);

    let code = place.delivered();
    assert!(service.terminate().success());
    let log = service.log();
    assert!(log.contains("serving") && log.contains("stopped"), "{log}");
    for content in place.files_at_rest().chain([log.into_bytes()]) {
        for secret in ["2079460000", "442079460000", code.as_str()] {
            let found = content
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{secret}");
        }
    }
}

#[tokio::test]
async fn codes_are_tried_a_few_times_and_used_once() {
    let place = Place::init();
    let service = place.serve();
    let started = start(&service, 1).await;
    let code = place.delivered();
    let wrong = other_than(&code);
    for _ in 1..started.attempts {
        let refused = finish(&service, &started, &wrong).await.unwrap_err();
        assert_eq!(refused, ProblemType::WrongCode);
    }
    // The last wrong one, and then the right one too late.
    for code in [&wrong, &code] {
        let refused = finish(&service, &started, code).await.unwrap_err();
        assert_eq!(refused, ProblemType::VerificationEnded);
    }

    // Each verification has a code of its own.
    let one = start(&service, 1 + 10).await;
    let one_code = place.delivered();
    let two = start(&service, 2 + 10).await;
    let refused = finish(&service, &two, &one_code).await.unwrap_err();
    assert_eq!(refused, ProblemType::WrongCode);
    let credential = finish(&service, &one, &one_code).await.unwrap();
    let holder = &credential.unverified().holder;
    assert_eq!(*holder, key(11).verifying_key());
    let refused = finish(&service, &one, &one_code).await.unwrap_err();
    assert_eq!(refused, ProblemType::VerificationEnded);
}

#[tokio::test]
async fn codes_expire() {
    let place = Place::init();
    place.configure("code_seconds = 600", "code_seconds = 1");
    let service = place.serve();
    let started = start(&service, 1).await;
    // Whole seconds: after two of them more than one has passed.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let refused = finish(&service, &started, &place.delivered()).await;
    assert_eq!(refused.unwrap_err(), ProblemType::VerificationEnded);
}

#[tokio::test]
async fn requests_that_prove_nothing_send_no_code() {
    let place = Place::init();
    let service = place.serve();
    let post = async |media, body| {
        let (status, body) = service.post(VERIFICATIONS_PATH, media, body).await;
        service::problem(status, &body).kind
    };
    let theirs = signed_for("csip.example", 1);
    let theirs = protocol::credential::SignedCredentialRequest::from_bytes(&theirs).unwrap();
    let of_another_key = sign1(&key(2), ContentType::CredentialRequest, theirs.payload());
    let forwarded = signed_for("other.example", 1);
    let issuer = Issuer::new("csip.example").unwrap();
    let foreign = Csi::parse("+33199001234").unwrap();
    let sign = |csi, now| CredentialRequest::sign(csi, &issuer, &key(1), now).unwrap();
    let out_of_scope = sign(&foreign, UnixTime::now()).as_bytes().to_vec();
    let long_ago = UnixTime::now().saturating_sub(2 * CredentialRequest::FRESHNESS_SECS);
    let stale = sign(&csi(), long_ago).as_bytes().to_vec();
    for body in [of_another_key, forwarded, out_of_scope, stale] {
        let refused = post(media::COSE, body).await;
        assert_eq!(refused, ProblemType::UnprocessableObject);
    }
    let whole = signed_for("csip.example", 1);
    let cut = whole[..whole.len() - 1].to_vec();
    assert_eq!(post(media::COSE, cut).await, ProblemType::MalformedRequest);
    let long = vec![0; CredentialRequest::BYTES_MAX + 1];
    assert_eq!(post(media::COSE, long).await, ProblemType::PayloadTooLarge);
    let refused = post(media::CBOR, whole.clone()).await;
    assert_eq!(refused, ProblemType::UnsupportedMediaType);
    assert!(!place.was_delivered());

    let (status, _) = service
        .post(VERIFICATIONS_PATH, media::COSE, whole.clone())
        .await;
    assert_eq!(status, 202);
    let code = place.delivered();
    let replayed = post(media::COSE, whole).await;
    assert_eq!(replayed, ProblemType::UnprocessableObject);
    assert_eq!(place.delivered().as_str(), code.as_str());
    let (status, body) = service.post("/v1/elsewhere", media::JSON, Vec::new()).await;
    assert_eq!(service::problem(status, &body).kind, ProblemType::NotFound);
}

#[tokio::test]
async fn nobody_is_flooded_and_a_failing_hook_is_told() {
    let place = Place::init();
    place.configure(
        "codes_per_identifier_hour = 5",
        "codes_per_identifier_hour = 2",
    );
    let mut service = place.serve();
    start(&service, 1).await;
    start(&service, 2).await;
    // A restart doesn't allow more.
    service.kill();
    let service = place.serve();
    let body = signed_for("csip.example", 3);
    let (status, body) = service.post(VERIFICATIONS_PATH, media::COSE, body).await;
    let refused = service::problem(status, &body);
    assert_eq!(refused.kind, ProblemType::TooManyRequests);
    assert!(refused.retry_after.is_some_and(|seconds| seconds <= 3600));

    place.hook("cat; exit 1");
    let other = Csi::parse("someone@example.com").unwrap();
    let ask = async |_| panic!("no code was sent");
    let endpoint = service.endpoint(&place);
    let refused = request(&endpoint, &other, &key(1), ask).await.unwrap_err();
    assert!(matches!(refused, RequestError::Client(_)), "{refused}");
    let log = service.log();
    assert!(
        log.contains("hook failed") && !log.contains("someone"),
        "{log}"
    );
}

#[tokio::test]
async fn assignments_count_up_whatever_is_killed() {
    let place = Place::init();
    let mut service = place.serve();
    let assignment = |credential: SignedCredential| credential.unverified().assignment;
    let first = get(&place, &service, 1).await;
    let version = first.revision().version;
    assert_eq!(assignment(first), 1);
    service.kill();
    let mut service = place.serve();

    // Beside the running service.
    let release = place.release(&["reassign"], "reassigned");
    let stated = release.verify(&place.trust(), UnixTime::now()).unwrap();
    assert_eq!(stated.reason, ReleaseReason::Reassigned);
    assert_eq!((stated.assignment, stated.subject), (1, csi()));
    let again = place.release(&["reassign"], "again");
    assert_eq!(again.as_bytes(), release.as_bytes());
    let second = get(&place, &service, 2).await;
    assert!(second.revision().version > version);
    assert_eq!(assignment(second), 2);

    // A code that was sent before the kill is of no use after it.
    let started = start(&service, 3).await;
    service.kill();
    let service = place.serve();
    let refused = finish(&service, &started, &place.delivered()).await;
    assert_eq!(refused.unwrap_err(), ProblemType::VerificationEnded);
    assert_eq!(assignment(get(&place, &service, 3 + 10).await), 2);

    // A code that was sent before a release is of no use after it.
    let started = start(&service, 4).await;
    let release = place.release(&["release", "--reason", "given-up"], "given-up");
    assert_eq!(release.unverified().assignment, 2);
    let refused = finish(&service, &started, &place.delivered()).await;
    assert_eq!(refused.unwrap_err(), ProblemType::VerificationEnded);
}

#[tokio::test]
async fn a_credential_is_issued_without_the_service() {
    let place = Place::init();
    let request = place.root().join("request");
    std::fs::write(&request, signed_for("csip.example", 1)).unwrap();
    let out = place.root().join("credential");
    let issued = place.issue(&request, &out, |code| {
        format!(
            "not a code\n{}\n{}\n",
            other_than(code).as_str(),
            code.as_str()
        )
    });
    assert!(issued.success());
    let credential = SignedCredential::from_bytes(&std::fs::read(&out).unwrap()).unwrap();
    credential.verify(&place.trust(), UnixTime::now()).unwrap();
    assert_eq!(credential.unverified().holder, key(1).verifying_key());
    // The request was used, and the file is there.
    assert!(!place.issue(&request, &out, |_| String::new()).success());
    let elsewhere = place.root().join("elsewhere");
    assert!(
        !place
            .issue(&request, &elsewhere, |_| String::new())
            .success()
    );
    assert!(!elsewhere.exists());
    let missing = place.command(&["release", "--reason", "fraud", "--file", "-", "--out", "x"]);
    assert!(!missing.success(), "no identifier on standard input");
}

impl Place {
    /// The release that a command writes for [`NUMBER`], read from standard
    /// input.
    fn release(&self, command: &[&str], name: &str) -> SignedRelease {
        let out = self.root().join(name);
        let mut args = command.to_vec();
        args.extend(["--file", "-", "--out", out.to_str().unwrap()]);
        assert!(self.command_with_input(&args, NUMBER).success());
        SignedRelease::from_bytes(&std::fs::read(&out).unwrap()).unwrap()
    }
}
