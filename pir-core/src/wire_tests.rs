//! The wire forms of query, answer and hint: what is encoded is decoded, and
//! nothing else is.

use proptest::prelude::*;

use crate::Error;
use crate::answer::{self, Answer};
use crate::client::{Client, ColumnIndex};
use crate::crs::CrsSeed;
use crate::hint::{self, Hint};
use crate::params::Params;
use crate::query::{self, Query};
use crate::ring::{DEGREE, PackPrime, Prime};
use crate::sample::SecretRng;

fn params() -> Params {
    Params::new(2048, 2048).unwrap()
}

fn encoded_query() -> Vec<u8> {
    let client = Client::new(&params(), &CrsSeed::derive(b"wire", 0));
    let mut rng = SecretRng::from_seed([1; 32]);
    client
        .prepare_with(ColumnIndex::from(9), &mut rng)
        .unwrap()
        .send()
        .0
        .into_bytes()
}

#[test]
fn queries_come_back_as_sent() {
    let bytes = encoded_query();
    assert_eq!(bytes.len(), query::encoded_bytes(&params()));
    assert_eq!(bytes.len(), params().costs().upload_bytes);
    let query = Query::decode(&params(), &bytes).unwrap();
    assert_eq!(query.encode(), bytes);
}

#[test]
fn every_query_is_new() {
    assert_eq!(encoded_query(), encoded_query(), "one seed, one query");
    let client = Client::new(&params(), &CrsSeed::derive(b"wire", 0));
    let mut rng = SecretRng::from_seed([1; 32]);
    let mut next = || {
        client
            .prepare_with(ColumnIndex::from(9), &mut rng)
            .unwrap()
            .send()
            .0
            .into_bytes()
    };
    let (first, second) = (next(), next());
    let same = first.iter().zip(&second).filter(|(a, b)| a == b).count();
    assert!(
        same < first.len() / 50,
        "{same} bytes of {} agree",
        first.len()
    );
}

#[test]
fn residues_out_of_range_are_refused() {
    let params = params();
    let mut bytes = encoded_query();
    // The first slot of y_g mod Q, 23 bits, set to Q itself.
    let start = 16 + params.columns() * params.widths().query as usize / 8;
    bytes[start..start + 2].copy_from_slice(&PackPrime::MODULUS.to_le_bytes()[..2]);
    bytes[start + 2] = (bytes[start + 2] & 0x80) | (PackPrime::MODULUS >> 16) as u8;
    assert!(matches!(
        Query::decode(&params, &bytes),
        Err(Error::NonCanonical { what: "query" })
    ));
}

#[test]
fn other_lengths_kinds_and_parameters_are_refused() {
    let params = params();
    let other = Params::new(2048, 4096).unwrap();
    let bytes = encoded_query();
    for wrong in [
        &bytes[..0],
        &bytes[..15],
        &bytes[..bytes.len() - 1],
        &[&bytes[..], &[0]].concat(),
    ] {
        let error = Query::decode(&params, wrong).unwrap_err();
        assert!(
            matches!(error, Error::Length { what: "query", .. }),
            "{error}"
        );
    }
    let mut kind = bytes.clone();
    kind[0] ^= 1;
    assert!(matches!(
        Query::decode(&params, &kind),
        Err(Error::Magic { .. })
    ));
    assert!(matches!(
        Query::decode(&other, &bytes),
        Err(Error::ParameterMismatch { .. })
    ));
    let hint = Hint::new(&params, vec![0; DEGREE]).encode();
    assert!(matches!(
        Answer::decode(&params, &hint),
        Err(Error::Length { .. })
    ));
    let mut answer = Answer::empty(&params).encode();
    answer[0] = hint[0];
    answer[2] = hint[2];
    assert!(matches!(
        Answer::decode(&params, &answer),
        Err(Error::Magic { .. })
    ));
}

#[test]
fn columns_out_of_range_are_refused() {
    let client = Client::new(&params(), &CrsSeed::derive(b"wire", 0));
    let mut rng = SecretRng::from_seed([1; 32]);
    assert!(matches!(
        client.prepare_with(ColumnIndex::from(2048), &mut rng),
        Err(Error::ColumnOutOfRange { columns: 2048 })
    ));
}

proptest! {
    #[test]
    fn hints_and_answers_come_back_as_sent(seed in any::<[u8; 32]>()) {
        let params = params();
        let widths = params.widths();
        let mut rng = SecretRng::from_seed(seed);
        let hint = Hint::new(&params, (0..DEGREE).map(|_| rng.below(1 << widths.mask)).collect());
        let bytes = hint.encode();
        prop_assert_eq!(bytes.len(), hint::encoded_bytes(&params));
        prop_assert_eq!(Hint::decode(&params, &bytes).unwrap(), hint);
        let mut answer = Answer::empty(&params);
        for body in answer.bodies_mut() {
            *body = rng.below(1 << widths.body);
        }
        let bytes = answer.encode();
        prop_assert_eq!(bytes.len(), answer::encoded_bytes(&params));
        prop_assert_eq!(Answer::decode(&params, &bytes).unwrap(), answer);
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..4096), full in any::<bool>()) {
        let params = params();
        if full {
            bytes.resize(query::encoded_bytes(&params), 0x5a);
            let header = encoded_query();
            bytes[..16].copy_from_slice(&header[..16]);
        }
        if let Ok(query) = Query::decode(&params, &bytes) {
            prop_assert_eq!(query.encode(), bytes);
        }
    }
}
