//! A loaded snapshot is tried before it is served: queries as clients make them,
//! whose answers must be the buckets in memory.

use pir_core::client::{Client, ColumnIndex};
use pir_core::database::DatabaseView;
use pir_core::hint::Hint;
use pir_core::query::Query;
use protocol::hint::SnapshotHint;
use rand::RngExt as _;

use super::build::crs_seed;
use super::{Fault, Snapshot};

impl Snapshot {
    /// Looks up the first bucket, the last and two others in one pass, which also
    /// brings everything that a pass needs into memory.
    ///
    /// # Errors
    /// [`Fault::Trial`] if a bucket is not what the database has; what a client
    /// would refuse.
    pub fn try_out(&self) -> Result<(), Fault> {
        let params = &self.params;
        let last = params.columns() - 1;
        let rng = &mut rand::rng();
        let columns = [
            0,
            last,
            rng.random_range(0..=last),
            rng.random_range(0..=last),
        ];
        let hint = SnapshotHint::decode(&self.hint)?;
        let hint = Hint::decode(params, &hint.pir_hint)?;
        let client = Client::new(params, &crs_seed(&self.manifest().dp_key));
        let (mut queries, mut pending) = (Vec::new(), Vec::new());
        for column in columns {
            // A bucket's index has 32 bits.
            let (query, waiting) = client.prepare(ColumnIndex::from(column as u32))?.send();
            queries.push(Query::decode(params, query.as_bytes())?);
            pending.push(waiting);
        }
        let answers = self.answer_batch(&queries)?;
        let database = DatabaseView::new(params, self.database())?;
        for ((answer, pending), column) in answers.iter().zip(pending).zip(columns) {
            let answer = pir_core::answer::Answer::decode(params, answer)?;
            if pending.decrypt(&hint, &answer)? != database.column(column)? {
                return Err(Fault::Trial);
            }
        }
        Ok(())
    }
}
