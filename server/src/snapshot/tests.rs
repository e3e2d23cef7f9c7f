mod damage;
mod earlier;
mod filter;
mod full;
mod publishing;

use std::fs;

use pir_core::client::{Client, ColumnIndex};
use protocol::bucket::Bucket;
use protocol::bundle::{Bundle, evaluate};
use protocol::manifest::BuildId;
use protocol::time::UnixTime;

use super::file::Section;
use super::*;
use crate::data_dir::{DataDir, InitOptions};
use crate::fixture::{Provider, further, shared};
use crate::memory::{Memory, Purpose};

fn load(provider: &Provider) -> Snapshot {
    let directory = provider.data.snapshots();
    let id = current::read(&directory).unwrap();
    Snapshot::load(
        &directory,
        id,
        &provider.data.provider_public_key().unwrap(),
        Memory::OfSystem,
        Progress::Logged,
    )
    .unwrap()
}

/// Copies the log that a snapshot's file needs beside it.
fn copy_log(provider: &Provider, snapshot: &Snapshot, directory: &Path) {
    let (from, to) = (
        provider.data.snapshots(),
        crate::log::Directory::new(directory),
    );
    let from = crate::log::Directory::new(&from);
    crate::log::mirror(&from, &to, snapshot.signed_manifest()).unwrap();
}

fn load_from(
    directory: &Path,
    id: SnapshotId,
    key: &VerifyingKey,
) -> Result<Snapshot, SnapshotError> {
    Snapshot::load(directory, id, key, Memory::OfSystem, Progress::Logged)
}

#[test]
fn every_record_is_found_in_its_bucket_under_the_root_and_evaluates() {
    let provider = shared();
    let snapshot = load(provider);
    let manifest = snapshot.manifest();
    assert_eq!((manifest.sequence, manifest.previous), (1, None));
    assert_eq!(manifest.records, provider.records.len() as u64);
    let layout = manifest.bucket_layout().unwrap();
    let hint = SnapshotHint::decode(snapshot.hint()).unwrap();
    let view = DatabaseView::new(snapshot.params(), snapshot.database()).unwrap();
    let (oprf, trust) = (
        provider.data.oprf_key().unwrap().key,
        provider.data.trust().unwrap(),
    );
    for record in &provider.records {
        let output = oprf.evaluate(&record.csi).unwrap();
        let locator = output.locator();
        let index = hint.pilots.bucket_of(&locator, manifest.pir.columns);
        let column = view.column(index.as_u32() as usize).unwrap();
        let bucket =
            Bucket::from_column(&layout, index, &manifest.filler_seed, &column, &hint.cap).unwrap();
        let content = bucket.find(&locator.tag).unwrap().open(&output).unwrap();
        let bundle = Bundle::decode(&content).unwrap();
        let expected = record.bundle().unwrap();
        assert_eq!(bundle.encode(), expected.encode());
        let found = evaluate(Some(&bundle), &record.csi, &trust, provider.now);
        assert_eq!(
            found,
            evaluate(Some(&expected), &record.csi, &trust, provider.now)
        );
    }
    // Every bucket, empty ones too, is well-formed and under the root.
    let mut records = 0;
    for column in 0..manifest.pir.columns {
        let bytes = view.column(column as usize).unwrap();
        let index = protocol::placement::BucketIndex::new(column);
        let bucket =
            Bucket::from_column(&layout, index, &manifest.filler_seed, &bytes, &hint.cap).unwrap();
        records += bucket.records().len();
    }
    assert_eq!(records, provider.records.len());
}

#[test]
fn pir_answers_are_the_columns() {
    let provider = shared();
    let snapshot = load(provider);
    let (params, seed) = (
        snapshot.params(),
        build::crs_seed(&snapshot.manifest().dp_key),
    );
    let hint = SnapshotHint::decode(snapshot.hint()).unwrap();
    let hint = pir_core::hint::Hint::decode(params, &hint.pir_hint).unwrap();
    let client = Client::new(params, &seed);
    let columns = [
        0,
        snapshot.facts().fullest_bucket,
        params.columns() as u32 - 1,
    ];
    let (mut queries, mut pending) = (Vec::new(), Vec::new());
    for column in columns {
        let (query, wait) = client.prepare(ColumnIndex::from(column)).unwrap().send();
        queries.push(Query::decode(params, query.as_bytes()).unwrap());
        pending.push(wait);
    }
    let answers = snapshot.answer(queries).unwrap();
    let view = DatabaseView::new(params, snapshot.database()).unwrap();
    for ((column, pending), answer) in columns.into_iter().zip(pending).zip(answers) {
        let answer = pir_core::answer::Answer::decode(params, &answer).unwrap();
        assert_eq!(
            pending.decrypt(&hint, &answer).unwrap(),
            view.column(column as usize).unwrap()
        );
    }
    assert!(snapshot.answer(Vec::new()).is_none());

    // Whatever kernels answer, the answer is the same.
    let (query, _) = client.prepare(ColumnIndex::from(1)).unwrap().send();
    let mut answers = Backend::available().map(|backend| {
        let query = Query::decode(params, query.as_bytes()).unwrap();
        let snapshot = load(provider).with_backend(backend);
        assert_eq!(snapshot.backend(), backend);
        snapshot.answer(vec![query]).unwrap()
    });
    let first = answers.next().unwrap();
    assert!(answers.all(|answer| answer == first));
}

#[test]
fn snapshots_follow_one_another_and_unchanged_buckets_keep_their_bytes() {
    let provider = Provider::new(60);
    let first = load(&provider);
    let more = further(60, 2, provider.now);
    provider.put(&more[..1]);
    provider.publish();
    let second = load(&provider);
    assert_eq!(second.manifest().sequence, 2);
    assert_eq!(
        second.manifest().previous,
        Some(first.signed_manifest().digest())
    );
    assert_eq!(second.manifest().records, 61);
    // The first serves on; its file stays beside the second's and goes with the
    // third.
    assert!(first.path().exists());
    provider.put(&more[1..2]);
    provider.publish();
    assert!(!first.path().exists() && second.path().exists());
    assert!(!first.hint().is_empty());

    let again = load(&provider);
    provider.publish();
    let same = load(&provider);
    assert_eq!(
        same.database(),
        again.database(),
        "the same store gives the same database"
    );
    assert_eq!(same.manifest().sequence, 4);
}

#[test]
fn damaged_truncated_and_foreign_files_are_refused_with_their_name() {
    let provider = shared();
    let snapshot = load(provider);
    let (id, key) = (snapshot.id(), provider.data.provider_public_key().unwrap());
    let good = fs::read(snapshot.path()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = current::snapshot_path(directory.path(), id);
    let refused = |content: &[u8]| -> String {
        fs::write(&path, content).unwrap();
        match load_from(directory.path(), id, &key) {
            Err(error @ SnapshotError::Unusable { .. }) => {
                let text = error.to_string();
                assert!(text.contains(&path.display().to_string()), "{text}");
                text
            }
            other => panic!("{other:?}"),
        }
    };
    let sections = file::read(&good).unwrap();
    for section in Section::ALL {
        let range = sections.range(section);
        if range.is_empty() {
            assert_eq!(section, Section::Filter);
            continue;
        }
        for at in [range.start, (range.start + range.end) / 2, range.end - 1] {
            let mut damaged = good.clone();
            damaged[at] ^= 0x10;
            refused(&damaged);
        }
        refused(&good[..range.start]);
        refused(&good[..range.end - 1]);
    }
    for length in [0, 1, 4095, 4096, 8192, good.len() - 4096, good.len() - 1] {
        refused(&good[..length]);
    }
    refused(&[&good[..], &[0]].concat());

    // Whole and consistent, but another provider's.
    let parent = tempfile::tempdir().unwrap();
    let other = DataDir::init(&parent.path().join("other"), &InitOptions::default()).unwrap();
    fs::write(&path, &good).unwrap();
    match load_from(directory.path(), id, &other.provider_public_key().unwrap()) {
        Err(SnapshotError::Unusable {
            fault: Fault::Manifest(ManifestError::ForeignKey),
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
    // Under another name.
    let wrong = SnapshotId::from_bytes([7; 32]);
    fs::rename(&path, current::snapshot_path(directory.path(), wrong)).unwrap();
    match load_from(directory.path(), wrong, &key) {
        Err(SnapshotError::Unusable {
            fault: Fault::OtherSnapshot { found },
            ..
        }) => assert_eq!(found, id),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        load_from(directory.path(), id, &key),
        Err(SnapshotError::Load(LoadError::File(_)))
    ));
}

#[test]
fn parts_of_two_snapshots_dont_mix() {
    let provider = Provider::new(20);
    let first = load(&provider);
    let more = further(20, 1, provider.now);
    provider.put(&more);
    provider.publish();
    let second = load(&provider);
    let contents = |snapshot: &Snapshot| {
        let bytes = fs::read(snapshot.path()).unwrap();
        let sections = file::read(&bytes).unwrap();
        Section::ALL.map(|section| bytes[sections.range(section)].to_vec())
    };
    let (one, two) = (contents(&first), contents(&second));
    let directory = tempfile::tempdir().unwrap();
    let path = current::snapshot_path(directory.path(), first.id());
    let key = provider.data.provider_public_key().unwrap();
    for foreign in [Section::Manifest, Section::Hint, Section::Database] {
        let mixed = Section::ALL.map(|section| {
            let from = if section == foreign { &two } else { &one };
            from[section as usize].as_slice()
        });
        file::write(&path, mixed, mixed.map(crate::digest::chunked)).unwrap();
        let found = load_from(directory.path(), first.id(), &key);
        assert!(
            matches!(found, Err(SnapshotError::Unusable { .. })),
            "{foreign:?}"
        );
    }
}

#[test]
fn an_empty_store_builds_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let data = DataDir::init(&parent.path().join("data"), &InitOptions::default()).unwrap();
    let options = build::BuildOptions {
        provider: &data.provider_key().unwrap(),
        oprf: &data.oprf_key().unwrap(),
        trust: &data.trust().unwrap(),
        filter: build::FilterPolicy::Omit,
        token_keys: None,
        lifetime_secs: 60,
        now: UnixTime::now(),
        clock: build::Clock::Trusted,
        build_id: BuildId(rand::random()),
        progress: Progress::Logged,
        memory: Memory::OfSystem,
    };
    let built = build::run(&data.store().unwrap(), &data.snapshots(), &options);
    assert!(matches!(built, Err(build::BuildError::Empty)));
    assert!(matches!(
        current::read(&data.snapshots()),
        Err(SnapshotError::None { .. })
    ));
}

#[test]
fn a_build_without_memory_is_refused_before_it_begins() {
    let provider = Provider::new(20);
    let published = load(&provider);
    match provider.publish_within(Memory::Exactly(10 << 20)) {
        Err(build::BuildError::Memory(error)) => {
            assert_eq!((error.purpose, error.available), (Purpose::Build, 10 << 20));
            let costs = published.params().costs();
            let matrices = published.params().database_bytes() + costs.packing_bytes;
            assert!(error.needed > matrices as u64 + (32 << 20));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(load(&provider).id(), published.id());
}

#[test]
fn a_snapshot_larger_than_the_memory_is_not_loaded() {
    let provider = shared();
    let (id, key) = (
        load(provider).id(),
        provider.data.provider_public_key().unwrap(),
    );
    let directory = provider.data.snapshots();
    let length = fs::metadata(current::snapshot_path(&directory, id)).unwrap();
    let available = length.len() - 1;
    let memory = Memory::Exactly(available);
    match Snapshot::load(&directory, id, &key, memory, Progress::Logged) {
        Err(SnapshotError::Load(LoadError::Memory { source, .. })) => {
            assert_eq!(
                (source.purpose, source.available),
                (Purpose::Load, available)
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn inspection_says_what_the_snapshot_is() {
    let provider = shared();
    let snapshot = load(provider);
    let report = inspect::Report::of(&snapshot, provider.now.saturating_add(7200));
    assert!(report.expired);
    assert_eq!((report.age_seconds, report.records), (7200, 300));
    assert!(report.failure_log2 <= -40.0 && report.security_bits >= 128);
    assert!(report.fill_percent > 0.0 && report.fill_percent <= 100.0);
    let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
    assert_eq!(json["snapshot"], snapshot.id().to_string());
    assert!(report.to_table().contains("(expired)"));
}

#[test]
fn a_snapshot_for_another_parameter_set_is_refused_with_the_reason() {
    let provider = shared();
    let snapshot = load(provider);
    let mut manifest = snapshot.manifest().clone();
    manifest.pir.parameter_set = "sotto-4096-30-23-27".to_owned();
    manifest.snapshot = SnapshotId::compute(
        &manifest.database.digest,
        &manifest.hint.digest,
        &manifest.pir,
        manifest.crs_epoch,
    );
    let id = manifest.snapshot;
    let signed = manifest
        .sign(&provider.data.provider_key().unwrap())
        .unwrap();
    let sections = file::read(snapshot.file.bytes()).unwrap();
    let mut contents: [&[u8]; file::SECTIONS] =
        Section::ALL.map(|section| &snapshot.file.bytes()[sections.range(section)]);
    contents[Section::Manifest as usize] = signed.as_bytes();
    let directory = tempfile::tempdir().unwrap();
    let path = current::snapshot_path(directory.path(), id);
    file::write(&path, contents, contents.map(crate::digest::chunked)).unwrap();
    let key = provider.data.provider_public_key().unwrap();
    let error = load_from(directory.path(), id, &key).unwrap_err();
    assert!(
        matches!(
            &error,
            SnapshotError::Unusable {
                fault: Fault::Params(_),
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("sotto-2048-30-23-27"), "{error}");
}
