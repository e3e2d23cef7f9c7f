//! Senders who look something up at a fixed rate, and what they meet.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use client::Client;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Options;
use super::provider::Provider;

/// Lookups under way.
pub struct Load {
    latencies: Arc<Mutex<Vec<(Instant, f64)>>>,
    stop: watch::Sender<bool>,
    clients: JoinSet<Result<()>>,
}

/// The lookups that began in a time.
#[derive(Debug, Serialize)]
pub struct Phase {
    /// What happened meanwhile.
    pub what: &'static str,
    /// How long that took, seconds.
    pub seconds: f64,
    /// Number of lookups. None failed.
    pub lookups: usize,
    /// Milliseconds from when a lookup was due to its verified answer.
    pub p50_ms: f64,
    /// The same, of one in a hundred more.
    pub p99_ms: f64,
    /// The same of the slowest.
    pub max_ms: f64,
}

impl Load {
    /// Connects the senders and begins.
    ///
    /// # Errors
    /// If one can't connect.
    pub(super) async fn start(
        provider: &Arc<Provider>,
        url: &str,
        options: &Options,
    ) -> Result<Self> {
        let latencies = Arc::new(Mutex::new(Vec::new()));
        let (stop, stops) = watch::channel(false);
        let mut clients = JoinSet::new();
        for sender in 0..options.clients {
            let client = Client::connect(provider.client_config(url)?).await?;
            let (provider, every) = (Arc::clone(provider), options.every);
            let (latencies, stops) = (Arc::clone(&latencies), stops.clone());
            // Not all at once.
            let first = every * sender as u32 / options.clients as u32;
            clients.spawn(async move {
                let mut due = tokio::time::interval_at(tokio::time::Instant::now() + first, every);
                due.set_missed_tick_behavior(MissedTickBehavior::Burst);
                let mut asked = sender;
                while !*stops.borrow() {
                    // From when it was due: a server that is slow is not spared.
                    let begun = due.tick().await.into_std();
                    asked = (asked + 7) % provider.known.len();
                    let (csi, expected) = &provider.known[asked];
                    let found = client.lookup(csi).await.context("a lookup failed")?;
                    ensure!(found == *expected, "a wrong answer");
                    let took = begun.elapsed().as_secs_f64();
                    let mut latencies = latencies.lock().unwrap_or_else(PoisonError::into_inner);
                    latencies.push((begun, took));
                }
                Ok(())
            });
        }
        Ok(Self {
            latencies,
            stop,
            clients,
        })
    }

    /// Lookups while something is done, and for at least so long.
    ///
    /// # Errors
    /// What fails, a lookup included.
    pub(super) async fn phase(
        &self,
        what: &'static str,
        period: Duration,
        work: impl Future<Output = Result<()>>,
    ) -> Result<Phase> {
        let begun = Instant::now();
        work.await?;
        let seconds = begun.elapsed().as_secs_f64();
        tokio::time::sleep_until((begun + period).into()).await;
        let ended = Instant::now();
        let latencies = self
            .latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let within = latencies
            .iter()
            .filter(|(at, _)| (begun..ended).contains(at));
        let mut of_phase: Vec<f64> = within.map(|(_, took)| took * 1e3).collect();
        drop(latencies);
        of_phase.sort_by(f64::total_cmp);
        ensure!(
            !of_phase.is_empty(),
            "no lookup in {what}: senders have ended"
        );
        let at = |percent: usize| of_phase[(of_phase.len() - 1) * percent / 100];
        let phase = Phase {
            what,
            seconds,
            lookups: of_phase.len(),
            p50_ms: at(50),
            p99_ms: at(99),
            max_ms: at(100),
        };
        eprintln!("{phase:?}");
        Ok(phase)
    }

    /// Ends; all lookups must have been right.
    ///
    /// # Errors
    /// The first that wasn't.
    pub(super) async fn stop(mut self) -> Result<()> {
        self.stop.send_replace(true);
        while let Some(ended) = self.clients.join_next().await {
            ended??;
        }
        Ok(())
    }
}
