//! Membership filters: complete, verified on load, gone with their snapshot.

use protocol::audience::{AudienceHandle, AudienceSecret, Term, seal_record};
use protocol::cose::SigningKey;
use protocol::derivation::{FilterLabel, Salt};
use protocol::manifest::Artifact;
use protocol::mapping::Readers;

use super::*;
use crate::senders::SenderName;
use crate::store::{AudienceRow, Block};

/// Stores an audience record and gives its handle.
fn put_audience(provider: &Provider) -> AudienceHandle {
    let record = &provider.records[0];
    let secret = AudienceSecret::generate(&mut rand::rng());
    let term = Term {
        seq: 1,
        issued_at: provider.now,
        expires: provider.now.saturating_add(3600),
    };
    let key = SigningKey::from_seed(&[9; 32]);
    let handle = AudienceHandle::derive(&record.csi, &secret);
    let public = record.bundle().unwrap();
    let mut credential = public.credential().unverified().clone();
    credential.holder = key.verifying_key();
    let readers = Readers::Audience(&handle);
    let mapping = public.mappings()[0].unverified().sign_for(&key, readers);
    let bundle = Bundle::new(credential.issue(&key).unwrap(), vec![mapping.unwrap()]).unwrap();
    let rng = &mut rand::rng();
    let sealed = seal_record(&key, &record.csi, &secret, &bundle, term, rng).unwrap();
    let row = AudienceRow {
        owner: SenderName::new("tester").unwrap(),
        expires: term.expires,
        record: sealed.as_bytes().to_vec(),
        salt: Salt::random(rng),
    };
    provider
        .store
        .update(&mut |update| update.put_audience(&handle, &row))
        .unwrap();
    handle
}

#[test]
fn nothing_that_is_there_or_withheld_ever_looks_absent() {
    let provider = Provider::new(120);
    let handle = put_audience(&provider);
    let blocked = &provider.records[7].csi;
    let unknown = further(120, 1, provider.now).remove(0).csi;
    for csi in [blocked, &unknown] {
        let mut block =
            |update: &mut dyn crate::store::Update| update.block(csi, Block::Set).map(drop);
        provider.store.update(&mut block).unwrap();
    }
    provider.publish_with_filter();

    let snapshot = load(&provider);
    let manifest = snapshot.manifest();
    assert_eq!((manifest.records, manifest.blocked), (120, 2));
    let bytes = snapshot.shared_filter().unwrap();
    let expected = Artifact {
        digest: Hash::of(&bytes),
        bytes: bytes.len() as u64,
    };
    assert_eq!(manifest.filter, Some(expected));
    let filter = MembershipFilter::decode(&bytes).unwrap();
    assert_eq!(filter.count(), 122);
    let oprf = provider.data.oprf_key().unwrap().key;
    let mut labels: Vec<FilterLabel> = provider
        .records
        .iter()
        .map(|record| oprf.evaluate(&record.csi).unwrap().filter_label())
        .collect();
    labels.push(oprf.evaluate(&unknown).unwrap().filter_label());
    labels.push(oprf.evaluate(&handle).unwrap().filter_label());
    assert!(labels.iter().all(|label| filter.may_contain(*label)));
    // 3000 that are not: expected 2 false positives.
    let found = (0..3000u64).filter(|n| {
        let label = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        filter.may_contain(FilterLabel::new(label))
    });
    assert!(found.count() < 30);
}

#[test]
fn a_filter_is_published_if_it_is_wanted_and_goes_with_its_snapshot() {
    let provider = Provider::new(40);
    let plain = load(&provider);
    assert_eq!(plain.manifest().filter, None);
    assert_eq!(plain.shared_filter(), None);

    // The same records have the same id, with filter or without.
    let id = provider.publish_with_filter();
    assert_eq!(id, plain.id());
    let filtered = load(&provider);
    assert!(filtered.shared_filter().is_some());
    assert_eq!(filtered.shared_filter(), load(&provider).shared_filter());

    for more in 1..=2 {
        provider.put(&further(40, more, provider.now)[more - 1..]);
        provider.publish();
        assert_eq!(load(&provider).shared_filter(), None);
    }
    let directory = provider.data.snapshots();
    assert!(!current::snapshot_path(&directory, id).exists());
}

/// Whoever can write to the directory, but has no key, gets nothing served.
#[test]
fn another_filter_is_refused_on_load() {
    let provider = Provider::new(40);
    provider.publish_with_filter();
    let snapshot = load(&provider);
    let (id, key) = (snapshot.id(), snapshot.manifest().dp_key.clone());
    let sections = file::read(snapshot.file.bytes()).unwrap();
    let honest = Section::ALL.map(|section| &snapshot.file.bytes()[sections.range(section)]);
    let labels = (0..40).map(|n| FilterLabel::new(n << 58));
    let another = MembershipFilter::new(labels).unwrap().encode();
    let directory = tempfile::tempdir().unwrap();
    let path = current::snapshot_path(directory.path(), id);
    copy_log(&provider, &snapshot, directory.path());
    for filter in [&another[..], &[], honest[Section::Filter as usize]] {
        let mut contents = honest;
        contents[Section::Filter as usize] = filter;
        file::write(&path, contents, contents.map(crate::digest::chunked)).unwrap();
        let loaded = load_from(directory.path(), id, &key);
        if filter == honest[Section::Filter as usize] {
            assert!(loaded.is_ok());
            continue;
        }
        let part = "the membership filter";
        assert!(
            matches!(
                &loaded,
                Err(SnapshotError::Unusable { fault: Fault::Mismatch { part: found }, .. })
                    if *found == part
            ),
            "{loaded:?}"
        );
    }
}
