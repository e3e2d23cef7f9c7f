//! A snapshot as a client sees it, verified.

use std::sync::Arc;

use pir_core::client::{Client as PirClient, PendingAnswer};
use pir_core::crs::CrsSeed;
use pir_core::hint::Hint;
use pir_core::params::{ParameterSet, Params, Widths};
use protocol::audience::AudienceCiphertext;
use protocol::bucket::{Bucket, BucketError, BucketLayout};
use protocol::bundle::{Bundle, evaluate_for};
use protocol::cose::VerifyingKey;
use protocol::csi::Csi;
use protocol::derivation::Locator;
use protocol::filter::MembershipFilter;
use protocol::hint::{BlockList, SnapshotHint};
use protocol::log::TreeHead;
use protocol::lookup::{Lookup, Unverifiable};
use protocol::manifest::{Artifact, Manifest, ManifestPin, SignedManifest};
use protocol::merkle::{Cap, Hash};
use protocol::oprf::OprfOutput;
use protocol::placement::{BucketIndex, PilotTable};
use protocol::time::UnixTime;
use protocol::trust::TrustList;

use crate::error::ClientError;
use crate::slots::Slot;

/// Most bytes of a hint: above that of the largest shape and 2^26 groups.
pub(crate) const HINT_BYTES_MAX: u64 = 1 << 27;

/// A manifest and a hint that belong together, verified under the pinned key.
#[derive(Debug)]
pub struct SnapshotView {
    signed: SignedManifest,
    /// Where the log ended that the manifest was found in.
    log: Option<TreeHead>,
    params: Params,
    layout: BucketLayout,
    pir: PirClient,
    hint: Hint,
    cap: Cap,
    pilots: PilotTable,
    blocked: BlockList,
    filter: Option<MembershipFilter>,
}

/// A manifest that was verified, and whose hint is still to be fetched.
#[derive(Debug)]
pub(crate) struct VerifiedManifest {
    signed: SignedManifest,
    params: Params,
}

impl VerifiedManifest {
    /// Checks signature, time and parameters.
    ///
    /// # Errors
    /// [`ClientError::Manifest`], [`ClientError::Parameters`],
    /// [`ClientError::HintTooLong`], [`ClientError::FilterTooLong`].
    pub(crate) fn new(
        bytes: &[u8],
        pinned: &VerifyingKey,
        now: UnixTime,
    ) -> Result<Self, ClientError> {
        let signed = SignedManifest::from_bytes(bytes)?;
        let manifest = signed.verify(pinned, now)?;
        let params = params(manifest)?;
        let found = manifest.hint.bytes;
        if found > HINT_BYTES_MAX {
            return Err(ClientError::HintTooLong {
                max: HINT_BYTES_MAX,
                found,
            });
        }
        if let Some(filter) = &manifest.filter {
            let max = labels(manifest).map_or(0, MembershipFilter::encoded_bytes_max);
            let found = filter.bytes;
            if found > max {
                return Err(ClientError::FilterTooLong { max, found });
            }
        }
        Ok(Self { signed, params })
    }

    pub(crate) fn signed(&self) -> &SignedManifest {
        &self.signed
    }

    /// Completes the view with the hint that the manifest names, and derives
    /// the CRS from the key (tens of milliseconds).
    ///
    /// # Errors
    /// [`ClientError::HintDigest`], [`ClientError::Hint`],
    /// [`ClientError::PirHint`], [`ClientError::HintContradiction`],
    /// [`ClientError::Layout`].
    pub(crate) fn with_hint(self, bytes: &[u8]) -> Result<SnapshotView, ClientError> {
        let manifest = self.signed.unverified();
        if bytes.len() as u64 != manifest.hint.bytes || Hash::of(bytes) != manifest.hint.digest {
            return Err(ClientError::HintDigest);
        }
        let SnapshotHint {
            pir_hint,
            cap,
            pilots,
            blocked,
        } = SnapshotHint::decode(bytes)?;
        let contradictions = [
            ("number of buckets", cap.leaves() != manifest.pir.columns),
            ("Merkle root", cap.root() != manifest.merkle_root),
            (
                "number of pilots",
                pilots.groups() as u64 != manifest.groups,
            ),
            ("block list", blocked.count() != manifest.blocked),
        ];
        if let Some((part, _)) = contradictions
            .into_iter()
            .find(|(_, contradicts)| *contradicts)
        {
            return Err(ClientError::HintContradiction { part });
        }
        let hint = Hint::decode(&self.params, &pir_hint)
            .map_err(|error| ClientError::PirHint(Arc::new(error)))?;
        let layout = manifest.bucket_layout().map_err(ClientError::Layout)?;
        // The manifest's key is the pinned one.
        let seed = CrsSeed::derive(&manifest.dp_key.to_cose_key(), manifest.crs_epoch);
        let pir = PirClient::new(&self.params, &seed);
        Ok(SnapshotView {
            params: self.params,
            signed: self.signed,
            log: None,
            layout,
            pir,
            hint,
            cap,
            pilots,
            blocked,
            filter: None,
        })
    }
}

impl SnapshotView {
    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        self.signed.unverified()
    }

    /// The manifest as it was published.
    pub fn signed_manifest(&self) -> &SignedManifest {
        &self.signed
    }

    /// What to remember of it: the manifest, and where the log ended.
    pub fn pin(&self) -> ManifestPin {
        ManifestPin {
            log: self.log,
            ..self.signed.pin()
        }
    }

    /// Notes where the log ended that the manifest was found in.
    pub(crate) fn with_log(mut self, head: TreeHead) -> Self {
        self.log = Some(head);
        self
    }

    /// The PIR parameters, as the client validated them.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Completes the view with the membership filter that the manifest names.
    ///
    /// # Errors
    /// [`ClientError::FilterDigest`], [`ClientError::Filter`],
    /// [`ClientError::FilterContradiction`].
    pub(crate) fn with_filter(mut self, bytes: &[u8]) -> Result<Self, ClientError> {
        let manifest = self.manifest();
        let same = |stated: &Artifact| {
            stated.bytes == bytes.len() as u64 && stated.digest == Hash::of(bytes)
        };
        if !manifest.filter.as_ref().is_some_and(same) {
            return Err(ClientError::FilterDigest);
        }
        let filter = MembershipFilter::decode(bytes)?;
        if labels(manifest) != Some(filter.count()) {
            return Err(ClientError::FilterContradiction);
        }
        self.filter = Some(filter);
        Ok(self)
    }

    /// What is certainly absent, if the client is to heed that and there is one.
    pub fn filter(&self) -> Option<&MembershipFilter> {
        self.filter.as_ref()
    }

    /// The top of the tree over the buckets.
    pub(crate) fn cap(&self) -> &Cap {
        &self.cap
    }

    /// The PIR's hint.
    pub(crate) fn pir_hint(&self) -> &Hint {
        &self.hint
    }

    pub(crate) fn pir(&self) -> &PirClient {
        &self.pir
    }

    /// The one bucket that can hold the record.
    pub(crate) fn bucket_of(&self, locator: &Locator) -> BucketIndex {
        self.pilots.bucket_of(locator, self.layout.columns())
    }

    /// Decrypts an answer: the bytes of one bucket, whether right or wrong.
    ///
    /// # Errors
    /// [`ClientError::Pir`] for an answer of another length or parameters.
    pub(crate) fn decrypt(
        &self,
        pending: PendingAnswer,
        answer: &[u8],
    ) -> Result<Vec<u8>, ClientError> {
        let answer =
            pir_core::answer::Answer::decode(&self.params, answer).map_err(ClientError::pir)?;
        pending
            .decrypt(&self.hint, &answer)
            .map_err(ClientError::pir)
    }

    /// What a bucket says of an identifier in one of its slots, and the key that the
    /// record's credential is for, believed or not.
    pub(crate) fn resolve(
        &self,
        csi: &Csi,
        slot: &Slot,
        output: &OprfOutput,
        column: &[u8],
        trust: &TrustList,
        now: UnixTime,
    ) -> (Lookup, Option<VerifyingKey>) {
        let bundle = self.bundle(slot, output, column);
        let holder = |bundle: &Bundle| bundle.credential().unverified().holder.clone();
        let holder = bundle.as_ref().ok().and_then(Option::as_ref).map(holder);
        let lookup = match bundle {
            // A record that is there is believed for its signatures.
            Ok(None) if self.blocked.contains(&output.locator().tag) => Lookup::Blocked,
            Ok(None) => Lookup::NoMapping,
            Ok(Some(bundle)) => evaluate_for(&bundle, csi, trust, now, slot.readers()),
            Err(why) => Lookup::Unverifiable(why),
        };
        (lookup, holder)
    }

    /// The slot's bundle in its bucket; `None` is proven absence.
    fn bundle(
        &self,
        slot: &Slot,
        output: &OprfOutput,
        column: &[u8],
    ) -> Result<Option<Bundle>, Unverifiable> {
        let locator = output.locator();
        let index = self.bucket_of(&locator);
        let seed = &self.manifest().filler_seed;
        let bucket =
            Bucket::from_column(&self.layout, index, seed, column, &self.cap).map_err(|error| {
                match error {
                    BucketError::Merkle(_) => Unverifiable::BucketNotUnderRoot,
                    _ => Unverifiable::MalformedBucket,
                }
            })?;
        let Some(record) = bucket.find(&locator.tag) else {
            return Ok(None);
        };
        let content = record
            .open(output)
            .map_err(|_| Unverifiable::RecordDidNotOpen)?;
        match slot {
            Slot::Public => Ok(Some(Bundle::decode(&content)?)),
            Slot::Audience(audience) => AudienceCiphertext::from_bytes(&content)
                .map_err(|_| Unverifiable::AudienceDidNotOpen)?
                .open_bundle(&audience.secret, &audience.handle)
                .map(Some),
        }
    }
}

/// Number of labels of a snapshot's membership filter.
fn labels(manifest: &Manifest) -> Option<u32> {
    u32::try_from(manifest.records.checked_add(manifest.blocked.into())?).ok()
}

fn params(manifest: &Manifest) -> Result<Params, ClientError> {
    let pir = &manifest.pir;
    ParameterSet::named(&pir.parameter_set)?;
    let widths = Widths {
        query: u32::from(pir.query_bits),
        mask: u32::from(pir.mask_bits),
        body: u32::from(pir.body_bits),
    };
    Ok(Params::with_widths(
        pir.columns as usize,
        pir.bucket_bytes as usize,
        widths,
    )?)
}

#[cfg(test)]
mod tests;
