//! Writes that conflict, in every order and at the same time: the suite that
//! each store runs, since it is the store that puts them one after another.
//!
//! ```text
//! contention::check(&|| Box::new(MyBench::fresh()));
//! ```

mod scenarios;
mod statement;

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::audit::{Head, object_digest};
use protocol::bundle::Bundle;
use protocol::csi::Csi;
use protocol::precedence::Version;
use protocol::time::UnixTime;
use rand::seq::SliceRandom as _;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::{WriteError, Writer, Written};
use crate::accept::{self, AudienceLimits, Journal, Outcome, Refusal};
use crate::store::contract::Fresh;
use crate::store::{Store, View};
use scenarios::{End, Scenario, scenarios};
use statement::Signed;

/// When everything happens: 2026-11-23T00:00:00Z.
const NOW: UnixTime = UnixTime::from_secs(1_795_392_000);

/// Every statement is made by so many at the same time.
const COPIES: usize = 2;

/// How often all scenarios run at the same time, each time for identifiers of
/// their own.
const ROUNDS: usize = 12;

const LIMITS: AudienceLimits = AudienceLimits {
    per_sender: 0,
    total: 0,
};

/// Runs all scenarios.
///
/// # Panics
/// If one ends otherwise than the conflict rule says.
pub fn check(fresh: Fresh<'_>) {
    in_every_order(fresh);
    at_the_same_time(fresh);
}

/// Every permutation of each scenario's statements, for an identifier of its
/// own.
fn in_every_order(fresh: Fresh<'_>) {
    let bench = fresh();
    let store = bench.open();
    for (number, scenario) in scenarios().iter().enumerate() {
        let orders: Vec<(Csi, Vec<Signed>)> = permutations(scenario.statements.len())
            .into_iter()
            .enumerate()
            .map(|(at, order)| {
                let csi = identifier("order", number, at);
                let sign = |at: &usize| scenario.statements[*at].sign(&csi);
                let signed = order.iter().map(sign).collect();
                (csi, signed)
            })
            .collect();
        let mut accepted = Vec::new();
        store
            .update(&mut |update| {
                accepted.clear();
                let mut journal = Journal::open(update)?;
                for (_, signed) in &orders {
                    let mut of_order = 0;
                    for statement in signed {
                        let submission = &statement.submission();
                        let applied =
                            accept::apply(update, &mut journal, submission, &LIMITS, NOW)?;
                        of_order += usize::from(applied.is_ok());
                    }
                    accepted.push(of_order);
                }
                journal.close(update).map(drop)
            })
            .expect("an update");
        let view = store.view().expect("a view");
        for ((csi, _), accepted) in orders.iter().zip(accepted) {
            ends_well(&*view, csi, scenario);
            if scenario.ends.len() > 1 {
                assert_eq!(accepted, 1, "{}: one wins", scenario.name);
            }
        }
    }
}

/// All statements of all scenarios at once and in a random order, each from
/// several threads, through two writers of one store.
fn at_the_same_time(fresh: Fresh<'_>) {
    let runtime = Runtime::new().expect("a runtime");
    let bench = fresh();
    let store: Arc<dyn Store> = Arc::from(bench.open());
    let writers = [(); 2].map(|()| {
        Writer::start(Arc::clone(&store), LIMITS, || NOW).expect("a thread for the writer")
    });
    let scenarios = scenarios();
    let mut log = Vec::new();
    for round in 0..ROUNDS {
        let mut sent = Vec::new();
        for (number, scenario) in scenarios.iter().enumerate() {
            let csi = identifier("round", number, round);
            for (at, statement) in scenario.statements.iter().enumerate() {
                let signed = Arc::new(statement.sign(&csi));
                sent.extend((0..COPIES).map(|_| ((number, at), Arc::clone(&signed))));
            }
        }
        sent.shuffle(&mut rand::rng());
        let results = runtime.block_on(submit(&writers, sent));
        let view = store.view().expect("a view");
        for (number, scenario) in scenarios.iter().enumerate() {
            let csi = identifier("round", number, round);
            ends_well(&*view, &csi, scenario);
            wins_once(&results, number, scenario);
        }
        log.extend(results.into_values().flatten());
    }
    drop(writers);
    is_logged(&*store.view().expect("a view"), &log);
}

type Results = BTreeMap<(usize, usize), Vec<(Arc<Signed>, Result<Written, WriteError>)>>;

/// What each statement of each scenario came to, every time it was made.
async fn submit(writers: &[Writer; 2], statements: Vec<((usize, usize), Arc<Signed>)>) -> Results {
    let mut tasks = JoinSet::new();
    for (at, (name, signed)) in statements.into_iter().enumerate() {
        let writer = writers[at % writers.len()].clone();
        tasks.spawn(async move {
            let written = writer.submit(signed.submission()).await;
            (name, (signed, written))
        });
    }
    let mut results = Results::new();
    while let Some(result) = tasks.join_next().await {
        let (name, result) = result.expect("no panic");
        results.entry(name).or_default().push(result);
    }
    results
}

/// A statement changes something once at most, and of those that contradict
/// each other one is accepted.
fn wins_once(results: &Results, number: usize, scenario: &Scenario) {
    let mut winners = 0;
    for at in 0..scenario.statements.len() {
        let copies = &results[&(number, at)];
        assert_eq!(copies.len(), COPIES);
        let changes = |(_, result): &&(Arc<Signed>, Result<Written, WriteError>)| match result {
            Ok(written) => written.outcome != Outcome::Unchanged,
            Err(WriteError::Refused(_)) => false,
            Err(other) => panic!("{}: {other}", scenario.name),
        };
        assert!(copies.iter().filter(changes).count() <= 1);
        winners += usize::from(copies.iter().any(|(_, result)| result.is_ok()));
        if scenario.ends.len() > 1 {
            let contradictions = copies.iter().filter_map(|(_, result)| match result {
                Err(WriteError::Refused(refusal)) => Some(refusal),
                _ => None,
            });
            assert!(contradictions.into_iter().all(Refusal::is_equivocation));
        }
    }
    if scenario.ends.len() > 1 {
        assert_eq!(winners, 1, "{}: one wins", scenario.name);
    }
}

/// The row is as one of the ends of its scenario says.
fn ends_well(view: &dyn View, csi: &Csi, scenario: &Scenario) {
    let row = view.find(csi).expect("a search").expect("a row");
    let bundle = row.content.map(|content| {
        assert!(content.csi == *csi, "{}: another's row", scenario.name);
        Bundle::decode(&content.bundle).expect("a bundle")
    });
    let found = End {
        credential: bundle.as_ref().map(|bundle| {
            let credential = bundle.credential().unverified();
            let holder = credential.holder.key_id();
            (holder, bundle.credential().revision().version)
        }),
        mappings: bundle
            .iter()
            .flat_map(Bundle::mappings)
            .map(|mapping| {
                let mapping = mapping.unverified();
                (mapping.id.0[0], mapping.seq, mapping.entries.clone())
            })
            .collect(),
        floor: row.marks.statements,
    };
    let name = scenario.name;
    assert!(
        scenario.ends.contains(&found),
        "{name}: {found:?}, expected one of {:?}",
        scenario.ends
    );
    let newest = row.marks.credentials;
    if let Some((_, version)) = found.credential {
        assert_eq!(newest, version, "{name}: the mark of credentials");
    }
}

/// The log is one chain, every answer's head is in it, and so is whatever
/// changed something.
fn is_logged(view: &dyn View, results: &[(Arc<Signed>, Result<Written, WriteError>)]) {
    let entries = view.audit(0, usize::MAX).expect("the log");
    let mut heads = vec![Head::EMPTY];
    for entry in &entries {
        let before = heads[heads.len() - 1];
        heads.push(before.follow(entry).expect("a chain"));
    }
    assert_eq!(heads.last(), Some(&view.audit_head().expect("the end")));
    for (signed, result) in results {
        let Ok(Written { outcome, head }) = result else {
            continue;
        };
        assert_eq!(heads.get(head.entries as usize), Some(head));
        if *outcome != Outcome::Unchanged {
            let until = &entries[..head.entries as usize];
            let digest = object_digest(signed.object());
            assert!(until.iter().any(|entry| entry.object == digest));
        }
    }
}

fn identifier(kind: &str, scenario: usize, number: usize) -> Csi {
    Csi::parse(&format!("{kind}-{scenario}-{number}@example.org")).expect("an address")
}

/// Every order of `0..count`.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else {
        return vec![Vec::new()];
    };
    let shorter = permutations(last);
    let insert = |at: usize| {
        shorter.iter().map(move |order| {
            let mut order = order.clone();
            order.insert(at, last);
            order
        })
    };
    (0..count).flat_map(insert).collect()
}
