//! Rows, the block list, imports.

use std::sync::Barrier;
use std::thread;

use protocol::csi::Csi;
use protocol::derivation::Salt;
use protocol::precedence::Version;
use zeroize::Zeroizing;

use super::Fresh;
use crate::store::{Block, Content, ImportProgress, Marks, Row, SourceId, Store, StoreError, View};

pub(super) fn check(fresh: Fresh<'_>) {
    rows_are_found_by_identifier_and_by_name(fresh);
    content_goes_and_marks_stay(fresh);
    a_failed_update_never_happened(fresh);
    updates_see_their_own_writes_and_survive(fresh);
    a_view_stays_as_it_was(fresh);
    concurrent_updates_are_one_after_another(fresh);
    identifiers_are_blocked_and_no_longer(fresh);
    progress_is_kept_until_the_end(fresh);
    nothing_is_in_the_clear(fresh);
}

fn csi(number: u32) -> Csi {
    Csi::parse(&format!("contract-{number}@example.org")).expect("an address")
}

fn marks(number: u32) -> Marks {
    let version = |seq| Version {
        assignment: number.into(),
        seq,
    };
    Marks {
        statements: version(u64::MAX),
        credentials: version(7),
    }
}

fn row(number: u32, content: &str) -> Row {
    Row {
        marks: marks(number),
        content: Some(Content {
            csi: csi(number),
            bundle: Zeroizing::new(content.as_bytes().to_vec()),
            salt: Salt::random(&mut rand::rng()),
        }),
    }
}

fn put(store: &dyn Store, rows: &[(u32, Row)]) {
    store
        .update(&mut |update| {
            rows.iter()
                .try_for_each(|(number, row)| update.put(&csi(*number), row))
        })
        .expect("an update");
}

fn same(a: &Row, b: &Row) -> bool {
    let contents = match (&a.content, &b.content) {
        (None, None) => true,
        (Some(a), Some(b)) => a.csi == b.csi && a.bundle == b.bundle && a.salt == b.salt,
        _ => false,
    };
    contents && a.marks == b.marks
}

/// All rows of a view, by identifier.
fn all(view: &dyn View) -> Vec<Row> {
    let ids = view.row_ids().expect("names");
    assert!(ids.is_sorted(), "names come in order");
    assert_eq!(ids.len() as u64, view.count().expect("a count"));
    let mut rows = view.rows(&ids).expect("rows that are there");
    rows.sort_by(|a, b| {
        let csi = |row: &Row| row.content.as_ref().map(|content| content.csi.clone());
        csi(a).cmp(&csi(b))
    });
    rows
}

fn rows_are_found_by_identifier_and_by_name(fresh: Fresh<'_>) {
    let bench = fresh();
    let store = bench.open();
    assert_eq!(all(&*store.view().expect("a view")).len(), 0);
    let rows: Vec<(u32, Row)> = (0..100)
        .map(|n| (n, row(n, &format!("content {n}"))))
        .collect();
    put(&*store, &rows);
    put(&*store, &rows[..10]);
    let view = store.view().expect("a view");
    let mut expected = rows.clone();
    expected.sort_by_key(|(n, _)| csi(*n));
    let found = all(&*view);
    assert_eq!(found.len(), 100);
    assert!(found.iter().zip(&expected).all(|(a, (_, b))| same(a, b)));
    for (n, row) in &rows {
        let found = view.find(&csi(*n)).expect("a search");
        assert!(same(&found.expect("a row that was put"), row));
    }
    assert!(view.find(&csi(100)).expect("a search").is_none());
    drop(view);
    store
        .update(&mut |update| {
            let csis: Vec<Csi> = (0..101).map(csi).collect();
            update.prefetch(&csis.iter().collect::<Vec<_>>())?;
            for (n, row) in &rows {
                let found = update.find(&csi(*n))?.expect("a row that was put");
                assert!(same(&found, row));
            }
            assert!(update.find(&csi(100))?.is_none());
            Ok(())
        })
        .expect("an update");
}

fn content_goes_and_marks_stay(fresh: Fresh<'_>) {
    let bench = fresh();
    let store = bench.open();
    put(&*store, &[(1, row(1, "content"))]);
    let empty = Row {
        marks: marks(2),
        content: None,
    };
    put(&*store, &[(1, empty.clone())]);
    drop(store);
    let store = bench.open();
    let view = store.view().expect("a view");
    let found = view.find(&csi(1)).expect("a search");
    assert!(same(&found.expect("the row without content"), &empty));
    assert_eq!(all(&*view).len(), 1);
}

fn a_failed_update_never_happened(fresh: Fresh<'_>) {
    let bench = fresh();
    let store = bench.open();
    let source = SourceId([1; 32]);
    let failed = store.update(&mut |update| {
        update.put(&csi(1), &row(1, "lost"))?;
        update.block(&csi(1), Block::Set)?;
        update.note_import(&source, Some(&ImportProgress::default()))?;
        Err(StoreError::Corrupt)
    });
    assert!(matches!(failed, Err(StoreError::Corrupt)));
    let view = store.view().expect("a view");
    assert_eq!(view.count().expect("a count"), 0);
    assert_eq!(view.import_progress(&source).expect("progress"), None);
    assert!(view.blocked().expect("the block list").is_empty());
}

fn updates_see_their_own_writes_and_survive(fresh: Fresh<'_>) {
    let bench = fresh();
    let store = bench.open();
    let (first, second) = (row(1, "first"), row(1, "second"));
    store
        .update(&mut |update| {
            update.put(&csi(1), &first)?;
            assert!(same(&update.find(&csi(1))?.expect("first"), &first));
            update.put(&csi(1), &second)?;
            assert!(same(&update.find(&csi(1))?.expect("second"), &second));
            Ok(())
        })
        .expect("an update");
    drop(store);
    let store = bench.open();
    let rows = all(&*store.view().expect("a view"));
    assert!(rows.len() == 1 && same(&rows[0], &second));
}

fn a_view_stays_as_it_was(fresh: Fresh<'_>) {
    let bench = fresh();
    let store = bench.open();
    let old = row(1, "old");
    put(&*store, &[(1, old.clone())]);
    let view = store.view().expect("a view");
    put(&*store, &[(1, row(1, "new")), (2, row(2, "another"))]);
    let rows = all(&*view);
    assert!(rows.len() == 1 && same(&rows[0], &old));
    drop(view);
    assert_eq!(all(&*store.view().expect("a view")).len(), 2);
}

/// Every update adds one to a counter in a row: none may be lost.
fn concurrent_updates_are_one_after_another(fresh: Fresh<'_>) {
    const THREADS: u64 = 8;
    const EACH: u64 = 25;
    let bench = fresh();
    let store = bench.open();
    let start = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                for _ in 0..EACH {
                    store
                        .update(&mut |update| {
                            let found = update.find(&csi(1))?;
                            let seq = found.map_or(0, |row| row.marks.statements.seq);
                            let mut marks = marks(0);
                            marks.statements.seq = seq + 1;
                            let content = None;
                            update.put(&csi(1), &Row { marks, content })
                        })
                        .expect("an update that waits for the others");
                }
            });
        }
    });
    let view = store.view().expect("a view");
    let row = view.find(&csi(1)).expect("a search").expect("the counter");
    assert_eq!(row.marks.statements.seq, THREADS * EACH);
}

fn identifiers_are_blocked_and_no_longer(fresh: Fresh<'_>) {
    let bench = fresh();
    let store = bench.open();
    let block = |n, block| {
        let mut changed = false;
        store
            .update(&mut |update| {
                changed = update.block(&csi(n), block)?;
                Ok(())
            })
            .expect("an update");
        changed
    };
    assert!(block(1, Block::Set));
    assert!(!block(1, Block::Set));
    assert!(block(2, Block::Set));
    assert!(!block(3, Block::Lift));
    let blocked = || store.view().expect("a view").blocked().expect("the list");
    assert_eq!(blocked().len(), 2);
    assert!(block(1, Block::Lift));
    assert!(blocked() == [csi(2)]);
}

fn progress_is_kept_until_the_end(fresh: Fresh<'_>) {
    let bench = fresh();
    let store = bench.open();
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
        .expect("an update");
    drop(store);
    let store = bench.open();
    let noted = |source| {
        let view = store.view().expect("a view");
        view.import_progress(source).expect("progress")
    };
    assert_eq!(noted(&source), Some(progress));
    assert_eq!(noted(&other), None);
    store
        .update(&mut |update| update.note_import(&source, None))
        .expect("an update");
    assert_eq!(noted(&source), None);
}

fn nothing_is_in_the_clear(fresh: Fresh<'_>) {
    let bench = fresh();
    let store = bench.open();
    put(&*store, &[(4711, row(4711, "canary content"))]);
    store
        .update(&mut |update| update.block(&csi(4712), Block::Set).map(drop))
        .expect("an update");
    drop(store);
    let at_rest = bench.at_rest();
    assert!(at_rest.iter().any(|bytes| !bytes.is_empty()));
    for canary in ["contract-4711", "contract-4712", "canary content"] {
        for needle in [canary.to_owned(), hex::encode(canary)] {
            let found = at_rest.iter().any(|bytes| {
                bytes
                    .windows(needle.len())
                    .any(|window| window == needle.as_bytes())
            });
            assert!(!found, "{canary} is at rest in the clear");
        }
    }
}
