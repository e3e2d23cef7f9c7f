//! The storage itself, by `object_store`.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path as Name;
use object_store::{
    ClientOptions, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, UpdateVersion,
};
use protocol::cose::VerifyingKey;
use protocol::manifest::{SignedManifest, SnapshotId};
use serde::Deserialize;
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use super::download::Refused;
use super::{Pointer, StorageError, known};
use crate::log;
use crate::snapshot::build::published_manifest;
use crate::snapshot::current;

/// Snapshots that are kept, whatever their age.
const KEPT: u64 = 3;

/// Time after the next one from which on others are removed: no follower can still
/// be reading them.
const REMOVED_AFTER: Duration = Duration::from_secs(3600);

/// Longest time in which nothing comes from the service.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Where, and who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Options {
    /// The bucket.
    pub bucket: String,
    /// What all names begin with; may be empty.
    pub prefix: String,
    /// The region.
    pub region: String,
    /// URL of the service; AWS's without.
    pub endpoint: Option<String>,
    /// Without them, they come from the environment (`AWS_ACCESS_KEY_ID`, …).
    pub credentials: Option<Credentials>,
}

/// Who may. `Debug` is redacted.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
}

/// The pointer as it was read.
#[derive(Clone, Debug)]
pub struct Current {
    /// What it says.
    pub pointer: Pointer,
    version: UpdateVersion,
}

/// Snapshots in a bucket. Calls block their thread.
#[derive(Debug)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    prefix: Name,
    /// What was downloaded last and wasn't whole.
    pub(super) refused: Mutex<Option<Refused>>,
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

impl Storage {
    /// Connects when it is first used.
    ///
    /// # Errors
    /// [`StorageError::Service`] for options that don't go together,
    /// [`StorageError::Start`].
    pub fn open(options: &S3Options) -> Result<Self, StorageError> {
        // What the environment has belongs to the credentials that are there.
        let builder = match options.credentials {
            Some(_) => AmazonS3Builder::new(),
            None => AmazonS3Builder::from_env(),
        };
        // A transfer takes as long as it does, if it goes on.
        let client = ClientOptions::new()
            .with_timeout_disabled()
            .with_read_timeout(SILENCE_MAX);
        let mut builder = builder
            .with_client_options(client)
            .with_bucket_name(&options.bucket)
            .with_region(&options.region)
            .with_conditional_put(S3ConditionalPut::ETagMatch);
        if let Some(endpoint) = &options.endpoint {
            builder = builder
                .with_endpoint(endpoint)
                .with_allow_http(endpoint.starts_with("http://"));
        }
        if let Some(credentials) = &options.credentials {
            builder = builder
                .with_access_key_id(&credentials.access_key_id)
                .with_secret_access_key(credentials.secret_access_key.as_str());
        }
        let store = builder.build().map_err(service("connect"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("storage")
            .enable_all()
            .build()
            .map_err(StorageError::Start)?;
        Ok(Self {
            store: Arc::new(store),
            prefix: Name::from(options.prefix.as_str()),
            refused: Mutex::default(),
            runtime: Some(runtime),
        })
    }

    /// What is published there.
    ///
    /// # Errors
    /// [`StorageError::Service`], [`StorageError::Pointer`].
    pub fn current(&self) -> Result<Option<Current>, StorageError> {
        let name = self.pointer();
        let read = async {
            let found = self.store.get(&name).await?;
            let version = UpdateVersion {
                e_tag: found.meta.e_tag.clone(),
                version: found.meta.version.clone(),
            };
            Ok((found.bytes().await?, version))
        };
        match self.wait(read) {
            Ok((json, version)) => match Pointer::from_json(&json) {
                Some(pointer) => Ok(Some(Current { pointer, version })),
                None => Err(StorageError::Pointer {
                    name: name.to_string(),
                }),
            },
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(service("read the pointer")(error)),
        }
    }

    /// Brings the local directory and the storage together, before a build:
    /// takes over what another publisher has published, and publishes there what
    /// was published here alone because this process had ended in between.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn synchronise(
        &self,
        directory: &Path,
        provider: &VerifyingKey,
    ) -> Result<Option<Current>, StorageError> {
        let there = self.current()?;
        let here = published_manifest(directory, provider).map_err(Box::new)?;
        match (there, here) {
            (None, None) => Ok(None),
            (None, Some(here)) => self.push(directory, &here, None).map(Some),
            (Some(there), Some(here)) if here.digest() == there.pointer.manifest => {
                known::note(directory, &there.pointer.manifest)?;
                Ok(Some(there))
            }
            (Some(there), Some(here))
                if here.unverified().previous == Some(there.pointer.manifest) =>
            {
                self.push(directory, &here, Some(&there)).map(Some)
            }
            (Some(there), here) => {
                let here = here.as_ref().map(SignedManifest::unverified);
                let known = here.map_or(0, |here| here.sequence);
                let found = there.pointer.sequence;
                if found < known {
                    return Err(StorageError::Older { known, found });
                }
                self.fetch(&there.pointer, directory, provider)?.place()?;
                let id = there.pointer.snapshot;
                current::replace(directory, id)?;
                known::note(directory, &there.pointer.manifest)?;
                let keep = [Some(id), here.map(|here| here.snapshot)];
                let keep: Vec<SnapshotId> = keep.into_iter().flatten().collect();
                current::remove_others(directory, &keep)?;
                Ok(Some(there))
            }
        }
    }

    /// Publishes there what is published here, in the place of `before`.
    ///
    /// # Errors
    /// [`StorageError::Raced`] if something else is in that place by now.
    pub fn push(
        &self,
        directory: &Path,
        manifest: &SignedManifest,
        before: Option<&Current>,
    ) -> Result<Current, StorageError> {
        let pointer = Pointer::to(manifest);
        let path = current::snapshot_path(directory, pointer.snapshot);
        self.wait(self.upload(&path, &self.object(&pointer)))?;
        log::mirror(&log::Directory::new(directory), self, manifest)?;
        let options = PutOptions::from(match before {
            None => PutMode::Create,
            Some(before) => PutMode::Update(before.version.clone()),
        });
        let (name, json) = (self.pointer(), PutPayload::from(pointer.to_json()));
        let put = self.store.put_opts(&name, json, options);
        let there = match self.wait(put) {
            Ok(put) => Current {
                pointer,
                version: put.into(),
            },
            Err(error) => match self.current() {
                // It was done, though what was said of it was lost.
                Ok(Some(there)) if there.pointer == pointer => there,
                _ => {
                    return Err(match error {
                        object_store::Error::Precondition { .. }
                        | object_store::Error::AlreadyExists { .. } => StorageError::Raced,
                        error => service("publish")(error),
                    });
                }
            },
        };
        known::note(directory, &there.pointer.manifest)?;
        Ok(there)
    }

    /// Removes snapshots that nobody serves any more; gives how many.
    ///
    /// # Errors
    /// [`StorageError::Service`].
    pub fn remove_old(&self, newest: &Pointer, now: SystemTime) -> Result<usize, StorageError> {
        let remove = async {
            let names = self.prefix.clone().join("snapshots");
            let all: Vec<_> = self.store.list(Some(&names)).try_collect().await?;
            let all = all.into_iter().filter_map(|object| {
                let sequence = object.location.filename().and_then(sequence)?;
                Some((sequence, object.last_modified.into(), object.location))
            });
            let old = old(all.collect(), newest.sequence, now);
            for name in &old {
                self.store.delete(name).await?;
            }
            Ok(old.len())
        };
        self.wait(remove).map_err(service("remove old snapshots"))
    }

    pub(super) fn store(&self) -> &dyn ObjectStore {
        &*self.store
    }

    pub(super) fn wait<F: Future>(&self, task: F) -> F::Output {
        match &self.runtime {
            Some(runtime) => runtime.block_on(task),
            None => unreachable!("only `drop` takes it"),
        }
    }

    /// The name of an object, below the prefix.
    pub(super) fn name(&self, name: &str) -> Name {
        let parts = name.split('/');
        parts.fold(self.prefix.clone(), |name, part| name.join(part))
    }

    fn pointer(&self) -> Name {
        self.name("current.json")
    }

    pub(super) fn object(&self, pointer: &Pointer) -> Name {
        let (sequence, manifest) = (pointer.sequence, pointer.manifest);
        self.name(&format!("snapshots/{sequence}-{manifest}.sotto"))
    }
}

/// A runtime can't wait for its threads where a task drops it.
impl Drop for Storage {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Which of objects with these sequences and times are of no use any more. A
/// follower may have begun with one as long as none came after it, however old it
/// was by then.
fn old<T>(mut all: Vec<(u64, SystemTime, T)>, newest: u64, now: SystemTime) -> Vec<T> {
    all.sort_by_key(|(sequence, ..)| std::cmp::Reverse(*sequence));
    let (mut old, mut superseded, mut successor) = (Vec::new(), now, now);
    let mut last = None;
    for (sequence, written, object) in all {
        if last != Some(sequence) {
            superseded = successor;
        }
        last = Some(sequence);
        successor = successor.min(written);
        let since = now.duration_since(superseded).unwrap_or_default();
        if sequence + KEPT <= newest && since > REMOVED_AFTER {
            old.push(object);
        }
    }
    old
}

/// The sequence in an object's name.
fn sequence(name: &str) -> Option<u64> {
    name.strip_suffix(".sotto")?.split_once('-')?.0.parse().ok()
}

pub(super) fn service(action: &'static str) -> impl FnOnce(object_store::Error) -> StorageError {
    move |source| StorageError::Service {
        action,
        source: Box::new(source),
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_superseded_an_hour_ago_is_old() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30);
        let minutes = |ago: u64| now - Duration::from_secs(60 * ago);
        let old = |all: &[(u64, u64)], newest| {
            let all = all.iter().map(|(at, ago)| (*at, minutes(*ago), *at));
            old(all.collect(), newest, now)
        };
        // Published long ago and the newest until a moment ago.
        assert!(old(&[(1, 900), (2, 3), (3, 2), (4, 1)], 4).is_empty());
        assert_eq!(old(&[(1, 900), (2, 61), (3, 2), (4, 1)], 4), [1]);
        assert_eq!(old(&[(4, 70), (2, 90), (1, 99), (3, 80)], 4), [1]);
        // Those that lost a race count like those that won it.
        assert_eq!(
            old(&[(1, 99), (1, 30), (2, 80), (2, 20), (9, 1)], 9),
            [1, 1]
        );
        assert!(old(&[(1, 99), (2, 90), (3, 80)], 3).is_empty());
        assert!(old(&[], 3).is_empty());
    }
}
