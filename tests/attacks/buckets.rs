//! A client that fetches every bucket.
//!
//! Bound: plaintexts ≤ evaluations paid for.

use anyhow::Result;
use protocol::bucket::Bucket;
use protocol::csi::Csi;
use protocol::lookup::Lookup;
use protocol::oprf::{BlindedBatch, OprfKey};
use protocol::problem::ProblemType;
use server::ledger::Quota;
use tests::Directory;

use crate::attacker::{Attacker, opened};

/// Queries under way at a time.
const TOGETHER: u32 = 16;

#[tokio::test(flavor = "multi_thread")]
async fn all_buckets_give_no_more_than_was_paid_for() -> Result<()> {
    const RECORDS: usize = 400;
    const PAID: usize = 7;
    const IN_VAIN: usize = 3;
    let mut directory = Directory::build(RECORDS, 51)?;
    let absent = directory.absent(IN_VAIN)?;
    // What the attacker has paid for, and nothing later.
    directory.quotas.sender = Quota {
        burst: (PAID + IN_VAIN) as u32,
        refill_per_hour: 0,
        per_day: (PAID + IN_VAIN) as u32,
    };
    let provider = directory.serve().await?;
    let attacker = Attacker::of(&provider)?;

    let columns = attacker.manifest.pir.columns;
    let mut buckets: Vec<Bucket> = Vec::new();
    for first in (0..columns).step_by(TOGETHER as usize) {
        let together = first..columns.min(first + TOGETHER);
        let asked = together.map(async |index| {
            let column = attacker.column(index).await?;
            attacker.bucket(index, &column)
        });
        for bucket in futures_util::future::join_all(asked).await {
            buckets.push(bucket?);
        }
    }
    let taken: usize = buckets.iter().map(|bucket| bucket.records().len()).sum();
    assert_eq!(taken as u64, attacker.manifest.records);
    assert!(taken > RECORDS / 2, "the whole directory, encrypted");

    // Nothing paid: everything the attacker can compute alone, with every
    // identifier that there is. Its own keys stand for guesses of the provider's.
    let all: Vec<&Csi> = provider.directory.records.iter().map(|r| &r.csi).collect();
    for seed in 0..3 {
        let own = OprfKey::derive(&[seed; 32], b"")?;
        let outputs = all.iter().map(|csi| own.evaluate(*csi));
        let outputs = outputs.collect::<Result<Vec<_>, _>>()?;
        assert_eq!(opened(&buckets, &outputs), 0);
    }

    // Paid for some, and for some that aren't there.
    let mut published = Vec::new();
    for record in &provider.directory.records {
        if provider.directory.expected(record)? != Lookup::NoMapping {
            published.push(&record.csi);
        }
    }
    let paid = attacker.outputs(&published[..PAID]).await?;
    assert_eq!(opened(&buckets, &paid), PAID);
    let absent: Vec<&Csi> = absent.iter().collect();
    let in_vain = attacker.outputs(&absent).await?;
    assert_eq!(opened(&buckets, &in_vain), 0);

    // There is nothing more to be had, for one or for many.
    for elements in [1, 500] {
        let csis: Vec<&Csi> = all.iter().copied().cycle().take(elements).collect();
        let batch = BlindedBatch::blind(csis, &mut rand::rng())?;
        let refused = attacker.evaluate(batch.elements()).await?;
        let refused = refused.expect_err("a quota that is used up");
        assert_eq!(refused.problem.kind, ProblemType::QuotaExceeded);
        assert_eq!(refused.status, 429);
    }
    provider.stop().await
}
