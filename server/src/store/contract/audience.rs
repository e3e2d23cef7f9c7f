//! Audience records.

use protocol::audience::AudienceHandle;
use protocol::derivation::Salt;
use protocol::time::UnixTime;

use super::Fresh;
use crate::senders::SenderName;
use crate::store::{AudienceRow, Store, StoreError};

pub(super) fn check(fresh: Fresh<'_>) {
    records_are_kept_and_counted(fresh);
    expired_records_are_forgotten(fresh);
    a_failed_update_counts_nothing(fresh);
}

fn handle(number: u8) -> AudienceHandle {
    AudienceHandle::from_bytes([number; 32])
}

fn owner(name: &str) -> SenderName {
    SenderName::new(name).expect("a name")
}

fn row(name: &str, expires: u64, record: &[u8]) -> AudienceRow {
    AudienceRow {
        owner: owner(name),
        expires: UnixTime::from_secs(expires),
        record: record.to_vec(),
        salt: Salt::from_bytes([3; 16]),
    }
}

fn put(store: &dyn Store, number: u8, row: &AudienceRow) {
    store
        .update(&mut |update| update.put_audience(&handle(number), row))
        .expect("an update");
}

/// Numbers of "one", of "two" and of all.
fn counts(store: &dyn Store) -> [u64; 3] {
    let mut counts = [0; 3];
    store
        .update(&mut |update| {
            counts = [
                update.count_audience(Some(&owner("one")))?,
                update.count_audience(Some(&owner("two")))?,
                update.count_audience(None)?,
            ];
            Ok(())
        })
        .expect("an update");
    counts
}

fn records_are_kept_and_counted(fresh: Fresh<'_>) {
    let bench = fresh();
    let store = bench.open();
    assert_eq!(counts(&*store), [0; 3]);
    put(&*store, 2, &row("one", 10, b"second"));
    put(&*store, 1, &row("one", 10, b"first"));
    put(&*store, 3, &row("two", 10, b"third"));
    assert_eq!(counts(&*store), [2, 1, 3]);
    // In its own place, and under another owner.
    put(&*store, 2, &row("two", 20, b"other"));
    assert_eq!(counts(&*store), [1, 2, 3]);
    drop(store);
    let store = bench.open();
    assert_eq!(counts(&*store), [1, 2, 3]);
    let view = store.view().expect("a view");
    let handles = view.audience_handles().expect("handles");
    assert!(handles == [handle(1), handle(2), handle(3)]);
    let rows = view.audience_rows(&[handle(3), handle(2)]).expect("rows");
    assert_eq!(rows, [row("two", 10, b"third"), row("two", 20, b"other")]);
    let missing = view.audience_rows(&[handle(4)]);
    assert!(matches!(missing, Err(StoreError::Missing)));
    drop(view);
    store
        .update(&mut |update| {
            let found = update.find_audience(&handle(1))?;
            assert_eq!(found, Some(row("one", 10, b"first")));
            assert_eq!(update.find_audience(&handle(4))?, None);
            Ok(())
        })
        .expect("an update");
}

fn expired_records_are_forgotten(fresh: Fresh<'_>) {
    let bench = fresh();
    let store = bench.open();
    for number in 0..10 {
        put(&*store, number, &row("one", number.into(), b"record"));
    }
    let forget = |now| {
        store
            .update(&mut |update| update.forget_audience(UnixTime::from_secs(now)))
            .expect("an update");
        store
            .view()
            .expect("a view")
            .audience_handles()
            .expect("handles")
    };
    assert!(forget(4) == (5..10).map(handle).collect::<Vec<_>>());
    assert_eq!(counts(&*store), [5, 0, 5]);
    assert_eq!(forget(4).len(), 5);
    assert!(forget(100).is_empty());
    assert_eq!(counts(&*store), [0; 3]);
}

fn a_failed_update_counts_nothing(fresh: Fresh<'_>) {
    let bench = fresh();
    let store = bench.open();
    let failed = store.update(&mut |update| {
        update.put_audience(&handle(1), &row("one", 10, b"lost"))?;
        assert_eq!(update.count_audience(None)?, 1);
        Err(StoreError::Corrupt)
    });
    assert!(matches!(failed, Err(StoreError::Corrupt)));
    assert_eq!(counts(&*store), [0; 3]);
}
