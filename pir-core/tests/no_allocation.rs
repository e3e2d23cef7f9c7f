//! A pass allocates nothing once its workspace is warm.

use std::alloc::System;

use pir_core::client::{Client, ColumnIndex};
use pir_core::crs::CrsSeed;
use pir_core::database::DatabaseView;
use pir_core::params::Params;
use pir_core::query::{MAX_BATCH, Query};
use pir_core::server::{Server, Workspace};
use pir_core::{Backend, setup};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The only test of its binary: the allocator counts all threads.
#[test]
fn a_warm_pass_allocates_nothing_on_any_backend() {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(2)
        .build()
        .unwrap();
    pool.install(|| {
        let params = Params::new(2 * 2048, 2 * 2048).unwrap();
        let bytes: Vec<u8> = (0..params.database_bytes())
            .map(|i| (i.wrapping_mul(0x9e37_79b9) >> 13) as u8)
            .collect();
        let database = DatabaseView::new(&params, &bytes).unwrap();
        let seed = CrsSeed::derive(b"no allocation", 0);
        let preprocessed = setup::preprocess(&database, &seed, &|_| ()).unwrap();
        let client = Client::new(&params, &seed);
        let queries: Vec<Query> = (0..MAX_BATCH as u32)
            .map(|column| {
                let (query, _) = client.prepare(ColumnIndex::from(column)).unwrap().send();
                Query::decode(&params, query.as_bytes()).unwrap()
            })
            .collect();
        for backend in Backend::available() {
            let packing = preprocessed.packing.as_slice();
            let server = Server::with_backend(database, packing, backend).unwrap();
            let mut workspace = Workspace::default();
            let cold = Region::new(ALLOCATOR);
            server.answer_with(&mut workspace, &queries).unwrap();
            assert!(cold.change().allocations > 0, "the allocator counts");
            let warm = Region::new(ALLOCATOR);
            for count in [1, 3, MAX_BATCH, 2] {
                let answers = server.answer_with(&mut workspace, &queries[..count]);
                assert_eq!(answers.unwrap().len(), count);
            }
            let change = warm.change();
            assert_eq!(
                (change.allocations, change.reallocations),
                (0, 0),
                "{backend}: {change:?}"
            );
        }
    });
}
