//! How far a lookup of many identifiers is.

/// What a lookup has sent so far, and what it need not send.
///
/// A *record* is a slot of an identifier: see [`SlotCount`](crate::SlotCount).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records whose OPRF evaluation was asked for.
    pub evaluated: usize,
    /// Records whose OPRF evaluation was in the cache.
    pub recalled: usize,
    /// PIR queries to send for the identifiers that were begun, and those for
    /// nothing that hide how many records may be there.
    pub queries: usize,
    /// PIR queries that were answered, or refused.
    pub answered: usize,
    /// Records that were fetched earlier, from the same snapshot.
    pub fetched_before: usize,
    /// Records that the membership filter shows to be absent.
    pub filtered: usize,
}

/// Hears of progress.
pub(crate) struct Listener<'a> {
    progress: Progress,
    tell: &'a (dyn Fn(Progress) + Sync),
}

impl<'a> Listener<'a> {
    pub(crate) fn new(tell: &'a (dyn Fn(Progress) + Sync)) -> Self {
        Self {
            progress: Progress::default(),
            tell,
        }
    }

    pub(crate) fn note(&mut self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress);
        (self.tell)(self.progress);
    }
}

/// PIR queries to send if so many records may be there: the next power of two,
/// at least [`LEAST_QUERIES`]. So a provider learns the number's class alone.
pub(crate) fn padded(hits: usize) -> usize {
    hits.next_power_of_two().max(LEAST_QUERIES)
}

/// Fewest PIR queries where a membership filter decides which to send.
const LEAST_QUERIES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_padded_to_their_class() {
        for (hits, queries) in [
            (0, 16),
            (1, 16),
            (16, 16),
            (17, 32),
            (32, 32),
            (33, 64),
            (1000, 1024),
            (1024, 1024),
        ] {
            assert_eq!(padded(hits), queries, "{hits}");
        }
    }
}
