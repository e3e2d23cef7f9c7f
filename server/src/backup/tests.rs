mod place;

use std::fs;
use std::path::Path;

use super::*;
use crate::store::journaled::Journaled;
use crate::store::{Update, View};
use place::{
    NOW, Place, all_of, audience, csi, found, handle, keys, row, update, write, write_into,
};

#[test]
fn a_backup_is_restored_bit_for_bit() {
    let place = Place::with_a_backup();
    let fresh = place.store("fresh");
    let restored = place.restore(&fresh).unwrap();
    assert_eq!((restored.rows, restored.withdrawn), (3, 0));
    assert_eq!((restored.audience, restored.entries), (2, 3));
    assert!(all_of(&fresh) == all_of(&place.store("store")));
    // Again, it changes nothing.
    place.restore(&fresh).unwrap();
    assert!(all_of(&fresh) == all_of(&place.store("store")));
}

#[test]
fn what_was_removed_since_stays_removed() {
    let place = Place::with_a_backup();
    let store = place.journaled();
    // Ann removes one of two mappings and replaces the other, Bob all he has, and
    // Dan comes and goes.
    write(&store, &[("ann", row("ann", &[(2, 20)], 15))]);
    write(
        &store,
        &[
            ("bob", row("bob", &[], 30)),
            ("dan", row("dan", &[(1, 10)], 0)),
        ],
    );
    write(&store, &[("dan", row("dan", &[], 40))]);
    update(&store, &mut |update| {
        update.put_audience(&handle(1), &audience(b"removed"))?;
        update.put_audience(&handle(3), &audience(b"third"))
    });
    let before = all_of(&store);

    // Into the store that goes on: nothing changes.
    place.restore(&store).unwrap();
    assert!(all_of(&store) == before);
    drop(store);

    // Into an empty one: as it was, but for what came later and wasn't removed.
    let fresh = place.store("fresh");
    let restored = place.restore(&fresh).unwrap();
    assert_eq!(restored.entries, 7);
    assert_eq!(found(&fresh, "ann"), (vec![2], 15));
    assert_eq!(found(&fresh, "bob"), (vec![], 30));
    assert_eq!(found(&fresh, "cid"), (vec![1], 0));
    assert_eq!(found(&fresh, "dan"), (vec![], 40));
    let (_, blocked, records, head) = all_of(&fresh);
    assert_eq!((blocked, head), (before.1, before.3));
    let expected = [
        (handle(1), audience(b"removed")),
        (handle(2), audience(b"second")),
    ];
    assert!(records == expected);

    // The log and the journal go on from there.
    drop(fresh);
    fs::rename(place.path("fresh"), place.path("store")).unwrap();
    write(&place.journaled(), &[("cid", row("cid", &[], 50))]);
    let fresh = place.store("fresh again");
    assert_eq!(place.restore(&fresh).unwrap().entries, 8);
    assert_eq!(found(&fresh, "cid"), (vec![], 50));
}

#[test]
fn a_replaced_mapping_does_not_come_back() {
    let place = Place::with_a_backup();
    let store = place.journaled();
    write(&store, &[("bob", row("bob", &[(1, 35)], 0))]);
    write(&store, &[("eve", row("eve", &[(1, 10)], 0))]);
    drop(store);
    let fresh = place.store("fresh");
    place.restore(&fresh).unwrap();
    // What replaced it is lost until he publishes again, which he may.
    assert_eq!(found(&fresh, "bob"), (vec![], 10));
    assert!(fresh.view().unwrap().find(&csi("eve")).unwrap().is_none());
}

#[test]
fn without_its_journal_a_backup_is_refused_or_withheld() {
    let place = Place::with_a_backup();
    let journal = place.path("journal");
    let earlier = fs::read(&journal).unwrap();
    let store = place.journaled();
    write(&store, &[("bob", row("bob", &[], 30))]);
    drop(store);
    let fresh = place.store("fresh");
    let refused = |journals: &[&Path], known| {
        let refused = place.restore_as(&fresh, journals, Content::Restored, known);
        let error = refused.unwrap_err();
        assert!(matches!(error, BackupError::Unknown { .. }), "{error}");
        assert!(error.to_string().contains("--withhold"), "{error}");
        assert_eq!(fresh.view().unwrap().count().unwrap(), 0);
    };
    refused(&[], 0);
    // One that was begun later knows nothing of the backup's position.
    let begun = place.path("begun later");
    drop(Journaled::open(place.store("other"), keys(), &begun).unwrap());
    refused(&[&begun], 0);
    // An old copy of it ends too early, where anybody knows how far it was.
    let old = place.path("old");
    fs::write(&old, earlier).unwrap();
    refused(&[&old], 4);
    refused(&[&journal], 5);
    let store = place.store("store");
    let error = place
        .restore_as(&store, &[&old], Content::Restored, 0)
        .unwrap_err();
    assert!(matches!(
        error,
        BackupError::Unknown {
            ends: 3,
            needed: Some(4)
        }
    ));

    let restored = place.restore_as(&fresh, &[], Content::Withheld, 4).unwrap();
    assert_eq!(
        (restored.rows, restored.withdrawn, restored.audience),
        (3, 3, 0)
    );
    assert_eq!(found(&fresh, "ann"), (vec![], 20));
    assert_eq!(found(&fresh, "bob"), (vec![], 10));
    // What is in the store that goes on is not withheld.
    place.restore_as(&store, &[], Content::Withheld, 4).unwrap();
    assert_eq!(found(&store, "ann"), (vec![1, 2], 0));
}

#[test]
fn journals_of_several_servers_are_followed_together() {
    let place = Place::with_a_backup();
    let other = place.path("journal of another server");
    for (journal, name) in [
        (&other, "ann"),
        (&place.path("journal"), "bob"),
        (&other, "cid"),
    ] {
        let store = Journaled::open(place.store("store"), keys(), journal).unwrap();
        write(&store, &[(name, row(name, &[], 30))]);
    }
    let fresh = place.store("fresh");
    // The first step is the other server's.
    let own = place.path("journal");
    let refused = place.restore_as(&fresh, &[&own], Content::Restored, 6);
    assert!(matches!(refused, Err(BackupError::Unknown { ends: 3, .. })));
    place
        .restore_as(&fresh, &[&own, &other], Content::Restored, 6)
        .unwrap();
    for name in ["ann", "bob", "cid"] {
        assert_eq!(found(&fresh, name), (vec![], 30), "{name}");
    }
    assert_eq!(all_of(&fresh).3, all_of(&place.store("store")).3);
}

/// Journals, and then fails to commit.
struct Failing<S>(S);

impl<S: Store> Store for Failing<S> {
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        self.0.view()
    }

    fn update(
        &self,
        change: &mut dyn FnMut(&mut dyn Update) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.0.update(&mut |update| {
            change(update)?;
            Err(StoreError::Missing)
        })
    }
}

#[test]
fn what_was_journalled_and_not_committed_is_not_replayed() {
    let place = Place::with_a_backup();
    let failing = Failing(place.store("store"));
    let failing = Journaled::open(failing, keys(), &place.path("journal")).unwrap();
    let failed = failing.update(&mut |update| write_into(update, &[("ann", row("ann", &[], 30))]));
    assert!(matches!(failed, Err(StoreError::Missing)));
    drop(failing);
    let store = place.journaled();
    write(&store, &[("bob", row("bob", &[], 30))]);
    write(&store, &[("cid", row("cid", &[], 30))]);
    let head = all_of(&store).3;
    drop(store);
    let fresh = place.store("fresh");
    place.restore(&fresh).unwrap();
    assert_eq!(found(&fresh, "ann"), (vec![1, 2], 0));
    assert_eq!(found(&fresh, "bob"), (vec![], 30));
    assert_eq!(all_of(&fresh).3, head);
}

#[test]
fn a_store_that_was_put_back_is_refused_until_it_is_restored() {
    let place = Place::with_a_backup();
    let earlier = fs::read(place.path("store")).unwrap();
    let store = place.journaled();
    write(&store, &[("ann", row("ann", &[], 30))]);
    write(&store, &[("bob", row("bob", &[], 30))]);
    update(&store, &mut |update| {
        update.put_audience(&handle(1), &audience(b"removed"))
    });
    let now = all_of(&store);
    drop(store);
    fs::write(place.path("store"), earlier).unwrap();
    let refused = Journaled::open(place.store("store"), keys(), &place.path("journal"));
    let error = refused.unwrap_err();
    assert!(
        matches!(
            &error,
            StoreError::Journal(JournalError::SetBack { entries: 3, .. })
        ),
        "{error}"
    );
    place.restore(&place.store("store")).unwrap();
    let store = place.journaled();
    let restored = all_of(&store);
    assert!((restored.2, restored.3) == (now.2, now.3));
    for name in ["ann", "bob"] {
        assert_eq!(found(&store, name), (vec![], 30));
    }
}

#[test]
fn other_histories_and_keys_are_refused() {
    let place = Place::with_a_backup();
    let other = place.store("other");
    write(&other, &[("somebody", row("somebody", &[(1, 10)], 0))]);
    let before = all_of(&other);
    let refused = place.restore(&other);
    assert!(matches!(
        refused,
        Err(BackupError::Diverged { before: 1, .. })
    ));
    let longer: Vec<_> = (0..9)
        .map(|_| ("somebody", row("somebody", &[(1, 10)], 0)))
        .collect();
    write(&other, &longer);
    let refused = place.restore(&other);
    assert!(matches!(
        refused,
        Err(BackupError::Diverged { before: 3, .. })
    ));
    assert_eq!(all_of(&other).0.len(), before.0.len());

    let options = RestoreOptions {
        keys: &StoreKeys::derive(&[6; 32]),
        journals: &[],
        content: Content::Withheld,
        known_entries: 0,
        now: NOW,
        progress: Progress::Logged,
    };
    let refused = restore(&place.store("fresh"), &place.path("backup"), &options);
    assert!(matches!(refused, Err(BackupError::ForeignKey { .. })));
}

#[test]
fn a_damaged_backup_is_refused_by_name_and_changes_nothing() {
    let place = Place::with_a_backup();
    let path = place.path("backup");
    let good = fs::read(&path).unwrap();
    let fresh = place.store("fresh");
    let refused = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        let error = place.restore(&fresh).unwrap_err();
        assert!(error.to_string().contains("/backup is"), "{error}");
        error
    };
    for at in (0..good.len()).step_by(13) {
        let mut flipped = good.clone();
        flipped[at] ^= 1 << (at % 8);
        refused(&flipped);
        refused(&good[..at]);
    }
    refused(&[good.as_slice(), b"\0"].concat());
    assert!(matches!(
        refused(b"something else"),
        BackupError::Foreign { .. }
    ));
    let mut newer = good.clone();
    newer[11] = 2;
    assert!(matches!(
        refused(&newer),
        BackupError::Version { found: 2, .. }
    ));
    assert_eq!(fresh.view().unwrap().count().unwrap(), 0);
    fs::write(&path, good).unwrap();
    place.restore(&fresh).unwrap();
}
