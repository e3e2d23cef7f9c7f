use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::csi::Csi;
use crate::oprf::{BlindedBatch, OprfKey};

fn messages(count: usize, epoch: u64) -> (OprfRequest, OprfResponse) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let csi = Csi::parse("someone@example.org").unwrap();
    let batch = BlindedBatch::blind(&vec![csi; count], &mut rng).unwrap();
    let key = OprfKey::generate(&mut rng);
    let evaluation = key.blind_evaluate(batch.elements(), &mut rng).unwrap();
    let elements = batch.elements().to_vec();
    (
        OprfRequest { epoch, elements },
        OprfResponse { epoch, evaluation },
    )
}

#[test]
fn known_encoding() {
    let (request, response) = messages(1, 5);
    let mut expected = vec![0xa2, 0x00, 0x05, 0x01, 0x81, 0x58, 32];
    expected.extend_from_slice(request.elements[0].as_bytes());
    assert_eq!(request.encode(), expected);
    let mut expected = vec![0xa3, 0x00, 0x05, 0x01, 0x81, 0x58, 32];
    expected.extend_from_slice(response.evaluation.elements[0].as_bytes());
    expected.extend_from_slice(&[0x02, 0x58, 64]);
    expected.extend_from_slice(response.evaluation.proof.as_bytes());
    assert_eq!(response.encode(), expected);
}

#[test]
fn largest_messages_have_exactly_the_stated_size() {
    let (request, response) = messages(BATCH_MAX, u64::MAX);
    assert_eq!(request.encode().len(), OprfRequest::BYTES_MAX);
    assert_eq!(response.encode().len(), OprfResponse::BYTES_MAX);
    assert_eq!(OprfRequest::decode(&request.encode()), Ok(request));
    assert_eq!(OprfResponse::decode(&response.encode()), Ok(response));
}

#[test]
fn every_other_form_is_refused() {
    let good = messages(1, 5).0.encode();
    let element = &good[5..];
    let decode = |head: &[u8], elements: usize, tail: &[u8]| {
        let body = element.repeat(elements);
        OprfRequest::decode(&[head, &body, tail].concat()).unwrap_err()
    };
    // Indefinite map, array and string; a tag; a list; text; other keys.
    for head in [
        &[0xbf, 0, 5, 1, 0x81][..],
        &[0xa2, 0, 5, 1, 0x9f],
        &[0xa2, 0, 5, 1, 0x81, 0x5f],
        &[0xc1, 0xa2, 0, 5, 1, 0x81],
        &[0x82, 0, 5, 1, 0x81],
        &[0xa2, 0x60, 5, 1, 0x81],
        &[0xa2, 1, 5, 1, 0x81],
        &[0xa2, 0, 5, 2, 0x81],
        &[0xa2, 0, 0x25, 1, 0x81],
        &[0xa1, 0, 5, 1, 0x81],
        &[0xa3, 0, 5, 1, 0x81],
    ] {
        assert_eq!(decode(head, 1, &[]), WireError::Structure, "{head:x?}");
    }
    // Longer heads than needed.
    for head in [
        &[0xb8, 2, 0, 5, 1, 0x81][..],
        &[0xa2, 0x18, 0, 5, 1, 0x81],
        &[0xa2, 0, 0x18, 5, 1, 0x81],
        &[0xa2, 0, 0x1b, 0, 0, 0, 0, 0, 0, 0, 5, 1, 0x81],
        &[0xa2, 0, 5, 1, 0x98, 1],
    ] {
        assert_eq!(
            decode(head, 1, &[]),
            WireError::NotDeterministic,
            "{head:x?}"
        );
    }
    assert_eq!(
        decode(&[0xa2, 0, 5, 1, 0x81], 1, &[0]),
        WireError::TrailingBytes { found: 1 }
    );
    // Fields in the other order.
    assert_eq!(decode(&[0xa2, 1, 0x81], 1, &[0, 5]), WireError::Structure);
    assert_eq!(
        decode(&[0xa2, 0, 5, 1, 0x81, 0x41, 7], 0, &[]),
        WireError::Length {
            expected: 32,
            found: 1
        }
    );
}

#[test]
fn counts_are_bounded_before_elements_are_read() {
    for (head, found) in [
        (&[0xa2, 0, 5, 1, 0x80][..], 0),
        (&[0xa2, 0, 5, 1, 0x99, 0x04, 0x01], 1025),
        (
            &[
                0xa2, 0, 5, 1, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ],
            usize::MAX,
        ),
    ] {
        assert_eq!(
            OprfRequest::decode(head),
            Err(WireError::Oprf(OprfError::BatchSize { found }))
        );
    }
    let long = vec![0; OprfResponse::BYTES_MAX + 1];
    assert_eq!(
        OprfResponse::decode(&long),
        Err(WireError::TooLong {
            max: OprfResponse::BYTES_MAX,
            found: OprfResponse::BYTES_MAX + 1
        })
    );
}

#[test]
fn invalid_elements_and_proofs_are_refused() {
    let (request, response) = messages(2, 5);
    let mut bytes = request.encode();
    let last = bytes.len() - 32;
    bytes[last..].fill(0);
    assert_eq!(
        OprfRequest::decode(&bytes),
        Err(WireError::Oprf(OprfError::InvalidElement))
    );
    let mut bytes = response.encode();
    let last = bytes.len() - 32;
    bytes[last..].fill(0xff);
    assert_eq!(
        OprfResponse::decode(&bytes),
        Err(WireError::Oprf(OprfError::InvalidProof))
    );
    // A request is not a response.
    assert_eq!(
        OprfResponse::decode(&request.encode()),
        Err(WireError::Structure)
    );
    assert_eq!(
        OprfRequest::decode(&response.encode()),
        Err(WireError::Structure)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn round_trips(count in 1usize..40, epoch in any::<u64>()) {
        let (request, response) = messages(count, epoch);
        prop_assert_eq!(OprfRequest::decode(&request.encode()), Ok(request));
        prop_assert_eq!(OprfResponse::decode(&response.encode()), Ok(response));
    }

    #[test]
    fn truncation_is_refused(cut in any::<usize>()) {
        let (request, response) = messages(2, 300);
        let (request, response) = (request.encode(), response.encode());
        prop_assert!(OprfRequest::decode(&request[..cut % request.len()]).is_err());
        prop_assert!(OprfResponse::decode(&response[..cut % response.len()]).is_err());
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(OprfRequest::decode(&bytes).is_err());
        prop_assert!(OprfResponse::decode(&bytes).is_err());
    }
}
