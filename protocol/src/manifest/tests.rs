use proptest::prelude::*;

use super::*;
use crate::cbor::{self, CborError, Value};
use crate::cose::{ContentType, CoseError, SigningKey, sign1};
use crate::merkle::MerkleError;
use crate::oprf::{OprfError, OprfKey};

const PUBLISHED: u64 = 1_800_000_000;

fn key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(PUBLISHED + secs)
}

fn manifest(sequence: u64, previous: Option<Hash>) -> Manifest {
    let mut manifest = Manifest {
        sequence,
        snapshot: SnapshotId::from_bytes([0; 32]),
        build_id: BuildId([3; 16]),
        published_at: at(0),
        expires_at: at(3600),
        pir: PirShape {
            parameter_set: "rlwe-2048-v1".to_owned(),
            columns: 4096,
            bucket_bytes: 16_384,
            query_bits: 56,
            mask_bits: 28,
            body_bits: 20,
            failure_log2: -45,
        },
        crs_epoch: 5,
        dp_key: key().verifying_key(),
        oprf_key: OprfKey::derive(&[2; 32], b"").unwrap().public_key(),
        oprf_epoch: 6,
        records: 100_000,
        groups: 1563,
        filler_seed: FillerSeed([4; 32]),
        merkle_root: Hash::of(b"root"),
        database: Artifact {
            digest: Hash::of(b"database"),
            bytes: 4096 * 16_384,
        },
        hint: Artifact {
            digest: Hash::of(b"hint"),
            bytes: 77,
        },
        trust_list: Hash::of(b"trust list"),
        audit: crate::audit::Head {
            entries: 9,
            hash: Hash::of(b"audit"),
        },
        blocked: 2,
        previous,
        token_keys: Some(Hash::of(b"token keys")),
        filter: Some(Artifact {
            digest: Hash::of(b"filter"),
            bytes: 120_000,
        }),
    };
    manifest.snapshot = manifest.computed_snapshot_id();
    manifest
}

fn signed() -> SignedManifest {
    manifest(1, None).sign(&key()).unwrap()
}

/// The manifest's CBOR with one field replaced or, for `None`, left out.
fn payload_with(field: i64, value: Option<Value>) -> Vec<u8> {
    let payload = encoding::encode(&manifest(1, None)).unwrap();
    let Value::Map(mut pairs) = cbor::decode(&payload).unwrap() else {
        panic!("a manifest is a map");
    };
    pairs.retain(|(key, _)| *key != Value::Integer(field.into()));
    pairs.extend(value.map(|value| (Value::Integer(field.into()), value)));
    cbor::encode(&Value::Map(pairs)).unwrap()
}

fn refusal(payload: &[u8]) -> ManifestError {
    SignedManifest::from_bytes(&sign1(&key(), ContentType::Manifest, payload)).unwrap_err()
}

#[test]
fn signed_manifests_verify() {
    for manifest in [manifest(1, None), manifest(9, Some(Hash::of(b"eighth")))] {
        let signed = manifest.sign(&key()).unwrap();
        let received = SignedManifest::from_bytes(signed.as_bytes()).unwrap();
        assert_eq!(received.digest(), Hash::of(signed.as_bytes()));
        assert_eq!(
            received.verify(&key().verifying_key(), at(1)),
            Ok(&manifest)
        );
    }
}

#[test]
fn validity_is_bounded_on_both_sides() {
    let (signed, pinned) = (signed(), key().verifying_key());
    let early = UnixTime::from_secs(PUBLISHED - CLOCK_TOLERANCE_SECS);
    assert!(signed.verify(&pinned, early).is_ok());
    assert_eq!(
        signed.verify(&pinned, early.saturating_sub(1)),
        Err(ManifestError::NotYetValid {
            published_at: at(0)
        })
    );
    assert!(signed.verify(&pinned, at(3599)).is_ok());
    assert_eq!(
        signed.verify(&pinned, at(3600)),
        Err(ManifestError::Expired {
            expires_at: at(3600)
        })
    );
}

#[test]
fn foreign_keys_and_signatures_are_refused() {
    let other = SigningKey::from_seed(&[9; 32]);
    assert_eq!(
        signed().verify(&other.verifying_key(), at(1)),
        Err(ManifestError::ForeignKey)
    );
    assert_eq!(
        manifest(1, None).sign(&other).unwrap_err(),
        ManifestError::ForeignKey
    );
    // Signed by the pinned key, but naming another.
    let naming_other = payload_with(8, Some(Value::Bytes(other.verifying_key().to_cose_key())));
    let received =
        SignedManifest::from_bytes(&sign1(&key(), ContentType::Manifest, &naming_other)).unwrap();
    assert_eq!(
        received.verify(&key().verifying_key(), at(1)),
        Err(ManifestError::ForeignKey)
    );
    // The last bytes are the signature's.
    let mut forged = signed().as_bytes().to_vec();
    let last = forged.len() - 10;
    forged[last] ^= 1;
    assert_eq!(
        SignedManifest::from_bytes(&forged)
            .unwrap()
            .verify(&key().verifying_key(), at(1)),
        Err(ManifestError::Signature)
    );
}

#[test]
fn another_object_is_not_a_manifest() {
    let payload = encoding::encode(&manifest(1, None)).unwrap();
    assert_eq!(
        SignedManifest::from_bytes(&sign1(&key(), ContentType::Mapping, &payload)).unwrap_err(),
        ManifestError::Envelope(CoseError::WrongContentType {
            expected: ContentType::Manifest
        })
    );
}

#[test]
fn every_field_is_required_and_no_other_allowed() {
    for field in (1..=19).chain(21..=23) {
        assert_eq!(
            refusal(&payload_with(field, None)),
            ManifestError::Payload(CborError::MissingField { field })
        );
        let error = refusal(&payload_with(field, Some(Value::Bool(true))));
        assert!(
            matches!(error, ManifestError::Payload(CborError::WrongType { field: at, .. }) if at == field),
            "{field}: {error}"
        );
    }
    for field in [20, 24, 25] {
        let error = refusal(&payload_with(field, Some(Value::Bool(true))));
        assert!(
            matches!(error, ManifestError::Payload(CborError::WrongType { field: at, .. }) if at == field),
            "{field}: {error}"
        );
    }
    // A filter has both a digest and a length, or there is none.
    assert_eq!(
        refusal(&payload_with(26, None)),
        ManifestError::Payload(CborError::MissingField { field: 26 })
    );
    for unknown in [25, 27] {
        let value = (unknown == 27).then_some(Value::Bool(true));
        assert_eq!(
            refusal(&payload_with(unknown, value)),
            ManifestError::Payload(CborError::UnknownField)
        );
    }
}

#[test]
fn keys_are_validated() {
    assert_eq!(
        refusal(&payload_with(9, Some(Value::Bytes(vec![0; 32])))),
        ManifestError::OprfKey(OprfError::InvalidElement)
    );
    assert!(matches!(
        refusal(&payload_with(8, Some(Value::Bytes(vec![0xa0])))),
        ManifestError::DpKey(_)
    ));
}

#[test]
fn contradictions_are_refused_by_signer_and_reader() {
    let refused = |change: fn(&mut Manifest), expected: Inconsistency| {
        let mut manifest = manifest(1, None);
        change(&mut manifest);
        if expected != Inconsistency::Snapshot {
            manifest.snapshot = manifest.computed_snapshot_id();
        }
        let expected = ManifestError::Inconsistent(expected);
        assert_eq!(manifest.sign(&key()).unwrap_err(), expected);
        assert_eq!(refusal(&encoding::encode(&manifest).unwrap()), expected);
    };
    refused(|m| m.expires_at = m.published_at, Inconsistency::Lifetime);
    refused(
        |m| m.expires_at = UnixTime::from_secs(u64::MAX),
        Inconsistency::Lifetime,
    );
    refused(|m| m.sequence = 0, Inconsistency::Chain);
    refused(|m| m.sequence = 2, Inconsistency::Chain);
    refused(|m| m.previous = Some(Hash::of(b"")), Inconsistency::Chain);
    refused(
        |m| m.pir.parameter_set.clear(),
        Inconsistency::ParameterSetName,
    );
    refused(
        |m| m.pir.parameter_set.push('A'),
        Inconsistency::ParameterSetName,
    );
    refused(
        |m| m.pir.parameter_set = "a".repeat(65),
        Inconsistency::ParameterSetName,
    );
    refused(
        |m| m.pir.failure_log2 = 0,
        Inconsistency::FailureBound { found: 0 },
    );
    refused(
        |m| m.pir.columns = 0,
        Inconsistency::Layout(crate::bucket::BucketError::Merkle(MerkleError::LeafCount {
            found: 0,
        })),
    );
    refused(
        |m| m.groups = 1562,
        Inconsistency::Groups {
            expected: 1563,
            found: 1562,
        },
    );
    refused(|m| m.crs_epoch = 0, Inconsistency::Snapshot);
    refused(
        |m| m.hint.digest = m.database.digest,
        Inconsistency::Snapshot,
    );
}

#[test]
fn numbers_out_of_range_are_refused() {
    let mut shape = Vec::new();
    for (field, value) in [(2, u64::from(u32::MAX) + 1), (4, 256), (6, 256)] {
        let payload = encoding::encode(&manifest(1, None)).unwrap();
        let Value::Map(pairs) = cbor::decode(&payload).unwrap() else {
            panic!("a manifest is a map");
        };
        let pir = pairs
            .into_iter()
            .find(|(key, _)| *key == Value::Integer(6.into()));
        let Some((_, Value::Map(mut pir))) = pir else {
            panic!("the shape is a map");
        };
        for (key, old) in &mut pir {
            if *key == Value::Integer(field.into()) {
                *old = value.into();
            }
        }
        shape.push(Value::Map(pir));
    }
    for shape in shape {
        assert_eq!(
            refusal(&payload_with(6, Some(shape))),
            ManifestError::OutOfRange { field: 6 }
        );
    }
}

#[test]
fn the_chain_is_followed() {
    let first = signed();
    let pin = first.pin();
    let next = manifest(2, Some(first.digest())).sign(&key()).unwrap();
    let stranger = manifest(2, Some(Hash::of(b"other"))).sign(&key()).unwrap();
    let later = manifest(5, Some(Hash::of(b"fourth"))).sign(&key()).unwrap();
    let mut other_first = manifest(1, None);
    other_first.build_id = BuildId([8; 16]);
    let other_first = other_first.sign(&key()).unwrap();

    assert_eq!(pin.succession(&first), Ok(Succession::Same));
    assert_eq!(pin.succession(&next), Ok(Succession::Next));
    assert_eq!(pin.succession(&later), Ok(Succession::Gap { missing: 3 }));
    assert_eq!(
        next.pin().succession(&first),
        Err(ManifestError::Rollback { known: 2, found: 1 })
    );
    assert_eq!(
        pin.succession(&other_first),
        Err(ManifestError::Fork { known: 1, found: 1 })
    );
    assert_eq!(
        pin.succession(&stranger),
        Err(ManifestError::Fork { known: 1, found: 2 })
    );
}

#[test]
fn the_oprf_key_changes_with_its_epoch_alone() {
    let first = signed();
    let pin = first.pin();
    assert_eq!(pin.oprf_epoch, 6);
    let other = OprfKey::derive(&[9; 32], b"").unwrap().public_key();
    // Whether the manifest is the next one or others lie between.
    for (sequence, previous) in [(2, first.digest()), (5, Hash::of(b"fourth"))] {
        let succession = |epoch, key: Option<OprfPublicKey>| {
            let mut manifest = manifest(sequence, Some(previous));
            manifest.oprf_epoch = epoch;
            manifest.oprf_key = key.unwrap_or(manifest.oprf_key);
            let signed = manifest.sign(&self::key()).unwrap();
            pin.succession(&signed).map(|_| ())
        };
        assert_eq!(succession(6, None), Ok(()));
        assert_eq!(succession(7, Some(other)), Ok(()));
        assert_eq!(
            succession(6, Some(other)),
            Err(ManifestError::OprfKeyChanged { epoch: 6 })
        );
        for key in [None, Some(other)] {
            assert_eq!(
                succession(5, key),
                Err(ManifestError::OprfEpochRollback { known: 6, found: 5 })
            );
        }
    }
}

#[test]
fn snapshot_ids_depend_on_all_inputs_and_have_one_text() {
    let base = manifest(1, None);
    let mut others = vec![base.clone(); 4];
    others[0].database.digest = Hash::of(b"x");
    others[1].hint.digest = Hash::of(b"x");
    others[2].crs_epoch = 1;
    others[3].pir.body_bits = 21;
    for other in others {
        assert_ne!(other.computed_snapshot_id(), base.snapshot);
    }
    let text = base.snapshot.to_string();
    assert_eq!(text.parse(), Ok(base.snapshot));
    for bad in [&text[1..], &text.to_uppercase(), &format!("{text}0"), ""] {
        assert_eq!(bad.parse::<SnapshotId>(), Err(SnapshotIdError), "{bad}");
    }
}

proptest! {
    #[test]
    fn payloads_round_trip(
        sequence in 1u64..,
        numbers in any::<[u64; 5]>(),
        digests in any::<[[u8; 32]; 4]>(),
        failure_log2 in i16::MIN..0,
        bits in any::<[u8; 3]>(),
    ) {
        let previous = (sequence > 1).then(|| Hash::from_bytes(digests[0]));
        let mut m = manifest(sequence, previous);
        (m.crs_epoch, m.oprf_epoch) = (numbers[0], numbers[1]);
        (m.database.bytes, m.hint.bytes) = (numbers[2], numbers[3]);
        m.database.digest = Hash::from_bytes(digests[1]);
        m.merkle_root = Hash::from_bytes(digests[2]);
        m.filler_seed = FillerSeed(digests[3]);
        m.pir.failure_log2 = failure_log2;
        [m.pir.query_bits, m.pir.mask_bits, m.pir.body_bits] = bits;
        let decoded = encoding::decode(&encoding::encode(&m).unwrap());
        prop_assert_eq!(decoded, Ok(m));
    }

    #[test]
    fn truncated_extended_and_flipped_never_pass(cut in any::<usize>(), bit in 0u8..8) {
        let good = signed().as_bytes().to_vec();
        let cut = cut % good.len();
        prop_assert!(SignedManifest::from_bytes(&good[..cut]).is_err());
        prop_assert!(SignedManifest::from_bytes(&[&good[..], &[0]].concat()).is_err());
        let mut flipped = good;
        flipped[cut] ^= 1 << bit;
        let accepted = SignedManifest::from_bytes(&flipped)
            .is_ok_and(|m| m.verify(&key().verifying_key(), at(1)).is_ok());
        prop_assert!(!accepted);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(SignedManifest::from_bytes(&bytes).is_err());
    }
}
