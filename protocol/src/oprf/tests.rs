use std::convert::Infallible;

use proptest::prelude::*;
use rand::{SeedableRng, TryCryptoRng, TryRng};
use rand_chacha::ChaCha20Rng;
use serde::Deserialize;

use zeroize::Zeroizing;

use super::*;
use crate::audience::AudienceHandle;
use crate::csi::Csi;

const RFC_9497: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/vectors/rfc9497/voprf-ristretto255-sha512.json"
));

#[derive(Deserialize)]
struct Suites {
    seed: String,
    key_info: String,
    secret_key: String,
    public_key: String,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    section: String,
    input: Vec<String>,
    blind: Vec<String>,
    blinded_element: Vec<String>,
    evaluation_element: Vec<String>,
    proof: String,
    proof_random_scalar: String,
    output: Vec<String>,
}

/// Yields the scalars of a test vector, in order.
struct Scripted(std::vec::IntoIter<u8>);

impl Scripted {
    fn of(scalars: &[String]) -> Self {
        Self(hex::decode(scalars.concat()).unwrap().into_iter())
    }
}

impl TryRng for Scripted {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("scalars are drawn as bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("scalars are drawn as bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for byte in out {
            *byte = self.0.next().expect("no more scalars in the vector");
        }
        Ok(())
    }
}

impl TryCryptoRng for Scripted {}

fn bytes<const N: usize>(hexadecimal: &str) -> [u8; N] {
    hex::decode(hexadecimal).unwrap().try_into().unwrap()
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn csis(count: usize) -> Vec<Csi> {
    (0..count)
        .map(|n| Csi::parse(&format!("user{n}@example.org")).unwrap())
        .collect()
}

#[test]
fn rfc_9497_vectors() {
    let suite: Suites = serde_json::from_str(RFC_9497).unwrap();
    let info = hex::decode(&suite.key_info).unwrap();
    let key = OprfKey::derive(&bytes(&suite.seed), &info).unwrap();
    assert_eq!(*key.to_bytes(), bytes(&suite.secret_key));
    assert_eq!(*key.public_key().as_bytes(), bytes(&suite.public_key));
    assert_eq!(suite.vectors.len(), 3);

    for vector in &suite.vectors {
        let inputs: Vec<_> = vector
            .input
            .iter()
            .map(|input| Zeroizing::new(hex::decode(input).unwrap()))
            .collect();
        let batch =
            BlindedBatch::blind_inputs(inputs.clone(), &mut Scripted::of(&vector.blind)).unwrap();
        let blinded: Vec<_> = batch
            .elements()
            .iter()
            .map(|e| hex::encode(e.as_bytes()))
            .collect();
        assert_eq!(blinded, vector.blinded_element, "{}", vector.section);

        let mut proof_rng = Scripted::of(std::slice::from_ref(&vector.proof_random_scalar));
        let evaluation = key
            .blind_evaluate(batch.elements(), &mut proof_rng)
            .unwrap();
        let evaluated: Vec<_> = evaluation
            .elements
            .iter()
            .map(|e| hex::encode(e.as_bytes()))
            .collect();
        assert_eq!(evaluated, vector.evaluation_element, "{}", vector.section);
        assert_eq!(
            hex::encode(evaluation.proof.as_bytes()),
            vector.proof,
            "{}",
            vector.section
        );

        let outputs = batch.finalize(&evaluation, &key.public_key()).unwrap();
        let finalised: Vec<_> = outputs.iter().map(|o| hex::encode(o.as_bytes())).collect();
        assert_eq!(finalised, vector.output, "{}", vector.section);
        for (input, output) in inputs.iter().zip(&vector.output) {
            let direct = key.evaluate_input(input).unwrap();
            assert_eq!(
                hex::encode(direct.as_bytes()),
                *output,
                "{}",
                vector.section
            );
        }
    }
}

#[test]
fn direct_evaluation_equals_finalised() {
    let key = OprfKey::generate(&mut rng(1));
    for count in [1, 2, 33] {
        let csis = csis(count);
        let batch = BlindedBatch::blind(&csis, &mut rng(2)).unwrap();
        let evaluation = key.blind_evaluate(batch.elements(), &mut rng(3)).unwrap();
        let outputs = batch.finalize(&evaluation, &key.public_key()).unwrap();
        assert_eq!(outputs.len(), count);
        for (csi, output) in csis.iter().zip(&outputs) {
            assert_eq!(output.as_bytes(), key.evaluate(csi).unwrap().as_bytes());
        }
    }
}

/// An identifier and handles in one batch.
#[test]
fn batches_hold_both_kinds_of_input() {
    let key = OprfKey::generate(&mut rng(1));
    let csi = &csis(1)[0];
    let handles = [1, 2].map(|fill| AudienceHandle::from_bytes([fill; 32]));
    let inputs = [
        OprfInput::Audience(&handles[0]),
        OprfInput::Csi(csi),
        OprfInput::Audience(&handles[1]),
    ];
    let batch = BlindedBatch::blind(inputs, &mut rng(2)).unwrap();
    let evaluation = key.blind_evaluate(batch.elements(), &mut rng(3)).unwrap();
    let outputs = batch.finalize(&evaluation, &key.public_key()).unwrap();
    let direct = inputs.map(|input| key.evaluate(input).unwrap());
    for (output, direct) in outputs.iter().zip(&direct) {
        assert_eq!(output.as_bytes(), direct.as_bytes());
    }
    assert_ne!(direct[0].as_bytes(), direct[2].as_bytes());
}

/// Around the sizes of chunks that share work, and the largest; the proof is
/// verified by another implementation than made it.
#[test]
fn batches_of_every_size_verify_and_are_evaluated_in_order() {
    let key = OprfKey::generate(&mut rng(1));
    for count in [63, 64, 65, 128, 257, 1024] {
        let csis = csis(count);
        let batch = BlindedBatch::blind(&csis, &mut rng(2)).unwrap();
        let evaluation = key.blind_evaluate(batch.elements(), &mut rng(3)).unwrap();
        for element in &evaluation.elements {
            assert_eq!(
                EvaluatedElement::from_bytes(element.as_bytes()).as_ref(),
                Ok(element)
            );
        }
        let outputs = batch.finalize(&evaluation, &key.public_key()).unwrap();
        for at in [0, count / 2, count - 1] {
            let direct = key.evaluate(&csis[at]).unwrap();
            assert_eq!(outputs[at].as_bytes(), direct.as_bytes(), "{at} of {count}");
        }
    }
}

#[test]
fn shares_make_their_key_again_and_one_is_of_no_use() {
    let key = OprfKey::generate(&mut rng(1));
    let other = OprfKey::generate(&mut rng(2));
    let csi = &csis(1)[0];
    let output = key.evaluate(csi).unwrap();
    let [first, second] = key.split(&mut rng(3));
    for (left, right) in [(&first, &second), (&second, &first)] {
        let joined = left.join(right).unwrap();
        assert_eq!(*joined.to_bytes(), *key.to_bytes());
        assert_eq!(joined.evaluate(csi).unwrap().as_bytes(), output.as_bytes());
    }
    // Alone, a share is the scalar of another key.
    for share in [&first, &second] {
        let scalar: [u8; 32] = share.to_bytes()[..32].try_into().unwrap();
        let alone = OprfKey::from_bytes(&scalar).unwrap();
        assert_ne!(alone.public_key(), key.public_key());
        assert_ne!(alone.evaluate(csi).unwrap().as_bytes(), output.as_bytes());
        assert_eq!(share.join(share).unwrap_err(), OprfError::Shares);
    }
    // The same first share with another second one is of another key: the first
    // says nothing of the key.
    let [same, of_other] = other.split(&mut rng(3));
    assert_eq!(same.to_bytes()[..32], first.to_bytes()[..32]);
    assert_eq!(first.join(&of_other).unwrap_err(), OprfError::Shares);
    let [_, again] = key.split(&mut rng(4));
    assert_eq!(first.join(&again).unwrap_err(), OprfError::Shares);

    let encoded = OprfShare::from_bytes(&second.to_bytes()).unwrap();
    assert!(first.join(&encoded).is_ok());
    let mut bad = *second.to_bytes();
    bad[31] = 0xff;
    assert_eq!(
        OprfShare::from_bytes(&bad).unwrap_err(),
        OprfError::InvalidKey
    );
    let mut bad = *second.to_bytes();
    bad[32..].fill(0);
    assert_eq!(
        OprfShare::from_bytes(&bad).unwrap_err(),
        OprfError::InvalidKey
    );
    assert_eq!(format!("{first:?}"), "OprfShare(redacted)");
}

/// A share's bits are those of a uniform scalar: each of the lower ones is set
/// in about half of many splits of one key.
#[test]
fn shares_are_uniformly_distributed() {
    const SPLITS: u32 = 2000;
    let key = OprfKey::from_bytes(&{
        let mut one = [0; 32];
        one[0] = 1;
        one
    })
    .unwrap();
    let mut rng = rng(5);
    let mut set = [[0u32; 252]; 2];
    for _ in 0..SPLITS {
        for (share, set) in key.split(&mut rng).iter().zip(&mut set) {
            let bytes = share.to_bytes();
            for (bit, count) in set.iter_mut().enumerate() {
                *count += u32::from(bytes[bit / 8] >> (bit % 8) & 1);
            }
        }
    }
    // Seven standard deviations of 22.
    for count in set.iter().flatten() {
        assert!(count.abs_diff(SPLITS / 2) < 157, "{count}");
    }
}

#[test]
fn blinding_hides_the_identifier() {
    let same = [&csis(1)[..], &csis(1)[..]].concat();
    let batch = BlindedBatch::blind(&same, &mut rng(4)).unwrap();
    assert_ne!(batch.elements()[0], batch.elements()[1]);
}

#[test]
fn a_proof_under_another_key_or_for_other_elements_is_refused() {
    let (key, other) = (
        OprfKey::generate(&mut rng(5)),
        OprfKey::generate(&mut rng(6)),
    );
    let batch = || BlindedBatch::blind(&csis(3), &mut rng(7)).unwrap();
    let good = key.blind_evaluate(batch().elements(), &mut rng(8)).unwrap();
    let foreign = other
        .blind_evaluate(batch().elements(), &mut rng(8))
        .unwrap();
    let refused = |evaluation: &Evaluation, key: &OprfKey| {
        assert_eq!(
            batch().finalize(evaluation, &key.public_key()).unwrap_err(),
            OprfError::ProofVerification
        );
    };
    assert!(batch().finalize(&good, &key.public_key()).is_ok());
    refused(&good, &other);
    refused(&foreign, &key);
    let mut swapped = good.clone();
    swapped.elements.swap(0, 1);
    refused(&swapped, &key);
    let mut one_foreign = good.clone();
    one_foreign.elements[2] = foreign.elements[2].clone();
    refused(&one_foreign, &key);
    let foreign_proof = Evaluation {
        proof: foreign.proof,
        ..good
    };
    refused(&foreign_proof, &key);
}

#[test]
fn counts_are_checked() {
    let key = OprfKey::generate(&mut rng(9));
    let empty = OprfError::BatchSize { found: 0 };
    let large = OprfError::BatchSize { found: 1025 };
    assert_eq!(
        BlindedBatch::blind(&csis(0), &mut rng(1)).unwrap_err(),
        empty
    );
    assert_eq!(
        BlindedBatch::blind(&csis(1025), &mut rng(1)).unwrap_err(),
        large
    );
    assert_eq!(key.blind_evaluate(&[], &mut rng(1)).unwrap_err(), empty);
    let element = BlindedBatch::blind(&csis(1), &mut rng(1))
        .unwrap()
        .elements()[0]
        .clone();
    assert_eq!(
        key.blind_evaluate(&vec![element; 1025], &mut rng(1))
            .unwrap_err(),
        large
    );

    let batch = BlindedBatch::blind(&csis(3), &mut rng(2)).unwrap();
    let mut evaluation = key.blind_evaluate(batch.elements(), &mut rng(3)).unwrap();
    evaluation.elements.pop();
    assert_eq!(
        batch.finalize(&evaluation, &key.public_key()).unwrap_err(),
        OprfError::ElementCount {
            expected: 3,
            found: 2
        }
    );
}

#[test]
fn identity_and_non_canonical_encodings_are_refused() {
    // RFC 9496 A.2: the identity, non-canonical field elements, negative ones,
    // and one that is on no coset.
    let bad = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
    ];
    for encoding in bad.map(bytes) {
        assert_eq!(
            BlindedElement::from_bytes(&encoding),
            Err(OprfError::InvalidElement)
        );
        assert_eq!(
            EvaluatedElement::from_bytes(&encoding),
            Err(OprfError::InvalidElement)
        );
        assert_eq!(
            OprfPublicKey::from_bytes(&encoding),
            Err(OprfError::InvalidElement)
        );
    }
    // Scalars: zero, and the group order (RFC 9496 §4.4).
    let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    for scalar in [bytes(order), [0; 32]] {
        assert_eq!(
            OprfKey::from_bytes(&scalar).unwrap_err(),
            OprfError::InvalidKey
        );
        let mut proof = [1; 64];
        proof[63] = 0;
        proof[32..].copy_from_slice(&scalar);
        assert_eq!(Proof::from_bytes(&proof), Err(OprfError::InvalidProof));
    }
}

#[test]
fn encodings_round_trip() {
    let key = OprfKey::generate(&mut rng(10));
    let again = OprfKey::from_bytes(&key.to_bytes()).unwrap();
    assert_eq!(again.public_key(), key.public_key());
    assert_eq!(
        OprfPublicKey::from_bytes(key.public_key().as_bytes()),
        Ok(key.public_key())
    );
    let batch = BlindedBatch::blind(&csis(1), &mut rng(11)).unwrap();
    let evaluation = key.blind_evaluate(batch.elements(), &mut rng(12)).unwrap();
    let element = &batch.elements()[0];
    assert_eq!(
        BlindedElement::from_bytes(element.as_bytes()).as_ref(),
        Ok(element)
    );
    let element = &evaluation.elements[0];
    assert_eq!(
        EvaluatedElement::from_bytes(element.as_bytes()).as_ref(),
        Ok(element)
    );
    let proof = &evaluation.proof;
    assert_eq!(Proof::from_bytes(proof.as_bytes()).as_ref(), Ok(proof));
}

#[test]
fn debug_is_redacted() {
    let key = OprfKey::generate(&mut rng(13));
    let batch = BlindedBatch::blind(&csis(2), &mut rng(14)).unwrap();
    let output = key.evaluate(&csis(1)[0]).unwrap();
    assert_eq!(
        format!("{key:?} {batch:?} {output:?} {:?}", batch.elements()[0]),
        "OprfKey(redacted) BlindedBatch(2 redacted) OprfOutput(redacted) BlindedElement(redacted)"
    );
}

proptest! {
    #[test]
    fn random_elements_decode_to_themselves_or_are_refused(encoding in any::<[u8; 32]>()) {
        if let Ok(element) = BlindedElement::from_bytes(&encoding) {
            prop_assert_eq!(element.as_bytes(), &encoding);
        }
    }
}
