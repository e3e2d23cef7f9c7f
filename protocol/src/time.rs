//! Points in time, in whole seconds.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// Seconds since 1970-01-01T00:00:00Z, without leap seconds (RFC 8392 §2
/// `NumericDate`, whole seconds only).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// 9999-12-30T22:00:00Z, the last instant that signed objects may name:
    /// it has an RFC 3339 form of four-digit years in every time zone.
    pub const MAX: Self = Self(253_402_207_200);

    /// The system clock's time; a clock set before 1970 reads as 1970.
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(since_epoch.map_or(0, |elapsed| elapsed.as_secs()))
    }

    /// The instant `secs` seconds after the epoch.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs)
    }

    /// Seconds after the epoch.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// The instant `secs` seconds later, or the largest that fits.
    #[must_use]
    pub const fn saturating_add(self, secs: u64) -> Self {
        Self(self.0.saturating_add(secs))
    }

    /// The instant `secs` seconds earlier, or the epoch.
    #[must_use]
    pub const fn saturating_sub(self, secs: u64) -> Self {
        Self(self.0.saturating_sub(secs))
    }

    /// Seconds from `earlier` to `self`; 0 if `earlier` is later.
    pub const fn secs_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Parses RFC 3339 text such as `2026-11-23T00:00:00Z`.
    ///
    /// # Errors
    /// [`TimeError::Text`] if it isn't RFC 3339, [`TimeError::OutOfRange`] if it
    /// lies before 1970, after [`UnixTime::MAX`] or between two seconds.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimeError> {
        let timestamp: Timestamp = text.parse().map_err(|_| TimeError::Text)?;
        if timestamp.subsec_nanosecond() != 0 {
            return Err(TimeError::OutOfRange);
        }
        let secs = u64::try_from(timestamp.as_second()).map_err(|_| TimeError::OutOfRange)?;
        if secs > Self::MAX.0 {
            return Err(TimeError::OutOfRange);
        }
        Ok(Self(secs))
    }
}

/// RFC 3339 in UTC; `@<seconds>` beyond [`UnixTime::MAX`].
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp = i64::try_from(self.0)
            .ok()
            .and_then(|secs| Timestamp::from_second(secs).ok());
        match timestamp {
            Some(timestamp) if *self <= Self::MAX => timestamp.fmt(f),
            _ => write!(f, "@{}", self.0),
        }
    }
}

impl fmt::Debug for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnixTime({self})")
    }
}

impl Serialize for UnixTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a text is not a [`UnixTime`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not RFC 3339.
    #[error("expected an RFC 3339 time such as 2026-11-23T00:00:00Z")]
    Text,
    /// Before 1970, after 9999, or with a fraction of a second.
    #[error("expected whole seconds between 1970 and {max}", max = UnixTime::MAX)]
    OutOfRange,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shows_known_instants() {
        assert_eq!(UnixTime::from_secs(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(
            UnixTime::from_secs(1_795_392_000).to_string(),
            "2026-11-23T00:00:00Z"
        );
        assert_eq!(UnixTime::MAX.to_string(), "9999-12-30T22:00:00Z");
        assert_eq!(
            UnixTime::from_secs(u64::MAX).to_string(),
            format!("@{}", u64::MAX)
        );
    }

    #[test]
    fn refuses_what_is_not_a_whole_second_in_range() {
        assert_eq!(UnixTime::parse_rfc3339("yesterday"), Err(TimeError::Text));
        assert_eq!(
            UnixTime::parse_rfc3339("1969-12-31T23:59:59Z"),
            Err(TimeError::OutOfRange)
        );
        assert_eq!(
            UnixTime::parse_rfc3339("2026-11-23T00:00:00.5Z"),
            Err(TimeError::OutOfRange)
        );
        assert_eq!(
            UnixTime::parse_rfc3339("2026-11-23T01:00:00+01:00"),
            Ok(UnixTime::from_secs(1_795_392_000))
        );
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(
            UnixTime::from_secs(u64::MAX).saturating_add(1).as_secs(),
            u64::MAX
        );
        assert_eq!(UnixTime::from_secs(1).saturating_sub(2).as_secs(), 0);
        assert_eq!(UnixTime::from_secs(1).secs_since(UnixTime::from_secs(2)), 0);
        assert_eq!(UnixTime::from_secs(5).secs_since(UnixTime::from_secs(2)), 3);
    }

    proptest! {
        #[test]
        fn text_round_trips(secs in 0..=UnixTime::MAX.as_secs()) {
            let time = UnixTime::from_secs(secs);
            prop_assert_eq!(UnixTime::parse_rfc3339(&time.to_string()), Ok(time));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in any::<String>()) {
            let _ = UnixTime::parse_rfc3339(&text);
        }
    }
}
