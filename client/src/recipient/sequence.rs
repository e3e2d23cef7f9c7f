//! The number of the next statement.

use std::time::{SystemTime, UNIX_EPOCH};

use protocol::credential::Credential;
use protocol::precedence::Version;
use protocol::wire::Holdings;

/// How far ahead of this device's clock a provider's word is believed that a
/// removal was accepted, in milliseconds: 366 days. Nobody signs it, and whoever
/// followed a higher one would use the numbers up.
const AHEAD_MILLIS_MAX: u64 = 366 * 24 * 60 * 60 * 1000;

/// The `seq` of the next mapping or removal under `credential`: `now_millis`, or
/// one more than the highest that is known, if that is higher.
///
/// `held` is what the provider says; of it count the mappings that the holder
/// signed and, within bounds, its floor. `expected` is what this device knows to
/// have been accepted.
///
/// # Errors
/// [`SeqError`].
pub fn next_seq(
    credential: &Credential,
    held: &Holdings,
    expected: Option<&Holdings>,
    now_millis: u64,
) -> Result<u64, SeqError> {
    let last = Version {
        assignment: credential.assignment,
        seq: u64::MAX,
    };
    if held.floor >= last {
        return Err(SeqError::Released);
    }
    let of_assignment =
        |version: Version| (version.assignment == last.assignment).then_some(version.seq);
    let claimed = of_assignment(held.floor).unwrap_or(0);
    let most = now_millis.saturating_add(AHEAD_MILLIS_MAX);
    if claimed > most && expected.is_none_or(|expected| held.floor > expected.floor) {
        return Err(SeqError::Implausible);
    }
    let signed = [Some(held), expected]
        .into_iter()
        .flatten()
        .filter_map(|holdings| holdings.bundle.as_ref())
        .flat_map(|bundle| bundle.mappings())
        .filter_map(|mapping| mapping.authenticate(credential).ok())
        .filter_map(|mapping| of_assignment(mapping.version()));
    let known = signed
        .chain(expected.and_then(|expected| of_assignment(expected.floor)))
        .fold(claimed, u64::max);
    let next = known.checked_add(1).ok_or(SeqError::Exhausted)?;
    // The highest number is kept for releases.
    match next.max(now_millis) {
        u64::MAX => Err(SeqError::Exhausted),
        seq => Ok(seq),
    }
}

/// Milliseconds after 1970 by the system's clock.
#[must_use]
pub fn now_millis() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| {
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Why nothing more can be said under a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeqError {
    /// The provider says that the assignment has ended.
    #[error(
        "the provider says that a CSIP has released the identifier: if you still hold it, get a \
         new credential, which then is of a later assignment"
    )]
    Released,
    /// The provider says that it accepted a removal of the far future.
    #[error(
        "the provider says that it accepted a removal of more than a year from now, which is not \
         believed: check this device's clock, and ask the provider"
    )]
    Implausible,
    /// There are no higher numbers.
    #[error(
        "there is no higher number for a further statement: the CSIP must give the identifier out \
         anew"
    )]
    Exhausted,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::party::Party;

    const NOW: u64 = 1_795_392_000_000;

    fn holdings(assignment: u64, seq: u64, bundle: Option<protocol::bundle::Bundle>) -> Holdings {
        Holdings {
            floor: Version { assignment, seq },
            bundle,
        }
    }

    fn next(held: &Holdings, expected: Option<&Holdings>) -> Result<u64, SeqError> {
        next_seq(Party::new("a").credential.unverified(), held, expected, NOW)
    }

    #[test]
    fn the_clock_counts_unless_more_is_known() {
        let party = Party::new("a");
        let with = |seq| party.bundle(&[party.mapping(1, seq, &["a.example"])]);
        assert_eq!(next(&holdings(0, 0, None), None), Ok(NOW));
        assert_eq!(next(&holdings(1, NOW - 1, None), None), Ok(NOW));
        assert_eq!(next(&holdings(1, NOW, None), None), Ok(NOW + 1));
        let held = holdings(1, 0, Some(with(NOW + 5)));
        assert_eq!(next(&held, None), Ok(NOW + 6));
        let known = holdings(1, NOW + 7, Some(with(NOW + 8)));
        assert_eq!(next(&held, Some(&known)), Ok(NOW + 9));
        // Numbers of an earlier assignment are of no account.
        assert_eq!(next(&holdings(0, NOW + 9, None), None), Ok(NOW));
    }

    #[test]
    fn only_what_the_holder_signed_is_believed_without_bounds() {
        let (party, other) = (Party::new("a"), Party::new("b"));
        let far = u64::MAX - 9;
        let mine = party.bundle(&[party.mapping(1, far, &["a.example"])]);
        assert_eq!(next(&holdings(1, 0, Some(mine)), None), Ok(far + 1));
        let forged = other.mapping(1, far, &["a.example"]);
        let forged = party.bundle(&[forged]);
        assert_eq!(next(&holdings(1, 0, Some(forged)), None), Ok(NOW));
        let claimed = holdings(1, NOW + AHEAD_MILLIS_MAX + 1, None);
        assert_eq!(next(&claimed, None), Err(SeqError::Implausible));
        // Unless it is a removal of this device.
        assert_eq!(
            next(&claimed, Some(&claimed)),
            Ok(NOW + AHEAD_MILLIS_MAX + 2)
        );
    }

    #[test]
    fn an_assignment_that_has_ended_says_nothing_more() {
        assert_eq!(
            next(&holdings(1, u64::MAX, None), None),
            Err(SeqError::Released)
        );
        assert_eq!(next(&holdings(2, 0, None), None), Err(SeqError::Released));
        let party = Party::new("a");
        let last = party.bundle(&[party.mapping(1, u64::MAX - 1, &["a.example"])]);
        assert_eq!(
            next(&holdings(1, 0, Some(last)), None),
            Err(SeqError::Exhausted)
        );
    }
}
