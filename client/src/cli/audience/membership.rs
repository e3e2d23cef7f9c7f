//! Joining, listing and leaving.

use std::fs::File;
use std::io::{Read, stdin};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use client::{Keyring, KeyringFile, Membership};
use protocol::audience::{AudienceLabel, Invitation, MAX_INVITATION_BYTES};
use zeroize::Zeroizing;

use super::print;
use crate::cli::{Failure, Outcome};

/// Arguments of `audience join`.
#[derive(Debug, clap::Args)]
pub(super) struct JoinArgs {
    /// The invitation: sotto:audience?... Other users of this machine may see
    /// it while the command runs: --file keeps it private.
    #[arg(
        value_name = "URI",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    uri: Option<String>,

    /// File with the invitation; - is standard input.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Your own name for the audience instead of the inviter's.
    #[arg(long, value_name = "LABEL", value_parser = AudienceLabel::new)]
    label: Option<AudienceLabel>,
}

/// Arguments of `audience leave`.
#[derive(Debug, clap::Args)]
pub(super) struct LeaveArgs {
    /// Your name for the audience.
    #[arg(value_parser = AudienceLabel::new)]
    label: AudienceLabel,
}

/// Adds the audience of an invitation.
pub(super) fn join(file: &KeyringFile, args: &JoinArgs) -> Result<Outcome, Failure> {
    let text = match (&args.uri, &args.file) {
        (Some(uri), _) => Zeroizing::new(uri.clone()),
        (None, Some(path)) => read(path).map_err(Failure::Usage)?,
        (None, None) => return Err(Failure::Usage(anyhow!("no invitation is given"))),
    };
    let invitation =
        Invitation::from_uri(text.trim()).map_err(|error| Failure::Usage(error.into()))?;
    let mut membership = Membership::from(invitation);
    if let Some(label) = &args.label {
        membership.label = label.clone();
    }
    let line = line(&membership);
    file.update(|keyring| keyring.add(membership).map_err(Failure::from))?;
    print(&format!("joined {line}\n"))
}

/// Prints labels and identifiers, a line each.
pub(super) fn list(file: &KeyringFile) -> Result<Outcome, Failure> {
    print(&listing(&file.read()?))
}

/// Takes an audience out of the keyring.
pub(super) fn leave(file: &KeyringFile, args: &LeaveArgs) -> Result<Outcome, Failure> {
    file.update(|keyring| keyring.remove(&args.label).map_err(Failure::from))?;
    Ok(Outcome::Complete)
}

pub(super) fn listing(keyring: &Keyring) -> String {
    let lines = keyring.memberships().iter();
    lines.map(|membership| line(membership) + "\n").collect()
}

fn line(membership: &Membership) -> String {
    // Someone else may have chosen the label: nothing that moves a cursor.
    let label = membership.label.as_str().escape_debug();
    match &membership.csi {
        Some(csi) => format!("\"{label}\" for {}", csi.canonical()),
        None => format!("\"{label}\" for anyone"),
    }
}

/// The text in a file or in standard input, no more than an invitation has.
fn read(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    if path == Path::new("-") {
        return read_from(stdin().lock()).context("cannot read standard input");
    }
    File::open(path)
        .map_err(anyhow::Error::from)
        .and_then(read_from)
        .with_context(|| format!("cannot read {}", path.display()))
}

fn read_from(source: impl Read) -> anyhow::Result<Zeroizing<String>> {
    // Room for line ends; what is longer is refused as an invitation.
    let most = MAX_INVITATION_BYTES + 64;
    let mut text = Zeroizing::new(String::with_capacity(most + 1));
    source.take(most as u64).read_to_string(&mut text)?;
    Ok(text)
}
