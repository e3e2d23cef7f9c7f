//! The client: connects, and looks identifiers up in batches.

mod fetch;

use std::sync::{Arc, RwLock};

use protocol::csi::Csi;
use protocol::lookup::Lookup;
use protocol::manifest::{ManifestPin, SignedManifest};
use protocol::oprf::BATCH_MAX;
use protocol::time::UnixTime;
use protocol::wire::{self, media};
use rayon::prelude::*;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::config::ClientConfig;
use crate::error::ClientError;
use crate::snapshot::{SnapshotView, VerifiedManifest};
use crate::transport::{Exchange, Traffic, Transport};

/// Most bytes of a manifest.
const MANIFEST_BYTES_MAX: usize = protocol::cose::MAX_SIGNED_BYTES;

/// A client of one provider; share it behind an `Arc`.
pub struct Client {
    shared: Arc<Shared>,
    /// Held while a newer snapshot is fetched, so that it is fetched once.
    refreshing: Mutex<()>,
}

/// What tasks of the client share.
struct Shared {
    config: ClientConfig,
    transport: Transport,
    view: RwLock<Arc<SnapshotView>>,
}

impl Client {
    /// Fetches manifest and hint and verifies them.
    ///
    /// # Errors
    /// [`ClientError`], by what could not be fetched or verified.
    pub async fn connect(config: ClientConfig) -> Result<Self, ClientError> {
        let transport = Transport::new(config.endpoint(), config.api_key.as_ref())?;
        let view = fetch_view(&transport, &config, config.last_manifest).await?;
        let view = RwLock::new(Arc::new(view));
        Ok(Self {
            shared: Arc::new(Shared {
                config,
                transport,
                view,
            }),
            refreshing: Mutex::new(()),
        })
    }

    /// The snapshot in use.
    #[must_use]
    pub fn snapshot(&self) -> Arc<SnapshotView> {
        self.shared.view()
    }

    /// What to remember, for [`ClientConfig::last_manifest`].
    #[must_use]
    pub fn manifest_pin(&self) -> ManifestPin {
        self.snapshot().signed_manifest().pin()
    }

    /// What went over the wire so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.shared.transport.traffic()
    }

    /// Looks one identifier up.
    ///
    /// # Errors
    /// [`ClientError`] if it could not be; what is wrong with the record is a
    /// result.
    pub async fn lookup(&self, csi: &Csi) -> Result<Lookup, ClientError> {
        let mut results = self.batch(std::slice::from_ref(csi)).await?;
        results.pop().unwrap_or(Err(ClientError::Interrupted))
    }

    /// Looks identifiers up, in this order: one OPRF request for each 1024 and
    /// one PIR query for each, also for those that are repeated.
    pub async fn lookup_many(&self, csis: &[Csi]) -> Vec<Result<Lookup, ClientError>> {
        let mut results = Vec::with_capacity(csis.len());
        for batch in csis.chunks(BATCH_MAX) {
            match self.batch(batch).await {
                Ok(found) => results.extend(found),
                Err(error) => results.extend(batch.iter().map(|_| Err(error.clone()))),
            }
        }
        results
    }

    /// Up to 1024 lookups in one snapshot. If it goes meanwhile, everything is
    /// done once more in the next one, with fresh secrets.
    async fn batch(&self, csis: &[Csi]) -> Result<Vec<Result<Lookup, ClientError>>, ClientError> {
        let mut view = self.shared.view();
        if view.manifest().expires_at <= UnixTime::now() {
            view = self.refresh(&view).await?;
        }
        let fetched = match fetch::fetch(&self.shared, &view, csis).await {
            Err(error) if error.is_stale() => {
                view = self.refresh(&view).await?;
                fetch::fetch(&self.shared, &view, csis)
                    .await
                    .map_err(|error| match error.is_stale() {
                        true => ClientError::SnapshotGone {
                            snapshot: view.manifest().snapshot,
                        },
                        false => error,
                    })?
            }
            fetched => fetched?,
        };
        // All requests are done: from here on nothing is sent.
        let (csis, shared) = (csis.to_vec(), Arc::clone(&self.shared));
        let now = UnixTime::now();
        spawn_blocking(move || {
            let lookups = csis.par_iter().zip(fetched).map(|(csi, fetched)| {
                let fetched = fetched?;
                let column = view.decrypt(fetched.pending, &fetched.answer)?;
                Ok(view.resolve(csi, &fetched.output, &column, &shared.config.trust, now))
            });
            lookups.collect()
        })
        .await
        .map_err(|_| ClientError::Interrupted)
    }

    /// The snapshot after `old`, fetched unless another lookup has done so.
    async fn refresh(&self, old: &Arc<SnapshotView>) -> Result<Arc<SnapshotView>, ClientError> {
        let _alone = self.refreshing.lock().await;
        let current = self.shared.view();
        if !Arc::ptr_eq(&current, old) {
            return Ok(current);
        }
        let pin = Some(current.signed_manifest().pin());
        let view = Arc::new(fetch_view(&self.shared.transport, &self.shared.config, pin).await?);
        // A poisoned lock still holds a whole view.
        *self
            .shared
            .view
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = Arc::clone(&view);
        Ok(view)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn view(&self) -> Arc<SnapshotView> {
        Arc::clone(
            &self
                .view
                .read()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        )
    }
}

/// Fetches the newest manifest and its hint. If a newer snapshot is published
/// in between, the hint is gone: then both are fetched once more.
async fn fetch_view(
    transport: &Transport,
    config: &ClientConfig,
    pin: Option<ManifestPin>,
) -> Result<SnapshotView, ClientError> {
    match try_fetch_view(transport, config, pin).await {
        Err(error) if error.is_stale() => try_fetch_view(transport, config, pin).await,
        result => result,
    }
}

async fn try_fetch_view(
    transport: &Transport,
    config: &ClientConfig,
    pin: Option<ManifestPin>,
) -> Result<SnapshotView, ClientError> {
    let published = transport.get(Exchange {
        step: "manifest",
        path: wire::MANIFEST_PATH,
        accept: media::COSE,
        max_bytes: MANIFEST_BYTES_MAX,
    });
    let manifest = VerifiedManifest::new(&published.await?, &config.dp_key, UnixTime::now())?;
    check_succession(pin, manifest.signed())?;
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
    spawn_blocking(move || manifest.with_hint(&hint))
        .await
        .map_err(|_| ClientError::Interrupted)?
}

/// Refuses to go back. A gap is accepted: the manifests in it are not served
/// any more, and what counts, that none is older, holds without them.
fn check_succession(pin: Option<ManifestPin>, signed: &SignedManifest) -> Result<(), ClientError> {
    if let Some(pin) = pin {
        pin.succession(signed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
