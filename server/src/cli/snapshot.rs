//! `sotto-server snapshot`.

use clap::Subcommand;
use protocol::manifest::SnapshotId;
use protocol::time::UnixTime;

use super::Outcome;
use crate::data_dir::DataDir;
use crate::memory::Memory;
use crate::progress::Progress;
use crate::snapshot::build::{self, BuildOptions};
use crate::snapshot::inspect::Report;
use crate::snapshot::{Snapshot, current};

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
    let options = BuildOptions {
        provider: &data.provider_key()?,
        oprf: &data.oprf_key()?,
        trust: &data.trust()?,
        lifetime_secs: config.snapshot.lifetime_hours * 3600,
        now: UnixTime::now(),
        progress: Progress::detect(),
        memory: Memory::OfSystem,
    };
    let id = build::run(&data.store()?, &data.snapshots(), &options)?;
    println!("{id}");
    Ok(())
}
