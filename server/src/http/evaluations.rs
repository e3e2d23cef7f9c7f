//! OPRF evaluations: which key, and on which threads.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use protocol::oprf::{BlindedElement, Evaluation};
use protocol::time::UnixTime;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::Error;
use crate::oprf_keys::OprfKeyRing;

/// Largest batch that one thread does alone: handing it over costs more.
const ALONE_MAX: usize = 64;

/// Evaluates batches under the keys that are live.
pub(super) struct Evaluator {
    keys: ArcSwap<OprfKeyRing>,
    /// Its own, so that lookups don't wait for a build. One thread a core.
    pool: ThreadPool,
}

impl Evaluator {
    /// # Errors
    /// The operating system's, if it gives no thread.
    pub(super) fn start(keys: OprfKeyRing) -> io::Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .thread_name(|at| format!("oprf-{at}"))
            .build()
            .map_err(io::Error::other)?;
        let keys = ArcSwap::from_pointee(keys);
        Ok(Self { keys, pool })
    }

    pub(super) fn keys(&self) -> Arc<OprfKeyRing> {
        self.keys.load_full()
    }

    pub(super) fn replace(&self, keys: OprfKeyRing) {
        self.keys.store(Arc::new(keys));
    }

    /// Whether a key of that epoch is live.
    ///
    /// # Errors
    /// [`Error::OprfEpoch`] if none is.
    pub(super) fn check(&self, epoch: u64, now: UnixTime) -> Result<(), Error> {
        let keys = self.keys();
        match keys.live(epoch, now) {
            Some(_) => Ok(()),
            None => Err(Error::OprfEpoch {
                current: keys.newest().epoch,
            }),
        }
    }

    /// One proof for all elements, under the key of the epoch that is asked for.
    ///
    /// # Errors
    /// [`Error::OprfEpoch`] if none of that epoch is live,
    /// [`Error::OprfEvaluation`].
    pub(super) fn evaluate(
        &self,
        epoch: u64,
        elements: &[BlindedElement],
        now: UnixTime,
    ) -> Result<Evaluation, Error> {
        let keys = self.keys();
        let Some(key) = keys.live(epoch, now) else {
            let current = keys.newest().epoch;
            return Err(Error::OprfEpoch { current });
        };
        let evaluate = || key.blind_evaluate(elements, &mut rand::rng());
        let evaluation = if elements.len() <= ALONE_MAX {
            evaluate()
        } else {
            self.pool.install(evaluate)
        };
        evaluation.map_err(Error::OprfEvaluation)
    }
}
