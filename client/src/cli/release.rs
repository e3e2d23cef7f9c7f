//! `sotto release`.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use client::recipient::{Recipient, RecipientConfig};
use protocol::removal::{MAX_REMOVAL_BYTES, SignedRelease};
use protocol::time::UnixTime;

use super::credential::read_at_most;
use super::receipt::WaitArgs;
use super::{Connection, Failure, Outcome};

/// Arguments of `release`.
///
/// A release ends the assignment of an identifier: everything that was published
/// under it is gone, and nothing more is accepted until the CSIP issues a
/// credential of a later assignment. Whoever has the release may hand it in.
#[derive(Debug, clap::Args)]
pub(super) struct ReleaseArgs {
    /// The release, as the CSIP signed it.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    wait: WaitArgs,

    #[command(flatten)]
    connection: Connection,
}

/// Checks the release and hands it in.
///
/// # Errors
/// [`Failure`], if it is none or was not accepted.
pub(super) async fn run(args: &ReleaseArgs) -> Result<Outcome, Failure> {
    let settings = args.connection.settings()?;
    let named = || args.file.display().to_string();
    let bytes = read_at_most(&args.file, MAX_REMOVAL_BYTES)
        .with_context(|| format!("cannot read {}", named()))
        .map_err(Failure::Usage)?;
    let release = SignedRelease::from_bytes(&bytes)
        .with_context(named)
        .map_err(Failure::Usage)?;
    release
        .verify(&settings.client.trust, UnixTime::now())
        .map_err(|error| {
            Failure::Run(anyhow!(
                "{}: {error}; ask the CSIP for another, or correct the trust list",
                named()
            ))
        })?;
    let recipient = Recipient::new(&RecipientConfig::from(&settings.client))?;
    let receipt = recipient.release(&release).await?;
    args.wait.report(&recipient, &receipt).await?;
    Ok(Outcome::Complete)
}
