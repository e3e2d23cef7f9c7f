use super::*;
use crate::Backend;
use crate::client::{Client, ColumnIndex};
use crate::crs::CrsSeed;
use crate::params::Params;
use crate::query::Query;
use crate::server::Server;
use crate::setup::{self, Preprocessed};

const COLUMNS: usize = 2 * DEGREE;
const ROWS: usize = 2 * DEGREE;

struct Fixture {
    params: Params,
    bytes: Vec<u8>,
    preprocessed: Preprocessed,
    queries: Vec<Query>,
    rng: SecretRng,
}

impl Fixture {
    fn new() -> Self {
        let params = Params::new(COLUMNS, ROWS).unwrap();
        let mut rng = SecretRng::from_seed([5; 32]);
        let bytes: Vec<u8> = (0..params.database_bytes() / 8)
            .flat_map(|_| rng.next_u64().to_le_bytes())
            .collect();
        let seed = CrsSeed::derive(b"check tests", 0);
        let database = DatabaseView::new(&params, &bytes).unwrap();
        let preprocessed = setup::preprocess(&database, &seed, &|_| ()).unwrap();
        let client = Client::new(&params, &seed);
        let queries = (0..3)
            .map(|column| {
                let (query, _) = client.prepare(ColumnIndex::from(column)).unwrap().send();
                Query::decode(&params, query.as_bytes()).unwrap()
            })
            .collect();
        Self {
            params,
            bytes,
            preprocessed,
            queries,
            rng,
        }
    }

    fn check(&self) -> Check {
        let database = DatabaseView::new(&self.params, &self.bytes).unwrap();
        Check::new(&database, self.preprocessed.packing.as_slice()).unwrap()
    }

    /// A pass over these matrices, checked by what others said before.
    fn pass(&self, check: &Check, bytes: &[u8], packing: &[u32]) -> Result<(), Error> {
        let database = DatabaseView::new(&self.params, bytes).unwrap();
        for backend in Backend::available() {
            let server = Server::with_backend(database, packing, backend).unwrap();
            server.checked(check).answer(&self.queries)?;
        }
        Ok(())
    }
}

#[test]
fn right_passes_hold_on_every_backend() {
    let fixture = Fixture::new();
    for _ in 0..3 {
        let check = fixture.check();
        let packing = fixture.preprocessed.packing.as_slice();
        fixture.pass(&check, &fixture.bytes, packing).unwrap();
    }
}

#[test]
fn every_flipped_bit_of_the_database_is_found() {
    let mut fixture = Fixture::new();
    let check = fixture.check();
    let mut bytes = fixture.bytes.clone();
    let packing = fixture.preprocessed.packing.as_slice();
    for _ in 0..60 {
        let at = fixture.rng.below(bytes.len() as u32) as usize;
        let bit = 1 << fixture.rng.below(8);
        bytes[at] ^= bit;
        let found = fixture.pass(&check, &bytes, packing);
        assert!(
            matches!(found, Err(Error::Fault { what: "scan" })),
            "byte {at}, bit {bit}: {found:?}"
        );
        bytes[at] ^= bit;
    }
}

#[test]
fn overwritten_lines_pages_and_blocks_are_found() {
    let fixture = Fixture::new();
    let check = fixture.check();
    let packing = fixture.preprocessed.packing.as_slice();
    for length in [2, 64, 4096, 1 << 16, fixture.bytes.len()] {
        for fill in [0u8, 0xff, 0x80] {
            let mut bytes = fixture.bytes.clone();
            let from = (bytes.len() - length) / 2;
            bytes[from..from + length].fill(fill);
            let found = fixture.pass(&check, &bytes, packing);
            assert!(
                matches!(found, Err(Error::Fault { what: "scan" })),
                "{length} bytes of {fill}: {found:?}"
            );
        }
    }
}

#[test]
fn flipped_bits_of_the_packing_matrices_are_found() {
    let mut fixture = Fixture::new();
    let check = fixture.check();
    let original = fixture.preprocessed.packing.as_slice().to_vec();
    let mut packing = original.clone();
    for _ in 0..30 {
        let at = fixture.rng.below(packing.len() as u32) as usize;
        let bit = 1 << fixture.rng.below(23);
        packing[at] ^= bit;
        let found = fixture.pass(&check, &fixture.bytes, &packing);
        assert!(
            matches!(found, Err(Error::Fault { what: "packing" })),
            "element {at}, bit {bit}: {found:?}"
        );
        packing[at] = original[at];
    }
}

#[test]
fn every_altered_product_is_found() {
    let fixture = Fixture::new();
    let check = fixture.check();
    let database = DatabaseView::new(&fixture.params, &fixture.bytes).unwrap();
    let batch = Batch::new(&fixture.params, &fixture.queries).unwrap();
    let bits = fixture.params.widths().query;
    let mut products = crate::scan::scan(Backend::detect(), &database, batch);
    check.scan(batch, &products).unwrap();
    for at in (0..products.len()).step_by(97) {
        // The highest bit as well: an even weight would not see it.
        for bit in [0, bits / 2, bits - 1] {
            products[at] ^= 1 << bit;
            assert!(check.scan(batch, &products).is_err(), "{at}, bit {bit}");
            products[at] ^= 1 << bit;
        }
    }
}

#[test]
fn two_products_exchanged_are_found() {
    let fixture = Fixture::new();
    let check = fixture.check();
    let database = DatabaseView::new(&fixture.params, &fixture.bytes).unwrap();
    let batch = Batch::new(&fixture.params, &fixture.queries).unwrap();
    let mut products = crate::scan::scan(Backend::detect(), &database, batch);
    for at in (0..products.len() - 4).step_by(101) {
        products.swap(at, at + 3);
        assert!(check.scan(batch, &products).is_err(), "{at}");
        products.swap(at, at + 3);
    }
}
