//! The audit log: what a DP accepted and in which order, each entry bound to
//! all before it by a hash chain. It names no CSI.
//!
//! An entry is the deterministic CBOR array `[index, time, action, object,
//! previous]`. Its hash is `SHA3-256("sotto/v1/audit" ‖ entry)`; `previous` is
//! that of the entry before, of the first 32 zero bytes. `object` is the
//! SHA3-256 of the signed object: only who has the object recognises it.

use minicbor::Decoder;
use sha3::{Digest as _, Sha3_256};

use crate::cbor::{self, Value};
use crate::merkle::Hash;
use crate::time::UnixTime;

/// Most bytes of an encoded entry.
pub const MAX_ENTRY_BYTES: usize = 96;

const DOMAIN: &[u8] = b"sotto/v1/audit";

/// One thing that a DP accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place, counted from 0.
    pub index: u64,
    /// When it was accepted.
    pub at: UnixTime,
    /// What was done.
    pub action: Action,
    /// Digest of the signed object that asked for it, see [`object_digest`]; 32
    /// zero bytes if the operator did.
    pub object: Hash,
    /// Hash of the entry before.
    pub previous: Hash,
}

/// What was done, with its number in the entry.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// 1: a credential took the place of another, or is the first.
    Credential,
    /// 2: a mapping was published.
    Mapping,
    /// 3: the recipient removed mappings.
    Removal,
    /// 4: the CSIP released the identifier.
    Release,
    /// 5: an audience record was published or removed.
    AudienceRecord,
    /// 6: the operator withheld an identifier's record.
    Block,
    /// 7: the operator no longer withholds it.
    Unblock,
}

/// Where a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of entries.
    pub entries: u64,
    /// Hash of the last one; 32 zero bytes if there is none.
    pub hash: Hash,
}

impl Head {
    /// The end of an empty log.
    pub const EMPTY: Self = Self {
        entries: 0,
        hash: Hash::from_bytes([0; 32]),
    };

    /// The entry that comes next, and the end of the log with it.
    pub fn append(&self, at: UnixTime, action: Action, object: Hash) -> (Entry, Self) {
        let entry = Entry {
            index: self.entries,
            at,
            action,
            object,
            previous: self.hash,
        };
        let head = Self {
            entries: self.entries + 1,
            hash: entry.hash(),
        };
        (entry, head)
    }

    /// The end of the log with `entry`, if it is the one that comes next.
    ///
    /// # Errors
    /// [`AuditError::Index`], [`AuditError::Chain`].
    pub fn follow(&self, entry: &Entry) -> Result<Self, AuditError> {
        if entry.index != self.entries {
            return Err(AuditError::Index {
                expected: self.entries,
                found: entry.index,
            });
        }
        if entry.previous != self.hash {
            return Err(AuditError::Chain { index: entry.index });
        }
        Ok(Self {
            entries: self.entries + 1,
            hash: entry.hash(),
        })
    }
}

impl Entry {
    /// The entry's CBOR.
    pub fn encode(&self) -> Vec<u8> {
        let integer = |n: u64| Value::Integer(n.into());
        let bytes = |hash: &Hash| Value::Bytes(hash.as_bytes().to_vec());
        let entry = Value::Array(vec![
            integer(self.index),
            integer(self.at.as_secs()),
            integer(self.action.number()),
            bytes(&self.object),
            bytes(&self.previous),
        ]);
        // Cannot fail: an array of integers and byte strings.
        cbor::encode(&entry).expect("a plain value encodes")
    }

    /// Reads an entry strictly.
    ///
    /// # Errors
    /// [`AuditError::Malformed`], [`AuditError::UnknownAction`].
    pub fn decode(bytes: &[u8]) -> Result<Self, AuditError> {
        let Ok(Value::Array(parts)) = cbor::decode(bytes) else {
            return Err(AuditError::Malformed);
        };
        let Ok([index, at, action, object, previous]) = <[Value; 5]>::try_from(parts) else {
            return Err(AuditError::Malformed);
        };
        let entry = Self {
            index: unsigned(&index)?,
            at: UnixTime::from_secs(unsigned(&at)?),
            action: Action::from_number(unsigned(&action)?)?,
            object: hash(&object)?,
            previous: hash(&previous)?,
        };
        if entry.at > UnixTime::MAX {
            return Err(AuditError::Malformed);
        }
        Ok(entry)
    }

    /// Reads entries that follow one another (RFC 8742), each strictly.
    ///
    /// # Errors
    /// [`AuditError::Malformed`], [`AuditError::UnknownAction`].
    pub fn decode_sequence(mut bytes: &[u8]) -> Result<Vec<Self>, AuditError> {
        let mut entries = Vec::new();
        while !bytes.is_empty() {
            let mut decoder = Decoder::new(bytes);
            decoder.skip().map_err(|_| AuditError::Malformed)?;
            let (entry, rest) = bytes.split_at(decoder.position());
            if entry.len() > MAX_ENTRY_BYTES {
                return Err(AuditError::Malformed);
            }
            entries.push(Self::decode(entry)?);
            bytes = rest;
        }
        Ok(entries)
    }

    /// Its link in the chain.
    pub fn hash(&self) -> Hash {
        let digest = Sha3_256::new()
            .chain_update(DOMAIN)
            .chain_update(self.encode());
        Hash::from_bytes(digest.finalize().into())
    }
}

/// The digest by which an entry names a signed object: SHA3-256 of its bytes.
pub fn object_digest(object: &[u8]) -> Hash {
    Hash::of(object)
}

impl Action {
    const ALL: [Self; 7] = [
        Self::Credential,
        Self::Mapping,
        Self::Removal,
        Self::Release,
        Self::AudienceRecord,
        Self::Block,
        Self::Unblock,
    ];

    const fn number(self) -> u64 {
        match self {
            Self::Credential => 1,
            Self::Mapping => 2,
            Self::Removal => 3,
            Self::Release => 4,
            Self::AudienceRecord => 5,
            Self::Block => 6,
            Self::Unblock => 7,
        }
    }

    fn from_number(found: u64) -> Result<Self, AuditError> {
        let known = Self::ALL
            .into_iter()
            .find(|action| action.number() == found);
        known.ok_or(AuditError::UnknownAction { found })
    }
}

/// Why an entry or a log was refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// Not an entry in deterministic CBOR.
    #[error("malformed audit entry")]
    Malformed,
    /// An action that is not known here.
    #[error("unknown audit action {found}")]
    UnknownAction {
        /// Its number.
        found: u64,
    },
    /// An entry is missing or repeated.
    #[error("audit entry {found}, expected {expected}")]
    Index {
        /// The index that comes next.
        expected: u64,
        /// The entry's.
        found: u64,
    },
    /// An entry does not continue the log.
    #[error("audit entry {index} does not follow the one before")]
    Chain {
        /// Its index.
        index: u64,
    },
}

fn unsigned(value: &Value) -> Result<u64, AuditError> {
    let integer = value.as_integer().ok_or(AuditError::Malformed)?;
    integer.try_into().map_err(|_| AuditError::Malformed)
}

fn hash(value: &Value) -> Result<Hash, AuditError> {
    let bytes = value.as_bytes().ok_or(AuditError::Malformed)?;
    let bytes: [u8; 32] = bytes
        .as_slice()
        .try_into()
        .map_err(|_| AuditError::Malformed)?;
    Ok(Hash::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn log(objects: &[&[u8]]) -> (Vec<Entry>, Head) {
        let mut head = Head::EMPTY;
        let mut entries = Vec::new();
        for (object, action) in objects.iter().zip(Action::ALL.into_iter().cycle()) {
            let at = UnixTime::from_secs(1_795_392_000);
            let (entry, next) = head.append(at, action, object_digest(object));
            entries.push(entry);
            head = next;
        }
        (entries, head)
    }

    #[test]
    fn a_log_is_followed_from_its_beginning_and_no_entry_can_be_changed() {
        let (entries, head) = log(&[b"a", b"b", b"c", b"d"]);
        let follow = |entries: &[Entry]| {
            entries
                .iter()
                .try_fold(Head::EMPTY, |head, entry| head.follow(entry))
        };
        assert_eq!(follow(&entries), Ok(head));
        let mut altered = entries.clone();
        altered[1].object = object_digest(b"other");
        assert_eq!(follow(&altered), Err(AuditError::Chain { index: 2 }));
        let mut left_out = entries.clone();
        left_out.remove(1);
        assert_eq!(
            follow(&left_out),
            Err(AuditError::Index {
                expected: 1,
                found: 2
            })
        );
        // Changed at its end, the log has another hash.
        let mut altered = entries;
        altered[3].action = Action::Mapping;
        assert_ne!(follow(&altered), Ok(head));
    }

    #[test]
    fn a_sequence_is_read_entry_by_entry() {
        let (entries, _) = log(&[b"a", b"b", b"c"]);
        let encoded: Vec<Vec<u8>> = entries.iter().map(Entry::encode).collect();
        let sequence = encoded.concat();
        assert_eq!(Entry::decode_sequence(&[]), Ok(Vec::new()));
        assert_eq!(Entry::decode_sequence(&sequence), Ok(entries.clone()));
        let whole: Vec<usize> = (0..=3).map(|n| encoded[..n].concat().len()).collect();
        for end in 0..sequence.len() {
            let read = Entry::decode_sequence(&sequence[..end]);
            match whole.iter().position(|at| *at == end) {
                Some(n) => assert_eq!(read, Ok(entries[..n].to_vec())),
                None => assert_eq!(read, Err(AuditError::Malformed), "{end}"),
            }
        }
        let endless = [0x9f, 0x01];
        assert_eq!(Entry::decode_sequence(&endless), Err(AuditError::Malformed));
    }

    proptest! {
        #[test]
        fn any_sequence_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(entries) = Entry::decode_sequence(&bytes) {
                let encoded: Vec<Vec<u8>> = entries.iter().map(Entry::encode).collect();
                prop_assert_eq!(encoded.concat(), bytes);
            }
        }

        #[test]
        fn entries_round_trip(
            index: u64,
            at in 0..UnixTime::MAX.as_secs(),
            action in prop::sample::select(&Action::ALL[..]),
            object: [u8; 32],
            previous: [u8; 32],
        ) {
            let entry = Entry {
                index,
                at: UnixTime::from_secs(at),
                action,
                object: Hash::from_bytes(object),
                previous: Hash::from_bytes(previous),
            };
            let encoded = entry.encode();
            prop_assert!(encoded.len() <= MAX_ENTRY_BYTES);
            prop_assert_eq!(Entry::decode(&encoded), Ok(entry));
        }

        #[test]
        fn anything_else_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(entry) = Entry::decode(&bytes) {
                prop_assert_eq!(entry.encode(), bytes);
            }
        }
    }
}
