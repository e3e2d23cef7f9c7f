//! What follows a pass that failed its check: no answer left, and nothing that
//! is in memory is trusted any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::config::Config;
use crate::data_dir::DataDir;
use crate::http::{self, AppState, StartError};

/// Faults after which the machine itself isn't trusted any more.
const FAULTS_MAX: u32 = 3;

/// Time between two attempts to read a snapshot again.
const RETRY_EVERY: Duration = Duration::from_secs(10);

/// Withdraws a snapshot of which a pass failed its check, says what of it was
/// altered, and serves it again from its file, verified. Meanwhile the server is
/// not ready; after three faults it stays so until it is started anew.
pub async fn watch(data: DataDir, config: Config, state: Arc<AppState>) {
    for fault in 1..=FAULTS_MAX {
        state.fault().await;
        if fault == FAULTS_MAX {
            state.condemn();
            break;
        }
        loop {
            let (data, config, state) = (data.clone(), config.clone(), Arc::clone(&state));
            match spawn_blocking(move || read_again(&data, &config, &state)).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => tracing::error!(%error, "no snapshot is served"),
                Err(_) => tracing::error!("reading the snapshot again panicked"),
            }
            tokio::time::sleep(RETRY_EVERY).await;
        }
    }
    tracing::error!(
        "a pass failed its check for the third time: stop this server and test the machine's memory and processors; it is not ready until it is started again"
    );
}

fn read_again(data: &DataDir, config: &Config, state: &AppState) -> Result<(), StartError> {
    // Withdrawn first, so that there is room for its copy. One before the newest
    // only goes.
    if let Some(faulty) = state.withdraw_faulty_snapshots() {
        match faulty.verify_again() {
            Ok(()) => tracing::error!(
                snapshot = %faulty.id(),
                "a pass failed its check, and the snapshot in memory is intact: a processor, or what the pass wrote, is faulty"
            ),
            Err(fault) => tracing::error!(
                snapshot = %faulty.id(),
                %fault,
                "a pass failed its check: the snapshot was altered in memory"
            ),
        }
    } else if state.snapshot().is_some() {
        tracing::error!("a pass failed its check: the snapshot before is not served any more");
        return Ok(());
    }
    if let Some(snapshot) = http::published(data, config)? {
        let id = snapshot.id();
        match state.replace_snapshot(snapshot) {
            // A newer one came while this one was read.
            Err(StartError::Older { .. }) => {}
            replaced => {
                replaced?;
                tracing::info!(snapshot = %id, "serving the snapshot again, read from its file and verified");
            }
        }
    }
    Ok(())
}
