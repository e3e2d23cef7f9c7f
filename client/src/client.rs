//! The client: connects, and looks identifiers up in batches.

mod fetch;

use std::sync::{Arc, RwLock};

use protocol::csi::Csi;
use protocol::lookup::Lookup;
use protocol::manifest::{ManifestPin, SignedManifest};
use protocol::time::UnixTime;
use protocol::wire::{self, media};
use rayon::prelude::*;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use self::fetch::Fetched;
use crate::config::ClientConfig;
use crate::error::ClientError;
use crate::found::{AudienceFound, Found};
use crate::slots::{Question, Slot};
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
        self.snapshot().signed_manifest().pin()
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
        let mut results = self.batch(std::slice::from_ref(csi)).await?;
        results.pop().unwrap_or(Err(ClientError::Interrupted))
    }

    /// Looks identifiers up, in this order, also in the audiences of the
    /// keyring. Each asks for [`slot_count`](ClientConfig::slot_count) records,
    /// also those that are repeated: one OPRF request for each 1024 records and
    /// one PIR query for each.
    pub async fn find_many(&self, csis: &[Csi]) -> Vec<Result<Found, ClientError>> {
        let mut results = Vec::with_capacity(csis.len());
        let slots = self.shared.config.slot_count();
        for batch in csis.chunks(slots.identifiers_a_batch()) {
            match self.batch(batch).await {
                Ok(found) => results.extend(found),
                Err(error) => results.extend(batch.iter().map(|_| Err(error.clone()))),
            }
        }
        results
    }

    /// Lookups of up to 1024 slots in one snapshot. If it goes meanwhile,
    /// everything is done once more in the next one, with fresh secrets.
    async fn batch(&self, csis: &[Csi]) -> Result<Vec<Result<Found, ClientError>>, ClientError> {
        let mut view = self.shared.view();
        if view.manifest().expires_at <= UnixTime::now() {
            view = self.refresh(&view).await?;
        }
        let questions = Arc::new(self.shared.questions(csis));
        let fetched = match fetch::fetch(&self.shared, &view, &questions).await {
            Err(error) if error.is_stale() => {
                view = self.refresh(&view).await?;
                fetch::fetch(&self.shared, &view, &questions)
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
        let shared = Arc::clone(&self.shared);
        spawn_blocking(move || answer(&shared, &view, &questions, fetched))
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
    /// What each identifier asks for: of the same number of slots each, with
    /// dummies of its own.
    fn questions(&self, csis: &[Csi]) -> Vec<Question> {
        let (keyring, count) = (self.config.keyring.as_deref(), self.config.slot_count());
        let question = |csi| Question::new(csi, keyring, count, &mut rand::rng());
        csis.iter().map(question).collect()
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

/// Decrypts and checks every slot, dummies as well, so that the time taken
/// doesn't depend on the keyring.
fn answer(
    shared: &Shared,
    view: &SnapshotView,
    questions: &[Question],
    fetched: Vec<Result<Fetched, ClientError>>,
) -> Vec<Result<Found, ClientError>> {
    let now = UnixTime::now();
    let slots = questions
        .iter()
        .flat_map(|question| question.slots.iter().map(move |slot| (&question.csi, slot)));
    let slots: Vec<(&Csi, &Slot)> = slots.collect();
    let lookups: Vec<Result<Lookup, ClientError>> = slots
        .into_par_iter()
        .zip(fetched)
        .map(|((csi, slot), fetched)| {
            let fetched = fetched?;
            let column = view.decrypt(fetched.pending, &fetched.answer)?;
            Ok(view.resolve(
                csi,
                slot,
                &fetched.output,
                &column,
                &shared.config.trust,
                now,
            ))
        })
        .collect();
    let mut lookups = lookups.into_iter();
    questions
        .iter()
        .map(|question| {
            gather(
                question,
                lookups.by_ref().take(question.slots.len()).collect(),
            )
        })
        .collect()
}

/// The results of one identifier's slots. What a dummy's record says is dropped;
/// a failure of any slot is one of the whole lookup.
fn gather(
    question: &Question,
    lookups: Vec<Result<Lookup, ClientError>>,
) -> Result<Found, ClientError> {
    let mut public = Err(ClientError::Interrupted);
    let mut audiences = Vec::new();
    for (slot, lookup) in question.slots.iter().zip(lookups) {
        match slot {
            Slot::Public => public = lookup,
            Slot::Audience(audience) => {
                // A dummy that fails fails the lookup as well: what a sender
                // then does must not tell the one from the other.
                let lookup = lookup?;
                let Some(label) = &audience.label else {
                    continue;
                };
                if lookup != Lookup::NoMapping {
                    let label = label.clone();
                    audiences.push(AudienceFound { label, lookup });
                }
            }
        }
    }
    Ok(Found {
        public: public?,
        audiences,
        not_asked: question.not_asked,
    })
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
