//! How far the servers of a provider may be apart.

use std::time::Duration;

use client::ClientConfig;

use super::Settings;

/// How far the servers of a provider may be apart.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct LagArgs {
    /// Seconds that one of the provider's servers may be behind the others. What
    /// seems to have gone back is looked at again after so long, and speaks against
    /// the provider only if it still has.
    #[arg(long, value_name = "SECONDS", default_value_t = ClientConfig::SERVER_LAG.as_secs(),
        value_parser = clap::value_parser!(u64).range(..=1800))]
    server_lag: u64,
}

impl LagArgs {
    pub(in crate::cli) fn apply(&self, settings: &mut Settings) {
        settings.client.server_lag = Duration::from_secs(self.server_lag);
    }
}
