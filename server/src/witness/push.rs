//! Every published checkpoint is sent to the witnesses that have not signed it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use protocol::log::{NoteKey, SignedCheckpoint};
use protocol::merkle::Hash;
use protocol::time::UnixTime;
use reqwest::Client;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::ask::{self, AskError};
use super::{Published, Witness, WitnessError};
use crate::data_dir::DataDir;
use crate::snapshot::build::published_manifest;
use crate::storage::Storage;

/// How often it is looked whether something else is published.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The pause after the first attempt of which a witness is missing, doubled after
/// each up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The pause after a look at a storage whose pointer has not moved yet.
const UNPUBLISHED_PAUSE: Duration = Duration::from_secs(5);

/// Attempts of a command that somebody waits for.
const ATTEMPTS: usize = 3;

/// Sends checkpoints.
#[derive(Debug)]
pub struct Pusher {
    data: DataDir,
    storage: Option<Arc<Storage>>,
    client: Client,
    /// What is published, and its log once it was read.
    published: Option<(Hash, Option<Arc<Published>>)>,
    /// By a witness's key, how many entries it has signed last.
    seen: HashMap<String, u64>,
}

/// A witness that has not signed, and why.
#[derive(Debug)]
pub struct Failed {
    /// Its name.
    pub witness: String,
    /// Why.
    pub error: AskError,
}

impl Pusher {
    /// For what a data directory publishes, and its storage if there is one.
    ///
    /// # Errors
    /// [`WitnessError::Client`].
    pub fn new(data: DataDir, storage: Option<Arc<Storage>>) -> Result<Self, WitnessError> {
        Ok(Self {
            data,
            storage,
            client: ask::client()?,
            published: None,
            seen: HashMap::new(),
        })
    }

    /// Has the published checkpoint cosigned, with a few attempts; gives the
    /// witnesses that have not signed then.
    ///
    /// # Errors
    /// [`WitnessError`] for what keeps all of them from it.
    pub async fn push(&mut self) -> Result<Vec<Failed>, WitnessError> {
        let mut pause = FIRST_PAUSE;
        self.look().await?;
        for _ in 1..ATTEMPTS {
            if self.attempt().await?.is_empty() {
                return Ok(Vec::new());
            }
            sleep(pause).await;
            pause *= 2;
        }
        self.attempt().await
    }

    /// Whether something else is published than at the last look.
    async fn look(&mut self) -> Result<bool, WitnessError> {
        let data = self.data.clone();
        let digest = blocking(move || {
            let provider = data.provider_public_key().map_err(Box::new)?;
            let manifest = published_manifest(&data.snapshots(), &provider).map_err(Box::new)?;
            Ok(manifest.map(|manifest| manifest.digest()))
        });
        let digest = digest.await?;
        let known = self.published.as_ref().map(|(digest, _)| *digest);
        if digest == known {
            return Ok(false);
        }
        self.published = digest.map(|digest| (digest, None));
        Ok(true)
    }

    /// Asks each witness that has not signed, all at once; gives those that still
    /// have not.
    async fn attempt(&mut self) -> Result<Vec<Failed>, WitnessError> {
        let Some((digest, published)) = self.published.take() else {
            return Ok(Vec::new());
        };
        // What fails before the log was read is tried again.
        self.published = Some((digest, None));
        let (data, storage) = (self.data.clone(), self.storage.clone());
        let work = blocking(move || Work::find(&data, storage, published));
        let Some(work) = work.await? else {
            return Ok(Vec::new());
        };
        self.published = Some((digest, Some(Arc::clone(&work.published))));
        let this = &*self;
        let asked = work.missing.iter().map(|witness| this.ask(&work, witness));
        let answers = join_all(asked).await;
        let mut failed = Vec::new();
        for (witness, answer) in work.missing.iter().zip(answers) {
            let (name, size) = (witness.key.name(), work.published.size());
            match answer {
                Ok(()) => {
                    tracing::info!(witness = name, size, "cosigned");
                    self.seen.insert(witness.key.to_string(), size);
                }
                Err(error) => failed.push(Failed {
                    witness: name.to_owned(),
                    error,
                }),
            }
        }
        Ok(failed)
    }

    async fn ask(&self, work: &Work, witness: &Witness) -> Result<(), AskError> {
        let Some(url) = &witness.add_checkpoint else {
            return Ok(());
        };
        let seen = self.seen.get(&witness.key.to_string());
        let seen = seen.copied().unwrap_or(0).min(work.published.size());
        let (client, checkpoint) = (&self.client, &work.checkpoint);
        let lines = ask::ask(client, url, &work.published, checkpoint, seen).await?;
        let (published, key) = (Arc::clone(&work.published), witness.key.clone());
        let add = blocking(move || published.add(&lines, &[key], UnixTime::now()));
        match add.await?.added {
            0 => Err(AskError::NoCosignature),
            _ => Ok(()),
        }
    }
}

/// What is to be signed, and by whom.
struct Work {
    published: Arc<Published>,
    checkpoint: SignedCheckpoint,
    missing: Vec<Witness>,
}

impl Work {
    fn find(
        data: &DataDir,
        storage: Option<Arc<Storage>>,
        published: Option<Arc<Published>>,
    ) -> Result<Option<Self>, WitnessError> {
        let mut missing = Witness::read_all(data.root())?;
        missing.retain(|witness| witness.add_checkpoint.is_some());
        if missing.is_empty() {
            return Ok(None);
        }
        let published = match published {
            Some(published) => published,
            None => match Published::open(data, storage)? {
                Some(published) => Arc::new(published),
                None => return Ok(None),
            },
        };
        let checkpoint = published.checkpoint()?;
        // One that doesn't verify is not one.
        let signed = |key: &NoteKey| checkpoint.note().is_signed_by(key).unwrap_or(false);
        missing.retain(|witness| !signed(&witness.key));
        Ok(Some(Self {
            published,
            checkpoint,
            missing,
        }))
    }
}

/// Has each checkpoint cosigned as soon as it is published, for as long as the
/// process lives. Of a witness that doesn't sign it is said once a publication; it
/// is asked again after pauses that grow.
pub async fn keep_cosigned(mut pusher: Pusher) {
    let (mut due, mut pause) = (Instant::now(), FIRST_PAUSE);
    let mut told = HashSet::new();
    loop {
        let looked = pusher.look().await;
        if matches!(looked, Ok(true)) {
            (due, pause) = (Instant::now(), FIRST_PAUSE);
            told.clear();
        }
        if let Err(error) = looked {
            tell(&mut told, None, &error);
        } else if Instant::now() >= due {
            let next = match pusher.attempt().await {
                // Witnesses may be added to the file.
                Ok(failed) if failed.is_empty() => LONGEST_PAUSE,
                Ok(failed) => {
                    for Failed { witness, error } in &failed {
                        tell(&mut told, Some(witness), error);
                    }
                    pause
                }
                // A publisher is at it, and no witness was asked.
                Err(WitnessError::Unpublished) => {
                    pause = FIRST_PAUSE;
                    UNPUBLISHED_PAUSE
                }
                Err(error) => {
                    tell(&mut told, None, &error);
                    pause
                }
            };
            due = Instant::now() + next;
            if next == pause {
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

fn tell(
    told: &mut HashSet<Option<String>>,
    witness: Option<&String>,
    error: &(dyn std::error::Error + 'static),
) {
    if told.insert(witness.cloned()) {
        let witness = witness.map(String::as_str);
        tracing::warn!(
            witness,
            error,
            "the checkpoint is not cosigned; witnesses are asked again"
        );
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WitnessError> + Send + 'static,
) -> Result<T, WitnessError> {
    spawn_blocking(work)
        .await
        .map_err(|_| WitnessError::Panicked)?
}
