use super::*;
use crate::fixture::party::Party;

fn now() -> UnixTime {
    UnixTime::now()
}

fn found(mappings: &[&Mapping]) -> Lookup {
    Lookup::Mappings(mappings.iter().map(|mapping| (*mapping).clone()).collect())
}

#[test]
fn what_is_as_published_is_no_finding() {
    let ann = Party::new("ann");
    let (one, two) = (
        ann.statement(1, 5, &["a.example"]),
        ann.statement(2, 6, &["b.example"]),
    );
    let published = [one.clone(), two.clone()];
    let sound = |published: &[Mapping], found: &Lookup| {
        compare(published, found, Publication::Complete, now()).is_empty()
    };
    assert!(sound(&published, &found(&[&two, &one])));
    assert!(sound(&[], &Lookup::NoMapping));
    let out = ann.statement(3, 7, &[]);
    assert!(sound(std::slice::from_ref(&out), &Lookup::OptedOut));
    // Expired, it need not be there.
    let later = now().saturating_add(48 * 60 * 60);
    let gone = compare(&published, &Lookup::NoMapping, Publication::Complete, later);
    assert_eq!(gone, []);
}

#[test]
fn each_difference_is_its_own_finding() {
    let ann = Party::new("ann");
    let one = ann.statement(1, 5, &["a.example"]);
    let id = one.id;
    let published = [one.clone()];
    let compared = |found: &Lookup| compare(&published, found, Publication::Complete, now());
    assert_eq!(compared(&Lookup::NoMapping), [Finding::Missing { id }]);
    let older = ann.statement(1, 4, &["old.example"]);
    assert_eq!(compared(&found(&[&older])), [Finding::Stale { id }]);
    let altered = ann.statement(1, 5, &["mallory.example"]);
    assert_eq!(compared(&found(&[&altered])), [Finding::Altered { id }]);
    let newer = ann.statement(1, 9, &["mallory.example"]);
    assert_eq!(compared(&found(&[&newer])), [Finding::Unknown { id }]);
    let other = ann.statement(8, 6, &["mallory.example"]);
    let unknown = Finding::Unknown { id: other.id };
    assert_eq!(compared(&found(&[&one, &other])), [unknown]);
    assert_eq!(compared(&Lookup::OptedOut), [Finding::OptedOut]);
    assert_eq!(compared(&Lookup::Blocked), [Finding::Withheld]);
    let reason = Unverifiable::BucketNotUnderRoot;
    assert_eq!(
        compared(&Lookup::Unverifiable(reason)),
        [Finding::Unverifiable { reason }]
    );
}

#[test]
fn what_waits_for_the_next_snapshot_is_not_missed() {
    let ann = Party::new("ann");
    let (old, new) = (
        ann.statement(1, 4, &["a.example"]),
        ann.statement(1, 5, &["b.example"]),
    );
    let published = [new.clone()];
    let pending = |found: &Lookup| compare(&published, found, Publication::Pending, now());
    assert_eq!(pending(&Lookup::NoMapping), []);
    assert_eq!(pending(&found(&[&old])), []);
    // It may be of before it was replaced by mappings.
    assert_eq!(pending(&Lookup::OptedOut), []);
    // Whatever waits, nobody else can have signed another one of that number.
    let altered = ann.statement(1, 5, &["mallory.example"]);
    let id = altered.id;
    assert_eq!(pending(&found(&[&altered])), [Finding::Altered { id }]);
}

#[test]
fn nothing_is_waited_for_for_ever() {
    let after = |secs| Publication::awaited_since(Some(now()), now().saturating_add(secs));
    assert_eq!(after(0), Publication::Pending);
    assert_eq!(after(47 * 3600), Publication::Pending);
    assert_eq!(after(49 * 3600), Publication::Complete);
    let nothing = Publication::awaited_since(None, now());
    assert_eq!(nothing, Publication::Complete);
}
