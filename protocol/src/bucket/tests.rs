use proptest::prelude::*;

use super::*;
use crate::derivation::Salt;
use crate::merkle::{LEAVES_MAX, Tree, leaf};
use crate::oprf::OprfOutput;
use crate::record::sealed_len;

const SEED: FillerSeed = FillerSeed([0x11; 32]);

fn layout() -> BucketLayout {
    BucketLayout::new(1024, 1000).unwrap()
}

fn at(index: u32) -> BucketIndex {
    BucketIndex::new(index)
}

fn record(id: u8, content_len: usize) -> SealedRecord {
    let output = OprfOutput::from_bytes([id; 64]);
    SealedRecord::seal(&output, Salt::from_bytes([id; 16]), &vec![id; content_len]).unwrap()
}

fn tag(id: u8) -> Tag {
    OprfOutput::from_bytes([id; 64]).locator().tag
}

fn encoded(records: &[SealedRecord]) -> Vec<u8> {
    encode(&layout(), at(3), &SEED, records).unwrap()
}

fn decoded(content: &[u8]) -> Result<Bucket, BucketError> {
    Bucket::decode(&layout(), at(3), &SEED, content)
}

/// Changes the bytes under the mask.
fn tampered(records: &[SealedRecord], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut content = encoded(records);
    apply_mask(&mut content, MASK_LABEL, at(3), &SEED);
    change(&mut content);
    apply_mask(&mut content, MASK_LABEL, at(3), &SEED);
    content
}

#[test]
fn layout_arithmetic() {
    let layout = layout();
    assert_eq!(
        (
            layout.footer_bytes(),
            layout.content_bytes(),
            layout.capacity()
        ),
        (64, 960, 958)
    );
    assert_eq!(
        BucketLayout::new(60, 256).unwrap().capacity(),
        sealed_len(0)
    );
    assert_eq!(
        BucketLayout::new(59, 256),
        Err(BucketError::BucketBytes {
            min: 60,
            max: 1 << 20,
            found: 59
        })
    );
    assert_eq!(
        BucketLayout::new((1 << 20) + 1, 257),
        Err(BucketError::BucketBytes {
            min: 92,
            max: 1 << 20,
            found: (1 << 20) + 1
        })
    );
    for columns in [0, LEAVES_MAX + 1] {
        assert!(matches!(
            BucketLayout::new(1024, columns),
            Err(BucketError::Merkle(MerkleError::LeafCount { .. }))
        ));
    }
}

#[test]
fn finds_what_is_there_and_nothing_else() {
    let records: Vec<_> = (1..=5).map(|id| record(id, 100)).collect();
    let bucket = decoded(&encoded(&records)).unwrap();
    assert_eq!(bucket.records().len(), 5);
    for (id, record) in (1..=5).zip(&records) {
        assert_eq!(bucket.find(&tag(id)), Some(record));
    }
    assert_eq!(bucket.find(&tag(6)), None);
}

#[test]
fn order_of_records_does_not_matter() {
    let records: Vec<_> = (1..=4).map(|id| record(id, 10)).collect();
    let reversed: Vec<_> = records.iter().rev().collect();
    assert_eq!(
        encode(&layout(), at(3), &SEED, &reversed).unwrap(),
        encoded(&records)
    );
}

#[test]
fn mask_is_the_known_stream() {
    // An empty bucket is the mask: ChaCha20 with the derived key, block by
    // block from counter 0 and nonce 0.
    use chacha20poly1305::aead::{AeadInOut, KeyInit};
    let content = encoded(&[]);
    let mut label = MASK_LABEL.to_vec();
    label.extend_from_slice(&SEED.0);
    label.extend_from_slice(&[0, 0, 0, 3]);
    let key: [u8; 32] = Sha3_256::digest(&label).into();
    let mut stream = vec![0; 960 - 64];
    // RFC 8439 §2.8: the AEAD encrypts from block 1.
    chacha20poly1305::ChaCha20Poly1305::new(&key.into())
        .encrypt_inout_detached(&[0; 12].into(), b"", stream.as_mut_slice().into())
        .unwrap();
    assert_eq!(content[64..], stream);
}

#[test]
fn all_bytes_look_uniform() {
    // Mean of a byte 127.5, standard deviation 73.9: over 960 bytes the mean's
    // is 2.4. Likewise for each position over 400 buckets: 3.7.
    let layout = layout();
    let records: Vec<_> = (1..=3).map(|id| record(id, 60)).collect();
    let contents: Vec<_> = (0..400)
        .map(|index| encode(&layout, at(index), &SEED, &records).unwrap())
        .collect();
    for content in &contents {
        let sum: f64 = content.iter().map(|&byte| f64::from(byte)).sum();
        assert!((sum / 960.0 - 127.5).abs() < 6.0 * 2.4);
    }
    for position in 0..960 {
        let sum: f64 = contents.iter().map(|c| f64::from(c[position])).sum();
        assert!((sum / 400.0 - 127.5).abs() < 6.0 * 3.7, "{position}");
    }
}

#[test]
fn index_and_seed_change_every_bucket() {
    let content = encoded(&[record(1, 10)]);
    assert_ne!(
        content,
        encode(&layout(), at(4), &SEED, &[record(1, 10)]).unwrap()
    );
    assert!(Bucket::decode(&layout(), at(4), &SEED, &content).is_err());
    assert!(Bucket::decode(&layout(), at(3), &FillerSeed([0; 32]), &content).is_err());
}

#[test]
fn too_much_too_far_and_twice_are_refused() {
    let exactly_full = [record(1, 430), record(2, 430)]; // 2 × 474 of 958
    let size = exactly_full
        .iter()
        .map(SealedRecord::entry_len)
        .sum::<usize>();
    assert!(size <= 958 && size + sealed_len(0) > 958);
    assert!(decoded(&encoded(&exactly_full)).is_ok());
    let three = [record(1, 430), record(2, 430), record(3, 0)];
    assert_eq!(
        encode(&layout(), at(3), &SEED, &three),
        Err(BucketError::Overflow {
            capacity: 958,
            found: size + sealed_len(0)
        })
    );
    assert_eq!(
        encode(&layout(), at(3), &SEED, &[record(1, 1), record(1, 2)]),
        Err(BucketError::DuplicateTag)
    );
    let outside = BucketError::Index {
        columns: 1000,
        found: 1000,
    };
    assert_eq!(
        encode(&layout(), at(1000), &SEED, &[record(1, 1)]),
        Err(outside)
    );
    assert_eq!(
        Bucket::decode(&layout(), at(1000), &SEED, &encoded(&[])),
        Err(outside)
    );
}

#[test]
fn every_other_form_is_refused() {
    let records = [record(1, 10), record(2, 10)];
    let entry = records[0].entry_len();
    let swapped = tampered(&records, |plain| {
        let (a, b) = plain[2..].split_at_mut(entry);
        a.swap_with_slice(&mut b[..entry]);
    });
    assert_eq!(decoded(&swapped), Err(BucketError::Unsorted));
    let repeated = tampered(&records, |plain| plain.copy_within(2..2 + entry, 2 + entry));
    assert_eq!(decoded(&repeated), Err(BucketError::Unsorted));
    for filler_byte in [2 + 2 * entry, 959] {
        let dirty = tampered(&records, |plain| plain[filler_byte] = 1);
        assert_eq!(decoded(&dirty), Err(BucketError::Filler));
    }
    let one_counted = tampered(&records, |plain| plain[1] = 1);
    assert_eq!(decoded(&one_counted), Err(BucketError::Filler));
    let three_counted = tampered(&records, |plain| plain[1] = 3);
    assert_eq!(
        decoded(&three_counted),
        Err(BucketError::Record(RecordError::Units { found: 0 }))
    );
    let too_long = tampered(&records, |plain| plain[2 + 25] = 200);
    assert!(matches!(
        decoded(&too_long),
        Err(BucketError::Record(RecordError::Truncated { .. }))
    ));
    let content = encoded(&records);
    for wrong in [&content[1..], &[&content[..], &[0]].concat()] {
        assert_eq!(
            decoded(wrong),
            Err(BucketError::Length {
                expected: 960,
                found: wrong.len()
            })
        );
    }
}

#[test]
fn a_column_is_verified_against_the_cap() {
    let layout = layout();
    let contents: Vec<_> = (0..1000)
        .map(|index| encode(&layout, at(index), &SEED, &[record(1, 40)]).unwrap())
        .collect();
    let leaves = (0..)
        .zip(&contents)
        .map(|(index, content)| leaf(index, content));
    let tree = Tree::build(leaves.collect()).unwrap();
    let column = |index: u32| {
        let path = tree.lower_path(index).unwrap();
        layout
            .join(at(index), &SEED, contents[index as usize].clone(), &path)
            .unwrap()
    };
    let path = tree.lower_path(7).unwrap();
    assert_eq!(
        layout.split(at(7), &SEED, &column(7)),
        Ok((contents[7].as_slice(), path.clone()))
    );
    // Neighbours share the upper hashes of their paths, but no byte of them.
    assert_eq!(path[1], tree.lower_path(6).unwrap()[1]);
    assert_ne!(column(7)[992..], column(6)[992..]);
    let cap = tree.cap();
    for index in [0, 1, 511, 999] {
        let bucket = Bucket::from_column(&layout, at(index), &SEED, &column(index), &cap);
        assert!(bucket.unwrap().find(&tag(1)).is_some());
    }
    let not_under_root = Err(BucketError::Merkle(MerkleError::NotUnderRoot));
    assert_eq!(
        Bucket::from_column(&layout, at(5), &SEED, &column(6), &cap),
        not_under_root
    );
    for byte in [0, 959, 960, 1023] {
        let mut flipped = column(7);
        flipped[byte] ^= 1;
        assert_eq!(
            Bucket::from_column(&layout, at(7), &SEED, &flipped, &cap),
            not_under_root
        );
    }
    assert_eq!(
        layout.split(at(7), &SEED, &column(7)[1..]),
        Err(BucketError::Length {
            expected: 1024,
            found: 1023
        })
    );
    assert!(layout.join(at(0), &SEED, contents[0].clone(), &[]).is_err());
    assert!(
        layout
            .join(at(0), &SEED, Vec::new(), &tree.lower_path(0).unwrap())
            .is_err()
    );
}

proptest! {
    #[test]
    fn round_trips(
        lens in proptest::collection::vec(0usize..150, 0..6),
        index in 0u32..1000,
        seed in any::<[u8; 32]>(),
    ) {
        let records: Vec<_> = (1..).zip(&lens).map(|(id, &len)| record(id, len)).collect();
        prop_assume!(records.iter().map(SealedRecord::entry_len).sum::<usize>() <= 958);
        let content = encode(&layout(), at(index), &FillerSeed(seed), &records).unwrap();
        let bucket = Bucket::decode(&layout(), at(index), &FillerSeed(seed), &content).unwrap();
        prop_assert_eq!(bucket.records().len(), records.len());
        let again = encode(&layout(), at(index), &FillerSeed(seed), bucket.records()).unwrap();
        prop_assert_eq!(again, content);
    }

    #[test]
    fn random_plaintexts_never_panic(plain in proptest::collection::vec(any::<u8>(), 960)) {
        let mut content = plain;
        content[0] = 0; // some of the counts within reach
        apply_mask(&mut content, MASK_LABEL, at(3), &SEED);
        if let Ok(bucket) = decoded(&content) {
            prop_assert_eq!(encoded(bucket.records()), content);
        }
    }
}
