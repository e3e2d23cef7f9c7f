//! `sotto csip release` and `sotto csip reassign`.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use client::csip::Csip;
use protocol::csi::Csi;
use protocol::removal::ReleaseReason;
use protocol::time::UnixTime;

use crate::cli::input::{Asked, read_lines};
use crate::cli::passphrase::PassphraseArgs;

/// One identifier, and where its release goes.
#[derive(Debug, Args)]
pub(super) struct Subject {
    /// The identifier. Other users of this machine may see it while the command
    /// runs: --file keeps it private.
    #[arg(value_name = "IDENTIFIER", required_unless_present = "file")]
    identifier: Option<String>,

    /// File with the identifier instead; - is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "identifier")]
    file: Option<PathBuf>,

    /// Region in which a number without country code is dialled, such as DE.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,

    /// Where the release goes; the file must not be there yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    #[command(flatten)]
    pub(super) passphrase: PassphraseArgs,
}

/// Arguments of `csip release`.
#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    #[command(flatten)]
    pub(super) subject: Subject,

    /// Why the assignment has ended.
    #[arg(long, value_name = "REASON")]
    reason: Reason,
}

/// Arguments of `csip reassign`.
#[derive(Debug, Args)]
pub(super) struct ReassignArgs {
    #[command(flatten)]
    pub(super) subject: Subject,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Reason {
    /// The holder gave the identifier up.
    GivenUp,
    /// The identifier moved to another CSIP.
    Ported,
    /// The assignment should never have been made.
    Fraud,
}

impl From<Reason> for ReleaseReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::GivenUp => Self::GivenUp,
            Reason::Ported => Self::Ported,
            Reason::Fraud => Self::Fraud,
        }
    }
}

/// Ends an assignment.
///
/// # Errors
/// Not one identifier, one that isn't assigned, or a file that can't be written.
pub(super) async fn run(csip: &Csip, args: &ReleaseArgs) -> anyhow::Result<()> {
    end(csip, &args.subject, args.reason.into()).await
}

/// Ends an assignment because there is a new holder.
///
/// # Errors
/// As [`run`].
pub(super) async fn reassign(csip: &Csip, args: &ReassignArgs) -> anyhow::Result<()> {
    end(csip, &args.subject, ReleaseReason::Reassigned).await
}

async fn end(csip: &Csip, subject: &Subject, reason: ReleaseReason) -> anyhow::Result<()> {
    let csi = subject.csi()?;
    if subject.out.exists() {
        bail!("{} is there already", subject.out.display());
    }
    let release = csip.release(&csi, reason, UnixTime::now()).await?;
    super::write(&subject.out, release.as_bytes())
}

impl Subject {
    fn csi(&self) -> anyhow::Result<Csi> {
        let texts = match &self.file {
            Some(path) => read_lines(path)?,
            None => self.identifier.iter().cloned().collect(),
        };
        let [text] = texts.as_slice() else {
            bail!("expected one identifier, found {}", texts.len());
        };
        Ok(Asked::new(text, self.region.as_deref()).csi?)
    }
}
