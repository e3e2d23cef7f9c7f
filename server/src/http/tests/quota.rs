//! Quotas at the route of the OPRF.

use std::sync::atomic::{AtomicBool, Ordering};

use protocol::csi::Csi;
use protocol::wire::SENDER_HEADER;

use super::*;
use crate::ledger::{Ledger, LedgerError, Level, MeterId, Outcome, Quota, Remaining, Spend};
use crate::quotas::QuotaChange;
use crate::senders::SenderName;

const SMALL: Quotas = Quotas {
    sender: Quota {
        burst: 5,
        refill_per_hour: 2,
        per_day: 8,
    },
    account: Quota {
        burst: 20,
        refill_per_hour: 1,
        per_day: 12,
    },
    global: Quota {
        burst: 1000,
        refill_per_hour: 1,
        per_day: 1000,
    },
};

/// Noon, so that no midnight comes in between.
fn noon() -> UnixTime {
    UnixTime::parse_rfc3339("2026-11-25T12:00:00Z").unwrap()
}

/// A service with two accounts and an empty ledger of its own.
struct Metered {
    state: Arc<AppState>,
    keys: [String; 2],
    ledger: Arc<Flaky>,
    _root: tempfile::TempDir,
}

/// A real ledger that can be made to fail.
struct Flaky {
    inner: Arc<dyn Ledger>,
    fails: AtomicBool,
}

impl Ledger for Flaky {
    fn spend(&self, spends: &[Spend], now: UnixTime) -> Result<Vec<Outcome>, LedgerError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(LedgerError::Corrupt);
        }
        self.inner.spend(spends, now)
    }

    fn remaining(
        &self,
        meters: &[(MeterId, Level, Quota)],
        now: UnixTime,
    ) -> Result<Vec<Remaining>, LedgerError> {
        self.inner.remaining(meters, now)
    }

    fn forget(&self, now: UnixTime) -> Result<u64, LedgerError> {
        self.inner.forget(now)
    }

    fn spent_tokens(&self) -> Result<u64, LedgerError> {
        self.inner.spent_tokens()
    }

    fn meters(&self) -> Result<u64, LedgerError> {
        self.inner.meters()
    }
}

impl Metered {
    fn new(quotas: Quotas, change: impl FnOnce(&mut Senders)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let data = &shared().data;
        let ledger_keys = data.ledger_keys().unwrap();
        let path = root.path().join("ledger.redb");
        let inner = crate::ledger::embedded::EmbeddedLedger::open(&path, &ledger_keys).unwrap();
        let ledger = Arc::new(Flaky {
            inner: Arc::new(inner),
            fails: AtomicBool::new(false),
        });
        let mut senders = Senders::default();
        let keys = ["first", "second"].map(|name| {
            let name = SenderName::new(name).unwrap();
            let added = senders.add(name, noon(), &mut rand::rng()).unwrap();
            added.as_str().to_owned()
        });
        change(&mut senders);
        let parts = Parts {
            snapshot: None,
            oprf: data.oprf_keys().unwrap(),
            provider: data.provider_public_key().unwrap().key_id(),
            senders,
            trust: data.trust().unwrap(),
            tokens: Tokens::open(data, None).unwrap(),
            store: Arc::clone(&shared().store),
            audience: AudienceLimits {
                per_sender: 1,
                total: 1,
            },
            ledger: Arc::clone(&ledger) as Arc<dyn Ledger>,
            ledger_keys,
            quotas,
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
            clock: noon,
        };
        Self {
            state: AppState::start(parts).unwrap(),
            keys,
            ledger,
            _root: root,
        }
    }

    async fn send(&self, account: usize, sender: Option<&str>, body: Vec<u8>) -> Response<Body> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(wire::OPRF_PATH)
            .header(AUTHORIZATION, format!("Bearer {}", self.keys[account]))
            .header(CONTENT_TYPE, media::CBOR);
        if let Some(sender) = sender {
            request = request.header(SENDER_HEADER, sender);
        }
        ask(&self.state, request.body(Body::from(body)).unwrap()).await
    }

    /// Asks for evaluations.
    async fn evaluate(
        &self,
        account: usize,
        sender: Option<&str>,
        elements: usize,
    ) -> Response<Body> {
        self.send(account, sender, elements_of(FIRST_EPOCH, elements))
            .await
    }
}

fn elements_of(epoch: u64, count: usize) -> Vec<u8> {
    let csi = |number| Csi::parse(&format!("sender-{number}@example.org")).unwrap();
    let inputs: Vec<Csi> = (0..count).map(csi).collect();
    let batch = BlindedBatch::blind(&inputs, &mut rand::rng()).unwrap();
    let elements = batch.elements().to_vec();
    OprfRequest { epoch, elements }.encode()
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers()[name].to_str().unwrap()
}

async fn refusal(response: Response<Body>) -> Problem {
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let problem = Problem::from_json(&body(response).await).unwrap();
    assert_eq!(problem.kind, ProblemType::QuotaExceeded);
    problem
}

#[tokio::test]
async fn each_element_is_charged_and_the_answer_says_what_is_left() {
    let metered = Metered::new(SMALL, |_| ());
    let response = metered.evaluate(0, Some("alice"), 3).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        header(&response, "ratelimit-policy"),
        "\"sender\";q=5;w=9000;qu=\"evaluations\", \"sender-day\";q=8;w=86400;qu=\"evaluations\", \
         \"account\";q=20;w=72000;qu=\"evaluations\", \"account-day\";q=12;w=86400;qu=\"evaluations\""
    );
    assert_eq!(
        header(&response, "ratelimit"),
        "\"sender\";r=2;t=5400, \"sender-day\";r=5;t=43200, \
         \"account\";r=17;t=10800, \"account-day\";r=9;t=43200"
    );
    // Nobody is told of everybody's.
    assert!(!header(&response, "ratelimit").contains("global"));

    let response = metered.evaluate(0, Some("alice"), 3).await;
    assert_eq!(header(&response, RETRY_AFTER.as_str()), "1800");
    let limits = header(&response, "ratelimit");
    assert!(
        limits.starts_with("\"sender\";r=2;t=1800, \"sender-day\";r=5;t=43200,"),
        "{limits}"
    );
    assert!(response.headers().contains_key("ratelimit-policy"));
    let problem = refusal(response).await;
    assert_eq!(problem.retry_after, Some(1800));
    assert_eq!(
        problem.detail.as_deref(),
        Some("the quota of this sender is used up")
    );
}

#[tokio::test]
async fn senders_accounts_and_all_together_have_their_own() {
    let metered = Metered::new(SMALL, |_| ());
    let ok = StatusCode::OK;
    for sender in [Some("alice"), Some("bob")] {
        assert_eq!(metered.evaluate(0, sender, 5).await.status(), ok);
        refusal(metered.evaluate(0, sender, 1).await).await;
    }
    // The account has two left of its day; who names nobody is another sender.
    assert_eq!(metered.evaluate(0, None, 2).await.status(), ok);
    let problem = refusal(metered.evaluate(0, Some("carol"), 1).await).await;
    assert_eq!(problem.retry_after, Some(43_200));
    assert!(problem.detail.unwrap().contains("account"));
    // Another account's sender of the same name.
    assert_eq!(metered.evaluate(1, Some("alice"), 5).await.status(), ok);

    let metered = Metered::new(
        Quotas {
            global: SMALL.sender,
            ..SMALL
        },
        |_| (),
    );
    assert_eq!(metered.evaluate(0, Some("alice"), 4).await.status(), ok);
    let problem = refusal(metered.evaluate(1, Some("bob"), 2).await).await;
    let detail = problem.detail.unwrap();
    assert!(!detail.contains(char::is_numeric), "{detail}");
}

#[tokio::test]
async fn more_than_a_quota_ever_has_is_refused_without_hope() {
    let metered = Metered::new(SMALL, |_| ());
    let response = metered.evaluate(0, Some("alice"), 6).await;
    assert!(!response.headers().contains_key(RETRY_AFTER));
    let problem = refusal(response).await;
    assert_eq!(problem.retry_after, None);
    assert!(problem.detail.unwrap().contains("at most 5 at a time"));
    assert_eq!(
        metered.evaluate(0, Some("alice"), 5).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn an_account_may_have_quotas_of_its_own() {
    let metered = Metered::new(SMALL, |senders| {
        let name = SenderName::new("first").unwrap();
        let mut quota = senders.quota(&name).unwrap();
        quota.sender = QuotaChange {
            burst: Some(7),
            ..QuotaChange::default()
        };
        senders.set_quota(&name, quota).unwrap();
    });
    assert_eq!(metered.evaluate(0, None, 7).await.status(), StatusCode::OK);
    refusal(metered.evaluate(1, None, 7).await).await;
}

#[tokio::test]
async fn other_quotas_are_in_force_once_they_are_read() {
    let metered = Metered::new(SMALL, |_| ());
    refusal(metered.evaluate(0, None, 6).await).await;
    // Its senders are others, its quotas those that a configuration begins with.
    metered.state.reload(&shared().data).unwrap();
    let request = post_request(wire::OPRF_PATH, media::CBOR, elements_of(FIRST_EPOCH, 6));
    assert_eq!(ask(&metered.state, request).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_is_malformed_costs_nothing() {
    let metered = Metered::new(SMALL, |_| ());
    let epoch = FIRST_EPOCH;
    for (bytes, status) in [
        (b"nonsense".to_vec(), StatusCode::BAD_REQUEST),
        (elements_of(epoch + 1, 5), StatusCode::CONFLICT),
    ] {
        let response = metered.send(0, None, bytes).await;
        assert_eq!(response.status(), status);
        assert!(!response.headers().contains_key("ratelimit"));
    }
    let longest = "a".repeat(65);
    for bad in ["", "a b", "a,b", "ü", longest.as_str()] {
        let response = metered.evaluate(0, Some(bad), 5).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{bad}");
        let text = String::from_utf8(body(response).await).unwrap();
        assert!(bad.is_empty() || !text.contains(bad), "{text}");
    }
    assert_eq!(metered.ledger.meters().unwrap(), 0);
    assert_eq!(metered.evaluate(0, None, 5).await.status(), StatusCode::OK);
    assert_eq!(metered.ledger.meters().unwrap(), 3);
}

#[tokio::test]
async fn without_a_ledger_nothing_is_evaluated() {
    let metered = Metered::new(SMALL, |_| ());
    metered.ledger.fails.store(true, Ordering::Relaxed);
    let response = metered.evaluate(0, None, 1).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let problem = Problem::from_json(&body(response).await).unwrap();
    assert_eq!(problem.kind, ProblemType::NotReady);
    assert!(problem.retry_after.is_some());
    metered.ledger.fails.store(false, Ordering::Relaxed);
    assert_eq!(metered.evaluate(0, None, 1).await.status(), StatusCode::OK);
    assert_eq!(metered.state.forget_spent().unwrap(), 0);
}
