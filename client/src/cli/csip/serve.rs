//! `sotto csip serve`.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use client::csip::{Csip, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::cli::passphrase::PassphraseArgs;

/// Arguments of `csip serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Where to listen instead of where the configuration says.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,

    #[command(flatten)]
    pub(super) passphrase: PassphraseArgs,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// An address that can't be listened on; a certificate that can't be used.
pub(super) async fn run(csip: Csip, args: &ServeArgs) -> anyhow::Result<()> {
    log();
    let address = args.listen.unwrap_or(csip.config().listen);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let address = listener.local_addr().context("the listening address")?;
    tracing::info!(%address, issuer = %csip.issuer(), "serving");
    serve(listener, Arc::new(csip), async {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
        tracing::info!("stopping");
    })
    .await?;
    tracing::info!("stopped");
    Ok(())
}

/// Logs to standard error. Libraries may say what failed and nothing else: at
/// their finer levels they show headers.
fn log() {
    let ours = ["sotto", "client"].map(|target| (target, LevelFilter::INFO));
    let filter = Targets::new()
        .with_default(LevelFilter::ERROR)
        .with_targets(ours);
    let layer = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_filter(filter);
    // Fails only if there is one already, which then keeps logging.
    let _ = tracing_subscriber::registry().with(layer).try_init();
}
