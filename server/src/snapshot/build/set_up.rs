//! The PIR's set-up of a new database, tried before it is published.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use pir_core::client::{Client, ColumnIndex};
use pir_core::crs::CrsSeed;
use pir_core::database::DatabaseView;
use pir_core::query::Query;
use pir_core::server::Server;
use pir_core::setup::{self, Preprocessed};
use protocol::manifest::Manifest;
use rand::RngExt as _;

use super::{BuildError, BuildOptions, crs_seed, earlier};

/// The PIR's set-up of a database: from that of the earlier snapshot and the
/// number of digits that changed, if little did, else in full.
pub(super) fn set_up(
    database: &DatabaseView<'_>,
    earlier: Option<(&Path, &Manifest)>,
    options: &BuildOptions<'_>,
) -> Result<(Preprocessed, Option<u64>), BuildError> {
    let groups = database.params().groups();
    let seed = crs_seed(&options.provider.verifying_key());
    let earlier = earlier.and_then(|(directory, manifest)| {
        let stage = options.progress.stage("compare", 0);
        let (found, text) = match earlier::read(directory, manifest, database) {
            Ok(Some(found)) => {
                let text = format!("{} bytes changed", found.1.digits());
                (Some(found), text)
            }
            Ok(None) => (None, "too different: set up in full".to_owned()),
            Err(error) => (None, format!("{error}: set up in full")),
        };
        stage.finish(&text);
        found
    });
    let stage = options.progress.stage("PIR set-up", groups as u64);
    let done = AtomicU64::new(0);
    let on_group = |groups| {
        let before = done.swap(groups as u64, Ordering::Relaxed);
        stage.advance((groups as u64).saturating_sub(before));
    };
    if let Some((earlier, changes)) = earlier {
        let updated = setup::update(earlier, &changes, database, &seed, &on_group)?;
        if answers_rightly(database, &updated, &seed)? {
            stage.finish(&format!("{groups} groups of 2048 rows"));
            return Ok((updated, Some(changes.digits() as u64)));
        }
        // Something kept was wrong, though its digest was right.
        tracing::error!("the set-up from the earlier snapshot's answers wrongly: set up in full");
        done.store(0, Ordering::Relaxed);
    }
    let full = setup::preprocess(database, &seed, &on_group)?;
    if !answers_rightly(database, &full, &seed)? {
        return Err(BuildError::SelfCheck);
    }
    stage.finish(&format!("{groups} groups of 2048 rows"));
    Ok((full, None))
}

/// Whether a bucket, looked up as a client would, is the one in the database:
/// that takes all rows and all of the hint and of the packing matrices.
fn answers_rightly(
    database: &DatabaseView<'_>,
    preprocessed: &Preprocessed,
    seed: &CrsSeed,
) -> Result<bool, pir_core::Error> {
    let params = database.params();
    let column = rand::rng().random_range(0..params.columns());
    let client = Client::new(params, seed);
    let (query, pending) = client.prepare(ColumnIndex::from(column as u32))?.send();
    let query = Query::decode(params, query.as_bytes())?;
    let server = Server::new(*database, preprocessed.packing.as_slice())?;
    let answer = server.answer(&[query])?.remove(0);
    Ok(pending.decrypt(&preprocessed.hint, &answer)? == database.column(column)?)
}
