use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::bundle::Bundle;
use protocol::cose::SigningKey;
use protocol::credential::{Credential, Issuer, SignedCredential};
use protocol::csi::Csi;
use protocol::derivation::Salt;
use protocol::mapping::{
    Entry, Mapping, MappingId, MspDomain, Policy, Preference, Replaces, SignedMapping,
};

use super::*;
use crate::store::StoreKeys;
use crate::store::embedded::EmbeddedStore;

const NOW: UnixTime = UnixTime::from_secs(1_795_392_000);

fn csip() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn holder() -> SigningKey {
    SigningKey::from_seed(&[2; 32])
}

fn trust() -> TrustList {
    let key = csip().verifying_key().to_text();
    TrustList::from_toml(&format!(
        "[[csip]]\nissuer = \"csip.example\"\nkey = \"{key}\"\nscopes = [\"mailto:*@example.org\"]\n"
    ))
    .unwrap()
}

fn csi(name: &str) -> Csi {
    Csi::parse(&format!("{name}@example.org")).unwrap()
}

fn credential(name: &str) -> Credential {
    Credential {
        issuer: Issuer::new("csip.example").unwrap(),
        subject: csi(name),
        holder: holder().verifying_key(),
        issued_at: NOW.saturating_sub(100),
        expires: NOW.saturating_add(1000),
        assignment: 1,
    }
}

fn mapping(name: &str, id: u8, seq: u64, msps: &[&str]) -> Mapping {
    let entry = |(at, msp): (usize, &&str)| {
        Entry::new(
            MspDomain::parse(msp).unwrap(),
            Vec::new(),
            at as u8,
            Preference::Ordinary,
        )
        .unwrap()
    };
    Mapping {
        subject: csi(name),
        id: MappingId([id; 16]),
        seq,
        not_before: NOW.saturating_sub(50),
        expires: NOW.saturating_add(500),
        assignment: 1,
        replaces: Replaces::SameId,
        policy: Policy::OPEN,
        entries: msps.iter().enumerate().map(entry).collect(),
    }
}

fn json(credential: &SignedCredential, mappings: &[SignedMapping]) -> String {
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let mappings: Vec<String> = mappings
        .iter()
        .map(|mapping| text(mapping.as_bytes()))
        .collect();
    serde_json::json!({ "credential": text(credential.as_bytes()), "mappings": mappings })
        .to_string()
}

fn cbor(credential: &SignedCredential, mappings: &[SignedMapping]) -> Vec<u8> {
    let mut encoder = minicbor::Encoder::new(Vec::new());
    encoder
        .array(2)
        .unwrap()
        .bytes(credential.as_bytes())
        .unwrap()
        .array(mappings.len() as u64)
        .unwrap();
    for mapping in mappings {
        encoder.bytes(mapping.as_bytes()).unwrap();
    }
    encoder.into_writer()
}

fn line_of(credential: &Credential, mappings: &[Mapping]) -> String {
    let signed: Vec<SignedMapping> = mappings
        .iter()
        .map(|mapping| mapping.sign(&holder()).unwrap())
        .collect();
    json(&credential.clone().issue(&csip()).unwrap(), &signed)
}

fn line(name: &str, mappings: &[Mapping]) -> String {
    line_of(&credential(name), mappings)
}

/// A store, and what imports into it say.
struct Bench {
    directory: tempfile::TempDir,
    store: EmbeddedStore,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(
            &directory.path().join("store.redb"),
            StoreKeys::derive(&[3; 32]),
        )
        .unwrap();
        Self { directory, store }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn import(&self, path: &Path) -> (Result<Summary, ImportError>, String) {
        let (trust, mut report) = (trust(), Vec::new());
        let options = ImportOptions {
            trust: &trust,
            now: NOW,
            progress: Progress::Logged,
            report: &mut report,
        };
        let result = run(&self.store, path, options);
        (result, String::from_utf8(report).unwrap())
    }

    /// Imports lines; gives the counts (added, updated, unchanged, refused) and
    /// the report.
    fn lines(&self, lines: &[String]) -> ([u64; 4], String) {
        let (result, report) = self.import(&self.file("lines.jsonl", lines.join("\n")));
        let counts = result.unwrap().counts;
        (
            [
                counts.added,
                counts.updated,
                counts.unchanged,
                counts.refused,
            ],
            report,
        )
    }

    /// The MSPs and seqs of what is stored of someone, by mapping.
    fn stored(&self, name: &str) -> Vec<(u8, u64, usize)> {
        let mut found = Vec::new();
        self.store
            .update(&mut |update| {
                let row = update.find(&csi(name))?.ok_or(StoreError::Missing)?;
                let bundle = Bundle::decode(&row.content.unwrap().bundle).unwrap();
                let fields = |signed: &SignedMapping| {
                    let mapping = signed.unverified();
                    (mapping.id.0[0], mapping.seq, mapping.entries.len())
                };
                found = bundle.mappings().iter().map(fields).collect();
                Ok(())
            })
            .unwrap();
        found
    }

    /// The salt that the record would be sealed with.
    fn salt(&self, name: &str) -> Salt {
        let mut salt = None;
        self.store
            .update(&mut |update| {
                let content = update.find(&csi(name))?.and_then(|row| row.content);
                salt = content.map(|content| content.salt.bound_to(&content.bundle));
                Ok(())
            })
            .unwrap();
        salt.unwrap()
    }
}

#[test]
fn both_formats_say_the_same() {
    let credential = credential("ann").issue(&csip()).unwrap();
    let mappings = [mapping("ann", 1, 1, &["a.example", "b.example"])
        .sign(&holder())
        .unwrap()];
    let bench = Bench::new();
    let (result, report) =
        bench.import(&bench.file("a.jsonl", format!("\n{}\n\n", json(&credential, &mappings))));
    assert_eq!(report, "");
    let counts = result.unwrap().counts;
    assert_eq!((counts.items, counts.lines, counts.added), (1, 3, 1));
    assert_eq!(bench.stored("ann"), [(1, 1, 2)]);
    // The same again, by extension and by first byte.
    for name in ["a.cbor", "a.bin"] {
        let (result, report) =
            bench.import(&bench.file(name, cbor(&credential, &mappings).repeat(3)));
        assert_eq!(report, "");
        let counts = result.unwrap().counts;
        assert_eq!((counts.items, counts.unchanged), (3, 3), "{name}");
    }
}

#[test]
fn refusals_name_number_and_reason_and_never_content() {
    let good = line("good", &[mapping("good", 1, 1, &["a.example"])]);
    let stranger = SigningKey::from_seed(&[9; 32]);
    let unsigned = json(
        &credential("canary1").issue(&csip()).unwrap(),
        &[mapping("canary1", 1, 1, &[]).sign(&stranger).unwrap()],
    );
    let untrusted = json(&credential("canary2").issue(&stranger).unwrap(), &[]);
    let mut elsewhere = credential("canary3");
    elsewhere.subject = Csi::parse("canary3@example.net").unwrap();
    let mut expired = credential("canary4");
    expired.expires = NOW;
    let mut early = credential("canary5");
    early.issued_at = NOW.saturating_add(1);
    let mut late_mapping = mapping("canary6", 1, 1, &[]);
    late_mapping.expires = NOW;
    let mut early_mapping = mapping("canary7", 1, 1, &[]);
    early_mapping.not_before = NOW.saturating_add(1);
    let mut other_assignment = mapping("canary8", 1, 1, &[]);
    other_assignment.assignment = 2;
    let issued = credential("canary9").issue(&csip()).unwrap();
    let many = vec![mapping("canary9", 1, 1, &[]).sign(&holder()).unwrap(); 17];
    let mut flipped = credential("canary10")
        .issue(&csip())
        .unwrap()
        .as_bytes()
        .to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let flipped =
        serde_json::json!({ "credential": URL_SAFE_NO_PAD.encode(flipped), "mappings": [] })
            .to_string();
    let cases: Vec<(String, &str)> = vec![
        (good, ""),
        (unsigned, "signed by another key"),
        (untrusted, "key is not on the trust list"),
        (
            line_of(&elsewhere, &[]),
            "may not speak for this identifier",
        ),
        (line_of(&expired, &[]), "credential expired"),
        (line_of(&early, &[]), "credential is not valid before"),
        (
            line("canary6", &[late_mapping]),
            "mapping 1: mapping expired",
        ),
        (
            line("canary7", &[early_mapping]),
            "mapping 1: mapping is not valid before",
        ),
        (
            line("canary8", &[other_assignment]),
            "mapping of assignment 2",
        ),
        (
            line("canary11", &[mapping("canary12", 1, 1, &[])]),
            "different identifiers",
        ),
        (json(&issued, &many), "17 mappings"),
        (flipped, "signature does not verify"),
        ("canary13 is not JSON".to_owned(), "not a JSON object"),
        (
            "{\"credential\": \"canary14\"}".to_owned(),
            "not a JSON object",
        ),
        (
            "{\"credential\": \"?\", \"mappings\": []}".to_owned(),
            "credential: not base64url",
        ),
        (
            "{\"credential\": \"AAAA\", \"mappings\": [\"?\"]}".to_owned(),
            "mapping 1: not base64url",
        ),
        (
            "{\"credential\": \"AAAA\", \"mappings\": []}".to_owned(),
            "credential",
        ),
        (
            "{\"credential\": \"AAAA\", \"mappings\": [], \"canary15\": 1}".to_owned(),
            "not a JSON object",
        ),
        (
            format!("{{\"credential\": \"{}\"}}", "A".repeat(source::ITEM_MAX)),
            "longer than",
        ),
        (line("good", &[mapping("good", 2, 1, &["b.example"])]), ""),
    ];
    let lines: Vec<String> = cases.iter().map(|(line, _)| line.clone()).collect();
    let bench = Bench::new();
    let (counts, report) = bench.lines(&lines);
    let refused = cases.iter().filter(|(_, why)| !why.is_empty()).count();
    assert_eq!(counts, [1, 1, 0, refused as u64]);
    let mut reported = report.lines();
    for (number, (_, why)) in cases
        .iter()
        .enumerate()
        .filter(|(_, (_, why))| !why.is_empty())
    {
        let found = reported.next().unwrap();
        assert!(
            found.starts_with(&format!("line {}: ", number + 1)),
            "{found}"
        );
        assert!(found.contains(why), "{found}: expected {why}");
    }
    assert!(
        !report.contains("canary") && !report.contains("example.org"),
        "{report}"
    );
    assert_eq!(bench.stored("good").len(), 2);
}

#[test]
fn newer_statements_win_and_older_ones_are_refused() {
    let bench = Bench::new();
    let first = line("ann", &[mapping("ann", 1, 5, &["a.example"])]);
    assert_eq!(bench.lines(std::slice::from_ref(&first)).0, [1, 0, 0, 0]);
    let salt = bench.salt("ann");
    assert_eq!(bench.lines(std::slice::from_ref(&first)).0, [0, 0, 1, 0]);
    assert_eq!(bench.salt("ann"), salt, "nothing changed");
    assert_eq!(
        bench
            .lines(&[line(
                "ann",
                &[mapping("ann", 1, 6, &["b.example", "c.example"])]
            )])
            .0,
        [0, 1, 0, 0]
    );
    assert_ne!(bench.salt("ann"), salt);
    assert_eq!(bench.stored("ann"), [(1, 6, 2)]);

    let (counts, report) = bench.lines(&[first]);
    assert_eq!(counts, [0, 0, 0, 1]);
    assert!(report.contains("newer mapping"), "{report}");
    let (counts, report) = bench.lines(&[line("ann", &[mapping("ann", 1, 6, &["z.example"])])]);
    assert_eq!(counts, [0, 0, 0, 1]);
    assert!(report.contains("equivocation"), "{report}");
    assert_eq!(bench.stored("ann"), [(1, 6, 2)]);
}

#[test]
fn an_opt_out_and_a_mapping_that_replaces_all_delist_the_others() {
    let bench = Bench::new();
    let old = line(
        "ann",
        &[
            mapping("ann", 1, 1, &["a.example"]),
            mapping("ann", 2, 2, &["b.example"]),
        ],
    );
    bench.lines(std::slice::from_ref(&old));
    let all = Mapping {
        replaces: Replaces::All,
        ..mapping("ann", 3, 2, &["c.example"])
    };
    assert_eq!(
        bench.lines(&[line("ann", std::slice::from_ref(&all))]).0,
        [0, 1, 0, 0]
    );
    // What is as old stays beside it.
    assert_eq!(bench.stored("ann"), [(2, 2, 1), (3, 2, 1)]);
    let (counts, report) = bench.lines(&[old]);
    assert_eq!(counts, [0, 0, 0, 1]);
    assert!(report.contains("de-listed"), "{report}");
    let opt_out = line(
        "ann",
        &[
            mapping("ann", 4, 9, &[]),
            mapping("ann", 5, 8, &["d.example"]),
        ],
    );
    assert_eq!(bench.lines(std::slice::from_ref(&opt_out)).0, [0, 1, 0, 0]);
    assert_eq!(bench.stored("ann"), [(4, 9, 0)]);
    assert_eq!(
        bench.lines(&[opt_out]).0,
        [0, 0, 1, 0],
        "importing is idempotent"
    );
}

#[test]
fn a_new_holder_starts_afresh_and_the_old_one_is_refused() {
    let bench = Bench::new();
    bench.lines(&[line("ann", &[mapping("ann", 1, 1, &["a.example"])])]);
    let successor = SigningKey::from_seed(&[7; 32]);
    let mut reassigned = credential("ann");
    (reassigned.holder, reassigned.assignment) = (successor.verifying_key(), 2);
    let theirs = Mapping {
        assignment: 2,
        ..mapping("ann", 2, 1, &["b.example", "c.example"])
    };
    let new = json(
        &reassigned.issue(&csip()).unwrap(),
        &[theirs.sign(&successor).unwrap()],
    );
    assert_eq!(bench.lines(&[new]).0, [0, 1, 0, 0]);
    assert_eq!(bench.stored("ann"), [(2, 1, 2)]);
    let (counts, report) = bench.lines(&[line("ann", &[mapping("ann", 1, 2, &["a.example"])])]);
    assert_eq!(counts, [0, 0, 0, 1]);
    assert!(report.contains("newer credential"), "{report}");

    let mut rival = credential("bob");
    bench.lines(&[line_of(&rival, &[])]);
    rival.holder = successor.verifying_key();
    let (counts, report) = bench.lines(&[line_of(&rival, &[])]);
    assert_eq!(counts, [0, 0, 0, 1]);
    assert!(report.contains("equivocation"), "{report}");
    // A renewed credential keeps the mappings; an older one of the same key is
    // as good.
    bench.lines(&[line("eve", &[mapping("eve", 1, 1, &["a.example"])])]);
    let mut renewed = credential("eve");
    renewed.issued_at = NOW;
    assert_eq!(bench.lines(&[line_of(&renewed, &[])]).0, [0, 1, 0, 0]);
    assert_eq!(
        bench
            .lines(&[line("eve", &[mapping("eve", 2, 1, &["b.example"])])])
            .0,
        [0, 1, 0, 0]
    );
    assert_eq!(bench.stored("eve"), [(1, 1, 1), (2, 1, 1)]);
}

#[test]
fn nothing_to_import_and_nobody_trusted_are_errors() {
    let bench = Bench::new();
    for content in ["", "\n\n \n"] {
        let (result, _) = bench.import(&bench.file("empty.jsonl", content));
        assert!(matches!(result, Err(ImportError::Empty { .. })));
    }
    let (result, _) = bench.import(Path::new("/nonexistent/file"));
    assert!(matches!(result, Err(ImportError::File(_))));
    let nobody = TrustList::from_toml("").unwrap();
    let path = bench.file("one.jsonl", line("ann", &[]));
    let options = ImportOptions {
        trust: &nobody,
        now: NOW,
        progress: Progress::Logged,
        report: &mut Vec::new(),
    };
    assert!(matches!(
        run(&bench.store, &path, options),
        Err(ImportError::NobodyTrusted)
    ));
    assert_eq!(bench.store.view().unwrap().count().unwrap(), 0);
}

#[test]
fn a_broken_sequence_keeps_what_is_before_it() {
    let bench = Bench::new();
    let item = cbor(&credential("ann").issue(&csip()).unwrap(), &[]);
    for broken in [
        &[0xff][..],
        &item[..item.len() - 1],
        &[0x5b, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
    ] {
        let path = bench.file("broken.cbor", [&item[..], broken].concat());
        let (result, _) = bench.import(&path);
        match result {
            Err(ImportError::Broken { number, .. }) => assert_eq!(number, 2),
            other => panic!("{other:?}"),
        }
        assert_eq!(bench.stored("ann"), []);
    }
    let (result, report) = bench.import(&bench.file("shape.cbor", [0x82, 0x40, 0x01]));
    assert_eq!(result.unwrap().counts.refused, 1);
    assert!(report.starts_with("item 1: not a CBOR array"), "{report}");
}

/// A report that fails after a number of lines, as a full disk would.
struct Failing(usize);

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => Err(io::ErrorKind::StorageFull.into()),
        }
    }
}

#[test]
fn an_interrupted_import_goes_on_where_it_ended() {
    let bench = Bench::new();
    let count = BATCH_ITEMS + 10;
    // Refused quickly, so that the test is quick; with two good ones.
    let mut lines = vec!["{}".to_owned(); count];
    lines[3] = line("ann", &[mapping("ann", 1, 1, &["a.example"])]);
    lines[count - 1] = line("bob", &[]);
    let path = bench.file("long.jsonl", lines.join("\n"));
    let trust = trust();
    let mut failing = Failing(0);
    let options = ImportOptions {
        trust: &trust,
        now: NOW,
        progress: Progress::Logged,
        report: &mut failing,
    };
    assert!(matches!(
        run(&bench.store, &path, options),
        Err(ImportError::Report(_))
    ));
    assert_eq!(
        bench.store.view().unwrap().count().unwrap(),
        1,
        "the first batch is durable"
    );

    let (result, report) = bench.import(&path);
    let summary = result.unwrap();
    assert_eq!(summary.resumed_at, BATCH_ITEMS as u64);
    let counts = summary.counts;
    assert_eq!(
        (counts.items, counts.added, counts.refused),
        (count as u64, 2, count as u64 - 2)
    );
    assert!(
        report.starts_with(&format!("line {}: ", BATCH_ITEMS + 1)),
        "{report}"
    );
    assert_eq!(report.lines().count(), 9);
    // A finished import starts anew, and another file is another import.
    let (result, _) = bench.import(&path);
    let summary = result.unwrap();
    assert_eq!((summary.resumed_at, summary.counts.unchanged), (0, 2));
}
