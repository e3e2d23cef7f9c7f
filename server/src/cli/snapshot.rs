//! `sotto-server snapshot`.

use clap::Subcommand;
use protocol::manifest::{SignedManifest, SnapshotId};
use protocol::time::UnixTime;

use super::Outcome;
use crate::data_dir::DataDir;
use crate::memory::Memory;
use crate::progress::Progress;
use crate::snapshot::build::{self, BuildOptions};
use crate::snapshot::inspect::Report;
use crate::snapshot::{Snapshot, current};
use crate::tokens::Tokens;

#[derive(Debug, Subcommand)]
pub(super) enum SnapshotCommand {
    /// Build a snapshot of the store and publish it.
    Build,
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
        SnapshotCommand::Build => build(data)?,
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

fn build(data: &DataDir) -> anyhow::Result<()> {
    let _lock = data.lock()?;
    let config = data.config()?;
    let lifetime_secs = config.snapshot.lifetime_hours * 3600;
    let (keys, now) = (data.oprf_key_dir(&config)?, UnixTime::now());
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
        progress: Progress::detect(),
        memory: Memory::OfSystem,
    };
    let id = build::run(&data.store()?, &data.snapshots(), &options)?;
    if let Some(after) = published()? {
        let before = before.as_ref().map(SignedManifest::unverified);
        keys.settle(ring.clone(), before, after.unverified(), lifetime_secs, now)?;
    }
    Tokens::forget_directories_but(data, &token_keys)?;
    println!("{id}");
    Ok(())
}
