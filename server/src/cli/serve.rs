//! `sotto-server serve`.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{Outcome, logging};
use crate::config::Role;
use crate::data_dir::DataDir;
use crate::guard;
use crate::http::{AppState, ListenLimits, serve};
use crate::metrics;
use crate::rebuild::{Rebuilder, Schedule, follow, keep_fresh};
use crate::store::Store;
use crate::witness::{Pusher, keep_cosigned};

/// Time between two times that the ledger forgets.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

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
    let store: Arc<dyn Store> = Arc::from(data.store()?);
    let storage = data.storage(&config)?;
    let state = AppState::open(data, &config, store, data.ledger()?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    runtime.block_on(async {
        let listener = listen(address, "--listen or in config.toml").await?;
        let for_metrics = match config.metrics.listen {
            Some(address) => Some(listen(address, "metrics.listen in config.toml").await?),
            None => None,
        };
        let mut terminated = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let mut interrupted = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
        let hangup = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
        let address = listener.local_addr().context("the listening address")?;
        if let Some(listener) = &for_metrics {
            let metrics = listener
                .local_addr()
                .context("the address of the metrics")?;
            tracing::info!(%metrics, "showing metrics");
        }
        match state.snapshot() {
            Some(snapshot) => tracing::info!(
                %address,
                snapshot = %snapshot.id(),
                records = snapshot.manifest().records,
                backend = %snapshot.backend(),
                "serving"
            ),
            None => tracing::info!(%address, "serving, nothing to look up yet"),
        }
        let pusher = Pusher::new(data.clone(), storage.clone())?;
        let rebuilder = Rebuilder::new(data.clone(), config.clone(), Arc::clone(&state));
        let (rebuilder, schedule) = (rebuilder.with_storage(storage), Schedule::of(&config));
        match config.storage.role {
            Role::Publisher => {
                tokio::spawn(keep_cosigned(pusher));
                tokio::spawn(keep_fresh(rebuilder, schedule, hangup))
            }
            Role::Follower => {
                let every = Duration::from_secs(config.storage.follow_secs);
                tokio::spawn(follow(rebuilder, every, schedule, hangup))
            }
        };
        tokio::spawn(forget(Arc::clone(&state)));
        tokio::spawn(guard::watch(
            data.clone(),
            config.clone(),
            Arc::clone(&state),
        ));
        let limits = ListenLimits::from(&config);
        let (stop, stopping) = watch::channel(false);
        let of_metrics = Arc::clone(&state);
        let metrics = async {
            if let Some(listener) = for_metrics {
                let stopped = stopped(stopping);
                metrics::serve(listener, of_metrics, limits.drain, stopped).await;
            }
        };
        let lookups = serve(listener, tls, state, limits, async {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
            }
            tracing::info!("stopping");
            stop.send_replace(true);
        });
        tokio::join!(lookups, metrics);
        tracing::info!("stopped");
        anyhow::Ok(())
    })?;
    // A build that runs leaves nothing half done when the process ends.
    runtime.shutdown_background();
    Ok(Outcome::Done)
}

/// Forgets from time to time what need not be known of spending any more.
async fn forget(state: Arc<AppState>) {
    loop {
        let of_task = Arc::clone(&state);
        match tokio::task::spawn_blocking(move || of_task.forget_spent()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(tokens)) => tracing::info!(tokens, "forgot expired tokens"),
            Ok(Err(error)) => tracing::error!(%error, "the ledger keeps what could be forgotten"),
            Err(_) => tracing::error!("the ledger panicked"),
        }
        tokio::time::sleep(FORGET_EVERY).await;
    }
}

/// Waits until the server is told to stop.
async fn stopped(mut stopping: watch::Receiver<bool>) {
    // Whoever tells may have gone: then it is over too.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

async fn listen(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
            "{address} is in use: stop the program that listens there, or choose another with {setting}"
        ),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            bail!("not allowed to listen on {address}: choose a port above 1023")
        }
        Err(error) => Err(error).with_context(|| format!("cannot listen on {address}")),
    }
}
