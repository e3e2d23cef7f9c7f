//! Queries that select no column, several, or all, and that are no queries.
//!
//! Bound: an answer is one column's worth of sums of ciphertexts; what opens was
//! paid for. What is malformed is refused before it costs a pass.

use anyhow::Result;
use pir_core::query::encoded_bytes;
use protocol::bucket::Bucket;
use protocol::problem::ProblemType;
use protocol::wire::{self, media};
use tests::Directory;

use crate::attacker::{Attacker, opened, select_too};

#[tokio::test(flavor = "multi_thread")]
async fn sums_of_columns_are_sums_of_ciphertexts() -> Result<()> {
    let provider = Directory::build(300, 52)?.serve().await?;
    let attacker = Attacker::of(&provider)?;
    let columns = attacker.manifest.pir.columns;
    let records = &provider.directory.records;
    let paid = attacker.outputs(&[&records[0].csi]).await?;
    let own = attacker.place_of(&paid[0]);
    // Somebody else's bucket, where the attacker has nothing to open.
    let other = provider
        .bucket_of(
            &records
                .iter()
                .find(|r| r.csi != records[0].csi)
                .unwrap()
                .csi,
        )?
        .as_u32();
    let other = if other == own {
        (own + 1) % columns
    } else {
        other
    };
    let known = attacker.column(own).await?;
    let expected = attacker.column(other).await?;

    let (mut query, pending) = attacker.prepare(own)?;
    select_too(&attacker.params, &mut query, other, 1)?;
    let sum = attacker.ask(query, pending).await?;
    let difference: Vec<u8> = sum
        .iter()
        .zip(&known)
        .map(|(sum, known)| sum.wrapping_sub(*known))
        .collect();
    assert_eq!(difference, expected, "one query gave two buckets' sum");
    let buckets = [
        attacker.bucket(own, &known)?,
        attacker.bucket(other, &difference)?,
    ];
    assert_eq!(opened(&buckets, &paid), 1, "what was paid for");

    // Twice a column, and a hundred columns at once, are no bucket at all.
    let (mut query, pending) = attacker.prepare(own)?;
    select_too(&attacker.params, &mut query, own, 1)?;
    let twice = attacker.ask(query, pending).await?;
    assert!(
        twice
            .iter()
            .zip(&known)
            .all(|(twice, once)| *twice == once.wrapping_mul(2))
    );
    let (mut query, pending) = attacker.prepare(own)?;
    for column in (0..columns).filter(|column| *column != own).take(100) {
        select_too(&attacker.params, &mut query, column, 1)?;
    }
    let many = attacker.ask(query, pending).await?;
    for column in [&twice, &many] {
        assert!(attacker.bucket(own, column).is_err());
    }

    // Elements at random: the answer is as long as any, and nobody's bucket.
    let (mut query, pending) = attacker.prepare(own)?;
    for byte in &mut query[16..16 + columns as usize] {
        *byte = rand::random();
    }
    let noise = attacker.ask(query, pending).await?;
    assert_eq!(noise.len(), known.len());
    assert!(attacker.bucket(own, &noise).is_err());
    let nothing: [Bucket; 0] = [];
    assert_eq!(opened(&nothing, &paid), 0);
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_query_is_refused() -> Result<()> {
    let provider = Directory::build(60, 53)?.serve().await?;
    let attacker = Attacker::of(&provider)?;
    let path = wire::query_path(&attacker.manifest.snapshot);
    let (query, _) = attacker.prepare(0)?;
    assert_eq!(query.len(), encoded_bytes(&attacker.params));
    let altered = |at: usize, with: &[u8]| {
        let mut altered = query.clone();
        altered[at..at + with.len()].copy_from_slice(with);
        altered
    };
    let keys = query.len() - 1000;
    for (what, body, kind) in [
        ("nothing", Vec::new(), ProblemType::MalformedRequest),
        ("short", query[1..].to_vec(), ProblemType::MalformedRequest),
        (
            "long",
            [query.as_slice(), &[0]].concat(),
            ProblemType::PayloadTooLarge,
        ),
        (
            "other magic",
            altered(0, b"SPq2"),
            ProblemType::MalformedRequest,
        ),
        (
            "other parameters",
            altered(4, &[0xff; 12]),
            ProblemType::UnprocessableQuery,
        ),
        (
            "residues above the modulus",
            altered(keys, &[0xff; 1000]),
            ProblemType::MalformedRequest,
        ),
    ] {
        let refused = attacker.post(&path, media::QUERY, body).await?;
        let refused = refused.expect_err(what);
        assert_eq!(
            (refused.problem.kind, refused.status),
            (kind, kind.status()),
            "{what}"
        );
    }
    // The server is none the worse.
    let column = attacker.column(0).await?;
    attacker.bucket(0, &column)?;
    provider.stop().await
}
