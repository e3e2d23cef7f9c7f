//! A small provider for tests: its keys, and snapshots of a few records.

pub(crate) mod party;
pub(crate) mod serving;
pub(crate) mod tls;

use std::sync::Arc;

use pir_core::crs::CrsSeed;
use pir_core::database::{self, DatabaseView};
use pir_core::params::{Params, SET};
use pir_core::setup::{self, Preprocessed};
use protocol::bucket::{self, BucketLayout, FillerSeed};
use protocol::bundle::Bundle;
use protocol::cose::SigningKey;
use protocol::credential::{Credential, Issuer};
use protocol::csi::Csi;
use protocol::derivation::Salt;
use protocol::filter::MembershipFilter;
use protocol::hint::{BlockList, SnapshotHint};
use protocol::manifest::{Artifact, BuildId, Manifest, PirShape, SnapshotId};
use protocol::mapping::{Entry, Mapping, MappingId, MspDomain, Policy, Preference, Replaces};
use protocol::merkle::{Hash, Tree, leaf};
use protocol::oprf::{OprfKey, OprfOutput};
use protocol::placement::{BucketIndex, group_count, place};
use protocol::record::SealedRecord;
use protocol::time::UnixTime;
use protocol::trust::{TrustList, TrustedCsip};

const COLUMNS: usize = 2048;
const ROWS: usize = 2048;
const CRS_EPOCH: u64 = 5;
pub(crate) const OPRF_EPOCH: u64 = 3;

/// The provider's key.
pub(crate) fn provider_key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

pub(crate) fn oprf_key() -> OprfKey {
    OprfKey::derive(&[2; 32], b"client tests").unwrap()
}

pub(crate) fn csip_key() -> SigningKey {
    SigningKey::from_seed(&[3; 32])
}

pub(crate) fn holder() -> SigningKey {
    SigningKey::from_seed(&[4; 32])
}

/// A list that trusts the tests' CSIP for mail of `example.org`.
pub(crate) fn trust() -> TrustList {
    let csip = TrustedCsip {
        issuer: Issuer::new("csip.example").unwrap(),
        key: csip_key().verifying_key(),
        scopes: vec!["mailto:*@example.org".parse().unwrap()],
        not_before: None,
        not_after: None,
    };
    TrustList::new(vec![csip]).unwrap()
}

pub(crate) fn csi(name: &str) -> Csi {
    Csi::parse(&format!("{name}@example.org")).unwrap()
}

/// A recipient with one mapping of these MSPs; with none, opted out.
pub(crate) fn bundle(name: &str, msps: &[&str]) -> (Csi, Vec<u8>) {
    let now = UnixTime::now();
    let credential = Credential {
        issuer: Issuer::new("csip.example").unwrap(),
        subject: csi(name),
        holder: holder().verifying_key(),
        issued_at: now.saturating_sub(60),
        expires: now.saturating_add(24 * 60 * 60),
        assignment: 1,
    };
    let entries = msps.iter().enumerate().map(|(at, msp)| {
        Entry::new(
            MspDomain::parse(msp).unwrap(),
            Vec::new(),
            at as u8,
            Preference::Ordinary,
        )
        .unwrap()
    });
    let mapping = Mapping {
        subject: csi(name),
        id: MappingId([7; 16]),
        seq: 1,
        not_before: credential.issued_at,
        expires: credential.expires,
        assignment: 1,
        replaces: Replaces::SameId,
        policy: Policy::OPEN,
        entries: entries.collect(),
    };
    let signed = mapping.sign(&holder()).unwrap();
    let bundle = Bundle::new(credential.issue(&csip_key()).unwrap(), vec![signed]).unwrap();
    (csi(name), bundle.encode().to_vec())
}

/// A snapshot with everything that serving it needs.
pub(crate) struct Snapshot {
    pub(crate) manifest: Manifest,
    pub(crate) published: Vec<u8>,
    /// All that were published, up to this one.
    pub(crate) log: Vec<Vec<u8>>,
    pub(crate) hint: Vec<u8>,
    pub(crate) filter: Vec<u8>,
    pub(crate) params: Params,
    pub(crate) database: Vec<u8>,
    pub(crate) preprocessed: Arc<Preprocessed>,
}

impl Snapshot {
    /// A snapshot of records with these contents, after `previous`. Columns of
    /// `damaged` identifiers are changed after they were hashed.
    pub(crate) fn build(
        records: &[(Csi, Vec<u8>)],
        damaged: &[Csi],
        previous: Option<&Self>,
    ) -> Self {
        let oprf = oprf_key();
        let records: Vec<_> = records
            .iter()
            .map(|(csi, content)| (oprf.evaluate(csi).unwrap(), content.clone()))
            .collect();
        let damaged: Vec<_> = damaged
            .iter()
            .map(|csi| oprf.evaluate(csi).unwrap())
            .collect();
        Self::build_at(&records, &damaged, previous)
    }

    /// As [`build`](Self::build), for records of any kind, named by their OPRF
    /// outputs.
    ///
    /// So few columns are too far from uniform for the PIR once in a few
    /// thousand times: then another filler is used.
    pub(crate) fn build_at(
        records: &[(OprfOutput, Vec<u8>)],
        damaged: &[OprfOutput],
        previous: Option<&Self>,
    ) -> Self {
        let seeds = (0..4).map(|seed| FillerSeed([seed; 32]));
        let mut built = seeds.map(|seed| Self::build_with(seed, records, damaged, previous));
        built.find_map(Result::ok).unwrap()
    }

    fn build_with(
        seed: FillerSeed,
        records: &[(OprfOutput, Vec<u8>)],
        damaged: &[OprfOutput],
        previous: Option<&Self>,
    ) -> Result<Self, pir_core::Error> {
        let params = Params::new(COLUMNS, ROWS).unwrap();
        let layout = BucketLayout::new(ROWS, COLUMNS as u32).unwrap();
        let sealed: Vec<SealedRecord> = records
            .iter()
            .map(|(output, content)| {
                let salt = Salt::random(&mut rand::rng());
                SealedRecord::seal(output, salt, content).unwrap()
            })
            .collect();
        let located: Vec<_> = records
            .iter()
            .zip(&sealed)
            .map(|((output, _), sealed)| (output.locator(), sealed.entry_len() as u32))
            .collect();
        let placement = place(&located, COLUMNS as u32, layout.capacity() as u32).unwrap();
        let contents: Vec<Vec<u8>> = (0..COLUMNS as u32)
            .map(|column| {
                let index = BucketIndex::new(column);
                let here = sealed
                    .iter()
                    .zip(&placement.buckets)
                    .filter(|(_, at)| **at == index);
                let here: Vec<&SealedRecord> = here.map(|(sealed, _)| sealed).collect();
                bucket::encode(&layout, index, &seed, &here).unwrap()
            })
            .collect();
        let leaves = contents
            .iter()
            .enumerate()
            .map(|(at, content)| leaf(at as u32, content));
        let tree = Tree::build(leaves.collect()).unwrap();
        let mut columns: Vec<Vec<u8>> = contents
            .into_iter()
            .enumerate()
            .map(|(at, content)| {
                let path = tree.lower_path(at as u32).unwrap();
                layout
                    .join(BucketIndex::new(at as u32), &seed, content, &path)
                    .unwrap()
            })
            .collect();
        for output in damaged {
            let bucket = placement
                .pilots
                .bucket_of(&output.locator(), COLUMNS as u32);
            columns[bucket.as_u32() as usize][100] ^= 1;
        }
        let mut database = vec![0; params.database_bytes()];
        database::write_columns(&params, &mut database, 0, &columns.concat()).unwrap();
        let crs = CrsSeed::derive(&provider_key().verifying_key().to_cose_key(), CRS_EPOCH);
        let view = DatabaseView::new(&params, &database).unwrap();
        let preprocessed = setup::preprocess(&view, &crs, &|_| ())?;
        let hint = SnapshotHint {
            pir_hint: preprocessed.hint.encode(),
            cap: tree.cap(),
            pilots: placement.pilots,
            blocked: BlockList::default(),
        };
        let hint = hint.encode();
        let labels = records.iter().map(|(output, _)| output.filter_label());
        let filter = MembershipFilter::new(labels).unwrap().encode();
        let manifest = manifest(
            &params,
            seed,
            records.len(),
            tree.root(),
            &database,
            [&hint, &filter],
            previous,
        );
        let published = manifest.sign(&provider_key()).unwrap().as_bytes().to_vec();
        let mut log = previous.map_or_else(Vec::new, |previous| previous.log.clone());
        log.push(published.clone());
        Ok(Self {
            manifest,
            published,
            log,
            hint,
            filter,
            params,
            database,
            preprocessed: Arc::new(preprocessed),
        })
    }
}

fn manifest(
    params: &Params,
    filler_seed: FillerSeed,
    records: usize,
    merkle_root: Hash,
    database: &[u8],
    [hint, filter]: [&[u8]; 2],
    previous: Option<&Snapshot>,
) -> Manifest {
    let artifact = |bytes: &[u8]| Artifact {
        digest: Hash::of(bytes),
        bytes: bytes.len() as u64,
    };
    let (database, hint) = (artifact(database), artifact(hint));
    let pir = PirShape {
        parameter_set: SET.name.to_owned(),
        columns: params.columns() as u32,
        bucket_bytes: params.rows() as u32,
        query_bits: params.widths().query as u8,
        mask_bits: params.widths().mask as u8,
        body_bits: params.widths().body as u8,
        failure_log2: params.failure_log2().ceil() as i16,
    };
    let now = UnixTime::now();
    Manifest {
        sequence: previous.map_or(0, |previous| previous.manifest.sequence) + 1,
        snapshot: SnapshotId::compute(&database.digest, &hint.digest, &pir, CRS_EPOCH),
        build_id: BuildId([0; 16]),
        published_at: now,
        expires_at: now.saturating_add(3600),
        pir,
        crs_epoch: CRS_EPOCH,
        dp_key: provider_key().verifying_key(),
        oprf_key: oprf_key().public_key(),
        oprf_epoch: OPRF_EPOCH,
        records: records as u64,
        groups: group_count(records) as u64,
        filler_seed,
        merkle_root,
        database,
        hint,
        trust_list: Hash::from_bytes(trust().digest()),
        audit: protocol::audit::Head::EMPTY,
        blocked: 0,
        previous: previous.map(|previous| Hash::of(&previous.published)),
        token_keys: None,
        filter: Some(artifact(filter)),
    }
}
