//! Builds that start from the published snapshot.

use std::fs;

use super::*;

#[test]
fn a_build_after_a_small_change_equals_a_full_one() {
    let provider = Provider::new(60);
    let directory = provider.data.snapshots();
    let first = load(&provider);
    // The same mappings, sealed afresh.
    provider.put(&provider.records[..2]);
    let built = provider.publish();
    let updated = load(&provider);
    assert_ne!(updated.id(), first.id());
    assert!(built.changed_digits.is_some_and(|digits| digits > 0));
    assert!(!current::row_masks_path(&directory, first.id()).exists());
    let row_masks = current::row_masks_path(&directory, updated.id());
    let kept = fs::read(&row_masks).unwrap();

    // Without row masks, or with damaged ones, the set-up is done in full, and
    // its result is the same to the bit: an id covers database and hint.
    let damaged = |at: usize| {
        let mut bytes = kept.clone();
        bytes[at] ^= 1;
        Some(bytes)
    };
    let unusable = [
        None,
        damaged(9),
        damaged(100),
        damaged(kept.len() - 1),
        Some(vec![7; 10]),
    ];
    for content in unusable {
        fs::remove_file(&row_masks).unwrap();
        if let Some(content) = content {
            fs::write(&row_masks, content).unwrap();
        }
        assert_eq!(provider.publish().changed_digits, None);
        let full = load(&provider);
        assert_eq!(full.id(), updated.id());
        let packing = |s: &Snapshot| s.file.bytes()[s.packing.clone()].to_vec();
        assert!(packing(&full) == packing(&updated));
        assert!(fs::read(&row_masks).unwrap() == kept);
    }

    // Nothing changed: nothing is set up.
    let same = provider.publish();
    assert_eq!(
        (same.snapshot, same.changed_digits),
        (updated.id(), Some(0))
    );
}

/// Whoever can write to the directory, but has no key, gets nothing signed.
#[test]
fn a_replaced_earlier_hint_is_not_started_from() {
    let provider = Provider::new(60);
    let first = load(&provider);
    let honest = first.id();
    let section = |section| {
        let sections = file::read(first.file.bytes()).unwrap();
        first.file.bytes()[sections.range(section)].to_vec()
    };
    let mut contents = Section::ALL.map(section);
    let hint = &mut contents[Section::Hint as usize];
    let last = hint.len() - 1;
    hint[last] ^= 0x10;
    let slices: [&[u8]; file::SECTIONS] = std::array::from_fn(|at| contents[at].as_slice());
    let digests = slices.map(crate::digest::chunked);
    file::write(first.path(), slices, digests).unwrap();
    let second = provider.publish();
    assert_eq!((second.snapshot, second.changed_digits), (honest, None));
    assert_eq!(load(&provider).id(), honest);
}

/// Row masks whose digest was made anew: the lookup before publishing finds it.
#[test]
fn wrong_row_masks_are_found_by_a_lookup() {
    let provider = Provider::new(60);
    let path = current::row_masks_path(&provider.data.snapshots(), load(&provider).id());
    let mut bytes = fs::read(&path).unwrap();
    let header = bytes.len() - load(&provider).params().costs().row_mask_bytes;
    // The largest coefficient of every row becomes another.
    for row in bytes[header..].chunks_exact_mut(2048 * 4) {
        row[..1024].fill(1);
    }
    let digest = crate::digest::chunked(&bytes[header..]);
    bytes[header - 32..header].copy_from_slice(&digest);
    fs::write(&path, bytes).unwrap();
    provider.put(&provider.records[..1]);
    assert_eq!(provider.publish().changed_digits, None);
    load(&provider);
}

#[test]
fn a_damaged_earlier_snapshot_is_not_started_from() {
    let provider = Provider::new(60);
    let first = load(&provider);
    provider.put(&provider.records[..1]);
    let mut bytes = fs::read(first.path()).unwrap();
    bytes[first.database.start + 77_777] ^= 0x20;
    fs::write(first.path(), bytes).unwrap();
    assert_eq!(provider.publish().changed_digits, None);
    load(&provider);
}
