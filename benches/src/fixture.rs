//! A database of uniform bytes with everything set up, and its clients.

use anyhow::{Context, Result, ensure};
use memmap2::MmapMut;
use pir_core::client::{Client, ColumnIndex, PendingAnswer};
use pir_core::crs::CrsSeed;
use pir_core::database::DatabaseView;
use pir_core::params::Params;
use pir_core::query::Query;
use pir_core::setup::{PackingMatrices, Preprocessed};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Bytes that are filled at a time.
const CHUNK: usize = 1 << 20;

/// `length` uniform bytes, the same on every run, filled on the current rayon
/// pool, in huge pages where the system has them: with small ones a scan
/// measures the page tables too.
///
/// # Errors
///
/// If there is not so much memory.
pub fn uniform_bytes(length: usize) -> Result<MmapMut> {
    let mut bytes = huge_pages(length)?;
    let chunks = bytes.par_chunks_mut(CHUNK).enumerate();
    chunks.for_each(|(index, chunk)| fill(index, chunk));
    Ok(bytes)
}

/// The same bytes again in pieces, for those who changed them.
pub fn pieces(length: usize) -> impl Iterator<Item = Result<Vec<u8>, anyhow::Error>> {
    (0..length)
        .step_by(CHUNK)
        .enumerate()
        .map(move |(index, start)| {
            let mut piece = vec![0; CHUNK.min(length - start)];
            fill(index, &mut piece);
            Ok(piece)
        })
}

fn fill(index: usize, chunk: &mut [u8]) {
    ChaCha8Rng::seed_from_u64(index as u64).fill_bytes(chunk);
}

/// A copy of packing matrices in huge pages.
///
/// # Errors
///
/// If there is not so much memory.
pub fn in_huge_pages(matrices: &PackingMatrices) -> Result<MmapMut> {
    let content: &[u8] = bytemuck::cast_slice(matrices.as_slice());
    let mut bytes = huge_pages(content.len())?;
    bytes.copy_from_slice(content);
    Ok(bytes)
}

fn huge_pages(length: usize) -> Result<MmapMut> {
    let bytes =
        MmapMut::map_anon(length).with_context(|| format!("can't get {length} bytes of memory"))?;
    #[cfg(target_os = "linux")]
    if let Err(error) = bytes.advise(memmap2::Advice::HugePage) {
        eprintln!("no huge pages, speeds will be lower: {error}");
    }
    Ok(bytes)
}

/// The CRS seed of the benchmarks.
#[must_use]
pub fn crs_seed() -> CrsSeed {
    CrsSeed::derive(b"benches", 0)
}

/// Queries for the given columns, as the server decodes them.
///
/// # Errors
///
/// Those of `pir_core`.
pub fn queries(params: &Params, columns: &[u32]) -> Result<(Vec<Query>, Vec<PendingAnswer>)> {
    let client = Client::new(params, &crs_seed());
    let mut queries = Vec::new();
    let mut pending = Vec::new();
    for &column in columns {
        let (bytes, waiting) = client.prepare(ColumnIndex::from(column))?.send();
        queries.push(Query::decode(params, bytes.as_bytes())?);
        pending.push(waiting);
    }
    Ok((queries, pending))
}

/// Looks `columns` up in one pass and compares every byte.
///
/// # Errors
///
/// Those of `pir_core`, and a wrong answer.
pub fn check(
    database: DatabaseView<'_>,
    preprocessed: &Preprocessed,
    columns: &[u32],
) -> Result<()> {
    let params = database.params();
    let (queries, pending) = queries(params, columns)?;
    let server = pir_core::server::Server::new(database, preprocessed.packing.as_slice())?;
    let answers = server.answer(&queries)?;
    for ((pending, answer), &column) in pending.into_iter().zip(&answers).zip(columns) {
        let found = pending.decrypt(&preprocessed.hint, answer)?;
        let expected = database.column(column as usize)?;
        ensure!(found == expected, "wrong answer for column {column}");
    }
    Ok(())
}
