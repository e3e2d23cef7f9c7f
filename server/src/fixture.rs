//! A small provider for tests: sample recipients, imported and published.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use protocol::manifest::{BuildId, SnapshotId};
use protocol::time::UnixTime;
use protocol::trust::TrustList;
use tempfile::TempDir;

use crate::data_dir::{DataDir, InitOptions};
use crate::ledger::Ledger;
use crate::memory::Memory;
use crate::progress::Progress;
use crate::sample::{self, SampleRecord};
use crate::senders::{ApiKey, SenderName};
use crate::snapshot::build::{self, BuildError, BuildOptions, Clock, FilterPolicy, Finished};
use crate::store::{Content, Marks, Row, Store};
use crate::tokens::Tokens;

const RECORDS: usize = 300;
const SEED: u64 = 42;

pub(crate) struct Provider {
    pub(crate) data: DataDir,
    pub(crate) records: Vec<SampleRecord>,
    pub(crate) api_key: ApiKey,
    pub(crate) now: UnixTime,
    /// Open all the time: it can be opened once.
    pub(crate) store: Arc<dyn Store>,
    /// Likewise.
    pub(crate) ledger: Arc<dyn Ledger>,
    _root: TempDir,
}

impl Provider {
    pub(crate) fn new(count: usize) -> Self {
        let root = tempfile::tempdir().unwrap();
        let now = UnixTime::now();
        let (records, trust) = records(count, now);
        let options = InitOptions {
            trust: Some(trust.to_toml()),
            listen: None,
        };
        let data = DataDir::init(&root.path().join("data"), &options).unwrap();
        let mut senders = data.senders().unwrap();
        let api_key = senders
            .add(SenderName::new("tester").unwrap(), now, &mut rand::rng())
            .unwrap();
        senders.write(&data.senders_path()).unwrap();
        let store: Arc<dyn Store> = Arc::from(data.store().unwrap());
        let ledger = data.ledger().unwrap();
        let provider = Self {
            data,
            records,
            api_key,
            now,
            store,
            ledger,
            _root: root,
        };
        provider.put(&provider.records);
        provider.publish();
        provider
    }

    /// Puts records into the store, as a checked import would.
    pub(crate) fn put(&self, records: &[SampleRecord]) {
        let row = |record: &SampleRecord| Row {
            marks: Marks::NONE,
            content: Some(Content {
                csi: record.csi.clone(),
                bundle: record.bundle().unwrap().encode().to_vec().into(),
                salt: protocol::derivation::Salt::random(&mut rand::rng()),
            }),
        };
        self.store
            .update(&mut |update| {
                records
                    .iter()
                    .try_for_each(|record| update.put(&record.csi, &row(record)))
            })
            .unwrap();
    }

    /// Builds and publishes a snapshot.
    pub(crate) fn publish(&self) -> Finished {
        self.build_with(&self.data.snapshots(), |_| ()).unwrap()
    }

    /// As [`Provider::publish`], if there is as much memory.
    pub(crate) fn publish_within(&self, memory: Memory) -> Result<SnapshotId, BuildError> {
        self.build(FilterPolicy::Omit, memory)
    }

    /// As [`Provider::publish`], with a membership filter.
    pub(crate) fn publish_with_filter(&self) -> SnapshotId {
        self.build(FilterPolicy::Publish, Memory::OfSystem).unwrap()
    }

    fn build(&self, filter: FilterPolicy, memory: Memory) -> Result<SnapshotId, BuildError> {
        self.build_with(&self.data.snapshots(), |options| {
            options.filter = filter;
            options.memory = memory;
        })
        .map(|built| built.snapshot)
    }

    /// Builds into a directory, with other options.
    pub(crate) fn build_with(
        &self,
        directory: &Path,
        change: impl FnOnce(&mut BuildOptions<'_>),
    ) -> Result<Finished, BuildError> {
        let (provider, oprf) = (
            self.data.provider_key().unwrap(),
            self.data.oprf_key().unwrap(),
        );
        let trust = self.data.trust().unwrap();
        let mut options = BuildOptions {
            provider: &provider,
            oprf: &oprf,
            trust: &trust,
            filter: FilterPolicy::Omit,
            token_keys: Some(Tokens::prepare(&self.data, self.now, 3600).unwrap()),
            lifetime_secs: 3600,
            now: self.now,
            clock: Clock::Trusted,
            build_id: BuildId(rand::random()),
            progress: Progress::Logged,
            memory: Memory::OfSystem,
        };
        change(&mut options);
        build::run(&*self.store, directory, &options)
    }
}

/// Sample recipients that have published something.
fn records(count: usize, now: UnixTime) -> (Vec<SampleRecord>, TrustList) {
    let (mut records, trust) = sample::generate(2 * count, SEED, now).unwrap();
    records.retain(|record| !record.mappings.is_empty());
    records.truncate(count);
    assert_eq!(records.len(), count);
    (records, trust)
}

/// Sample recipients that a provider of `count` doesn't have, of the CSIPs that
/// it trusts.
pub(crate) fn further(count: usize, more: usize, now: UnixTime) -> Vec<SampleRecord> {
    let (mut all, _) = records(count + more, now);
    all.split_off(count)
}

/// One for all tests that don't change it.
pub(crate) fn shared() -> &'static Provider {
    static SHARED: OnceLock<Provider> = OnceLock::new();
    SHARED.get_or_init(|| Provider::new(RECORDS))
}
