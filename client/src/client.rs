//! The client: connects, and looks identifiers up in batches.

mod answer;
mod evaluate;
mod fetch;
mod tokens;
mod view;

use std::sync::{Arc, RwLock};

use protocol::csi::Csi;
use protocol::lookup::Lookup;
use protocol::manifest::ManifestPin;
use protocol::time::UnixTime;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use self::evaluate::Asked;
use self::fetch::{Answered, Content};
use self::view::fetch_view;
use crate::bulk::{Listener, Progress};
use crate::cache::{Cache, Scope};
use crate::config::{ClientConfig, Reuse};
use crate::error::ClientError;
use crate::found::Found;
use crate::snapshot::SnapshotView;
use crate::transport::{Traffic, Transport};

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
    pub async fn connect(mut config: ClientConfig) -> Result<Self, ClientError> {
        config.hide_account();
        let transport = Transport::new(config.endpoint(), config.api_key.as_ref())?
            .with_sender(config.sender.as_ref());
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
        self.snapshot().pin()
    }

    /// What went over the wire so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.shared.transport.traffic()
    }

    /// Looks one identifier up: what its public record says.
    /// [`find`](Self::find) also says what audiences are told.
    ///
    /// # Errors
    /// [`ClientError`] if it could not be; what is wrong with the record is a
    /// result.
    pub async fn lookup(&self, csi: &Csi) -> Result<Lookup, ClientError> {
        self.find(csi).await.map(|found| found.public)
    }

    /// Looks identifiers up, in this order, as [`find_many`](Self::find_many)
    /// does: what their public records say.
    pub async fn lookup_many(&self, csis: &[Csi]) -> Vec<Result<Lookup, ClientError>> {
        let found = self.find_many(csis).await.into_iter();
        found.map(|found| found.map(|found| found.public)).collect()
    }

    /// Looks one identifier up, also in the audiences of the keyring.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup).
    pub async fn find(&self, csi: &Csi) -> Result<Found, ClientError> {
        let mut results = self.find_many(std::slice::from_ref(csi)).await;
        results.pop().unwrap_or(Err(ClientError::Interrupted))
    }

    /// Looks identifiers up, in this order, also in the audiences of the
    /// keyring. Each asks for [`slot_count`](ClientConfig::slot_count) records,
    /// also those that are repeated: one OPRF request for each 1024 records and
    /// one PIR query for each, less what the [cache](ClientConfig::cache) has and
    /// what a [membership filter](ClientConfig::filter) rules out.
    pub async fn find_many(&self, csis: &[Csi]) -> Vec<Result<Found, ClientError>> {
        self.find_many_telling(csis, &|_| ()).await
    }

    /// The same; `tell` hears of every step.
    pub async fn find_many_telling(
        &self,
        csis: &[Csi],
        tell: &(dyn Fn(Progress) + Sync),
    ) -> Vec<Result<Found, ClientError>> {
        let mut listener = Listener::new(tell);
        let mut results = Vec::with_capacity(csis.len());
        let slots = self.shared.config.slot_count();
        for batch in csis.chunks(slots.identifiers_a_batch()) {
            match self.batch(batch, &mut listener).await {
                Ok(found) => results.extend(found),
                Err(error) => results.extend(batch.iter().map(|_| Err(error.clone()))),
            }
        }
        results
    }

    /// Lookups of up to 1024 slots in one snapshot. If it goes meanwhile, they are
    /// done once more in the next one, with fresh secrets. Evaluations are asked
    /// for anew only if the OPRF key is another then.
    async fn batch(
        &self,
        csis: &[Csi],
        listener: &mut Listener<'_>,
    ) -> Result<Vec<Result<Found, ClientError>>, ClientError> {
        let mut view = self.shared.view();
        if view.manifest().expires_at <= UnixTime::now() {
            view = self.refresh(&view).await?;
        }
        let mut asked = None;
        let contents = match self.attempt(&view, csis, &mut asked, listener).await {
            Err(error) if error.is_stale() => {
                view = self.refresh(&view).await?;
                self.attempt(&view, csis, &mut asked, listener)
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
        let (_, asked) = asked.ok_or(ClientError::Interrupted)?;
        // All requests are done: from here on nothing is sent.
        let shared = Arc::clone(&self.shared);
        spawn_blocking(move || answer::answer(&shared, &view, &asked, contents))
            .await
            .map_err(|_| ClientError::Interrupted)
    }

    /// Sends everything once. `asked` is what was evaluated before, and under
    /// which key.
    async fn attempt(
        &self,
        view: &Arc<SnapshotView>,
        csis: &[Csi],
        asked: &mut Option<(Scope, Vec<Asked>)>,
        listener: &mut Listener<'_>,
    ) -> Result<Vec<Answered<Content>>, ClientError> {
        let scope = Scope::of(view.manifest());
        let asked = match asked.take() {
            Some(before) if before.0 == scope => asked.insert(before),
            _ => {
                let new = evaluate::evaluate(&self.shared, view, csis, listener).await?;
                asked.insert((scope, new))
            }
        };
        let outputs = asked
            .1
            .iter()
            .flat_map(|asked| asked.outputs.iter().cloned());
        fetch::fetch(&self.shared, view, outputs.collect(), listener).await
    }

    /// The snapshot after `old`, fetched unless another lookup has done so.
    async fn refresh(&self, old: &Arc<SnapshotView>) -> Result<Arc<SnapshotView>, ClientError> {
        let _alone = self.refreshing.lock().await;
        let current = self.shared.view();
        if !Arc::ptr_eq(&current, old) {
            return Ok(current);
        }
        let pin = Some(current.pin());
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
    /// Where evaluations and buckets are kept, if they are to be used.
    fn cache(&self) -> Option<&Arc<Cache>> {
        match self.config.reuse {
            Reuse::Kept => self.config.cache.as_ref(),
            Reuse::Nothing => None,
        }
    }

    fn view(&self) -> Arc<SnapshotView> {
        Arc::clone(
            &self
                .view
                .read()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        )
    }
}

#[cfg(test)]
mod tests;
