//! `sotto-server serve`.

use std::io::ErrorKind;
use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use clap::Args;
use protocol::time::UnixTime;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{Outcome, logging};
use crate::data_dir::DataDir;
use crate::http::{AppState, ListenLimits, serve};

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Where to listen instead of where the configuration says.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

pub(super) fn run(data: &DataDir, args: &ServeArgs) -> anyhow::Result<Outcome> {
    let config = data.config()?;
    logging::start(&config.log);
    let address = args.listen.unwrap_or(config.listen);
    let tls = data.tls(&config)?;
    let state = AppState::open(data, &config)?;
    let snapshot = state.snapshot();
    if UnixTime::now() >= snapshot.manifest().expires_at {
        tracing::warn!(
            expired = %snapshot.manifest().expires_at,
            "clients refuse this snapshot: run `sotto-server snapshot build`"
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    runtime.block_on(async {
        let listener = listen(address).await?;
        let mut terminated = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let mut interrupted = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
        tracing::info!(
            address = %listener.local_addr().context("the listening address")?,
            snapshot = %snapshot.id(),
            records = snapshot.manifest().records,
            backend = %snapshot.backend(),
            "serving"
        );
        serve(listener, tls, state, ListenLimits::from(&config), async {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
            }
            tracing::info!("stopping");
        })
        .await;
        tracing::info!("stopped");
        Ok(Outcome::Done)
    })
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
            "{address} is in use: stop the program that listens there, or choose another with --listen or in config.toml"
        ),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            bail!("not allowed to listen on {address}: choose a port above 1023")
        }
        Err(error) => Err(error).with_context(|| format!("cannot listen on {address}")),
    }
}
