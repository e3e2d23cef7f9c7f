use std::fs;

use super::*;
use crate::fixture::Provider;

/// A provider whose server is up.
fn start(provider: &Provider, rotate_days: u64) -> Rebuilder {
    let mut config = provider.data.config().unwrap();
    config.oprf.rotate_days = rotate_days;
    let state = AppState::open(
        &provider.data,
        &config,
        Arc::clone(&provider.store),
        Arc::clone(&provider.ledger),
    )
    .unwrap();
    Rebuilder::new(provider.data.clone(), config, state)
}

/// The epochs of the published snapshot and of the keys that evaluate.
fn epochs(rebuilder: &Rebuilder) -> (u64, Vec<u64>) {
    let (now, ring) = (UnixTime::now(), rebuilder.state.oprf_keys());
    let live = (0..10).filter(|epoch| ring.live(*epoch, now).is_some());
    let snapshot = rebuilder.state.snapshot().unwrap();
    assert!(ring.serves(snapshot.manifest()));
    (snapshot.manifest().oprf_epoch, live.collect())
}

fn rotate(provider: &Provider) {
    let dir = provider
        .data
        .oprf_key_dir(&provider.data.config().unwrap())
        .unwrap();
    dir.rotate(None, UnixTime::now(), false).unwrap();
}

fn set_notes(provider: &Provider, text: &str) {
    fs::write(provider.data.keys_path().join("oprf/epochs.toml"), text).unwrap();
}

#[test]
fn a_new_key_is_due_and_the_old_one_evaluates_until_its_manifests_expire() {
    let provider = Provider::new(40);
    let rebuilder = start(&provider, 0);
    assert_eq!(epochs(&rebuilder), (1, vec![1]));
    assert_eq!(rebuilder.run(When::Due).unwrap(), Rebuilt::UpToDate);
    let expires = rebuilder.state.snapshot().unwrap().manifest().expires_at;
    rotate(&provider);
    assert!(matches!(
        rebuilder.run(When::Due).unwrap(),
        Rebuilt::Served(_)
    ));
    assert_eq!(epochs(&rebuilder), (2, vec![1, 2]));
    assert_eq!(rebuilder.run(When::Due).unwrap(), Rebuilt::UpToDate);
    let status = provider
        .data
        .oprf_key_dir(&provider.data.config().unwrap())
        .unwrap()
        .status()
        .unwrap();
    assert_eq!(status[0].retires, Some(expires));

    // A server that starts now does the same.
    let restarted = start(&provider, 0);
    assert_eq!(epochs(&restarted), (2, vec![1, 2]));

    // The end, without a build, for the one that runs and the one that starts.
    set_notes(
        &provider,
        "[[epoch]]\nnumber = 1\nmade = \"2026-01-01T00:00:00Z\"\nretires = \"2026-01-02T00:00:00Z\"\n\
         [[epoch]]\nnumber = 2\nmade = \"2026-01-01T00:00:00Z\"\n",
    );
    let late = start(&provider, 0);
    assert_eq!(epochs(&late), (2, vec![2]));
    assert_eq!(rebuilder.run(When::Due).unwrap(), Rebuilt::UpToDate);
    assert_eq!(epochs(&rebuilder), (2, vec![2]));
    assert!(!provider.data.keys_path().join("oprf/1.key").exists());
    assert_eq!(epochs(&start(&provider, 0)), (2, vec![2]));
}

#[test]
fn keys_rotate_by_themselves_when_their_days_are_over() {
    let provider = Provider::new(40);
    let rebuilder = start(&provider, 30);
    assert_eq!(rebuilder.run(When::Due).unwrap(), Rebuilt::UpToDate);
    set_notes(
        &provider,
        "[[epoch]]\nnumber = 1\nmade = \"2020-01-01T00:00:00Z\"\n",
    );
    assert!(matches!(
        rebuilder.run(When::Due).unwrap(),
        Rebuilt::Served(_)
    ));
    assert_eq!(epochs(&rebuilder), (2, vec![1, 2]));
    // Not again before the first key has come to its end.
    assert!(matches!(
        rebuilder.run(When::Now).unwrap(),
        Rebuilt::Served(_)
    ));
    assert_eq!(epochs(&rebuilder), (2, vec![1, 2]));
}

/// A crash after each step of a rotation: the server starts and serves, and its
/// first build goes on.
#[test]
fn a_server_starts_wherever_a_rotation_was_interrupted() {
    let provider = Provider::new(40);
    // The key is there, no snapshot.
    rotate(&provider);
    let rebuilder = start(&provider, 0);
    assert_eq!(epochs(&rebuilder), (1, vec![1, 2]));
    // The snapshot's file is there, the pointer isn't; then it is, the notes aren't.
    let pointer = provider.data.snapshots().join("current");
    let before = fs::read(&pointer).unwrap();
    let note = provider.data.keys_path().join("oprf/epochs.toml");
    let notes = fs::read(&note).unwrap();
    provider.publish();
    let after = fs::read(&pointer).unwrap();
    fs::write(&note, &notes).unwrap();
    fs::write(&pointer, before).unwrap();
    assert_eq!(epochs(&start(&provider, 0)), (1, vec![1, 2]));
    fs::write(&pointer, after).unwrap();
    let rebuilder = start(&provider, 0);
    assert_eq!(epochs(&rebuilder), (2, vec![1, 2]));
    assert_eq!(rebuilder.run(When::Due).unwrap(), Rebuilt::UpToDate);
    assert_eq!(epochs(&rebuilder), (2, vec![1, 2]));
    let status = provider
        .data
        .oprf_key_dir(&provider.data.config().unwrap())
        .unwrap()
        .status()
        .unwrap();
    assert!(status[0].retires.is_some());
}

/// Few records change little: such a build starts from the snapshot before, and
/// equals a full one all the same. With more, all is set up anew.
#[test]
fn a_build_across_epochs_equals_a_full_one() {
    for (records, starts_from_earlier) in [(4, true), (60, false)] {
        let provider = Provider::new(records);
        let rebuilder = start(&provider, 0);
        let first = rebuilder.state.snapshot().unwrap();
        rotate(&provider);
        let publish = || {
            let token_keys = Tokens::prepare(&provider.data, provider.now, 3600).unwrap();
            let oprf = provider.data.oprf_key().unwrap();
            let published = rebuilder.publish(&oprf, token_keys, UnixTime::now());
            published.unwrap().unwrap()
        };
        let started = publish();
        assert_ne!(started.snapshot, first.id());
        let changed = started.changed_digits;
        assert_eq!(changed.is_some(), starts_from_earlier, "{changed:?}");
        let directory = provider.data.snapshots();
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|it| it == "rowmasks") {
                fs::remove_file(path).unwrap();
            }
        }
        let full = publish();
        assert_eq!(full.changed_digits, None);
        assert_eq!(full.snapshot, started.snapshot);
        rebuilder.run(When::Now).unwrap();
        let served = rebuilder.state.snapshot().unwrap();
        assert_eq!(served.id(), full.snapshot);
        assert_eq!(served.manifest().oprf_epoch, 2);
    }
}

/// Clients would refuse them.
#[test]
fn an_older_key_and_another_key_of_the_same_epoch_are_not_built_under() {
    let provider = Provider::new(40);
    let rebuilder = start(&provider, 0);
    let keys = provider.data.keys_path().join("oprf");
    let first = fs::read(keys.join("1.key")).unwrap();
    rotate(&provider);
    rebuilder.run(When::Now).unwrap();
    let second = fs::read(keys.join("2.key")).unwrap();
    let id = rebuilder.state.snapshot().unwrap().id();

    fs::remove_file(keys.join("2.key")).unwrap();
    assert!(matches!(
        rebuilder.run(When::Now),
        Err(RebuildError::Build(BuildError::OprfEpoch {
            published: 2,
            epoch: 1
        }))
    ));
    crate::durable::create(&keys.join("2.key"), 0o600, &first).unwrap();
    assert!(matches!(
        rebuilder.run(When::Now),
        Err(RebuildError::Build(BuildError::OprfKey { epoch: 2 }))
    ));
    assert_eq!(rebuilder.state.snapshot().unwrap().id(), id);
    crate::durable::replace(&keys.join("2.key"), 0o600, &second).unwrap();
    assert!(matches!(
        rebuilder.run(When::Now).unwrap(),
        Rebuilt::Served(_)
    ));
}

/// A second share is needed at the start, and then for another key only.
#[test]
fn second_shares_can_be_taken_away_while_a_server_runs() {
    let provider = Provider::new(40);
    let second = provider.data.root().join("elsewhere");
    fs::create_dir(&second).unwrap();
    let path = provider.data.root().join("config.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        config.replace("second_shares = \"\"", "second_shares = \"elsewhere\""),
    )
    .unwrap();
    provider
        .data
        .oprf_key_dir(&provider.data.config().unwrap())
        .unwrap()
        .split(&second)
        .unwrap();
    let rebuilder = start(&provider, 0);
    fs::rename(&second, second.with_extension("away")).unwrap();
    assert!(matches!(
        rebuilder.run(When::Now).unwrap(),
        Rebuilt::Served(_)
    ));
    let error = AppState::open(
        &provider.data,
        &rebuilder.config,
        Arc::clone(&provider.store),
        Arc::clone(&provider.ledger),
    )
    .unwrap_err()
    .to_string();
    assert!(error.contains("one of two shares"), "{error}");
}

#[test]
fn the_snapshot_before_is_served_until_it_is_retired_and_never_three() {
    let provider = Provider::new(30);
    let rebuilder = start(&provider, 0);
    let state = &rebuilder.state;
    let mut more = crate::fixture::further(30, 3, provider.now).into_iter();
    let mut known = vec![state.snapshot().unwrap()];
    assert!(state.snapshot_before().is_none());
    for _ in 0..3 {
        provider.put(&[more.next().unwrap()]);
        rebuilder.run(When::Now).unwrap();
        let before = state.snapshot_before().unwrap();
        assert_eq!(before.id(), known.last().unwrap().id());
        known.push(state.snapshot().unwrap());
        // Those before have left memory: nobody but this test has them.
        for gone in &known[..known.len() - 2] {
            assert_eq!(Arc::strong_count(gone), 1);
        }
        assert_eq!(rebuilder.run(When::Due).unwrap(), Rebuilt::UpToDate);
    }
    // The same content again takes the place of the newest alone.
    rebuilder.run(When::Now).unwrap();
    let (newest, last) = (state.snapshot().unwrap(), known.last().unwrap());
    assert_eq!(newest.id(), last.id());
    assert!(newest.manifest().sequence > last.manifest().sequence);
    rebuilder.retire_before();
    assert!(state.snapshot_before().is_none());
    assert_eq!(state.snapshot().unwrap().id(), newest.id());
    rebuilder.retire_before();
}
