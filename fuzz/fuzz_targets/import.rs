//! Imports arbitrary files, as JSON Lines or as a CBOR sequence: whatever they
//! hold, the import ends and accepts nothing that isn't signed.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use protocol::time::UnixTime;
use protocol::trust::TrustList;
use server::data_dir::{DataDir, InitOptions};
use server::import::{self, ImportOptions};
use server::progress::Progress;
use server::sample::Sample;
use server::store::Store;
use tempfile::TempDir;

struct Provider {
    directory: TempDir,
    store: Box<dyn Store>,
    trust: TrustList,
}

static PROVIDER: LazyLock<Provider> = LazyLock::new(|| {
    let directory = TempDir::new().expect("a temporary directory");
    let root = directory.path().join("data");
    let data = DataDir::init(&root, &InitOptions::default()).expect("a data directory");
    let sample = Sample::new(1, UnixTime::from_secs(1_800_000_000)).expect("a sample");
    Provider {
        store: Box::new(data.store().expect("a store")),
        trust: sample.trust().clone(),
        directory,
    }
});

fuzz_target!(|bytes: &[u8]| {
    let file = PROVIDER.directory.path().join("import");
    std::fs::write(&file, bytes).expect("a file");
    let mut refused = Vec::new();
    let options = ImportOptions {
        trust: &PROVIDER.trust,
        now: UnixTime::from_secs(1_800_000_000),
        progress: Progress::Logged,
        report: &mut refused,
    };
    if let Ok(summary) = import::run(&PROVIDER.store, &file, options) {
        assert_eq!(summary.counts.added, 0);
    }
});
