//! Made-up recipients for trials, demonstrations and load tests.
//!
//! A [`Sample`] is a stream of [`SampleRecord`]s: valid phone numbers of every
//! region that libphonenumber knows and mail addresses of reserved domains,
//! each with a credential and mappings that verify under the sample's trust
//! list. The same seed and time give the same bytes.
//!
//! The secret keys follow from the seed, so a trust list made here must never
//! reach a provider or a client of real people. The numbers are made up and
//! may by chance be somebody's.

mod answers;
mod csips;
mod mails;
mod person;
mod phones;
mod run;

use std::collections::HashSet;

use protocol::bundle::{Bundle, BundleError};
use protocol::credential::{CredentialError, SignedCredential};
use protocol::csi::{Csi, CsiError};
use protocol::mapping::{EntryError, MappingError, SignedMapping};
use protocol::time::UnixTime;
use protocol::trust::{TrustList, TrustListError};
use rand::RngExt as _;
use rayon::prelude::*;
use sha3::{Digest as _, Sha3_256};

pub use answers::Answers;
pub use run::{SampleArgs, run};

use csips::Csips;
use person::Streams;
use phones::Phones;

/// Records that [`Sample::next_batch`] is meant to be asked for at a time.
pub const BATCH: usize = 4096;

/// Share of phone numbers among the identifiers, out of 3.
const PHONES_OF_3: u32 = 2;

/// Most candidates that are tried for one identifier.
const ATTEMPTS: u32 = 1000;

/// One recipient: what an import line holds.
#[derive(Clone, Debug)]
pub struct SampleRecord {
    /// The identifier.
    pub csi: Csi,
    /// The sample CSIP's credential for it.
    pub credential: SignedCredential,
    /// The recipient's mappings, 0 to 4.
    pub mappings: Vec<SignedMapping>,
}

impl SampleRecord {
    /// What a provider makes of it.
    ///
    /// # Errors
    /// [`BundleError`], which no generated record has.
    pub fn bundle(&self) -> Result<Bundle, BundleError> {
        Bundle::new(self.credential.clone(), self.mappings.clone())
    }
}

/// An endless, reproducible stream of recipients with distinct identifiers.
pub struct Sample {
    streams: Streams,
    csips: Csips,
    phones: Phones,
    now: UnixTime,
    next_slot: u64,
    /// First 16 bytes of the digest of each identifier given out.
    seen: HashSet<[u8; 16]>,
}

impl Sample {
    /// The stream of a seed, valid at `now` and for 30 days after it.
    ///
    /// # Errors
    /// [`SampleError::Trust`], [`SampleError::NoExamples`], which the built-in
    /// tables never cause.
    pub fn new(seed: u64, now: UnixTime) -> Result<Self, SampleError> {
        let streams = Streams::new(seed);
        Ok(Self {
            csips: Csips::new(&streams)?,
            phones: Phones::from_metadata()?,
            streams,
            now,
            next_slot: 0,
            seen: HashSet::new(),
        })
    }

    /// The CSIPs that vouch for the sample.
    #[must_use]
    pub fn trust(&self) -> &TrustList {
        self.csips.trust()
    }

    /// The instant that the stream was made for.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.now
    }

    /// The next `count` recipients. The stream doesn't depend on the sizes of
    /// the batches that it is taken in.
    ///
    /// # Errors
    /// [`SampleError`], by what went wrong.
    pub fn next_batch(&mut self, count: usize) -> Result<Vec<SampleRecord>, SampleError> {
        let identifiers = self.identifiers(count)?;
        identifiers
            .into_par_iter()
            .map(|(slot, csi)| person::record(&self.streams, &self.csips, self.now, slot, csi))
            .collect()
    }

    /// `count` identifiers that the stream has not given out and never will.
    ///
    /// # Errors
    /// [`SampleError`], by what went wrong.
    pub fn absent(&mut self, count: usize) -> Result<Vec<Csi>, SampleError> {
        Ok(self
            .identifiers(count)?
            .into_iter()
            .map(|(_, csi)| csi)
            .collect())
    }

    /// New identifiers with their slots, made in parallel; the later of two
    /// equal ones is made anew, one after the other.
    fn identifiers(&mut self, count: usize) -> Result<Vec<(u64, Csi)>, SampleError> {
        let first = self.next_slot;
        let slots = first..first + count as u64;
        self.next_slot = slots.end;
        let candidates: Vec<_> = slots
            .into_par_iter()
            .map(|slot| (slot, self.candidate(slot, 0)))
            .collect();
        let mut identifiers = Vec::with_capacity(count);
        for (slot, (mut candidate, mut attempt)) in candidates {
            loop {
                match candidate {
                    Some(csi) if self.seen.insert(fingerprint(&csi)) => {
                        identifiers.push((slot, csi));
                        break;
                    }
                    Some(_) => (candidate, attempt) = self.candidate(slot, attempt),
                    None => return Err(SampleError::OutOfIdentifiers { attempts: ATTEMPTS }),
                }
            }
        }
        Ok(identifiers)
    }

    /// The first identifier of a slot from `attempt` on, and the attempt after
    /// it.
    fn candidate(&self, slot: u64, attempt: u32) -> (Option<Csi>, u32) {
        for attempt in attempt..ATTEMPTS {
            let mut rng = self.streams.identifier(slot, attempt);
            let csi = if rng.random_range(0..3) < PHONES_OF_3 {
                self.phones.random(&mut rng)
            } else {
                mails::random(&mut rng)
            };
            if csi.is_some() {
                return (csi, attempt + 1);
            }
        }
        (None, ATTEMPTS)
    }
}

/// The first `count` recipients of a seed's stream, and who vouches for them.
///
/// # Errors
/// [`SampleError`], by what went wrong.
pub fn generate(
    count: usize,
    seed: u64,
    now: UnixTime,
) -> Result<(Vec<SampleRecord>, TrustList), SampleError> {
    let mut sample = Sample::new(seed, now)?;
    let records = sample.next_batch(count)?;
    Ok((records, sample.trust().clone()))
}

fn fingerprint(csi: &Csi) -> [u8; 16] {
    let digest = Sha3_256::digest(csi.canonical());
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&digest[..16]);
    fingerprint
}

/// Why no sample could be made.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// The phone number metadata hold no usable example.
    #[error("the phone number metadata hold no usable example number")]
    NoExamples,
    /// So many identifiers were asked for that no new one is found.
    #[error("no new identifier after {attempts} candidates: ask for fewer records")]
    OutOfIdentifiers {
        /// Candidates that were tried.
        attempts: u32,
    },
    /// An identifier.
    #[error(transparent)]
    Csi(#[from] CsiError),
    /// A credential.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// An entry of a mapping.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// A mapping.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// A bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The trust list.
    #[error(transparent)]
    Trust(#[from] TrustListError),
}

#[cfg(test)]
mod tests;
