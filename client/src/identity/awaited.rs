//! What a provider has accepted for an identifier and lookups don't show yet.

use std::fmt;
use std::str::FromStr;

use protocol::time::UnixTime;

/// What was accepted for one identifier and hasn't been seen in a snapshot yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Awaited {
    /// Since when each snapshot that was seen has lacked something.
    since: Option<UnixTime>,
    accepted: Vec<Acceptance>,
}

/// That a statement was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Acceptance {
    /// Entries of the audit log with it.
    entries: u64,
    /// When, by this device's clock.
    at: UnixTime,
}

/// The text is not what [`Awaited`] is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected lines of a number of entries and a time")]
pub struct AwaitedError;

impl Awaited {
    /// Most acceptances whose times are kept apart.
    const ACCEPTED_MAX: usize = 64;

    /// Something more was accepted, and the audit log has so many entries with it.
    pub fn accept(&mut self, entries: u64, at: UnixTime) {
        let full = self.accepted.len() >= Self::ACCEPTED_MAX;
        match self.accepted.last_mut().filter(|_| full) {
            // As if it had been accepted then: it is missed early, not late.
            Some(last) => last.entries = last.entries.max(entries),
            None => self.accepted.push(Acceptance { entries, at }),
        }
    }

    /// A snapshot was seen that takes so many entries of the audit log into account.
    /// Gives since when something is awaited, `None` if nothing is: the time of the
    /// oldest acceptance that it lacks, or that one before it has lacked since
    /// nothing was. So it isn't renewed by whatever is accepted meanwhile.
    pub fn seen(&mut self, entries: u64) -> Option<UnixTime> {
        self.accepted.retain(|accepted| accepted.entries > entries);
        let oldest = self.accepted.iter().map(|accepted| accepted.at).min();
        self.since = oldest.map(|oldest| self.since.map_or(oldest, |since| since.min(oldest)));
        self.since
    }
}

/// `since` and a time in a line of its own if there is one, and each acceptance in a
/// line: entries and time. Times are in seconds since 1970.
impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(since) = self.since {
            writeln!(f, "{SINCE} {}", since.as_secs())?;
        }
        for accepted in &self.accepted {
            writeln!(f, "{} {}", accepted.entries, accepted.at.as_secs())?;
        }
        Ok(())
    }
}

const SINCE: &str = "since";

impl FromStr for Awaited {
    type Err = AwaitedError;

    fn from_str(text: &str) -> Result<Self, AwaitedError> {
        let mut awaited = Self::default();
        for line in text.lines() {
            let (entries, at) = line.split_once(' ').ok_or(AwaitedError)?;
            let at = UnixTime::from_secs(at.parse().map_err(|_| AwaitedError)?);
            if entries == SINCE {
                awaited.since = Some(at);
            } else {
                awaited.accept(entries.parse().map_err(|_| AwaitedError)?, at);
            }
        }
        Ok(awaited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;

    fn hour(hours: u64) -> UnixTime {
        UnixTime::from_secs(1_795_392_000 + hours * HOUR)
    }

    #[test]
    fn what_is_accepted_meanwhile_renews_nothing() {
        let mut awaited = Awaited::default();
        assert_eq!(awaited.seen(7), None);
        awaited.accept(8, hour(0));
        assert_eq!(awaited.seen(7), Some(hour(0)));
        // Published again and again, each time just before the snapshot would have to
        // have what was published before.
        for round in 1..100 {
            awaited.accept(8 + round, hour(47 * round));
            assert_eq!(awaited.seen(7 + round), Some(hour(0)), "{round}");
            let read: Awaited = awaited.to_string().parse().unwrap();
            assert_eq!(read, awaited);
        }
        // Once it has all, the next time counts anew.
        assert_eq!(awaited.seen(107), None);
        assert_eq!(awaited, Awaited::default());
        awaited.accept(200, hour(5000));
        assert_eq!(awaited.seen(107), Some(hour(5000)));
    }

    #[test]
    fn who_has_not_looked_for_long_misses_nothing_too_early() {
        let mut awaited = Awaited::default();
        awaited.accept(8, hour(0));
        awaited.accept(9, hour(240));
        assert_eq!(awaited.clone().seen(7), Some(hour(0)));
        assert_eq!(awaited.seen(8), Some(hour(240)));
        for entries in 10..200 {
            awaited.accept(entries, hour(241));
        }
        assert_eq!(awaited.accepted.len(), Awaited::ACCEPTED_MAX);
        assert_eq!(awaited.clone().seen(199), None);
        assert!(awaited.seen(198).is_some());
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["8", "8 x", "x 8", "since", "8 9 10", "\n"] {
            assert_eq!(text.parse::<Awaited>(), Err(AwaitedError), "{text:?}");
        }
        assert_eq!("".parse(), Ok(Awaited::default()));
    }
}
