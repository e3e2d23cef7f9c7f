//! What the registry knows about one identifier, in 41 bytes or less.

use protocol::cose::KeyId;
use protocol::removal::ReleaseReason;
use protocol::time::UnixTime;

/// The newest assignment and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) assignment: u64,
    pub(super) state: State,
}

/// Whether somebody holds the identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// By the key of the newest credential.
    Assigned { holder: KeyId, issued_at: UnixTime },
    /// Nobody.
    Ended { at: UnixTime, reason: ReleaseReason },
}

const ASSIGNED: u8 = 1;
const ENDED: u8 = 2;

const REASONS: [(u8, ReleaseReason); 4] = [
    (1, ReleaseReason::GivenUp),
    (2, ReleaseReason::Reassigned),
    (3, ReleaseReason::Ported),
    (4, ReleaseReason::Fraud),
];

impl Row {
    /// `state, assignment u64 BE, time u64 BE, holder's thumbprint or reason`.
    pub(super) fn encode(&self) -> Vec<u8> {
        let head = |state: u8, time: UnixTime| {
            let mut bytes = vec![state];
            bytes.extend_from_slice(&self.assignment.to_be_bytes());
            bytes.extend_from_slice(&time.as_secs().to_be_bytes());
            bytes
        };
        match &self.state {
            State::Assigned { holder, issued_at } => {
                let mut bytes = head(ASSIGNED, *issued_at);
                bytes.extend_from_slice(holder.as_bytes());
                bytes
            }
            State::Ended { at, reason } => {
                let mut bytes = head(ENDED, *at);
                let number = REASONS.iter().find(|(_, known)| known == reason);
                // A reason without number is read as damage.
                bytes.push(number.map_or(0, |(number, _)| *number));
                bytes
            }
        }
    }

    /// `None` if it isn't one.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (state, rest) = bytes.split_first()?;
        let (assignment, rest) = rest.split_first_chunk()?;
        let (time, rest) = rest.split_first_chunk()?;
        let time = UnixTime::from_secs(u64::from_be_bytes(*time));
        let state = match *state {
            ASSIGNED => State::Assigned {
                holder: KeyId::from_bytes(rest.try_into().ok()?),
                issued_at: time,
            },
            ENDED => {
                let &[number] = rest else { return None };
                let (_, reason) = REASONS.iter().find(|(known, _)| *known == number)?;
                State::Ended {
                    at: time,
                    reason: *reason,
                }
            }
            _ => return None,
        };
        Some(Self {
            assignment: u64::from_be_bytes(*assignment),
            state,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_round_trip_and_damage_is_seen() {
        let time = UnixTime::from_secs(1_795_392_000);
        let assigned = State::Assigned {
            holder: KeyId::from_bytes([7; 32]),
            issued_at: time,
        };
        let ended = REASONS.map(|(_, reason)| State::Ended { at: time, reason });
        for state in ended.into_iter().chain([assigned]) {
            let row = Row {
                assignment: u64::MAX - 1,
                state,
            };
            let bytes = row.encode();
            assert_eq!(Row::decode(&bytes), Some(row));
            for end in 0..bytes.len() {
                assert_eq!(Row::decode(&bytes[..end]), None);
            }
            assert_eq!(Row::decode(&[bytes.as_slice(), &[0]].concat()), None);
        }
        let mut unknown = [0; 18];
        for (state, reason) in [(0, 1), (3, 1), (ENDED, 0), (ENDED, 5)] {
            (unknown[0], unknown[17]) = (state, reason);
            assert_eq!(Row::decode(&unknown), None);
        }
    }
}
