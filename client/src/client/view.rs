//! The newest snapshot, fetched and verified.

use protocol::manifest::ManifestPin;
use protocol::time::UnixTime;
use protocol::wire::{self, media};
use tokio::task::spawn_blocking;

use crate::cache::CacheError;
use crate::config::{ClientConfig, FilterUse};
use crate::error::ClientError;
use crate::log::{self, LogRefusal, LogSource};
use crate::snapshot::{SnapshotView, VerifiedManifest};
use crate::transport::{Exchange, Transport};

/// Most bytes of a manifest.
const MANIFEST_BYTES_MAX: usize = protocol::cose::MAX_SIGNED_BYTES;

/// Fetches the newest manifest and what belongs to it, not older than `pin` and
/// than what the cache remembers, which then remembers this one. If a newer
/// snapshot is published in between, the hint is gone: then all is fetched once
/// more; so it is if the log comes from a server that doesn't have the manifest
/// yet.
pub(super) async fn fetch_view(
    transport: &Transport,
    config: &ClientConfig,
    pin: Option<ManifestPin>,
) -> Result<SnapshotView, ClientError> {
    let pins = [pin, remembered(config).await?];
    let view = match try_fetch_view(transport, config, pins).await {
        Err(error) if error.is_stale() || is_behind(&error) => {
            try_fetch_view(transport, config, pins).await?
        }
        result => result?,
    };
    let Some(cache) = config.cache.clone() else {
        return Ok(view);
    };
    let remembering = spawn_blocking(move || {
        cache.accept(view.manifest(), view.pin())?;
        Ok(view)
    });
    remembering.await.map_err(|_| ClientError::Interrupted)?
}

/// What the cache remembers, if there is one and it is of this provider.
async fn remembered(config: &ClientConfig) -> Result<Option<ManifestPin>, ClientError> {
    let Some(cache) = config.cache.clone() else {
        return Ok(None);
    };
    if !cache.is_of(&config.dp_key) {
        return Err(CacheError::OtherProvider.into());
    }
    let pin = spawn_blocking(move || cache.manifest_pin());
    Ok(pin.await.map_err(|_| ClientError::Interrupted)??)
}

async fn try_fetch_view(
    transport: &Transport,
    config: &ClientConfig,
    pins: [Option<ManifestPin>; 2],
) -> Result<SnapshotView, ClientError> {
    let published = transport.get(Exchange {
        step: "manifest",
        path: wire::MANIFEST_PATH,
        accept: media::COSE,
        max_bytes: MANIFEST_BYTES_MAX,
    });
    let manifest = VerifiedManifest::new(&published.await?, &config.dp_key, UnixTime::now())?;
    let pins = pins.into_iter().flatten();
    for pin in pins.clone() {
        pin.succession(manifest.signed())?;
    }
    let source = LogSource::new(transport);
    let head = log::verify(
        &source,
        &config.dp_key,
        &config.witnesses,
        manifest.signed(),
        pins,
    );
    let head = head.await?;
    let described = manifest.signed().unverified();
    let path = wire::hint_path(&described.snapshot);
    let hint = transport.get(Exchange {
        step: "hint",
        path: &path,
        accept: media::HINT,
        // At most `HINT_BYTES_MAX`, which fits.
        max_bytes: described.hint.bytes as usize,
    });
    let hint = hint.await?;
    let filter = match (config.filter, described.filter) {
        (FilterUse::SkipAbsent, Some(stated)) => {
            let path = wire::filter_path(&described.snapshot);
            let filter = transport.get(Exchange {
                step: "filter",
                path: &path,
                accept: media::FILTER,
                // At most that of 2^32 records, which fits.
                max_bytes: stated.bytes as usize,
            });
            Some(filter.await?)
        }
        _ => None,
    };
    let verifying = spawn_blocking(move || {
        let view = manifest.with_hint(&hint)?.with_log(head);
        match filter {
            Some(filter) => view.with_filter(&filter),
            None => Ok(view),
        }
    });
    verifying.await.map_err(|_| ClientError::Interrupted)?
}

/// Whether the log ended before the manifest.
fn is_behind(error: &ClientError) -> bool {
    matches!(error, ClientError::Log(LogRefusal::NotInLog { .. }))
}
