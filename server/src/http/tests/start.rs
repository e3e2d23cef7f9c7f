use protocol::oprf::OprfKey;

use super::*;
use crate::oprf_keys::EpochKey;

#[test]
fn a_backend_that_the_machine_lacks_is_refused_at_the_start() {
    let mut config = Config::default();
    config.queries.backend = "abacus".to_owned();
    let open = |config: &Config| {
        let (store, ledger) = (Arc::clone(&shared().store), Arc::clone(&shared().ledger));
        AppState::open(&shared().data, config, store, ledger)
    };
    match open(&config) {
        Err(error @ StartError::Backend(_)) => {
            let text = error.to_string();
            assert!(text.contains("queries.backend") && text.contains("portable"));
        }
        other => panic!("{other:?}"),
    }
    config.queries.backend = "portable".to_owned();
    let state = open(&config).unwrap();
    assert_eq!(state.snapshot().unwrap().backend().to_string(), "portable");
}

#[test]
fn a_snapshot_of_another_oprf_key_is_not_served() {
    let data = &shared().data;
    let directory = data.snapshots();
    let id = current::read(&directory).unwrap();
    let snapshot = Snapshot::load(
        &directory,
        id,
        &data.provider_public_key().unwrap(),
        Memory::OfSystem,
        Progress::Logged,
    )
    .unwrap();
    let parts = Parts {
        snapshot: Some(snapshot),
        oprf: OprfKeyRing::of(EpochKey {
            epoch: 1,
            key: OprfKey::generate(&mut rand::rng()),
        }),
        provider: data.provider_public_key().unwrap().key_id(),
        senders: Senders::default(),
        trust: data.trust().unwrap(),
        tokens: Tokens::open(data, None).unwrap(),
        store: Arc::clone(&shared().store),
        audience: AudienceLimits {
            per_sender: 1,
            total: 1,
        },
        ledger: Arc::clone(&shared().ledger),
        ledger_keys: data.ledger_keys().unwrap(),
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
        body_timeout: Duration::from_secs(1),
        clock: UnixTime::now,
    };
    assert!(matches!(AppState::start(parts), Err(StartError::OprfKey)));
}
