//! The audit log.

use std::thread;

use protocol::audit::{Action, Entry, Head, object_digest};
use protocol::time::UnixTime;

use super::Fresh;
use crate::store::{Store, StoreError};

pub(super) fn check(fresh: Fresh<'_>) {
    entries_are_read_in_order(fresh);
    a_failed_update_logs_nothing(fresh);
    concurrent_updates_make_one_chain(fresh);
}

fn append(store: &dyn Store, objects: &[&[u8]]) -> Result<(), StoreError> {
    store.update(&mut |update| {
        let mut head = update.audit_head()?;
        let mut entries = Vec::new();
        for object in objects {
            let at = UnixTime::from_secs(1_795_392_000);
            let (entry, next) = head.append(at, Action::Mapping, object_digest(object));
            entries.push(entry);
            head = next;
        }
        update.append_audit(&entries)?;
        assert_eq!(update.audit_head()?, head, "an update sees its own entries");
        Ok(())
    })
}

fn log(store: &dyn Store) -> (Vec<Entry>, Head) {
    let view = store.view().expect("a view");
    let entries = view.audit(0, usize::MAX).expect("the log");
    (entries, view.audit_head().expect("its end"))
}

fn entries_are_read_in_order(fresh: Fresh<'_>) {
    let bench = fresh();
    let store = bench.open();
    assert_eq!(log(&*store), (Vec::new(), Head::EMPTY));
    append(&*store, &[b"a", b"b", b"c"]).expect("an update");
    append(&*store, &[b"d"]).expect("an update");
    append(&*store, &[]).expect("an update");
    drop(store);
    let store = bench.open();
    let (entries, head) = log(&*store);
    let followed = entries
        .iter()
        .try_fold(Head::EMPTY, |head, entry| head.follow(entry));
    assert_eq!(followed, Ok(head));
    let view = store.view().expect("a view");
    assert_eq!(view.audit(1, 2).expect("a part"), entries[1..3]);
    assert_eq!(view.audit(3, 9).expect("a part"), entries[3..]);
    assert!(view.audit(4, 9).expect("a part").is_empty());
    assert!(view.audit(u64::MAX, 9).expect("a part").is_empty());
}

fn a_failed_update_logs_nothing(fresh: Fresh<'_>) {
    let bench = fresh();
    let store = bench.open();
    append(&*store, &[b"a"]).expect("an update");
    let before = log(&*store);
    let failed = store.update(&mut |update| {
        let at = UnixTime::from_secs(1);
        let (entry, _) = update
            .audit_head()?
            .append(at, Action::Removal, object_digest(b"lost"));
        update.append_audit(&[entry])?;
        Err(StoreError::Corrupt)
    });
    assert!(matches!(failed, Err(StoreError::Corrupt)));
    assert_eq!(log(&*store), before);
}

fn concurrent_updates_make_one_chain(fresh: Fresh<'_>) {
    let bench = fresh();
    let store = bench.open();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    append(&*store, &[b"a", b"b"]).expect("an update that waits");
                }
            });
        }
    });
    let (entries, head) = log(&*store);
    let followed = entries
        .iter()
        .try_fold(Head::EMPTY, |head, entry| head.follow(entry));
    assert_eq!(followed, Ok(head));
    assert_eq!(head.entries, 80);
}
