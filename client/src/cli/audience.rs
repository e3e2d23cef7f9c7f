//! `sotto audience`.

mod invitation;
mod membership;
mod pairing;

use std::io::Write as _;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use client::{Keyring, KeyringError, KeyringFileError};
use protocol::audience::AudienceLabel;

use super::settings::KeyringArgs;
use super::{Failure, Outcome};

/// Arguments of `audience`.
#[derive(Debug, Args)]
pub(super) struct AudienceArgs {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    keyring: KeyringArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Begins an audience and prints the invitation to it.
    New(invitation::NewArgs),
    /// Prints the invitation to an audience again.
    Invite(invitation::InviteArgs),
    /// Joins an audience by its invitation.
    Join(membership::JoinArgs),
    /// Lists the audiences of the keyring, in the order in which they are
    /// asked for.
    List,
    /// Forgets an audience. What was published for it stays until it is
    /// removed or expires.
    Leave(membership::LeaveArgs),
    /// Prints the public key that others pair with, made when first needed.
    Key,
    /// Makes an audience of one sender and one recipient from their keys.
    ///
    /// Both do this, each with the other's public key and its own role, and
    /// get the same secret: nothing secret is sent.
    Pair(pairing::PairArgs),
}

/// Runs a command on the keyring.
///
/// # Errors
/// [`Failure`], if the keyring can't be read or written, or what is asked for
/// can't be done.
pub(super) fn run(args: &AudienceArgs) -> Result<Outcome, Failure> {
    let file = args.keyring.file()?;
    match &args.command {
        Command::New(args) => invitation::new(&file, args),
        Command::Invite(args) => invitation::invite(&file, args),
        Command::Join(args) => membership::join(&file, args),
        Command::List => membership::list(&file),
        Command::Leave(args) => membership::leave(&file, args),
        Command::Key => pairing::key(&file),
        Command::Pair(args) => pairing::pair(&file, args),
    }
}

impl From<KeyringFileError> for Failure {
    fn from(error: KeyringFileError) -> Self {
        Self::Run(error.into())
    }
}

impl From<KeyringError> for Failure {
    fn from(error: KeyringError) -> Self {
        Self::Usage(error.into())
    }
}

/// The audience of this name.
fn find<'a>(
    keyring: &'a Keyring,
    label: &AudienceLabel,
) -> Result<&'a client::Membership, Failure> {
    keyring
        .find(label)
        .ok_or_else(|| KeyringError::UnknownLabel.into())
}

fn print(text: &str) -> Result<Outcome, Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
        .map_err(Failure::Run)?;
    Ok(Outcome::Complete)
}

#[cfg(test)]
mod tests;
