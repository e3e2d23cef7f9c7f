//! What every store must do; each implementation runs it.

use std::path::Path;

use protocol::csi::Csi;
use protocol::derivation::Salt;
use zeroize::Zeroizing;

use super::{ImportProgress, Row, SourceId, Store, StoreError, Update};

/// Opens the store in a directory, and again after it was dropped.
pub(crate) type Open = fn(&Path) -> Box<dyn Store>;

/// Runs the whole contract.
pub(crate) fn check(open: Open) {
    rows_are_found_by_identifier_and_by_name(open);
    a_failed_update_never_happened(open);
    updates_see_their_own_writes_and_survive(open);
    a_view_stays_as_it_was(open);
    progress_is_kept_until_the_end(open);
    nothing_is_in_the_clear(open);
}

fn row(number: u32, content: &str) -> Row {
    Row {
        csi: Csi::parse(&format!("contract-{number}@example.org")).unwrap(),
        bundle: Zeroizing::new(content.as_bytes().to_vec()),
        salt: Salt::from_bytes(rand::random()),
    }
}

fn put(store: &dyn Store, rows: &[Row]) {
    store
        .update(&mut |update| rows.iter().try_for_each(|row| update.put(row)))
        .unwrap();
}

fn same(a: &Row, b: &Row) -> bool {
    a.csi == b.csi && a.bundle == b.bundle && a.salt == b.salt
}

fn find(update: &mut dyn Update, row: &Row) -> Option<Row> {
    update.find(&row.csi).unwrap()
}

fn rows_are_found_by_identifier_and_by_name(open: Open) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    assert_eq!(store.view().unwrap().count().unwrap(), 0);
    let rows: Vec<Row> = (0..100).map(|n| row(n, &format!("content {n}"))).collect();
    put(&*store, &rows);
    put(&*store, &rows[..10]);
    let view = store.view().unwrap();
    assert_eq!(view.count().unwrap(), 100);
    let ids = view.row_ids().unwrap();
    assert!(ids.is_sorted() && ids.len() == 100);
    let mut found: Vec<Row> = ids.iter().map(|id| view.row(id).unwrap()).collect();
    found.sort_by(|a, b| a.csi.cmp(&b.csi));
    let mut expected = rows.clone();
    expected.sort_by(|a, b| a.csi.cmp(&b.csi));
    assert!(found.iter().zip(&expected).all(|(a, b)| same(a, b)));
    drop(view);
    store
        .update(&mut |update| {
            assert!(
                rows.iter()
                    .all(|row| same(&find(update, row).unwrap(), row))
            );
            assert!(find(update, &self::row(100, "")).is_none());
            Ok(())
        })
        .unwrap();
}

fn a_failed_update_never_happened(open: Open) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let source = SourceId([1; 32]);
    let failed = store.update(&mut |update| {
        update.put(&row(1, "lost"))?;
        update.note_import(&source, Some(&ImportProgress::default()))?;
        Err(StoreError::Corrupt)
    });
    assert!(matches!(failed, Err(StoreError::Corrupt)));
    let view = store.view().unwrap();
    assert_eq!(view.count().unwrap(), 0);
    assert_eq!(view.import_progress(&source).unwrap(), None);
}

fn updates_see_their_own_writes_and_survive(open: Open) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (first, second) = (row(1, "first"), row(1, "second"));
    store
        .update(&mut |update| {
            update.put(&first)?;
            assert!(same(&find(update, &first).unwrap(), &first));
            update.put(&second)?;
            assert!(same(&find(update, &first).unwrap(), &second));
            Ok(())
        })
        .unwrap();
    drop(store);
    let store = open(directory.path());
    let view = store.view().unwrap();
    assert_eq!(view.count().unwrap(), 1);
    assert!(same(
        &view.row(&view.row_ids().unwrap()[0]).unwrap(),
        &second
    ));
}

fn a_view_stays_as_it_was(open: Open) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let old = row(1, "old");
    put(&*store, std::slice::from_ref(&old));
    let view = store.view().unwrap();
    put(&*store, &[row(1, "new"), row(2, "another")]);
    assert_eq!(view.count().unwrap(), 1);
    assert!(same(&view.row(&view.row_ids().unwrap()[0]).unwrap(), &old));
    assert_eq!(store.view().unwrap().count().unwrap(), 2);
}

fn progress_is_kept_until_the_end(open: Open) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (source, other) = (SourceId([1; 32]), SourceId([2; 32]));
    let progress = ImportProgress {
        bytes: 1,
        items: 2,
        lines: 3,
        added: 4,
        updated: 5,
        unchanged: 6,
        refused: 7,
    };
    store
        .update(&mut |update| update.note_import(&source, Some(&progress)))
        .unwrap();
    drop(store);
    let store = open(directory.path());
    let view = store.view().unwrap();
    assert_eq!(view.import_progress(&source).unwrap(), Some(progress));
    assert_eq!(view.import_progress(&other).unwrap(), None);
    store
        .update(&mut |update| update.note_import(&source, None))
        .unwrap();
    assert_eq!(
        store.view().unwrap().import_progress(&source).unwrap(),
        None
    );
}

fn nothing_is_in_the_clear(open: Open) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    put(&*store, &[row(4711, "canary content")]);
    drop(store);
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for canary in ["contract-4711", "canary content"] {
            assert!(
                !bytes
                    .windows(canary.len())
                    .any(|window| window == canary.as_bytes()),
                "{canary}"
            );
        }
    }
}
