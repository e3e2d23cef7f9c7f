//! `sotto-server build`.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use protocol::time::UnixTime;
use tokio::runtime::Runtime;

use super::{Outcome, logging, snapshot};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::progress::Progress;
use crate::snapshot::build::{BuildError, Clock, Finished, published_manifest};
use crate::store::Store;
use crate::witness::{Failed, Pusher, keep_cosigned};

/// How often it is looked whether a build is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Patience after a build that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// Build once, if it is due, have it cosigned, and end.
    #[arg(long)]
    once: bool,
}

pub(super) fn run(data: &DataDir, args: &BuildArgs) -> anyhow::Result<Outcome> {
    let config = data.config()?;
    let store = data.store()?;
    if args.once {
        if let Some(built) = if_due(data, &config, &store, true)? {
            println!("{}", built.snapshot);
        }
        have_cosigned(data, &config);
        return Ok(Outcome::Done);
    }
    logging::start(&config.log);
    let every = config
        .snapshot
        .interval()
        .ok_or_else(|| anyhow::anyhow!("snapshot.interval_secs is 0: set it, or use --once"))?;
    tracing::info!(seconds = every.as_secs(), "building snapshots");
    let pusher = Pusher::new(data.clone(), data.storage(&config)?)?;
    let runtime = runtime()?;
    std::thread::Builder::new()
        .name("witnesses".to_owned())
        .spawn(move || runtime.block_on(keep_cosigned(pusher)))
        .context("cannot start a thread")?;
    let mut next = Instant::now();
    loop {
        let waited = Instant::now() >= next;
        let begun = Instant::now();
        match if_due(data, &config, &store, waited) {
            Ok(Some(built)) => {
                built.log();
                next = begun + every;
            }
            Ok(None) if waited => next = begun + every,
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, "no new snapshot");
                std::thread::sleep(AFTER_FAILURE);
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Asks the witnesses that have not signed what is published, and says which of
/// them still have not.
pub(super) fn have_cosigned(data: &DataDir, config: &Config) {
    let push = || -> anyhow::Result<Vec<Failed>> {
        let mut pusher = Pusher::new(data.clone(), data.storage(config)?)?;
        Ok(runtime()?.block_on(pusher.push())?)
    };
    match push() {
        Ok(failed) => {
            for Failed { witness, error } in failed {
                eprintln!("published, but not cosigned by {witness}: {error}");
            }
        }
        Err(error) => eprintln!("published, but not cosigned: {error}"),
    }
}

/// What witnesses are asked on.
fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")
}

/// Builds if anything has changed, or the published snapshot is in the second half
/// of its life; before the interval is over, if enough has changed.
fn if_due(
    data: &DataDir,
    config: &Config,
    store: &dyn Store,
    waited: bool,
) -> anyhow::Result<Option<Finished>> {
    let entries = store.view()?.audit_head()?.entries;
    let before = published_manifest(&data.snapshots(), &data.provider_public_key()?)?;
    let due = before.is_none_or(|before| {
        let manifest = before.unverified();
        let lifetime = manifest.expires_at.secs_since(manifest.published_at);
        let aged = UnixTime::now().secs_since(manifest.published_at) >= lifetime / 2;
        let changes = entries.saturating_sub(manifest.audit.entries);
        let enough = config.snapshot.after_changes;
        waited && (aged || changes > 0) || enough > 0 && changes >= enough
    });
    if !due {
        // What was published here alone goes to the storage all the same.
        if let Some(storage) = data.storage(config)?.filter(|_| waited) {
            let _lock = data.lock()?;
            storage.synchronise(&data.snapshots(), &data.provider_public_key()?)?;
        }
        return Ok(None);
    }
    match snapshot::publish(data, config, store, Clock::Trusted, Progress::Logged) {
        Ok(built) => Ok(Some(built)),
        Err(error) => match error.downcast_ref() {
            Some(BuildError::Empty) => Ok(None),
            _ => Err(error),
        },
    }
}
