//! Which of two statements wins.
//!
//! Every statement about a CSI carries a [`Version`]. The higher one wins; a
//! statement seen again changes nothing; one with the same version and other
//! content is refused and reported, since an honest signer never makes it.

use crate::mapping::Mapping;

/// A statement's place in the history of a CSI, ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The counter that rises each time the CSI is given to someone else.
    pub assignment: u64,
    /// The counter that rises with each statement of one holder; for a
    /// credential its `iat`.
    pub seq: u64,
}

/// A statement as far as precedence looks at it.
#[derive(Clone, Copy)]
pub struct Revision<'a> {
    /// Its place in the history.
    pub version: Version,
    /// Its signed payload. Not the whole object: a signature scheme may sign
    /// the same payload differently each time.
    pub payload: &'a [u8],
}

/// What an incoming statement is to a stored one of the same subject and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// It replaces the stored one.
    Newer,
    /// It is the stored one; nothing changes.
    Replay,
    /// The stored one has replaced it; it is refused.
    Older,
    /// It contradicts the stored one; it is refused and reported.
    Equivocation,
}

/// Compares an incoming statement with a stored one.
pub fn compare(incoming: Revision<'_>, stored: Revision<'_>) -> Precedence {
    use std::cmp::Ordering;
    match incoming.version.cmp(&stored.version) {
        Ordering::Greater => Precedence::Newer,
        Ordering::Less => Precedence::Older,
        Ordering::Equal if incoming.payload == stored.payload => Precedence::Replay,
        Ordering::Equal => Precedence::Equivocation,
    }
}

/// Whether `mapping` de-lists `other`, a mapping of the same CSI under another
/// id.
///
/// One that replaces all de-lists what is strictly older. An opt-out also
/// de-lists what is as old as itself: when in doubt, nobody is listed.
pub fn delists(mapping: &Mapping, other: &Mapping) -> bool {
    if mapping.id == other.id {
        return false;
    }
    if mapping.is_opt_out() && !other.is_opt_out() {
        return other.version() <= mapping.version();
    }
    mapping.replaces.all() && other.version() < mapping.version()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mapping::{Mapping, Replaces};

    fn revision(assignment: u64, seq: u64, payload: &[u8]) -> Revision<'_> {
        Revision {
            version: Version { assignment, seq },
            payload,
        }
    }

    #[test]
    fn each_outcome_is_its_own() {
        let stored = revision(2, 5, b"a");
        assert_eq!(compare(revision(2, 6, b"a"), stored), Precedence::Newer);
        assert_eq!(compare(revision(3, 0, b"a"), stored), Precedence::Newer);
        assert_eq!(compare(revision(2, 5, b"a"), stored), Precedence::Replay);
        assert_eq!(compare(revision(2, 4, b"a"), stored), Precedence::Older);
        assert_eq!(compare(revision(1, 9, b"a"), stored), Precedence::Older);
        assert_eq!(
            compare(revision(2, 5, b"b"), stored),
            Precedence::Equivocation
        );
    }

    #[test]
    fn de_listing_follows_the_version() {
        let mapping = |id: u8, seq, replaces, msps: &[&str]| Mapping {
            replaces,
            ..Mapping::example(id, seq, msps)
        };
        let listed = |seq| mapping(1, seq, Replaces::SameId, &["a.example"]);
        let all = mapping(2, 5, Replaces::All, &["b.example"]);
        assert!(delists(&all, &listed(4)));
        assert!(!delists(&all, &listed(5)));
        assert!(!delists(&all, &listed(6)));
        assert!(!delists(&listed(9), &all));
        let out = mapping(2, 5, Replaces::SameId, &[]);
        assert!(delists(&out, &listed(4)));
        assert!(delists(&out, &listed(5)));
        assert!(!delists(&out, &listed(6)));
        assert!(!delists(
            &out,
            &mapping(2, 1, Replaces::SameId, &["a.example"])
        ));
        assert!(!delists(&out, &mapping(3, 5, Replaces::SameId, &[])));
    }

    proptest! {
        #[test]
        fn exactly_one_of_two_different_versions_wins(a: (u64, u64), b: (u64, u64)) {
            let (x, y) = (revision(a.0, a.1, b"x"), revision(b.0, b.1, b"y"));
            let expected = if a == b { [Precedence::Equivocation; 2] }
                else if a > b { [Precedence::Newer, Precedence::Older] }
                else { [Precedence::Older, Precedence::Newer] };
            prop_assert_eq!([compare(x, y), compare(y, x)], expected);
        }
    }
}
