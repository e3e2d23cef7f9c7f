use std::fs;

use protocol::audit::{Action, Head, object_digest};
use protocol::time::UnixTime;

use super::journal::Journal;
use super::*;

/// A record that adds an entry to the log.
fn record(head: Head, object: &[u8]) -> (Record, Head) {
    let at = UnixTime::from_secs(1_795_392_000);
    let (entry, next) = head.append(at, Action::Removal, object_digest(object));
    let mut record = Record::position(head);
    record.entries.push(entry.encode().into());
    (record, next)
}

/// Three records that continue one another.
fn records() -> Vec<Record> {
    let (first, head) = record(Head::EMPTY, b"a");
    let (second, head) = record(head, b"b");
    let (third, _) = record(head, b"c");
    vec![first, second, third]
}

#[test]
fn records_are_read_as_they_were_written_by_several_hands() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let records = records();
    let mut hands = [Journal::open(&path).unwrap(), Journal::open(&path).unwrap()];
    assert_eq!(read(&path).unwrap(), []);
    for (at, record) in records.iter().enumerate() {
        hands[at % 2].append(record).unwrap();
    }
    assert_eq!(read(&path).unwrap(), records);
    assert!(records.iter().all(|record| record.chain().is_some()));
}

#[test]
fn what_a_crash_left_of_the_last_record_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let records = records();
    let mut journal = Journal::open(&path).unwrap();
    records[..2]
        .iter()
        .for_each(|record| journal.append(record).unwrap());
    let whole = fs::read(&path).unwrap();
    journal.append(&records[2]).unwrap();
    let longer = fs::read(&path).unwrap();
    for length in whole.len()..longer.len() {
        let zeros = vec![0; 7];
        for tail in [&longer[whole.len()..length], &zeros] {
            fs::write(&path, [whole.as_slice(), tail].concat()).unwrap();
            assert_eq!(read(&path).unwrap(), records[..2], "{length}");
            Journal::open(&path).unwrap().append(&records[2]).unwrap();
            assert_eq!(fs::read(&path).unwrap(), longer, "{length}");
        }
    }
}

#[test]
fn damage_and_other_files_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let mut journal = Journal::open(&path).unwrap();
    records()
        .iter()
        .for_each(|record| journal.append(record).unwrap());
    let good = fs::read(&path).unwrap();
    // Any bit of a record that others follow, those of its length included.
    let followed = 12 + (good.len() - 12) * 2 / 3;
    for at in 12..followed {
        for bit in [0, 7] {
            let mut damaged = good.clone();
            damaged[at] ^= 1 << bit;
            fs::write(&path, &damaged).unwrap();
            let refused = read(&path);
            assert!(matches!(refused, Err(JournalError::Damaged { .. })), "{at}");
        }
    }
    let mut damaged = good.clone();
    damaged[20] ^= 1;
    fs::write(&path, &damaged).unwrap();
    let error = read(&path).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { at: 12, .. }));
    assert!(error.to_string().contains("journal"));
    let refused = Journal::open(&path).unwrap().append(&records()[0]);
    assert!(matches!(refused, Err(JournalError::Damaged { .. })));

    for other in [
        &good[..11],
        b"SOTTOJNL\0\0\0\x02",
        b"something else entirely",
    ] {
        fs::write(&path, other).unwrap();
        assert!(matches!(read(&path), Err(JournalError::Foreign { .. })));
    }
    let missing = read(&directory.path().join("none"));
    assert!(matches!(missing, Err(JournalError::File(_))));
    assert!(!directory.path().join("none").exists());
}
