//! A stolen store without the keys says nothing to who tries every number of a
//! country: Saint Helena's, which are few enough to try all of them.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use pir_core::database::DatabaseView;
use protocol::bucket::Bucket;
use protocol::bundle::Bundle;
use protocol::cose::SigningKey;
use protocol::credential::{Credential, Issuer};
use protocol::csi::Csi;
use protocol::derivation::Salt;
use protocol::hint::SnapshotHint;
use protocol::manifest::BuildId;
use protocol::mapping::{Entry, Mapping, MappingId, MspDomain, Policy, Preference, Replaces};
use protocol::oprf::OprfKey;
use protocol::placement::BucketIndex;
use protocol::time::UnixTime;
use protocol::trust::{TrustList, TrustedCsip};
use server::data_dir::{DataDir, InitOptions};
use server::memory::Memory;
use server::progress::Progress;
use server::snapshot::build::{self, BuildOptions, Clock, FilterPolicy};
use server::snapshot::{Snapshot, current};
use server::store::postgres::{PostgresOptions, PostgresStore};
use server::store::{Block, Content, Marks, Row, Store, StoreKeys};
use sha2::{Digest as _, Sha256, Sha512};
use sha3::Sha3_256;
use tests::postgres::Cluster;

/// National numbers have four or five digits.
const NUMBERS: std::ops::Range<u32> = 1000..100_000;

/// Every so many of which is listed.
const EVERY: usize = 2711;

/// Every number of the country.
fn country() -> Result<Vec<Csi>> {
    let number = |national| Csi::parse(&format!("+290{national}"));
    let all: Vec<Csi> = NUMBERS.map(number).collect::<Result<_, _>>()?;
    ensure!(all.len() == 99_000);
    Ok(all)
}

fn listed(country: &[Csi]) -> Vec<&Csi> {
    country.iter().skip(77).step_by(EVERY).collect()
}

fn csip() -> SigningKey {
    SigningKey::from_seed(&[3; 32])
}

fn trust() -> Result<TrustList> {
    Ok(TrustList::new(vec![TrustedCsip {
        issuer: Issuer::new("csip.example")?,
        key: csip().verifying_key(),
        scopes: vec!["tel:+290".parse()?],
        not_before: None,
        not_after: None,
    }])?)
}

/// What a person of that number publishes.
fn row(csi: &Csi) -> Result<Row> {
    let holder = SigningKey::generate(&mut rand::rng());
    let now = UnixTime::now();
    let credential = Credential {
        issuer: Issuer::new("csip.example")?,
        subject: csi.clone(),
        holder: holder.verifying_key(),
        issued_at: now.saturating_sub(60),
        expires: now.saturating_add(24 * 60 * 60),
        assignment: 1,
    };
    let msp = MspDomain::parse("msp.example")?;
    let mapping = Mapping {
        subject: csi.clone(),
        id: MappingId([7; 16]),
        seq: 1,
        not_before: credential.issued_at,
        expires: credential.expires,
        assignment: 1,
        replaces: Replaces::SameId,
        policy: Policy::OPEN,
        entries: vec![Entry::new(msp, Vec::new(), 0, Preference::Ordinary)?],
    };
    let bundle = Bundle::new(credential.issue(&csip())?, vec![mapping.sign(&holder)?])?;
    Ok(Row {
        marks: Marks::NONE,
        content: Some(Content {
            csi: csi.clone(),
            bundle: bundle.encode().to_vec().into(),
            salt: Salt::random(&mut rand::rng()),
        }),
    })
}

/// Lists some numbers, withholds one of them, and removes another: each of these
/// leaves something behind.
fn fill(store: &dyn Store, listed: &[&Csi]) -> Result<()> {
    let rows: Vec<Row> = listed.iter().map(|csi| row(csi)).collect::<Result<_>>()?;
    store.update(&mut |update| {
        for (csi, row) in listed.iter().zip(&rows) {
            update.put(csi, row)?;
        }
        update.block(listed[0], Block::Set).map(drop)
    })?;
    let removed = Row {
        marks: Marks::NONE,
        content: None,
    };
    store.update(&mut |update| update.put(listed[1], &removed))?;
    Ok(())
}

/// Runs of eight bytes to look for, each of which belongs to one number.
#[derive(Default)]
struct Needles {
    numbers: HashSet<u64>,
    /// A bit for each two first bytes and half of the third: most positions of a
    /// file are passed over by it.
    beginnings: Vec<u64>,
}

impl Needles {
    const BEGINNING_BITS: u32 = 20;

    fn of<'a>(needles: impl IntoIterator<Item = [u8; 8]> + 'a) -> Self {
        let numbers: HashSet<u64> = needles.into_iter().map(u64::from_be_bytes).collect();
        let mut beginnings = vec![0u64; 1 << (Self::BEGINNING_BITS - 6)];
        for number in &numbers {
            let at = number >> (64 - Self::BEGINNING_BITS);
            beginnings[(at / 64) as usize] |= 1 << (at % 64);
        }
        Self {
            numbers,
            beginnings,
        }
    }

    /// Which of them are somewhere in the bytes.
    fn found(&self, bytes: &[u8]) -> HashSet<u64> {
        let mut found = HashSet::new();
        let mut window = 0;
        for (at, byte) in bytes.iter().enumerate() {
            window = window << 8 | u64::from(*byte);
            let beginning = window >> (64 - Self::BEGINNING_BITS);
            let maybe = self.beginnings[(beginning / 64) as usize] >> (beginning % 64) & 1 == 1;
            if at >= 7 && maybe && self.numbers.contains(&window) {
                found.insert(window);
            }
        }
        found
    }
}

fn head(bytes: &[u8]) -> [u8; 8] {
    let mut head = [0; 8];
    head.copy_from_slice(&bytes[..8]);
    head
}

/// What someone without any key can compute of a number: the text itself (its
/// last bytes), and hashes of all the ways to write it.
fn unkeyed(csi: &Csi) -> Vec<[u8; 8]> {
    let canonical = csi.canonical();
    let digits = canonical.trim_start_matches("tel:+");
    let national = &digits[3..];
    let mut needles = vec![head(&canonical.as_bytes()[canonical.len() - 8..])];
    for text in [canonical, &canonical[4..], digits, national] {
        needles.push(head(&Sha256::digest(text)));
        needles.push(head(&Sha512::digest(text)));
        needles.push(head(&Sha3_256::digest(text)));
    }
    needles
}

/// The OPRF's marks of all numbers under a key, as they are in a snapshot.
fn tags(country: &[Csi], key: &OprfKey) -> Vec<[u8; 8]> {
    let half = country.len() / 2;
    let of = |csis: &[Csi]| -> Vec<[u8; 8]> {
        let tag = |csi| {
            *key.evaluate(csi)
                .expect("an output")
                .locator()
                .tag
                .as_bytes()
        };
        csis.iter().map(tag).collect()
    };
    thread::scope(|scope| {
        let right = scope.spawn(|| of(&country[half..]));
        let mut tags = of(&country[..half]);
        tags.extend(right.join().expect("no panic"));
        tags
    })
}

/// The names of all rows under a store key.
fn row_ids(country: &[Csi], keys: &StoreKeys) -> Needles {
    Needles::of(country.iter().map(|csi| head(keys.row_id(csi).as_bytes())))
}

/// Every file below a directory but those of the keys.
fn files(directory: &Path) -> Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("keys") {
                found.extend(files(&path)?);
            }
        } else {
            found.push(std::fs::read(path)?);
        }
    }
    Ok(found)
}

/// Numbers that any of the files tells.
fn told(needles: &Needles, files: &[Vec<u8>]) -> usize {
    let all = files.iter().flat_map(|file| needles.found(file));
    all.collect::<HashSet<_>>().len()
}

/// That the search finds what is there: a store that hashes its numbers, as
/// others do, or has them in the clear, tells all of them.
fn assert_that_plain_hashes_are_found(listed: &[&Csi], needles: &Needles) {
    let mut naive = vec![0xa5; 10_001];
    for csi in listed {
        naive.extend(Sha256::digest(csi.canonical()));
        naive.extend(csi.canonical().as_bytes());
    }
    let found = needles.found(&naive);
    for csi in listed {
        let text = csi.canonical().as_bytes();
        for needle in [&text[text.len() - 8..], &Sha256::digest(text)[..]] {
            assert!(found.contains(&u64::from_be_bytes(head(needle))));
        }
    }
}

/// What the published snapshot shows to everybody, its masks taken off: the marks
/// of the records in all buckets.
fn published_tags(data: &DataDir) -> Result<HashSet<[u8; 8]>> {
    let directory = data.snapshots();
    let id = current::read(&directory)?;
    let provider = data.provider_public_key()?;
    let snapshot = Snapshot::load(
        &directory,
        id,
        &provider,
        Memory::OfSystem,
        Progress::Logged,
    )?;
    let manifest = snapshot.manifest();
    let (layout, seed) = (manifest.bucket_layout()?, manifest.filler_seed);
    let cap = SnapshotHint::decode(snapshot.hint())?.cap;
    let view = DatabaseView::new(snapshot.params(), snapshot.database())?;
    let mut tags = HashSet::new();
    for column in 0..manifest.pir.columns {
        let bytes = view.column(column as usize)?;
        let index = BucketIndex::new(column);
        let bucket = Bucket::from_column(&layout, index, &seed, &bytes, &cap)?;
        tags.extend(
            bucket
                .records()
                .iter()
                .map(|record| *record.tag().as_bytes()),
        );
    }
    Ok(tags)
}

#[test]
fn a_stolen_store_and_snapshot_tell_no_number_of_a_country() -> Result<()> {
    let country = country()?;
    let listed = listed(&country);
    ensure!(listed.len() > 30);
    let root = tempfile::tempdir()?;
    let options = InitOptions {
        trust: Some(trust()?.to_toml()),
        listen: None,
    };
    let data = DataDir::init(&root.path().join("data"), &options)?;
    let store: Arc<dyn Store> = Arc::from(data.store()?);
    fill(&*store, &listed)?;
    build::run(
        &*store,
        &data.snapshots(),
        &BuildOptions {
            provider: &data.provider_key()?,
            oprf: &data.oprf_key()?,
            trust: &data.trust()?,
            filter: FilterPolicy::Omit,
            token_keys: None,
            lifetime_secs: 3600,
            now: UnixTime::now(),
            clock: Clock::Trusted,
            build_id: BuildId(rand::random()),
            progress: Progress::Logged,
            memory: Memory::OfSystem,
        },
    )?;
    drop(store);
    let stolen = files(data.root())?;
    ensure!(stolen.iter().map(Vec::len).sum::<usize>() > 1 << 20);

    let unkeyed = Needles::of(country.iter().flat_map(unkeyed));
    assert_that_plain_hashes_are_found(&listed, &unkeyed);
    assert_eq!(told(&unkeyed, &stolen), 0, "without any key");
    let wrong = StoreKeys::derive(&rand::random());
    assert_eq!(told(&row_ids(&country, &wrong), &stolen), 0, "row names");
    let wrong = tags(&country, &OprfKey::generate(&mut rand::rng()));
    let published = published_tags(&data)?;
    // All but the one that is withheld and the one that was removed.
    assert_eq!(published.len(), listed.len() - 2);
    let found = wrong.iter().filter(|tag| published.contains(*tag)).count();
    assert_eq!(found, 0, "OPRF");
    assert_eq!(told(&Needles::of(wrong), &stolen), 0, "OPRF, raw");

    // The keys tell everything, so that what was looked for is what there is: a row
    // keeps its name after a removal.
    assert_eq!(
        told(&row_ids(&country, &data.store_keys()?), &stolen),
        listed.len()
    );
    let right = tags(&country, &data.oprf_key()?.key);
    let found: Vec<&Csi> = country
        .iter()
        .zip(&right)
        .filter_map(|(csi, tag)| published.contains(tag).then_some(csi))
        .collect();
    assert_eq!(found, listed[2..]);
    Ok(())
}

#[test]
fn stolen_files_of_a_database_tell_no_number_of_a_country() -> Result<()> {
    let country = country()?;
    let listed = listed(&country);
    let cluster = Cluster::start(None)?;
    let key = rand::random();
    let open = |key| {
        let options = PostgresOptions {
            url: cluster.url("postgres").into(),
            ca: None,
            connections: 4,
            acquire: Duration::from_secs(20),
            statement: Duration::from_secs(20),
        };
        PostgresStore::open(&options, StoreKeys::derive(key))
    };
    fill(&open(&key).context("a store")?, &listed)?;
    // Tables, indices and the write-ahead log.
    let stolen = cluster.files()?;
    let unkeyed = Needles::of(country.iter().flat_map(unkeyed));
    assert_that_plain_hashes_are_found(&listed, &unkeyed);
    assert_eq!(told(&unkeyed, &stolen), 0, "without any key");
    let wrong = StoreKeys::derive(&rand::random());
    assert_eq!(told(&row_ids(&country, &wrong), &stolen), 0, "row names");
    let right = row_ids(&country, &StoreKeys::derive(&key));
    assert_eq!(told(&right, &stolen), listed.len());
    Ok(())
}
