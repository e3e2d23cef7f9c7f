//! Audiences of one sender and one recipient.

use clap::ValueEnum;
use client::{Keyring, KeyringError, KeyringFile, KeyringFileError, Membership};
use protocol::audience::{AudienceLabel, PairingPublicKey, PairingRole};
use protocol::csi::Csi;

use super::print;
use crate::cli::{Failure, Outcome};

/// Arguments of `audience pair`.
#[derive(Debug, clap::Args)]
pub(super) struct PairArgs {
    /// The other's public key, x25519:..., as `sotto audience key` prints it
    /// there. Get it in a way that nobody can change it.
    #[arg(long, value_name = "PUBKEY", value_parser = PairingPublicKey::from_text)]
    with: PairingPublicKey,

    /// What you are: the recipient publishes, the sender looks up.
    #[arg(long = "as", value_name = "ROLE", value_enum)]
    role: Role,

    /// Your name for the audience.
    #[arg(value_parser = AudienceLabel::new)]
    label: AudienceLabel,

    /// The recipient's identifier, with its country code.
    #[arg(long = "for", value_name = "IDENTIFIER", value_parser = Csi::parse)]
    csi: Csi,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    Sender,
    Recipient,
}

impl From<Role> for PairingRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Sender => Self::Sender,
            Role::Recipient => Self::Recipient,
        }
    }
}

/// Prints the public half of the keyring's pairing key.
pub(super) fn key(file: &KeyringFile) -> Result<Outcome, Failure> {
    print(&format!("{}\n", public_key(file)?.to_text()))
}

/// Adds the audience that follows from the two keys.
pub(super) fn pair(file: &KeyringFile, args: &PairArgs) -> Result<Outcome, Failure> {
    file.update(|keyring| add(keyring, args))?;
    Ok(Outcome::Complete)
}

pub(super) fn public_key(file: &KeyringFile) -> Result<PairingPublicKey, KeyringFileError> {
    file.update(|keyring| {
        let key = keyring.pairing_key_or_new(&mut rand::rng());
        Ok(key.public_key())
    })
}

fn add(keyring: &mut Keyring, args: &PairArgs) -> Result<(), Failure> {
    let key = keyring.pairing_key_or_new(&mut rand::rng());
    let secret = key
        .agree(&args.with, args.role.into())
        .map_err(|error| Failure::Usage(error.into()))?;
    let membership = Membership {
        label: args.label.clone(),
        secret,
        csi: Some(args.csi.clone()),
    };
    keyring
        .add(membership)
        .map_err(|error: KeyringError| error.into())
}
