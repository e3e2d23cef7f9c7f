//! Audits: what a provider publishes, checked as a whole.
//!
//! A client checks what it is shown: that its manifest is in the log, and its
//! bucket under the manifest's root. An audit checks what nobody else would see:
//! that all manifests of the log follow one another, and that the hint and the
//! root of the newest snapshot are what follows from its database. The manifest
//! that is audited is the last one of the log, so the auditor can't be given one
//! of its own; what is found says nothing of earlier snapshots, which clients
//! take until they expire.

mod digest;
mod error;
mod lag;
mod snapshot;

use protocol::log::{LogHash, TileSet, Tree, TreeHead, consistency_ranges};
use protocol::manifest::{ManifestPin, SignedManifest};
use protocol::time::UnixTime;
use protocol::wire::{self, media};

pub use error::AuditError;
pub use snapshot::SnapshotReport;

use self::lag::Lag;
use crate::config::ClientConfig;
use crate::error::ClientError;
use crate::log::{self, Chain, LogRefusal, LogSource, require_consistency, require_growth};
use crate::snapshot::VerifiedManifest;
use crate::transport::{Exchange, Transport};

/// How far a step of an audit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditProgress {
    /// What is done, in a word or two.
    pub step: &'static str,
    /// How much of it is.
    pub done: u64,
    /// How much there is; 0 if that is not known.
    pub total: u64,
}

/// Hears how far an audit is.
pub type Listener<'a> = &'a (dyn Fn(AuditProgress) + Sync);

/// An audit of one provider.
pub struct Audit {
    config: ClientConfig,
    transport: Transport,
}

/// The log as it was found, all of it verified.
#[derive(Clone, Debug)]
pub struct ChainReport {
    /// Where it ends.
    pub head: TreeHead,
    /// The last manifest in it.
    pub newest: ManifestPin,
    /// The manifest that the provider gives out, by its sequence.
    pub served: u64,
    pin: ManifestPin,
    tree: Tree,
}

impl Audit {
    /// Of the provider that lookups would be made at.
    ///
    /// # Errors
    /// As [`Client::connect`](crate::Client::connect), for the configuration.
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        let transport = Transport::new(config.endpoint(), config.api_key.as_ref())?;
        Ok(Self { config, transport })
    }

    /// Reads the whole log: that its entries lead to the root that the provider
    /// has signed and enough witnesses have seen; that each manifest follows the
    /// one before; that the manifest which the provider gives out is one of them,
    /// and that the log goes on from what was remembered. If something older is
    /// shown than was, all of it is read once more after
    /// [`ClientConfig::server_lag`].
    ///
    /// # Errors
    /// [`AuditError`].
    pub async fn chain(&self, tell: Listener<'_>) -> Result<ChainReport, AuditError> {
        let mut lag = Lag::new(self.config.server_lag);
        loop {
            match self.read_chain(tell).await {
                Err(error) => lag.wait(error, tell).await?,
                report => return report,
            }
        }
    }

    async fn read_chain(&self, tell: Listener<'_>) -> Result<ChainReport, AuditError> {
        let served = self.manifest().await?;
        let source = LogSource::new(&self.transport);
        let dp_key = &self.config.dp_key;
        let checkpoint = source.checkpoint(dp_key).await?;
        self.config.witnesses.require(&checkpoint)?;
        let head = checkpoint.head();
        let sequence = served.unverified().sequence;
        if sequence > head.size {
            let size = head.size;
            return Err(LogRefusal::NotInLog { sequence, size }.into());
        }

        let pins = self.remembered()?;
        let (mut tree, mut chain) = (Tree::default(), Chain::new(dp_key));
        let mut included = false;
        while tree.size() < head.size {
            let index = tree.size() / protocol::log::TILE_WIDTH as u64;
            for entry in source.bundle(index, head.size).await? {
                tree.append(LogHash::of_leaf(&entry));
                chain.follow(&entry)?;
                included |= tree.size() == sequence && entry == served.as_bytes();
                require_pinned(&pins, chain.last())?;
            }
            tell(AuditProgress {
                step: "log",
                done: tree.size(),
                total: head.size,
            });
        }
        let found = tree.head(head.size);
        if found != Some(head) {
            return Err(LogRefusal::Root { size: head.size }.into());
        }
        if !included {
            return Err(LogRefusal::NotIncluded { sequence }.into());
        }
        let newest = chain.last().ok_or(LogRefusal::Entry { sequence: 1 })?;
        let report = ChainReport {
            head,
            newest,
            served: sequence,
            pin: ManifestPin {
                log: Some(head),
                ..served.pin()
            },
            tree,
        };
        for pin in &pins {
            pin.succession(&served).map_err(ClientError::from)?;
            if let Some(known) = &pin.log {
                require_growth(known, &head)?;
                report.require_beginning(known)?;
            }
        }
        if let Some(cache) = &self.config.cache {
            let accepted = cache.accept(served.unverified(), report.pin);
            accepted.map_err(ClientError::from)?;
        }
        Ok(report)
    }

    /// What earlier runs have accepted.
    fn remembered(&self) -> Result<Vec<ManifestPin>, ClientError> {
        let cached = match &self.config.cache {
            Some(cache) => cache.manifest_pin()?,
            None => None,
        };
        Ok([self.config.last_manifest, cached]
            .into_iter()
            .flatten()
            .collect())
    }

    /// Compares with what another server, or the same from elsewhere, shows:
    /// one log must be the beginning of the other.
    ///
    /// # Errors
    /// [`AuditError::SplitView`], or what keeps from comparing.
    pub async fn compare(
        &self,
        report: &ChainReport,
        other: &ClientConfig,
    ) -> Result<TreeHead, AuditError> {
        let transport = Transport::new(other.endpoint(), None)?;
        let source = LogSource::new(&transport);
        let found = source.checkpoint(&self.config.dp_key).await?.head();
        let split = || AuditError::SplitView {
            server: other.server.clone(),
            here: report.head.size,
            there: found.size,
        };
        if found.size <= report.head.size {
            report.require_beginning(&found).map_err(|_| split())?;
            return Ok(found);
        }
        let ranges = consistency_ranges(report.head.size, found.size).map_err(LogRefusal::from)?;
        let tiles: TileSet = source.tiles(TileSet::needed(&ranges, found.size)).await?;
        require_consistency(&report.head, &found, &tiles).map_err(|_| split())?;
        Ok(found)
    }

    /// Downloads the newest snapshot's database and hint, and computes from the
    /// database what the manifest says of it: digest, root, number of records and
    /// the hint under the CRS of the pinned key. Of block list and membership
    /// filter it checks digest, form and number of entries: what they say of
    /// identifiers is not in the database. The manifest must be the last one of a
    /// log that goes on from what was remembered, and from `chain` if that is given.
    ///
    /// # Errors
    /// [`AuditError`].
    pub async fn snapshot(
        &self,
        chain: Option<&ChainReport>,
        tell: Listener<'_>,
    ) -> Result<SnapshotReport, AuditError> {
        let mut lag = Lag::new(self.config.server_lag);
        let manifest = loop {
            match self.newest(chain).await {
                Err(error) => lag.wait(error, tell).await?,
                Ok(manifest) => break manifest,
            }
        };
        snapshot::audit(&self.transport, manifest, tell).await
    }

    /// The last manifest of the log.
    async fn newest(&self, chain: Option<&ChainReport>) -> Result<VerifiedManifest, AuditError> {
        let (dp_key, bytes) = (&self.config.dp_key, self.manifest_bytes().await?);
        let manifest = VerifiedManifest::new(&bytes, dp_key, UnixTime::now())?;
        let mut pins = self.remembered()?;
        pins.extend(chain.map(ChainReport::pin));
        for pin in &pins {
            pin.succession(manifest.signed())
                .map_err(ClientError::from)?;
        }
        let source = LogSource::new(&self.transport);
        let witnesses = &self.config.witnesses;
        let head = log::verify(&source, dp_key, witnesses, manifest.signed(), pins).await?;
        let (served, size) = (manifest.signed().unverified().sequence, head.size);
        if served < size {
            return Err(AuditError::NotNewest { served, size });
        }
        Ok(manifest)
    }

    async fn manifest_bytes(&self) -> Result<Vec<u8>, ClientError> {
        let manifest = self.transport.get(Exchange {
            step: "manifest",
            path: wire::MANIFEST_PATH,
            accept: media::COSE,
            max_bytes: protocol::cose::MAX_SIGNED_BYTES,
        });
        manifest.await
    }

    async fn manifest(&self) -> Result<SignedManifest, ClientError> {
        let signed = SignedManifest::from_bytes(&self.manifest_bytes().await?)?;
        signed.verify(&self.config.dp_key, UnixTime::now())?;
        Ok(signed)
    }
}

/// Refuses a log with another manifest in the place of one that was accepted.
fn require_pinned(pins: &[ManifestPin], found: Option<ManifestPin>) -> Result<(), LogRefusal> {
    let Some(found) = found else { return Ok(()) };
    let other = |pin: &ManifestPin| pin.sequence == found.sequence && pin.digest != found.digest;
    match pins.iter().any(other) {
        true => Err(LogRefusal::NotIncluded {
            sequence: found.sequence,
        }),
        false => Ok(()),
    }
}

impl ChainReport {
    /// What to remember, for [`ClientConfig::last_manifest`]: the manifest that
    /// the provider gives out, and where the log ended.
    #[must_use]
    pub fn pin(&self) -> ManifestPin {
        self.pin
    }

    /// Refuses an end of the log that this one doesn't begin with.
    fn require_beginning(&self, known: &TreeHead) -> Result<(), LogRefusal> {
        if self.tree.head(known.size) == Some(*known) {
            return Ok(());
        }
        Err(LogRefusal::Inconsistent {
            known: known.size,
            found: self.head.size,
        })
    }
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
