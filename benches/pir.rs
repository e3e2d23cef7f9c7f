//! The PIR core: scan, packing, set-up stages, query and decryption on 256 MiB
//! of uniform bytes, on the machine's threads.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use memmap2::MmapMut;
use pir_core::Backend;
use pir_core::client::{Client, ColumnIndex};
use pir_core::database::DatabaseView;
use pir_core::packing::{self, PackingView};
use pir_core::params::{Params, plan};
use pir_core::query::Batch;
use pir_core::ring::DEGREE;
use pir_core::scan;
use pir_core::setup::{self, Preprocessed, Setup, Workspace};

use benches::fixture;

fn database() -> (Params, MmapMut) {
    let params = plan::plan(256 << 20, 1).expect("a plan for 256 MiB");
    let bytes = fixture::uniform_bytes(params.database_bytes()).expect("memory");
    (params, bytes)
}

/// Scan and packing at 1, 4 and 8 queries a pass; bytes are those of the
/// matrix times the queries. Every answer is checked before anything is timed.
fn online(criterion: &mut Criterion, view: DatabaseView<'_>, preprocessed: &Preprocessed) {
    let params = view.params();
    let columns: Vec<u32> = (0..8).map(|i| i * 1001).collect();
    fixture::check(view, preprocessed, &columns).expect("right answers");
    let (queries, _) = fixture::queries(params, &columns).expect("queries");
    let matrices = PackingView::new(params, preprocessed.packing.as_slice()).expect("matrices");
    let backend = Backend::detect();
    for (name, bytes) in [
        ("scan", params.database_bytes()),
        ("packing", params.costs().packing_bytes),
    ] {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        for count in [1, 4, 8] {
            let batch = Batch::new(params, &queries[..count]).expect("a batch");
            group.throughput(Throughput::Bytes((bytes * count) as u64));
            group.bench_function(format!("{count} queries a pass"), |bencher| {
                bencher.iter(|| {
                    if name == "scan" {
                        std::hint::black_box(scan::scan(backend, &view, batch));
                    } else {
                        std::hint::black_box(packing::pack(backend, matrices, batch));
                    }
                });
            });
        }
    }
}

/// The stages of set-up for one group of rows.
fn stages(criterion: &mut Criterion, view: DatabaseView<'_>) {
    let params = view.params();
    let setup = Setup::new(view, &fixture::crs_seed());
    let mut workspace = Workspace::new();
    let mut kept = vec![[0; DEGREE]; DEGREE];
    let mut packing = vec![0; params.costs().packing_bytes / params.groups() / 4];
    let mut group = criterion.benchmark_group("set-up of a group");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(
        (params.database_bytes() / params.groups()) as u64,
    ));
    group.bench_function("hint: row masks", |bencher| {
        bencher.iter(|| {
            setup
                .row_masks(0, &mut kept, &mut workspace)
                .expect("uniform rows");
        });
    });
    group.bench_function("aggregation and collapse", |bencher| {
        bencher.iter(|| setup.collapse(&mut workspace, &mut packing));
    });
}

fn client(criterion: &mut Criterion, view: DatabaseView<'_>, preprocessed: &Preprocessed) {
    let params = view.params();
    let client = Client::new(params, &fixture::crs_seed());
    let mut group = criterion.benchmark_group("client");
    group.throughput(Throughput::Elements(1));
    group.bench_function("query", |bencher| {
        bencher.iter(|| client.prepare(ColumnIndex::from(77)).expect("a query"));
    });
    let (queries, pending) = fixture::queries(params, &[77]).expect("a query");
    drop(pending);
    let server = pir_core::server::Server::new(view, preprocessed.packing.as_slice());
    let answer = server
        .and_then(|s| s.answer(&queries))
        .expect("an answer")
        .remove(0);
    group.bench_function("decryption", |bencher| {
        bencher.iter_batched(
            || {
                client
                    .prepare(ColumnIndex::from(77))
                    .expect("a query")
                    .send()
                    .1
            },
            |pending| pending.decrypt(&preprocessed.hint, &answer),
            criterion::BatchSize::SmallInput,
        );
    });
}

fn pir(criterion: &mut Criterion) {
    let (params, bytes) = database();
    let view = DatabaseView::new(&params, &bytes).expect("a database");
    let preprocessed =
        setup::preprocess(&view, &fixture::crs_seed(), &|_| ()).expect("uniform rows");
    online(criterion, view, &preprocessed);
    stages(criterion, view);
    client(criterion, view, &preprocessed);
}

criterion_group!(benches, pir);
criterion_main!(benches);
