//! What is kept between runs.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use client::{Cache, Reuse};

use super::Settings;
use crate::cli::Failure;

/// What is kept between runs.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Between runs")]
pub(in crate::cli) struct CacheArgs {
    /// File for what is kept between runs; made if it is not there.
    ///
    /// It remembers the newest snapshot, so that a provider that goes back to an
    /// older one is refused; the evaluations of identifiers, which cost quota or
    /// tokens, as long as the provider's OPRF key lasts; and what was fetched from
    /// the current snapshot, so that a command that was interrupted goes on where
    /// it ended. A key is in a second file beside it: keep both to yourself. One
    /// file for each provider. Instead of that of the configuration file (cache).
    #[arg(long, value_name = "FILE")]
    pub(super) cache: Option<PathBuf>,

    /// Ask for everything anew and keep nothing but the newest snapshot's place:
    /// the provider can then not tell how many identifiers are new to you.
    #[arg(long)]
    no_cache: bool,
}

impl CacheArgs {
    /// Opens the cache that flag or configuration file name, for the client.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a file that can't be used.
    pub(in crate::cli) fn apply(&self, settings: &mut Settings) -> Result<(), Failure> {
        if self.no_cache {
            settings.client.reuse = Reuse::Nothing;
        }
        let Some(path) = self.cache.as_ref().or(settings.cache.as_ref()) else {
            return Ok(());
        };
        let cache = Cache::open(path, &settings.client.dp_key)
            .with_context(|| path.display().to_string())
            .map_err(Failure::Usage)?;
        settings.client.cache = Some(Arc::new(cache));
        Ok(())
    }
}
