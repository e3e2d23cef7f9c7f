//! `sotto-server snapshot`.

use std::time::Instant;

use clap::Subcommand;
use protocol::manifest::{BuildId, SignedManifest, SnapshotId};
use protocol::time::UnixTime;

use super::Outcome;
use super::build::have_cosigned;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::memory::Memory;
use crate::progress::Progress;
use crate::snapshot::build::{self, BuildOptions, Clock, Finished};
use crate::snapshot::inspect::Report;
use crate::snapshot::{Snapshot, current};
use crate::storage::{self, PublishError};
use crate::store::Store;
use crate::tokens::Tokens;

#[derive(Debug, Subcommand)]
pub(super) enum SnapshotCommand {
    /// Build a snapshot of the store and publish it.
    Build {
        /// Publish, though the published snapshot is of a later time: this machine's
        /// clock was ahead then, and is right now.
        #[arg(long)]
        clock_was_ahead: bool,
    },
    /// Verify a snapshot and show what it is.
    Inspect {
        /// Its id; else the published one.
        id: Option<SnapshotId>,
        /// One line of JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(data: &DataDir, command: &SnapshotCommand) -> anyhow::Result<Outcome> {
    match command {
        SnapshotCommand::Build { clock_was_ahead } => match clock_was_ahead {
            true => build(data, Clock::WasAhead)?,
            false => build(data, Clock::Trusted)?,
        },
        SnapshotCommand::Inspect { id, json } => {
            let id = id.map_or_else(|| current::read(&data.snapshots()), Ok)?;
            let snapshot = Snapshot::load(
                &data.snapshots(),
                id,
                &data.provider_public_key()?,
                Memory::OfSystem,
                Progress::detect(),
            )?;
            let report = Report::of(&snapshot, UnixTime::now());
            if *json {
                println!("{}", report.to_json()?);
            } else {
                print!("{}", report.to_table());
            }
        }
    }
    Ok(Outcome::Done)
}

fn build(data: &DataDir, clock: Clock) -> anyhow::Result<()> {
    let (config, store) = (data.config()?, data.store()?);
    let begun = Instant::now();
    let built = publish(data, &config, &store, clock, Progress::detect())?;
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!("{:<24} {seconds:>8.2} s  {built}", "all");
    println!("{}", built.snapshot);
    have_cosigned(data, &config);
    Ok(())
}

/// Builds and publishes, also in the storage if there is one.
///
/// # Errors
/// What keeps it from being published.
pub(super) fn publish(
    data: &DataDir,
    config: &Config,
    store: &dyn Store,
    clock: Clock,
    progress: Progress,
) -> anyhow::Result<Finished> {
    let _lock = data.lock()?;
    let lifetime_secs = config.snapshot.lifetime_hours * 3600;
    let (keys, now) = (data.oprf_key_dir(config)?, UnixTime::now());
    let (ring, provider) = (keys.load()?, data.provider_key()?);
    let published = || build::published_manifest(&data.snapshots(), &provider.verifying_key());
    let before = published()?;
    let token_keys = Tokens::prepare(data, now, lifetime_secs)?;
    let options = BuildOptions {
        provider: &provider,
        oprf: ring.newest(),
        trust: &data.trust()?,
        filter: config.snapshot.filter_policy(),
        token_keys: Some(token_keys),
        lifetime_secs,
        now,
        clock,
        build_id: BuildId(rand::random()),
        progress,
        memory: Memory::OfSystem,
    };
    let storage = data.storage(config)?;
    let published_there = storage::publish(storage.as_deref(), store, &data.snapshots(), &options);
    let built = published_there.map_err(|error| match error {
        PublishError::Build(error) => anyhow::Error::from(error),
        other => other.into(),
    })?;
    if let Some(after) = published()? {
        let before = before.as_ref().map(SignedManifest::unverified);
        keys.settle(ring.clone(), before, after.unverified(), lifetime_secs, now)?;
    }
    Tokens::forget_directories_but(data, &token_keys)?;
    Ok(built)
}
