//! The directory's side: placing records and encoding buckets, and importing
//! signed credentials and mappings.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protocol::bucket::{self, BucketLayout, FillerSeed};
use protocol::derivation::Salt;
use protocol::oprf::OprfOutput;
use protocol::placement::{columns_for, place};
use protocol::record::SealedRecord;
use protocol::time::UnixTime;
use server::data_dir::{DataDir, InitOptions};
use server::import::{self, ImportOptions};
use server::progress::Progress;
use server::sample::{self, SampleArgs};
use sha3::{Digest, Sha3_512};

const BUCKET_BYTES: usize = 16 << 10;
const RECORDS: u64 = 20_000;
const IMPORTED: usize = 4096;

/// Sealed records of 128 to 639 bytes under made-up OPRF outputs.
fn records() -> Vec<(OprfOutput, SealedRecord)> {
    (0..RECORDS)
        .map(|index| {
            let output = OprfOutput::from_bytes(Sha3_512::digest(index.to_be_bytes()).into());
            let content = vec![0x5a; 128 + (index * 7919 % 512) as usize];
            let salt = Salt::from_bytes([1; 16]);
            let record = SealedRecord::seal(&output, salt, &content).expect("a short record");
            (output, record)
        })
        .collect()
}

fn bucket_building(criterion: &mut Criterion) {
    let records = records();
    let located: Vec<_> = records
        .iter()
        .map(|(o, r)| (o.locator(), r.entry_len() as u32))
        .collect();
    let bytes: u64 = located.iter().map(|(_, len)| u64::from(*len)).sum();
    let layout = BucketLayout::new(BUCKET_BYTES, 2048).expect("a layout");
    let columns = columns_for(bytes, layout.capacity() as u32) as u32;
    let layout = BucketLayout::new(BUCKET_BYTES, columns).expect("a layout");
    let capacity = layout.capacity() as u32;
    let placement = place(&located, columns, capacity).expect("records that fit");

    let mut group = criterion.benchmark_group("bucket building");
    group.sample_size(10);
    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function("placement", |bencher| {
        bencher.iter(|| place(&located, columns, capacity).expect("records that fit"));
    });
    let mut buckets: Vec<Vec<&SealedRecord>> = vec![Vec::new(); columns as usize];
    for ((_, record), bucket) in records.iter().zip(&placement.buckets) {
        buckets[bucket.as_u32() as usize].push(record);
    }
    for bucket in &mut buckets {
        bucket.sort_by_key(|record| *record.tag());
    }
    let seed = FillerSeed([7; 32]);
    group.throughput(Throughput::Bytes(u64::from(columns) * BUCKET_BYTES as u64));
    group.bench_function("encoding and hashing", |bencher| {
        bencher.iter(|| {
            for (index, records) in (0..).zip(&buckets) {
                let content = encode(&layout, index, &seed, records);
                std::hint::black_box(protocol::merkle::leaf(index, &content));
            }
        });
    });
}

fn encode(
    layout: &BucketLayout,
    index: u32,
    seed: &FillerSeed,
    records: &[&SealedRecord],
) -> Vec<u8> {
    let index = protocol::placement::BucketIndex::new(index);
    bucket::encode(layout, index, seed, records).expect("records that fit")
}

/// A whole import into a fresh store, durable commit included.
fn import(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (file, trust) = (
        directory.path().join("sample"),
        directory.path().join("trust"),
    );
    let now = UnixTime::now();
    sample::run(&SampleArgs {
        count: IMPORTED,
        seed: 1,
        out: file.clone(),
        trust: Some(trust.clone()),
        answers: None,
        answers_count: 0,
        now: Some(now),
    })
    .expect("a sample");
    let trust = std::fs::read_to_string(&trust).expect("the trust list");
    let mut group = criterion.benchmark_group("import");
    group.sample_size(10);
    group.throughput(Throughput::Elements(IMPORTED as u64));
    let mut next = 0;
    group.bench_function("recipients", |bencher| {
        bencher.iter_batched(
            || {
                next += 1;
                let options = InitOptions {
                    trust: Some(trust.clone()),
                    listen: None,
                };
                let root = directory.path().join(format!("dp{next}"));
                let data = DataDir::init(&root, &options).expect("a data directory");
                (
                    data.store().expect("a store"),
                    data.trust().expect("a trust list"),
                )
            },
            |(store, trust)| {
                let mut refused = Vec::new();
                let report = &mut refused;
                let progress = Progress::Logged;
                let options = ImportOptions {
                    trust: &trust,
                    now,
                    progress,
                    report,
                };
                let summary = import::run(&store, &file, options).expect("an import");
                assert_eq!(summary.counts.items, IMPORTED as u64);
                assert!(refused.is_empty());
            },
            criterion::BatchSize::PerIteration,
        );
    });
}

criterion_group!(benches, bucket_building, import);
criterion_main!(benches);
