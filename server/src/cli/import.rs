//! `sotto-server import`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use protocol::time::UnixTime;

use super::Outcome;
use crate::data_dir::DataDir;
use crate::durable::FileError;
use crate::import::{self, ImportOptions};
use crate::progress::Progress;

/// Refused items that are shown where no report was asked for.
const SHOWN: usize = 20;

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// JSON Lines or a CBOR sequence (.cbor).
    file: PathBuf,
    /// Where to write what was refused, a line each; else the first few go to
    /// standard error. Added to, so that the parts of an interrupted import stay
    /// together.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

pub(super) fn run(data: &DataDir, args: &ImportArgs) -> anyhow::Result<Outcome> {
    let _lock = data.lock()?;
    let (store, trust) = (data.store()?, data.trust()?);
    let mut report: Box<dyn Write> = match &args.report {
        Some(path) => {
            let file = File::options().create(true).append(true).open(path);
            Box::new(BufWriter::new(file.map_err(FileError::new("open", path))?))
        }
        None => Box::new(FirstLines { left: SHOWN }),
    };
    let options = ImportOptions {
        trust: &trust,
        now: UnixTime::now(),
        progress: Progress::detect(),
        report: &mut report,
    };
    let summary = import::run(&store, &args.file, options)?;
    let counts = summary.counts;
    if summary.resumed_at > 0 {
        println!(
            "went on after item {}, where an earlier run ended",
            summary.resumed_at
        );
    }
    println!(
        "{} items: {} added, {} updated, {} unchanged, {} refused",
        counts.items, counts.added, counts.updated, counts.unchanged, counts.refused
    );
    if counts.refused == 0 {
        return Ok(Outcome::Done);
    }
    match &args.report {
        Some(path) => eprintln!("what was refused and why is in {}", path.display()),
        None if counts.refused > SHOWN as u64 => {
            eprintln!("--report FILE writes down all that was refused")
        }
        None => {}
    }
    Ok(Outcome::Partly)
}

/// Standard error, for a few lines.
struct FirstLines {
    left: usize,
}

impl Write for FirstLines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.left > 0 {
            std::io::stderr().write_all(bytes)?;
            self.left -= bytes
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                .min(self.left);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
