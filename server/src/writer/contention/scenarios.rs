//! Conflicts, and how each ends by the rule whatever comes first.

use protocol::cose::KeyId;
use protocol::mapping::{Entry, MappingId, Replaces};
use protocol::removal::RemovalTarget;

use super::statement::{Holder, Says, Statement};
use super::{NOW, Version};

use Statement::{Publish, Release, Remove};

/// Statements about one identifier.
#[derive(Clone)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) statements: Vec<Statement>,
    /// How it may end: in several ways only if a signer contradicts itself, and
    /// then one statement alone is accepted.
    pub(super) ends: Vec<End>,
}

/// What a row is in the end.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct End {
    /// Key and version of the credential, if the row has content.
    pub(super) credential: Option<(KeyId, Version)>,
    /// Id, seq and entries of the mappings, in order.
    pub(super) mappings: Vec<(u8, u64, Vec<Entry>)>,
    /// What mappings must be above.
    pub(super) floor: Version,
}

const ANN: Holder = Holder {
    key: 2,
    assignment: 1,
    age: 2,
};

/// Ann, with a credential of a day later.
const ANN_RENEWED: Holder = Holder { age: 1, ..ANN };

/// Ann, with another key and a credential of a day later.
const ANNS_NEW_KEY: Holder = Holder {
    key: 3,
    ..ANN_RENEWED
};

/// Has the identifier after Ann.
const BOB: Holder = Holder {
    key: 4,
    assignment: 2,
    age: 1,
};

const fn mapping(id: u8, seq: u64) -> Says {
    Says {
        id,
        seq,
        replaces: Replaces::SameId,
        msp: Some(1),
    }
}

fn says(holder: Holder) -> impl Fn(Says) -> Statement {
    move |says| Publish(holder, vec![says])
}

fn end(holder: Option<Holder>, mappings: &[Says], floor: (u64, u64)) -> End {
    let credential = holder.map(|holder| {
        let version = Version {
            assignment: holder.assignment,
            seq: NOW.saturating_sub(holder.age * 86_400).as_secs(),
        };
        (holder.key().verifying_key().key_id(), version)
    });
    let mapping = |says: &Says| (says.id, says.seq, says.entries());
    End {
        credential,
        mappings: mappings.iter().map(mapping).collect(),
        floor: Version {
            assignment: floor.0,
            seq: floor.1,
        },
    }
}

pub(super) fn scenarios() -> Vec<Scenario> {
    [publications(), removals(), holders(), contradictions()].concat()
}

fn publications() -> Vec<Scenario> {
    let ann = says(ANN);
    let all = Says {
        replaces: Replaces::All,
        ..mapping(2, 5)
    };
    let opt_out = Says {
        msp: None,
        ..mapping(2, 5)
    };
    vec![
        Scenario {
            name: "devices of one holder publish the same mapping",
            statements: (5..9).map(|seq| ann(mapping(1, seq))).collect(),
            ends: vec![end(Some(ANN), &[mapping(1, 8)], (0, 0))],
        },
        Scenario {
            name: "devices of one holder publish their own mappings, also several",
            statements: vec![
                ann(mapping(1, 5)),
                ann(mapping(2, 6)),
                Publish(ANN, vec![mapping(1, 7), mapping(3, 7)]),
            ],
            ends: vec![end(
                Some(ANN),
                &[mapping(1, 7), mapping(2, 6), mapping(3, 7)],
                (0, 0),
            )],
        },
        Scenario {
            name: "a mapping that replaces all",
            statements: vec![ann(mapping(1, 4)), ann(all), ann(mapping(3, 6))],
            ends: vec![end(Some(ANN), &[all, mapping(3, 6)], (0, 0))],
        },
        Scenario {
            name: "an opt-out against listings as old and older",
            statements: vec![ann(mapping(1, 4)), ann(mapping(3, 5)), ann(opt_out)],
            ends: vec![end(Some(ANN), &[opt_out], (0, 0))],
        },
    ]
}

fn removals() -> Vec<Scenario> {
    let ann = says(ANN);
    let remove = |target, seq| Remove(ANN, target, seq);
    let one = RemovalTarget::Mapping(MappingId([1; 16]));
    vec![
        Scenario {
            name: "a removal of all between publications",
            statements: vec![
                ann(mapping(1, 5)),
                ann(mapping(2, 7)),
                remove(RemovalTarget::All, 6),
                Publish(ANN_RENEWED, vec![mapping(3, 8)]),
            ],
            ends: vec![end(
                Some(ANN_RENEWED),
                &[mapping(2, 7), mapping(3, 8)],
                (1, 6),
            )],
        },
        Scenario {
            name: "a removal of all that is newest",
            statements: vec![
                ann(mapping(1, 5)),
                ann(mapping(2, 6)),
                remove(RemovalTarget::All, 6),
                remove(RemovalTarget::All, 7),
            ],
            ends: vec![end(None, &[], (1, 7))],
        },
        Scenario {
            name: "a removal of one mapping",
            statements: vec![
                ann(mapping(1, 5)),
                ann(mapping(1, 6)),
                remove(one, 7),
                ann(mapping(2, 8)),
            ],
            ends: vec![end(Some(ANN), &[mapping(2, 8)], (1, 7))],
        },
    ]
}

fn holders() -> Vec<Scenario> {
    let ann = says(ANN);
    let bob = says(BOB);
    vec![
        Scenario {
            name: "a renewed credential keeps the mappings",
            statements: vec![
                ann(mapping(1, 5)),
                Publish(ANN_RENEWED, vec![mapping(2, 6)]),
                ann(mapping(1, 7)),
            ],
            ends: vec![end(
                Some(ANN_RENEWED),
                &[mapping(1, 7), mapping(2, 6)],
                (0, 0),
            )],
        },
        Scenario {
            name: "a new key against the old one",
            statements: vec![
                ann(mapping(1, 5)),
                ann(mapping(2, 9)),
                // As high as anything of the old key, which leaves its mark.
                Remove(ANNS_NEW_KEY, RemovalTarget::All, 9),
                Publish(ANNS_NEW_KEY, vec![mapping(1, 10)]),
            ],
            ends: vec![end(Some(ANNS_NEW_KEY), &[mapping(1, 10)], (1, 9))],
        },
        Scenario {
            name: "the next holder without a release",
            statements: vec![
                ann(mapping(1, 9)),
                Remove(BOB, RemovalTarget::All, 1),
                bob(mapping(1, 2)),
                bob(mapping(2, 3)),
            ],
            ends: vec![end(Some(BOB), &[mapping(1, 2), mapping(2, 3)], (2, 1))],
        },
        Scenario {
            name: "a release against publication and removal",
            statements: vec![
                ann(mapping(1, 5)),
                Publish(ANN_RENEWED, vec![mapping(2, 9)]),
                Remove(ANN, RemovalTarget::All, 6),
                Release(1),
            ],
            ends: vec![end(None, &[], (1, u64::MAX))],
        },
        Scenario {
            name: "a release, and the next holder",
            statements: vec![
                ann(mapping(1, 9)),
                Release(1),
                bob(mapping(1, 1)),
                Remove(ANN, RemovalTarget::All, 10),
            ],
            ends: vec![end(Some(BOB), &[mapping(1, 1)], (1, u64::MAX))],
        },
    ]
}

/// Which one is first is chance; that the other is refused is not.
fn contradictions() -> Vec<Scenario> {
    let ann = says(ANN);
    let other = Says {
        msp: Some(2),
        ..mapping(1, 5)
    };
    let twin = Holder { key: 5, ..ANN };
    vec![
        Scenario {
            name: "two contents of one mapping, id and seq",
            statements: vec![ann(mapping(1, 5)), ann(other)],
            ends: [mapping(1, 5), other]
                .map(|says| end(Some(ANN), &[says], (0, 0)))
                .into(),
        },
        Scenario {
            name: "two keys in credentials of the same time",
            statements: vec![ann(mapping(1, 5)), Publish(twin, vec![mapping(1, 6)])],
            ends: vec![
                end(Some(ANN), &[mapping(1, 5)], (0, 0)),
                end(Some(twin), &[mapping(1, 6)], (0, 0)),
            ],
        },
    ]
}
