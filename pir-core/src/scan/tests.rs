use super::*;
use crate::params::Params;
use crate::query::{MAX_BATCH, SwitchingKey};
use crate::ring::DEGREE;
use crate::ring::poly::Poly;
use crate::sample::SecretRng;

/// A query with the given elements and empty keys.
fn query(params: Params, elements: Vec<u32>) -> Query {
    let key = SwitchingKey {
        pack: Poly::from_values(Box::new([0; DEGREE])),
        special: Poly::from_values(Box::new([0; DEGREE])),
    };
    Query {
        params,
        elements,
        rotation: key.clone(),
        conjugation: key,
    }
}

fn expected(row: &[u8], elements: &[u32], bits: u32) -> u32 {
    let sum: i64 = row
        .iter()
        .zip(elements)
        .map(|(&digit, &element)| i64::from(digit as i8) * i64::from(element))
        .sum();
    sum.rem_euclid(1 << bits) as u32
}

/// Databases of 2048 rows, k-bit elements.
fn check(columns: usize, bits: u32, batch: usize, fill: Option<(u8, u32)>) {
    let mut widths = Params::new(columns, 2048).unwrap().widths();
    widths.query = bits;
    let params = Params::with_widths(columns, 2048, widths).unwrap();
    let mut rng = SecretRng::from_seed([batch as u8; 32]);
    let bytes: Vec<u8> = (0..params.database_bytes())
        .map(|_| fill.map_or_else(|| rng.below(256) as u8, |(digit, _)| digit))
        .collect();
    let database = DatabaseView::new(&params, &bytes).unwrap();
    let queries: Vec<Query> = (0..batch)
        .map(|_| {
            let element =
                |_| fill.map_or_else(|| rng.below(1 << bits), |(_, e)| e & ((1 << bits) - 1));
            query(params, (0..columns).map(element).collect())
        })
        .collect();
    let pass = Batch::new(&params, &queries).unwrap();
    let portable = scan(Backend::Portable, &database, pass);
    let blocks = columns / DEGREE;
    for row in [0, 1, 1023, 1024, 2046, 2047] {
        let digits: Vec<u8> = (0..blocks)
            .flat_map(|block| database.block_rows(block, row, 1))
            .copied()
            .collect();
        for (index, query) in queries.iter().enumerate() {
            assert_eq!(
                portable[row * batch + index],
                expected(&digits, &query.elements, bits),
                "row {row}, query {index}"
            );
        }
    }
    for backend in Backend::available() {
        assert!(portable == scan(backend, &database, pass), "{backend}");
    }
}

#[test]
fn kernels_equal_the_definition_on_all_batch_sizes() {
    for batch in 1..=MAX_BATCH {
        check(2048, 24 + batch as u32 % 7, batch, None);
    }
}

#[test]
fn kernels_equal_the_definition_on_all_widths_and_several_blocks() {
    for bits in 24..=30 {
        check(3 * 2048, bits, 1, None);
        check(2 * 2048, bits, 4, None);
    }
}

#[test]
fn kernels_are_exact_on_extreme_values() {
    for fill in [
        (0x80, u32::MAX),
        (0x7f, u32::MAX),
        (0xff, 1),
        (0x7f, 0x3fff_8000),
    ] {
        check(2 * 2048, 24, 2, Some(fill));
        check(2 * 2048, 30, 3, Some(fill));
    }
}
