use super::*;
use crate::client::{Client, ColumnIndex};
use crate::crs::CrsSeed;
use crate::hint::Hint;
use crate::query::MAX_BATCH;
use crate::sample::SecretRng;
use crate::setup::{self, Preprocessed};

struct Fixture {
    params: Params,
    bytes: Vec<u8>,
    seed: CrsSeed,
    preprocessed: Preprocessed,
}

impl Fixture {
    fn new(columns: usize, rows: usize) -> Self {
        let params = Params::new(columns, rows).unwrap();
        let mut rng = SecretRng::from_seed([3; 32]);
        let bytes: Vec<u8> = (0..params.database_bytes() / 8)
            .flat_map(|_| rng.next_u64().to_le_bytes())
            .collect();
        let seed = CrsSeed::derive(b"server tests", 1);
        let database = DatabaseView::new(&params, &bytes).unwrap();
        let preprocessed = setup::preprocess(&database, &seed, &|_| ()).unwrap();
        Self {
            params,
            bytes,
            seed,
            preprocessed,
        }
    }

    fn server(&self, backend: Backend) -> Server<'_> {
        let database = DatabaseView::new(&self.params, &self.bytes).unwrap();
        Server::with_backend(database, self.preprocessed.packing.as_slice(), backend).unwrap()
    }

    fn column(&self, column: usize) -> Vec<u8> {
        let database = DatabaseView::new(&self.params, &self.bytes).unwrap();
        database.column(column).unwrap()
    }

    /// Looks the columns up in one pass, everything over the wire forms.
    fn check(&self, backend: Backend, columns: &[u32]) {
        let client = Client::new(&self.params, &self.seed);
        let mut rng = SecretRng::from_os().unwrap();
        let (queries, pending): (Vec<_>, Vec<_>) = columns
            .iter()
            .map(|&c| {
                client
                    .prepare_with(ColumnIndex::from(c), &mut rng)
                    .unwrap()
                    .send()
            })
            .map(|(bytes, pending)| {
                (
                    Query::decode(&self.params, bytes.as_bytes()).unwrap(),
                    pending,
                )
            })
            .unzip();
        let answers = self.server(backend).answer(&queries).unwrap();
        let hint = self.preprocessed.hint.encode();
        let hint = Hint::decode(&self.params, &hint).unwrap();
        for ((pending, answer), &column) in pending.into_iter().zip(answers).zip(columns) {
            let answer = Answer::decode(&self.params, &answer.encode()).unwrap();
            let found = pending.decrypt(&hint, &answer).unwrap();
            assert!(found == self.column(column as usize), "column {column}");
        }
    }
}

#[test]
fn every_kind_of_column_is_found_on_every_backend() {
    let fixture = Fixture::new(3 * 2048, 2 * 2048);
    for backend in Backend::available() {
        fixture.check(backend, &[0, 1, 2047, 2048, 3333, 3 * 2048 - 1]);
        fixture.check(backend, &[5]);
    }
}

#[test]
fn one_pass_takes_as_many_queries_as_it_says() {
    let fixture = Fixture::new(2048, 2048);
    let columns: Vec<u32> = (0..MAX_BATCH as u32).map(|i| i * 127).collect();
    fixture.check(Backend::detect(), &columns);
    let server = fixture.server(Backend::detect());
    assert!(matches!(
        server.answer(&[]),
        Err(Error::BatchSize { found: 0, .. })
    ));
    let client = Client::new(&fixture.params, &fixture.seed);
    let mut rng = SecretRng::from_seed([0; 32]);
    let (bytes, _) = client
        .prepare_with(ColumnIndex::from(0), &mut rng)
        .unwrap()
        .send();
    let query = Query::decode(&fixture.params, bytes.as_bytes()).unwrap();
    let many = vec![query; MAX_BATCH + 1];
    assert!(matches!(server.answer(&many), Err(Error::BatchSize { .. })));
}

/// What an earlier pass left, larger, of another shape or on another backend,
/// doesn't show in a later one.
#[test]
fn a_used_workspace_gives_the_answers_of_a_fresh_one() {
    let fixtures = [Fixture::new(2 * 2048, 2 * 2048), Fixture::new(2048, 2048)];
    let mut workspace = Workspace::default();
    for backend in Backend::available().chain(Backend::available()) {
        for (fixture, counts) in fixtures.iter().zip([[5, 1], [16, 2]]) {
            let client = Client::new(&fixture.params, &fixture.seed);
            for count in counts {
                let queries: Vec<Query> = (0..count)
                    .map(|column| {
                        let query = client.prepare(ColumnIndex::from(column * 100)).unwrap();
                        Query::decode(&fixture.params, query.send().0.as_bytes()).unwrap()
                    })
                    .collect();
                let server = fixture.server(backend);
                let fresh = server.answer(&queries).unwrap();
                let used = server.answer_with(&mut workspace, &queries).unwrap();
                assert!(fresh == used, "{backend}, {count} queries");
            }
        }
    }
}

#[test]
fn a_query_of_another_shape_is_refused() {
    let fixture = Fixture::new(2048, 2048);
    let other = Params::new(4096, 2048).unwrap();
    let client = Client::new(&other, &fixture.seed);
    let mut rng = SecretRng::from_seed([0; 32]);
    let (bytes, _) = client
        .prepare_with(ColumnIndex::from(0), &mut rng)
        .unwrap()
        .send();
    let query = Query::decode(&other, bytes.as_bytes()).unwrap();
    assert!(matches!(
        fixture.server(Backend::detect()).answer(&[query]),
        Err(Error::ParameterMismatch { what: "query" })
    ));
}
