//! The OPRF: evaluations of a batch beside the bare multiplications, and what a
//! rotation costs for each record.

use benches::oprf::{Batch, identifiers};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rayon::{ThreadPool, ThreadPoolBuilder};

const BATCH: usize = 1000;

fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("threads")
}

fn evaluation(criterion: &mut Criterion) {
    let batch = Batch::new(BATCH).expect("a batch that verifies");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for threads in [1, cores] {
        let mut group = criterion.benchmark_group(format!("oprf, {threads} threads"));
        group.sample_size(20);
        group.throughput(Throughput::Elements(BATCH as u64));
        let pool = pool(threads);
        group.bench_function("multiplications alone", |bencher| {
            bencher.iter(|| pool.install(|| batch.multiply()));
        });
        group.bench_function("evaluation and proof", |bencher| {
            bencher.iter(|| pool.install(|| batch.evaluate()));
        });
        group.bench_function("request to response", |bencher| {
            bencher.iter(|| pool.install(|| batch.respond()));
        });
        group.finish();
    }
}

fn derivation(criterion: &mut Criterion) {
    let batch = Batch::new(1).expect("a batch that verifies");
    let csis = identifiers(BATCH).expect("identifiers");
    let pool = pool(1);
    let mut group = criterion.benchmark_group("oprf, a rotation");
    group.sample_size(20);
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("records derived anew", |bencher| {
        bencher.iter(|| pool.install(|| batch.derive(&csis)));
    });
    group.finish();
}

criterion_group!(benches, evaluation, derivation);
criterion_main!(benches);
