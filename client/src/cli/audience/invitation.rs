//! Audiences by invitation, and their QR codes.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use client::{KeyringFile, Membership};
use protocol::audience::{AudienceLabel, AudienceSecret, Invitation};
use protocol::csi::Csi;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use zeroize::Zeroizing;

use super::{find, print};
use crate::cli::{Failure, Outcome};

/// Arguments of `audience new`.
#[derive(Debug, clap::Args)]
pub(super) struct NewArgs {
    /// Your name for it: 1 to 64 bytes. Those who join see it.
    #[arg(value_parser = AudienceLabel::new)]
    label: AudienceLabel,

    /// The one identifier that is published for this audience, with its country
    /// code: yours. Without it, members try the audience with everyone they
    /// look up.
    #[arg(long = "for", value_name = "IDENTIFIER", value_parser = Csi::parse)]
    csi: Option<Csi>,

    #[command(flatten)]
    show: ShowArgs,
}

/// Arguments of `audience invite`.
#[derive(Debug, clap::Args)]
pub(super) struct InviteArgs {
    /// Your name for the audience.
    #[arg(value_parser = AudienceLabel::new)]
    label: AudienceLabel,

    #[command(flatten)]
    show: ShowArgs,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// Print a QR code as well, also where standard output is no terminal.
    #[arg(long)]
    qr: bool,
}

/// Begins an audience with a fresh secret.
pub(super) fn new(file: &KeyringFile, args: &NewArgs) -> Result<Outcome, Failure> {
    let membership = Membership {
        label: args.label.clone(),
        secret: AudienceSecret::generate(&mut rand::rng()),
        csi: args.csi.clone(),
    };
    let invitation = membership.invitation();
    file.update(|keyring| keyring.add(membership).map_err(Failure::from))?;
    show(&invitation, &args.show)
}

/// Prints the invitation to an audience of the keyring.
pub(super) fn invite(file: &KeyringFile, args: &InviteArgs) -> Result<Outcome, Failure> {
    let keyring = file.read()?;
    show(&find(&keyring, &args.label)?.invitation(), &args.show)
}

fn show(invitation: &Invitation, args: &ShowArgs) -> Result<Outcome, Failure> {
    let uri = invitation.to_uri();
    let code = match args.qr || std::io::stdout().is_terminal() {
        true => qr_code(&uri)?,
        false => Zeroizing::default(),
    };
    print(&Zeroizing::new(format!("{}\n{}", *uri, *code)))
}

/// A QR code (ISO/IEC 18004) for a terminal with light text on a dark ground.
pub(super) fn qr_code(text: &str) -> Result<Zeroizing<String>, Failure> {
    // An invitation has at most 1100 bytes, a code of this level 2953.
    let code = QrCode::with_error_correction_level(text, EcLevel::L)
        .context("cannot make a QR code")
        .map_err(Failure::Run)?;
    let image = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    Ok(Zeroizing::new(image + "\n"))
}
