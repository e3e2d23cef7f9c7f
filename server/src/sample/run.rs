//! The `sample` command.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::time::UnixTime;
use rayon::prelude::*;
use serde::Serialize;

use super::{Answers, BATCH, Sample, SampleRecord};
use crate::durable::{self, Pending};
use crate::progress::Progress;

/// Arguments of `sample`.
#[derive(Clone, Debug, clap::Args)]
pub struct SampleArgs {
    /// Number of recipients.
    #[arg(long, value_name = "N")]
    pub count: usize,

    /// Makes the sample reproducible, together with --now.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,

    /// Where the recipients go, in the JSON Lines that `import` reads.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// Where the trust list of the sample's CSIPs goes. Their secret keys follow
    /// from the seed: for trials only.
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,

    /// Where some identifiers go, present and absent, as the lines that
    /// `sotto lookup --json` prints for them.
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,

    /// Number of those identifiers.
    #[arg(long, value_name = "K", default_value_t = 100, requires = "answers")]
    pub answers_count: usize,

    /// When the credentials are to be valid, and 30 days on, as RFC 3339; the
    /// current time if not given.
    #[arg(long, value_name = "TIME", value_parser = UnixTime::parse_rfc3339)]
    pub now: Option<UnixTime>,
}

/// Writes a sample, replacing files that are there; a file is whole or absent.
///
/// # Errors
/// A count of 0, and files that can't be written.
pub fn run(args: &SampleArgs) -> anyhow::Result<()> {
    ensure!(
        args.count > 0,
        "--count is 0: a sample has one recipient at least"
    );
    let now = args.now.unwrap_or_else(UnixTime::now);
    let mut sample = Sample::new(args.seed, now)?;
    if let Some(path) = &args.trust {
        let text = format!(
            "# CSIPs of the sample with seed {}: for trials only.\n\n",
            args.seed
        );
        durable::replace(
            path,
            durable::PUBLIC,
            (text + &sample.trust().to_toml()).as_bytes(),
        )?;
    }
    let answers_count = if args.answers.is_some() {
        args.answers_count
    } else {
        0
    };
    let mut answers = Answers::new(&sample, answers_count);
    let mut out = Pending::create(&args.out, durable::PUBLIC)?;
    let stage = Progress::detect().stage("sample", args.count as u64);
    let mut left = args.count;
    while left > 0 {
        let records = sample.next_batch(left.min(BATCH))?;
        answers.offer(&sample, &records)?;
        write_lines(&mut out, &records)
            .with_context(|| format!("cannot write {}", args.out.display()))?;
        stage.advance(records.len() as u64);
        left -= records.len();
    }
    out.replace()?;
    if let Some(path) = &args.answers {
        let mut lines = answers.finish(&mut sample)?.join("\n");
        lines.push('\n');
        durable::replace(path, durable::PUBLIC, lines.as_bytes())?;
    }
    stage.finish(&format!(
        "{} recipients in {}",
        args.count,
        args.out.display()
    ));
    Ok(())
}

/// Writes records as import lines, in order.
pub(super) fn write_lines<W: Write>(out: &mut W, records: &[SampleRecord]) -> anyhow::Result<()> {
    let lines: Vec<String> = records
        .par_iter()
        .map(|record| serde_json::to_string(&ImportLine::of(record)))
        .collect::<Result<_, _>>()?;
    for line in lines {
        out.write_all(line.as_bytes())?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// A line of an import file; signed objects in base64url without padding.
#[derive(Serialize)]
struct ImportLine {
    credential: String,
    mappings: Vec<String>,
}

impl ImportLine {
    fn of(record: &SampleRecord) -> Self {
        Self {
            credential: URL_SAFE_NO_PAD.encode(record.credential.as_bytes()),
            mappings: record
                .mappings
                .iter()
                .map(|mapping| URL_SAFE_NO_PAD.encode(mapping.as_bytes()))
                .collect(),
        }
    }
}
