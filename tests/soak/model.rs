//! What lookups may say of each recipient.
//!
//! A snapshot states how many entries of the audit log it has taken into account,
//! a receipt how many there were with the statement: so it is known of each
//! statement whether a snapshot must have it. Those whose answer was lost may be in
//! it earlier, and those that are under way may be in it or not.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::mapping::Mapping;

/// The mappings of a recipient, by id: what a lookup finds.
pub(crate) type State = BTreeMap<[u8; 16], Mapping>;

/// Everybody's.
pub(crate) struct Models(Vec<Mutex<Model>>);

#[derive(Default)]
struct Model {
    /// In order; before the first there is nothing.
    steps: Vec<Step>,
}

struct Step {
    state: State,
    /// Snapshots of fewer entries can't have it.
    from: u64,
    /// Snapshots of so many entries have it; `None` as long as that isn't known.
    by: Option<u64>,
}

impl Models {
    pub(crate) fn new(people: usize) -> Self {
        Self((0..people).map(|_| Mutex::default()).collect())
    }

    /// What was stated last.
    pub(crate) fn state(&self, person: usize) -> State {
        let model = self.lock(person);
        model
            .steps
            .last()
            .map_or_else(State::new, |step| step.state.clone())
    }

    /// Something is about to be stated that makes it this.
    pub(crate) fn begin(&self, person: usize, state: State) {
        let mut model = self.lock(person);
        let from = model.steps.last().and_then(|step| step.by).unwrap_or(0) + 1;
        model.steps.push(Step {
            state,
            from,
            by: None,
        });
    }

    /// It is in the audit log, among its first so many entries.
    pub(crate) fn settle(&self, person: usize, entries: u64) {
        if let Some(step) = self.lock(person).steps.last_mut() {
            step.by = Some(entries);
        }
    }

    /// Entries that a snapshot needs so that it has all that was settled.
    pub(crate) fn settled(&self) -> u64 {
        let of = |person| {
            let model = self.lock(person);
            model.steps.iter().filter_map(|step| step.by).max()
        };
        (0..self.0.len()).filter_map(of).max().unwrap_or(0)
    }

    /// Whether a snapshot of so many entries may say this.
    pub(crate) fn allows(&self, person: usize, entries: u64, found: &State) -> bool {
        let model = self.lock(person);
        let has = |step: &Step| step.by.is_some_and(|by| by <= entries);
        let sure = model.steps.iter().rposition(has);
        let newest_sure = match sure {
            None => found.is_empty(),
            Some(at) => model.steps[at].state == *found,
        };
        let later = model.steps[sure.map_or(0, |at| at + 1)..].iter();
        let mut possible = later.filter(|step| step.from <= entries);
        newest_sure || possible.any(|step| step.state == *found)
    }

    fn lock(&self, person: usize) -> MutexGuard<'_, Model> {
        self.0[person]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[test]
fn only_what_a_snapshot_may_have_is_allowed() {
    let models = Models::new(1);
    let state = |seq| {
        let mut mapping = protocol_example();
        mapping.seq = seq;
        State::from([([1; 16], mapping)])
    };
    assert!(models.allows(0, 5, &State::new()) && !models.allows(0, 5, &state(1)));
    models.begin(0, state(1));
    assert!(models.allows(0, 5, &State::new()) && models.allows(0, 5, &state(1)));
    models.settle(0, 4);
    assert!(models.allows(0, 3, &State::new()) && models.allows(0, 3, &state(1)));
    assert!(!models.allows(0, 4, &State::new()) && models.allows(0, 4, &state(1)));
    models.begin(0, State::new());
    models.settle(0, 6);
    assert!(models.allows(0, 5, &State::new()) && models.allows(0, 5, &state(1)));
    assert!(models.allows(0, 6, &State::new()) && !models.allows(0, 6, &state(1)));
    assert!(!models.allows(0, 4, &State::new()));
    assert_eq!(models.settled(), 6);
}

#[cfg(test)]
fn protocol_example() -> Mapping {
    use protocol::csi::Csi;
    use protocol::mapping::{MappingId, Policy, Replaces};
    use protocol::time::UnixTime;
    Mapping {
        subject: Csi::parse("someone@example.org").expect("an address"),
        id: MappingId([1; 16]),
        seq: 0,
        not_before: UnixTime::from_secs(0),
        expires: UnixTime::from_secs(1),
        assignment: 1,
        replaces: Replaces::SameId,
        policy: Policy::OPEN,
        entries: Vec::new(),
    }
}
