//! Elements that probe the OPRF key.
//!
//! Bound: only canonical elements other than the identity are evaluated, up to
//! 1024 a request, each at the price of one; the others cost the server no scalar
//! multiplication. What static probing gains of the key is stated in
//! docs/security.md for the quotas there.

use anyhow::Result;
use protocol::oprf::{BATCH_MAX, BlindedBatch, BlindedElement, OprfError};
use protocol::problem::ProblemType;
use protocol::wire::{self, OprfRequest, media};
use server::ledger::Quota;
use tests::Directory;

use crate::attacker::Attacker;

/// RFC 9496 §A.3: encodings that are no element, and the identity.
const BAD: [&str; 8] = [
    // The identity.
    "0000000000000000000000000000000000000000000000000000000000000000",
    // Non-canonical field elements.
    "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    // Negative field elements.
    "0100000000000000000000000000000000000000000000000000000000000000",
    "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    // Non-square x^2.
    "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
    // s = -1, which gives y = 0.
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_element_is_not_evaluated() -> Result<()> {
    let mut directory = Directory::build(40, 54)?;
    let csis = directory.absent(BATCH_MAX)?;
    let provider = directory.serve().await?;
    let attacker = Attacker::of(&provider)?;
    let batch = BlindedBatch::blind(&csis, &mut rand::rng())?;
    let good = batch.elements();

    // A request with a good element whose bytes are then replaced.
    let request = OprfRequest {
        epoch: attacker.manifest.oprf_epoch,
        elements: good[..2].to_vec(),
    };
    let request = request.encode();
    let at = position(&request, good[1].as_bytes());
    for bad in BAD {
        let bad: [u8; 32] = hex::decode(bad)?.try_into().expect("32 bytes");
        assert_eq!(
            BlindedElement::from_bytes(&bad),
            Err(OprfError::InvalidElement)
        );
        let mut body = request.clone();
        body[at..at + 32].copy_from_slice(&bad);
        refused(&attacker, body, ProblemType::MalformedRequest).await?;
    }

    // None, too many, and more than a body may have.
    let with = |elements: &[BlindedElement]| OprfRequest {
        epoch: attacker.manifest.oprf_epoch,
        elements: elements.to_vec(),
    };
    let many = [good, &good[..1]].concat();
    refused(&attacker, with(&[]).encode(), ProblemType::MalformedRequest).await?;
    let body = with(&many).encode();
    let kind = match body.len() > OprfRequest::BYTES_MAX {
        true => ProblemType::PayloadTooLarge,
        false => ProblemType::MalformedRequest,
    };
    refused(&attacker, body, kind).await?;
    let mut future = with(&good[..1]);
    future.epoch += 1;
    refused(&attacker, future.encode(), ProblemType::OprfEpochUnknown).await?;

    // As many as may be are evaluated, under the published key.
    let response = attacker.evaluate(good).await?.expect("a whole batch");
    assert_eq!(response.evaluation.elements.len(), BATCH_MAX);
    batch.finalize(&response.evaluation, &attacker.manifest.oprf_key)?;
    provider.stop().await
}

async fn refused(attacker: &Attacker, body: Vec<u8>, kind: ProblemType) -> Result<()> {
    let refused = attacker.post(wire::OPRF_PATH, media::CBOR, body).await?;
    let refused = refused.expect_err("nothing to evaluate");
    assert_eq!(
        (refused.problem.kind, refused.status),
        (kind, kind.status())
    );
    Ok(())
}

fn position(haystack: &[u8], needle: &[u8]) -> usize {
    let mut windows = haystack.windows(needle.len());
    windows
        .position(|window| window == needle)
        .expect("an element")
}

/// x, kx, k²x, …: what static Diffie–Hellman attacks on the key are made of. Each
/// step is an evaluation like any other, so the quota bounds their number.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_evaluations_is_paid_for_step_by_step() -> Result<()> {
    const STEPS: u32 = 9;
    let mut directory = Directory::build(30, 57)?;
    let csis = directory.absent(1)?;
    directory.quotas.sender = Quota {
        burst: STEPS,
        refill_per_hour: 0,
        per_day: STEPS,
    };
    let provider = directory.serve().await?;
    let attacker = Attacker::of(&provider)?;
    let batch = BlindedBatch::blind(&csis, &mut rand::rng())?;
    let mut element = batch.elements()[0].clone();
    let mut seen = vec![element.clone()];
    for _ in 0..STEPS {
        let response = attacker.evaluate(&[element]).await?.expect("a step paid");
        element = BlindedElement::from_bytes(response.evaluation.elements[0].as_bytes())?;
        assert!(!seen.contains(&element), "no short cycle");
        seen.push(element.clone());
    }
    let refused = attacker.evaluate(&[element]).await?;
    let refused = refused.expect_err("a quota that is used up");
    assert_eq!(refused.problem.kind, ProblemType::QuotaExceeded);
    provider.stop().await
}
