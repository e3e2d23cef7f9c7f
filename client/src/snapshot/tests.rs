use std::sync::OnceLock;

use protocol::cose::SigningKey;
use protocol::manifest::{ManifestError, PirShape};

use super::*;
use crate::fixture::{Snapshot, bundle, csi, oprf_key, provider_key, trust};

/// Records of every kind, also such as no import would let in.
fn snapshot() -> &'static Snapshot {
    static SNAPSHOT: OnceLock<Snapshot> = OnceLock::new();
    SNAPSHOT.get_or_init(|| {
        let (_, foreign) = bundle("someone.else", &["signal.org"]);
        let records = [
            bundle("listed", &["signal.org"]),
            bundle("opted.out", &[]),
            (csi("foreign"), foreign),
            (csi("malformed"), b"no bundle".to_vec()),
            bundle("damaged", &["signal.org"]),
        ];
        Snapshot::build(&records, &[csi("damaged"), csi("damaged.absent")], None)
    })
}

fn verified(bytes: &[u8]) -> Result<VerifiedManifest, ClientError> {
    VerifiedManifest::new(bytes, &provider_key().verifying_key(), UnixTime::now())
}

fn view() -> SnapshotView {
    verified(&snapshot().published)
        .unwrap()
        .with_hint(&snapshot().hint)
        .unwrap()
}

/// The manifest with changes, signed again.
fn resigned(change: impl FnOnce(&mut Manifest)) -> Vec<u8> {
    let mut manifest = snapshot().manifest.clone();
    change(&mut manifest);
    manifest.snapshot = manifest.computed_snapshot_id();
    manifest.sign(&provider_key()).unwrap().as_bytes().to_vec()
}

/// What a lookup in the unchanged column of the identifier, or a changed one,
/// gives.
fn resolved(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Lookup {
    let (snapshot, view) = (snapshot(), view());
    let output = oprf_key().evaluate(&csi(name)).unwrap();
    let index = view.bucket_of(&output.locator()).as_u32();
    let database =
        pir_core::database::DatabaseView::new(&snapshot.params, &snapshot.database).unwrap();
    let mut column = database.column(index as usize).unwrap();
    change(&mut column);
    let (lookup, _) = view.resolve(
        &csi(name),
        &Slot::Public,
        &output,
        &column,
        &trust(),
        UnixTime::now(),
    );
    lookup
}

#[test]
fn records_resolve_to_what_they_say() {
    let Lookup::Mappings(found) = resolved("listed", |_| ()) else {
        panic!("no mappings")
    };
    assert_eq!(found[0].entries[0].msp.as_str(), "signal.org");
    assert_eq!(resolved("opted.out", |_| ()), Lookup::OptedOut);
    assert_eq!(resolved("absent", |_| ()), Lookup::NoMapping);
    let unverifiable = |name| match resolved(name, |_| ()) {
        Lookup::Unverifiable(why) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(unverifiable("foreign"), Unverifiable::CredentialSubject);
    assert_eq!(unverifiable("malformed"), Unverifiable::MalformedBundle);
    assert_eq!(unverifiable("damaged"), Unverifiable::BucketNotUnderRoot);
    assert_eq!(
        unverifiable("damaged.absent"),
        Unverifiable::BucketNotUnderRoot
    );
}

#[test]
fn no_byte_of_a_column_may_change() {
    for name in ["listed", "absent"] {
        for at in (0..2048).step_by(61).chain([2047]) {
            let lookup = resolved(name, |column| column[at] ^= 0x80);
            assert_eq!(
                lookup,
                Lookup::Unverifiable(Unverifiable::BucketNotUnderRoot),
                "byte {at}"
            );
        }
    }
    let lookup = resolved("listed", |column| column.truncate(2047));
    assert_eq!(lookup, Lookup::Unverifiable(Unverifiable::MalformedBucket));
}

#[test]
fn manifests_of_others_or_of_other_times_are_refused() {
    let published = &snapshot().published;
    let foreign = SigningKey::from_seed(&[8; 32]).verifying_key();
    let refused = |result: Result<VerifiedManifest, ClientError>| match result {
        Err(ClientError::Manifest(error)) => error,
        other => panic!("{other:?}"),
    };
    let now = UnixTime::now();
    assert_eq!(
        refused(VerifiedManifest::new(published, &foreign, now)),
        ManifestError::ForeignKey
    );
    let key = provider_key().verifying_key();
    let late = VerifiedManifest::new(published, &key, now.saturating_add(3601));
    assert!(matches!(refused(late), ManifestError::Expired { .. }));
    let early = VerifiedManifest::new(published, &key, now.saturating_sub(3600));
    assert!(matches!(refused(early), ManifestError::NotYetValid { .. }));
    let mut flipped = published.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(refused(verified(&flipped)), ManifestError::Signature);
}

#[test]
fn unknown_and_weak_parameters_are_refused() {
    let with_shape =
        |change: fn(&mut PirShape)| verified(&resigned(|manifest| change(&mut manifest.pir)));
    assert!(with_shape(|_| ()).is_ok());
    for change in [
        (|pir| pir.parameter_set = "sotto-512-weak".to_owned()) as fn(&mut PirShape),
        |pir| pir.query_bits = 23,
        |pir| pir.mask_bits = 8,
        |pir| pir.body_bits = 9,
        |pir| pir.columns = 2049,
        |pir| pir.bucket_bytes = 2100,
    ] {
        assert!(matches!(
            with_shape(change),
            Err(ClientError::Parameters(_))
        ));
    }
    let huge = verified(&resigned(|manifest| {
        manifest.hint.bytes = HINT_BYTES_MAX + 1
    }));
    assert!(matches!(huge, Err(ClientError::HintTooLong { .. })));
}

#[test]
fn hints_must_be_the_manifests() {
    let hint = &snapshot().hint;
    for at in [0, 20, hint.len() / 2, hint.len() - 1] {
        let mut changed = hint.clone();
        changed[at] ^= 1;
        let result = verified(&snapshot().published).unwrap().with_hint(&changed);
        assert!(matches!(result, Err(ClientError::HintDigest)), "byte {at}");
    }
    for other in [&hint[..hint.len() - 1], &[&hint[..], &[0]].concat(), &[]] {
        let result = verified(&snapshot().published).unwrap().with_hint(other);
        assert!(
            matches!(result, Err(ClientError::HintDigest)),
            "{} bytes",
            other.len()
        );
    }
}

/// Hints whose digest the provider signed although they are not right.
#[test]
fn contradictions_between_manifest_and_hint_are_found() {
    let decoded = SnapshotHint::decode(&snapshot().hint).unwrap();
    let with = |hint: &[u8], change: &dyn Fn(&mut Manifest)| {
        let manifest = resigned(|manifest| {
            manifest.hint.digest = Hash::of(hint);
            manifest.hint.bytes = hint.len() as u64;
            change(manifest);
        });
        verified(&manifest).unwrap().with_hint(hint).map(|_| ())
    };
    let as_is = |_: &mut Manifest| ();
    assert!(with(&snapshot().hint, &as_is).is_ok());
    assert!(matches!(
        with(b"no hint", &as_is),
        Err(ClientError::Hint(_))
    ));

    let pilots = PilotTable::new(vec![0; 2]).unwrap();
    let more_pilots = SnapshotHint {
        pilots,
        ..decoded.clone()
    }
    .encode();
    let part = |result| match result {
        Err(ClientError::HintContradiction { part }) => part,
        other => panic!("{other:?}"),
    };
    assert_eq!(part(with(&more_pilots, &as_is)), "number of pilots");
    let other_root = |manifest: &mut Manifest| manifest.merkle_root = Hash::from_bytes([1; 32]);
    assert_eq!(part(with(&snapshot().hint, &other_root)), "Merkle root");
    let cap = Cap::new(4096, decoded.cap.nodes().to_vec()).unwrap();
    let more_leaves = SnapshotHint {
        cap,
        ..decoded.clone()
    }
    .encode();
    assert_eq!(part(with(&more_leaves, &as_is)), "number of buckets");
    let short = SnapshotHint {
        pir_hint: decoded.pir_hint[1..].to_vec(),
        ..decoded
    }
    .encode();
    assert!(matches!(with(&short, &as_is), Err(ClientError::PirHint(_))));
}
