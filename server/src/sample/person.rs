//! One recipient: credential and mappings.

use std::fmt;

use protocol::cose::SigningKey;
use protocol::credential::{Credential, MAX_VALIDITY_SECS};
use protocol::csi::Csi;
use protocol::mapping::{
    Entry, Exclusivity, Mapping, MappingId, MspDomain, Policy, Preference, Reach, Replaces, Tag,
};
use protocol::time::UnixTime;
use protocol::trust::TrustError;
use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use sha3::{Digest as _, Sha3_256};

use super::csips::Csips;
use super::{SampleError, SampleRecord};

const DAY: u64 = 24 * 60 * 60;

/// Longest time between issue and the sample's `now`, so that every credential
/// has 30 days left.
const OLDEST_ISSUE: u64 = 60 * DAY;

/// MSPs by their domains, the widely used first.
const MSPS: [&str; 12] = [
    "whatsapp.com",
    "telegram.org",
    "signal.org",
    "messenger.com",
    "viber.com",
    "line.me",
    "wechat.com",
    "matrix.org",
    "threema.ch",
    "wire.com",
    "kakaocorp.com",
    "element.io",
];

const TAGS: [&str; 8] = [
    "personal", "business", "family", "friends", "group", "support", "weekends", "on call",
];

/// Reproducible randomness, by purpose and slot.
pub(super) struct Streams {
    seed: u64,
    identifiers: [u8; 32],
    persons: [u8; 32],
}

impl Streams {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            identifiers: key(seed, "identifiers"),
            persons: key(seed, "persons"),
        }
    }

    /// For an attempt at the identifier of a slot. Attempts lie 2^16 words
    /// apart, far more than one takes.
    pub(super) fn identifier(&self, slot: u64, attempt: u32) -> ChaCha20Rng {
        let mut rng = ChaCha20Rng::from_seed(self.identifiers);
        rng.set_stream(slot);
        rng.set_word_pos(u128::from(attempt) << 16);
        rng
    }

    /// The key of a CSIP.
    pub(super) fn csip_key(&self, issuer: &str) -> SigningKey {
        SigningKey::generate(&mut ChaCha20Rng::from_seed(key(self.seed, issuer)))
    }

    /// For choices that are made once.
    pub(super) fn once(&self, purpose: &str) -> ChaCha20Rng {
        ChaCha20Rng::from_seed(key(self.seed, purpose))
    }

    fn person(&self, slot: u64) -> ChaCha20Rng {
        let mut rng = ChaCha20Rng::from_seed(self.persons);
        rng.set_stream(slot);
        rng
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streams(redacted)")
    }
}

fn key(seed: u64, purpose: &str) -> [u8; 32] {
    let mut hash = Sha3_256::new();
    hash.update(b"sotto sample v1\0");
    hash.update(seed.to_be_bytes());
    hash.update(purpose.as_bytes());
    hash.finalize().into()
}

/// What a recipient has published.
enum Presence {
    OptedOut,
    Nothing,
    Mappings(usize),
}

impl Presence {
    /// 3 % opted out, 5 % nothing, else mostly one mapping.
    fn random<R: Rng>(rng: &mut R) -> Self {
        match rng.random_range(0..100) {
            0..3 => Self::OptedOut,
            3..8 => Self::Nothing,
            8..86 => Self::Mappings(1),
            86..96 => Self::Mappings(2),
            96..99 => Self::Mappings(3),
            _ => Self::Mappings(4),
        }
    }
}

/// The recipient of a slot.
pub(super) fn record(
    streams: &Streams,
    csips: &Csips,
    now: UnixTime,
    slot: u64,
    csi: Csi,
) -> Result<SampleRecord, SampleError> {
    let mut rng = streams.person(slot);
    let csip = csips
        .responsible(&csi)
        .ok_or(protocol::credential::CredentialError::Untrusted(
            TrustError::OutOfScope,
        ))?;
    let holder = SigningKey::generate(&mut rng);
    let issued_at = now.saturating_sub(rng.random_range(0..=OLDEST_ISSUE));
    let credential = Credential {
        issuer: csip.issuer.clone(),
        subject: csi,
        holder: holder.verifying_key(),
        issued_at,
        expires: issued_at.saturating_add(MAX_VALIDITY_SECS),
        assignment: rng.random_range(1..=3),
    };
    let mut mappings = Vec::new();
    match Presence::random(&mut rng) {
        Presence::Nothing => {}
        Presence::OptedOut => {
            let entries = Vec::new();
            mappings.push(
                mapping(&mut rng, now, &credential, Replaces::All, 1, entries).sign(&holder)?,
            );
        }
        Presence::Mappings(count) => {
            for seq in 1..=count {
                let entries = entries(&mut rng)?;
                let mapping = mapping(
                    &mut rng,
                    now,
                    &credential,
                    Replaces::SameId,
                    seq as u64,
                    entries,
                );
                mappings.push(mapping.sign(&holder)?);
            }
        }
    }
    let csi = credential.subject.clone();
    Ok(SampleRecord {
        csi,
        credential: credential.issue(&csip.key)?,
        mappings,
    })
}

/// A mapping that holds since the credential was issued and for 30 to 365 days
/// from now.
fn mapping<R: Rng>(
    rng: &mut R,
    now: UnixTime,
    credential: &Credential,
    replaces: Replaces,
    seq: u64,
    entries: Vec<Entry>,
) -> Mapping {
    let exclusivity = if rng.random_range(0..50) == 0 {
        Exclusivity::Exclusive
    } else {
        Exclusivity::Shared
    };
    let reach = if rng.random_range(0..20) == 0 {
        Reach::SameAppOnly
    } else {
        Reach::AnyApp
    };
    Mapping {
        subject: credential.subject.clone(),
        id: MappingId(rng.random()),
        seq,
        not_before: credential.issued_at,
        expires: now.saturating_add(rng.random_range(30 * DAY..=365 * DAY)),
        assignment: credential.assignment,
        replaces,
        policy: Policy { exclusivity, reach },
        entries,
    }
}

/// 1 to 4 entries of different MSPs, mostly one or two; the first of them is
/// the default for two recipients in three.
fn entries<R: Rng>(rng: &mut R) -> Result<Vec<Entry>, SampleError> {
    let count = match rng.random_range(0..10) {
        0..5 => 1,
        5..8 => 2,
        8 => 3,
        _ => 4,
    };
    let has_default = rng.random_range(0..3) < 2;
    let mut entries: Vec<Entry> = Vec::with_capacity(count);
    while entries.len() < count {
        // The smaller of two draws: the widely used more often.
        let at = rng
            .random_range(0..MSPS.len())
            .min(rng.random_range(0..MSPS.len()));
        let msp = MspDomain::parse(MSPS[at])?;
        if entries.iter().any(|entry| entry.msp == msp) {
            continue;
        }
        let preference = match entries.is_empty() && has_default {
            true => Preference::Default,
            false => Preference::Ordinary,
        };
        let priority = entries.len() as u8;
        entries.push(Entry::new(msp, tags(rng)?, priority, preference)?);
    }
    Ok(entries)
}

/// 0 to 3 different tags, mostly one.
fn tags<R: Rng>(rng: &mut R) -> Result<Vec<Tag>, SampleError> {
    let count = match rng.random_range(0..10) {
        0..2 => 0,
        2..8 => 1,
        8 => 2,
        _ => 3,
    };
    let mut tags = Vec::with_capacity(count);
    while tags.len() < count {
        let tag = Tag::new(TAGS[rng.random_range(0..TAGS.len())])?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}
