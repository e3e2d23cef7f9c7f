use protocol::audience::{
    AudienceHandle, AudienceSecret, SignedAudienceRecord, Term, removal_record, seal_record,
};

use super::*;
use crate::senders::SenderName;

fn term(seq: u64, days: u64) -> Term {
    Term {
        seq,
        issued_at: NOW,
        expires: NOW.saturating_add(days * DAY),
    }
}

fn record(holder: u8, secret: &AudienceSecret, term: Term) -> SignedAudienceRecord {
    let credential = credential(holder, 1, 1).issue(&key(CSIP)).unwrap();
    let handle = AudienceHandle::derive(&csi(), secret);
    let mapping = mapping(1, 5)
        .sign_for(&key(holder), Readers::Audience(&handle))
        .unwrap();
    let bundle = Bundle::new(credential, vec![mapping]).unwrap();
    seal_record(
        &key(holder),
        &csi(),
        secret,
        &bundle,
        term,
        &mut rand::rng(),
    )
    .unwrap()
}

impl Bench {
    fn put(&self, owner: &str, record: SignedAudienceRecord) -> Result<Outcome> {
        let owner = SenderName::new(owner).unwrap();
        self.submit(|verifier| verifier.audience_record(record, owner))
    }

    /// Number of records that would be published.
    fn sealed(&self) -> usize {
        let view = self.store.view().unwrap();
        let handles = view.audience_handles().unwrap();
        let rows = view.audience_rows(&handles).unwrap();
        let published =
            |row: &&crate::store::AudienceRow| published_audience(row, self.now).unwrap().is_some();
        rows.iter().filter(published).count()
    }
}

#[test]
fn the_first_writer_alone_replaces_and_removes() {
    let bench = Bench::new();
    let secret = AudienceSecret::generate(&mut rand::rng());
    let first = record(ANN, &secret, term(5, 10));
    assert_eq!(bench.put("one", first.clone()), Ok(Outcome::Added));
    assert_eq!(bench.put("one", first.clone()), Ok(Outcome::Unchanged));
    // A member knows the secret, and not the key.
    let members = record(BOB, &secret, term(9, 10));
    assert_eq!(bench.put("one", members), Err(Refusal::AudienceWriter));
    let twin = record(ANN, &secret, term(5, 11));
    assert_eq!(bench.put("one", twin), Err(Refusal::AudienceEquivocation));
    let next = record(ANN, &secret, term(6, 10));
    assert_eq!(bench.put("two", next), Ok(Outcome::Changed));
    assert_eq!(
        bench.put("one", first.clone()),
        Err(Refusal::OlderAudienceRecord)
    );
    assert_eq!(bench.sealed(), 1);
    let removal = |term| removal_record(&key(ANN), &csi(), &secret, term).unwrap();
    let brief = bench.put("one", removal(term(7, 5)));
    assert!(matches!(brief, Err(Refusal::AudienceExpiry { .. })));
    assert_eq!(bench.put("one", removal(term(7, 10))), Ok(Outcome::Changed));
    assert_eq!(bench.sealed(), 0);
    assert_eq!(bench.put("one", first), Err(Refusal::OlderAudienceRecord));
    let logged = bench.logged();
    assert_eq!(logged, [Action::AudienceRecord; 3]);
}

#[test]
fn no_account_takes_more_than_its_share() {
    let bench = Bench::new();
    let fresh = || AudienceSecret::generate(&mut rand::rng());
    let secrets: Vec<AudienceSecret> = (0..3).map(|_| fresh()).collect();
    for secret in &secrets {
        let added = bench.put("one", record(ANN, secret, term(5, 10)));
        assert_eq!(added, Ok(Outcome::Added));
    }
    let more = bench.put("one", record(ANN, &fresh(), term(5, 10)));
    assert_eq!(more, Err(Refusal::AudienceQuota { limit: 3 }));
    // What is there may be replaced.
    let again = bench.put("one", record(ANN, &secrets[0], term(6, 10)));
    assert_eq!(again, Ok(Outcome::Changed));
    for _ in 0..2 {
        let added = bench.put("two", record(ANN, &fresh(), term(5, 10)));
        assert_eq!(added, Ok(Outcome::Added));
    }
    let full = bench.put("two", record(ANN, &fresh(), term(5, 10)));
    assert_eq!(full, Err(Refusal::AudienceFull { limit: 5 }));
    assert_eq!(bench.sealed(), 5);
    let later = Bench {
        now: NOW.saturating_add(10 * DAY),
        ..bench
    };
    assert_eq!(later.sealed(), 0);
}
