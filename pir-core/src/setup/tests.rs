use super::*;
use crate::params::Params;

#[test]
fn rows_far_from_uniform_are_refused() {
    let params = Params::new(2048, 2048).unwrap();
    let bytes = vec![0x80; params.database_bytes()];
    let database = DatabaseView::new(&params, &bytes).unwrap();
    let error = preprocess(&database, &CrsSeed::derive(b"test", 0), &|_| ()).unwrap_err();
    assert!(matches!(error, Error::RowNorm { row: _, .. }), "{error}");
}
