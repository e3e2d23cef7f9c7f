use proptest::prelude::*;

use super::*;

fn filter(labels: &[u64]) -> MembershipFilter {
    MembershipFilter::new(labels.iter().copied().map(FilterLabel::new)).unwrap()
}

/// Uniform labels, the same on every run.
fn labels(seed: u64, count: usize) -> Vec<u64> {
    // splitmix64
    let mut state = seed;
    let next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[test]
fn known_encodings() {
    assert_eq!(filter(&[]).encode(), b"SOTTOGC1\0\0\0\0");
    // One label in the middle of the range 0..1497: 748 = 0b1011101100.
    assert_eq!(
        filter(&[1 << 63]).encode(),
        [&b"SOTTOGC1\0\0\0\x01"[..], &[0b0101_1101, 0b1000_0000]].concat()
    );
    // The range 0..2994: 0 and 2993 = 2 · 1024 + 945, 945 = 0b1110110001.
    assert_eq!(
        filter(&[u64::MAX, 0]).encode(),
        [&b"SOTTOGC1\0\0\0\x02"[..], &[0, 0b0001_1011, 0b1011_0001]].concat()
    );
}

#[test]
fn an_empty_set_has_nothing() {
    let empty = filter(&[]);
    assert_eq!(empty.count(), 0);
    assert!(
        [0, 1, u64::MAX]
            .iter()
            .all(|label| !empty.may_contain(FilterLabel::new(*label)))
    );
}

/// 100 000 labels that are not in the set: expected 66.8 false positives,
/// standard deviation 8.2.
#[test]
fn false_positives_are_as_rare_as_stated_and_labels_take_twelve_bits() {
    let filter = filter(&labels(1, 10_000));
    let found = labels(2, 100_000)
        .into_iter()
        .filter(|label| filter.may_contain(FilterLabel::new(*label)))
        .count();
    assert!((26..=108).contains(&found), "{found}");
    let bits = filter.encode().len() * 8;
    assert!((118_000..124_000).contains(&bits), "{bits}");
}

#[test]
fn refusals() {
    let good = filter(&labels(3, 100)).encode();
    let refusal = |bytes: &[u8]| MembershipFilter::decode(bytes).unwrap_err();
    assert_eq!(refusal(b""), FilterError::Magic);
    assert_eq!(refusal(b"SOTTOGC2\0\0\0\0"), FilterError::Magic);
    assert_eq!(
        refusal(b"SOTTOGC1\0\0\0"),
        FilterError::Truncated { count: 0 }
    );
    // As many values as there are, before anything is allocated for them.
    let mut many = good.clone();
    many[8..12].fill(0xff);
    assert_eq!(refusal(&many), FilterError::Truncated { count: u32::MAX });
    let mut fewer = good.clone();
    fewer[11] -= 10;
    assert!(matches!(
        refusal(&fewer),
        FilterError::Trailing | FilterError::Range
    ));
    for length in 12..good.len() {
        assert_eq!(
            refusal(&good[..length]),
            FilterError::Truncated { count: 100 }
        );
    }
    assert_eq!(refusal(&[&good[..], &[0]].concat()), FilterError::Trailing);
    // One value of the range 0..1497: 1023 + 1024 is above, and ones that never
    // end are no number.
    assert_eq!(refusal(b"SOTTOGC1\0\0\0\x01\xbf\xf0"), FilterError::Range);
    assert_eq!(
        refusal(b"SOTTOGC1\0\0\0\x01\xff\xff"),
        FilterError::Truncated { count: 1 }
    );
    // A one behind the value, in the last byte.
    assert_eq!(
        refusal(b"SOTTOGC1\0\0\0\x01\x5d\x81"),
        FilterError::Trailing
    );
}

proptest! {
    #[test]
    fn whatever_is_put_in_is_found_and_round_trips(
        labels in proptest::collection::vec(
            prop_oneof![any::<u64>(), Just(0), Just(u64::MAX), 0..5000u64],
            0..300,
        ),
    ) {
        let filter = filter(&labels);
        prop_assert!(labels.iter().all(|label| filter.may_contain(FilterLabel::new(*label))));
        let bytes = filter.encode();
        prop_assert!(bytes.len() as u64 <= MembershipFilter::encoded_bytes_max(filter.count()));
        prop_assert_eq!(MembershipFilter::decode(&bytes), Ok(filter));
    }

    #[test]
    fn random_bytes_decode_to_themselves_or_are_refused(
        count in 0u32..20,
        coded in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.extend_from_slice(&coded);
        if let Ok(filter) = MembershipFilter::decode(&bytes) {
            prop_assert_eq!(filter.encode(), bytes);
        }
    }

    #[test]
    fn changed_bytes_decode_to_themselves_or_are_refused(
        seed: u64,
        count in 0usize..50,
        at: proptest::sample::Index,
        flip in 1u8..,
    ) {
        let mut bytes = filter(&labels(seed, count)).encode();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(filter) = MembershipFilter::decode(&bytes) {
            prop_assert_eq!(filter.encode(), bytes);
        }
    }
}
