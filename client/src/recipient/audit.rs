//! Parts of a provider's audit log.

use protocol::audit::{Entry, Head};
use protocol::merkle::Hash;
use protocol::wire::{AUDIT_ENTRIES_MAX, Receipt};

use super::RecipientError;

/// Entries that follow one another, and the log's ends before and after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPage {
    /// The end of the log before the first entry: as the entry itself says,
    /// unless the log begins with it.
    pub before: Head,
    /// The entries, [`AUDIT_ENTRIES_MAX`] at most.
    pub entries: Vec<Entry>,
    /// The end of the log after the last entry; `before` if there are none.
    pub after: Head,
}

impl AuditPage {
    /// Reads the entries from index `from` on and checks that each follows the
    /// one before.
    pub(super) fn decode(from: u64, bytes: &[u8]) -> Result<Self, RecipientError> {
        let entries = Entry::decode_sequence(bytes)?;
        if entries.len() > AUDIT_ENTRIES_MAX {
            return Err(RecipientError::AuditPage {
                max: AUDIT_ENTRIES_MAX,
                found: entries.len(),
            });
        }
        let before = match entries.first() {
            Some(first) if from > 0 => Head {
                entries: from,
                hash: first.previous,
            },
            _ => Head {
                entries: from,
                ..Head::EMPTY
            },
        };
        let after = entries
            .iter()
            .try_fold(before, |head, entry| head.follow(entry))?;
        Ok(Self {
            before,
            entries,
            after,
        })
    }
}

/// The end of the log that a receipt names; `None` if it is none.
#[must_use]
pub fn receipt_head(receipt: &Receipt) -> Option<Head> {
    let mut hash = [0; 32];
    hex::decode_to_slice(&receipt.audit_hash, &mut hash).ok()?;
    let head = Head {
        entries: receipt.audit_entries,
        hash: Hash::from_bytes(hash),
    };
    (head.entries > 0 || head == Head::EMPTY).then_some(head)
}

#[cfg(test)]
mod tests {
    use protocol::audit::{Action, AuditError, object_digest};
    use protocol::time::UnixTime;

    use super::*;

    fn log(count: u8) -> Vec<Entry> {
        let mut head = Head::EMPTY;
        let mut entries = Vec::new();
        for n in 0..count {
            let at = UnixTime::from_secs(1_795_392_000);
            let (entry, next) = head.append(at, Action::Mapping, object_digest(&[n]));
            entries.push(entry);
            head = next;
        }
        entries
    }

    fn encoded(entries: &[Entry]) -> Vec<u8> {
        entries.iter().flat_map(Entry::encode).collect()
    }

    #[test]
    fn pages_are_chained() {
        let entries = log(5);
        let first = AuditPage::decode(0, &encoded(&entries[..3])).unwrap();
        assert_eq!(first.before, Head::EMPTY);
        let second = AuditPage::decode(3, &encoded(&entries[3..])).unwrap();
        assert_eq!(second.before, first.after);
        assert_eq!(second.after.entries, 5);
        let end = AuditPage::decode(5, &[]).unwrap();
        assert_eq!((end.entries.len(), end.after.entries), (0, 5));
    }

    #[test]
    fn what_does_not_follow_is_refused() {
        let entries = log(5);
        let refused = |from, bytes: &[u8]| match AuditPage::decode(from, bytes) {
            Err(RecipientError::Audit(error)) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            refused(1, &encoded(&entries)),
            AuditError::Index {
                expected: 1,
                found: 0
            }
        );
        let gap = [entries[0], entries[2]];
        assert!(matches!(
            refused(0, &encoded(&gap)),
            AuditError::Index { .. }
        ));
        let mut altered = entries.clone();
        altered[1].object = object_digest(b"other");
        assert_eq!(
            refused(0, &encoded(&altered)),
            AuditError::Chain { index: 2 }
        );
        assert_eq!(refused(0, b"\x81"), AuditError::Malformed);
        // An entry 0 that follows something.
        let mut forked = entries[0];
        forked.previous = object_digest(b"before");
        assert_eq!(
            refused(0, &encoded(&[forked])),
            AuditError::Chain { index: 0 }
        );
        let many = encoded(&vec![entries[0]; AUDIT_ENTRIES_MAX + 1]);
        assert!(matches!(
            AuditPage::decode(0, &many),
            Err(RecipientError::AuditPage { found: 1025, .. })
        ));
    }

    #[test]
    fn receipts_name_an_end_of_the_log() {
        let receipt = |entries, hash: &str| Receipt {
            changed: true,
            audit_entries: entries,
            audit_hash: hash.to_owned(),
        };
        let head = receipt_head(&receipt(7, &"ab".repeat(32))).unwrap();
        assert_eq!(head.entries, 7);
        assert_eq!(head.hash.as_bytes(), &[0xab; 32]);
        assert_eq!(
            receipt_head(&receipt(0, &"00".repeat(32))),
            Some(Head::EMPTY)
        );
        for (entries, hash) in [
            (0, "ab".repeat(32)),
            (7, "ab".repeat(31)),
            (7, "no".repeat(32)),
        ] {
            assert_eq!(receipt_head(&receipt(entries, &hash)), None);
        }
    }
}
