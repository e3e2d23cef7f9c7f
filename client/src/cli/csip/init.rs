//! `sotto csip init`.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::anyhow;
use clap::Args;
use client::Passphrase;
use client::csip::{CsipDir, CsipInit};
use protocol::credential::Issuer;
use protocol::trust::Scope;

use crate::cli::passphrase::PassphraseArgs;

/// Arguments of `csip init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Name that credentials are issued under: by convention a domain.
    #[arg(long, value_name = "NAME", value_parser = issuer)]
    issuer: Issuer,

    /// What the CSIP may speak for: tel:*, tel:+DIGITS, mailto:* or
    /// mailto:*@DOMAIN. Several may follow.
    #[arg(long = "scope", value_name = "SCOPE", required = true, num_args = 1..)]
    scopes: Vec<Scope>,

    /// Where to listen, instead of 127.0.0.1:8445.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,

    #[command(flatten)]
    pub(super) passphrase: PassphraseArgs,
}

/// Makes the directory and says what is in it.
///
/// # Errors
/// Whatever can't be made.
pub(super) fn run(root: &Path, args: &InitArgs, passphrase: &Passphrase) -> anyhow::Result<()> {
    let options = CsipInit {
        issuer: args.issuer.clone(),
        scopes: args.scopes.clone(),
        listen: args.listen,
    };
    let directory = CsipDir::init(root, &options, passphrase)?;
    let config = directory.config()?;
    let shown = root.display();
    println!("made {shown}:");
    println!(
        "  config.toml      configuration; listens on {}",
        config.listen
    );
    println!("  key.pem          the signing key, encrypted: back it up with its passphrase");
    println!(
        "  csip.pub         its public half: {}",
        directory.public_key()?.to_text()
    );
    println!(
        "  registry.key     hides identifiers in registry.redb: back it up, show it to nobody"
    );
    println!(
        "  tls/             self-signed certificate for localhost; holders trust tls/cert.pem"
    );
    println!();
    println!("Next:");
    println!(
        "  put an executable that delivers codes at {}",
        config.hook.path.display()
    );
    println!("  sotto csip --dir {shown} trust      # for discovery providers and senders");
    println!("  sotto csip --dir {shown} serve");
    Ok(())
}

fn issuer(text: &str) -> anyhow::Result<Issuer> {
    Issuer::new(text).map_err(|error| anyhow!(error))
}
