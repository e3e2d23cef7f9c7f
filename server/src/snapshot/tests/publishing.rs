//! One snapshot or the other is published, whatever fails; and the same one from
//! the same store.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use protocol::manifest::BuildId;

use super::*;
use crate::durable::faults::{Side, failing};
use crate::snapshot::build::{BuildError, Clock};

/// Also if nothing has changed: the file has the same name then.
#[test]
fn whichever_step_fails_one_of_two_snapshots_is_published_whole() {
    let provider = Provider::new(20);
    let more = further(20, 400, provider.now);
    let (mut failures, mut more) = ([0, 0], more.into_iter());
    let build = || provider.publish_within(Memory::OfSystem);
    // What is published is whole, or it could not be loaded.
    let published = || load(&provider).signed_manifest().clone();
    let mut before = published();
    for step in 0.. {
        let mut any = false;
        for side in [Side::Before, Side::After] {
            if side == Side::Before {
                provider.put(&[more.next().unwrap()]);
            }
            let (built, failed) = failing(step, side, build);
            any |= failed;
            let now = published();
            let sequence = now.unverified().sequence;
            match built {
                Ok(id) => assert_eq!(now.unverified().snapshot, id, "step {step}, {side:?}"),
                Err(error) => {
                    assert!(failed, "step {step}, {side:?}: {error}");
                    failures[side as usize] += 1;
                    assert!(step != 0 || now.digest() == before.digest());
                    if step % 6 == 0 {
                        // And the next build goes on from there.
                        build().unwrap();
                        let next = published();
                        assert_eq!(next.unverified().sequence, sequence + 1);
                        assert_eq!(next.unverified().previous, Some(now.digest()));
                    }
                }
            }
            before = published();
        }
        if !any {
            break;
        }
    }
    // Create, write, flush, synchronise, rename, directory; for file and pointer.
    assert!(failures.iter().all(|count| *count >= 10), "{failures:?}");
}

/// Every file: the snapshot, its row masks, the pointer and the log.
#[test]
fn the_same_store_gives_the_same_snapshot_under_a_build_id() {
    let provider = Provider::new(60);
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let key = provider.data.provider_public_key().unwrap();
    for id in [[7; 16], [8; 16]] {
        let built = directories.each_ref().map(|directory| {
            let same = |options: &mut build::BuildOptions<'_>| options.build_id = BuildId(id);
            let built = provider.build_with(directory.path(), same).unwrap();
            let loaded = load_from(directory.path(), built.snapshot, &key).unwrap();
            assert_eq!(loaded.manifest().build_id, BuildId(id));
            let mut files = BTreeMap::new();
            read_all(directory.path(), Path::new(""), &mut files);
            files
        });
        let names = built.each_ref().map(|files| files.keys().cloned());
        let [one, two] = names.map(Iterator::collect::<Vec<_>>);
        assert_eq!(one, two);
        assert!(one.len() >= 5, "{one:?}");
        for (name, content) in &built[0] {
            assert!(*content == built[1][name], "{name:?}");
        }
    }
}

/// The content of each file under `root`, by its path there.
fn read_all(root: &Path, under: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(root.join(under)).unwrap() {
        let entry = entry.unwrap();
        let path = under.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            read_all(root, &path, files);
        } else {
            files.insert(path.clone(), fs::read(root.join(path)).unwrap());
        }
    }
}

#[test]
fn a_clock_that_goes_back_publishes_nothing_older() {
    let provider = Provider::new(20);
    let directory = provider.data.snapshots();
    let first = load(&provider);
    let at = |now: UnixTime, clock| {
        let set = |options: &mut build::BuildOptions<'_>| {
            options.now = now;
            options.clock = clock;
        };
        provider.build_with(&directory, set)
    };
    let published = first.manifest().published_at;
    // A little is no matter, and not seen by anybody.
    at(published.saturating_sub(30), Clock::Trusted).unwrap();
    let second = load(&provider);
    assert_eq!(second.manifest().published_at, published);
    assert_eq!(second.manifest().sequence, 2);

    let back = published.saturating_sub(3600);
    let refused = at(back, Clock::Trusted);
    assert!(matches!(refused, Err(BuildError::Clock { now, .. }) if now == back));
    assert_eq!(load(&provider).manifest().sequence, 2);
    at(back, Clock::WasAhead).unwrap();
    let third = load(&provider);
    assert_eq!(third.manifest().published_at, back);
    // The chain goes on all the same.
    assert_eq!(third.manifest().sequence, 3);
    assert_eq!(
        third.manifest().previous,
        Some(second.signed_manifest().digest())
    );
}

#[test]
fn a_snapshot_that_answers_wrongly_is_not_served() {
    let provider = Provider::new(20);
    load(&provider).try_out().unwrap();
    let other = Provider::new(30);
    // Whole and signed, but with the packing matrices of another database.
    let (one, two) = (load(&provider), load(&other));
    let contents = Section::ALL.map(|section| {
        let from = if section == Section::Packing {
            &two
        } else {
            &one
        };
        let sections = file::read(from.file.bytes()).unwrap();
        from.file.bytes()[sections.range(section)].to_vec()
    });
    let slices: [&[u8]; file::SECTIONS] = std::array::from_fn(|at| contents[at].as_slice());
    let directory = tempfile::tempdir().unwrap();
    let path = current::snapshot_path(directory.path(), one.id());
    file::write(&path, slices, slices.map(crate::digest::chunked)).unwrap();
    copy_log(&provider, &one, directory.path());
    let key = provider.data.provider_public_key().unwrap();
    match load_from(directory.path(), one.id(), &key) {
        Ok(mixed) => assert!(matches!(mixed.try_out(), Err(Fault::Trial))),
        // Of another shape.
        Err(error) => assert!(matches!(error, SnapshotError::Unusable { .. })),
    }
}
