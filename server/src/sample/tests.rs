use protocol::bundle::evaluate;
use protocol::csi::CsiKind;
use protocol::lookup::Lookup;

use super::*;

const NOW: UnixTime = UnixTime::from_secs(1_795_392_000);

fn lines(records: &[SampleRecord]) -> Vec<u8> {
    let mut out = Vec::new();
    run::write_lines(&mut out, records).unwrap();
    out
}

#[test]
fn a_seed_gives_the_same_bytes_in_batches_of_any_size() {
    let (records, trust) = generate(300, 9, NOW).unwrap();
    let mut sample = Sample::new(9, NOW).unwrap();
    assert_eq!(sample.trust(), &trust);
    let mut pieces = Vec::new();
    for count in [1, 0, 150, 149] {
        pieces.extend(sample.next_batch(count).unwrap());
    }
    assert_eq!(lines(&records), lines(&pieces));
    assert_ne!(lines(&records), lines(&generate(300, 10, NOW).unwrap().0));
}

#[test]
fn records_verify_and_are_of_every_kind() {
    let (records, trust) = generate(1500, 4, NOW).unwrap();
    let (mut phones, mut none, mut opted_out, mut one, mut several) = (0, 0, 0, 0, 0);
    for record in &records {
        phones += usize::from(record.csi.kind() == CsiKind::Phone);
        let bundle = record.bundle().unwrap();
        for days in [0, 29] {
            let now = NOW.saturating_add(days * 24 * 60 * 60);
            let lookup = evaluate(Some(&bundle), &record.csi, &trust, now);
            match (&lookup, record.mappings.len()) {
                (Lookup::NoMapping, 0) => none += 1,
                (Lookup::OptedOut, 1) => opted_out += 1,
                (Lookup::Mappings(found), 1) if found.len() == 1 => one += 1,
                (Lookup::Mappings(found), count) if found.len() == count => several += 1,
                _ => panic!("{lookup:?} of {} mappings", record.mappings.len()),
            }
        }
    }
    assert!((900..1100).contains(&phones), "{phones} phones of 1500");
    // Each was counted twice.
    assert!((80..240).contains(&none), "{none}");
    assert!((40..160).contains(&opted_out), "{opted_out}");
    assert!(one > 2100, "{one}");
    assert!(several > 250, "{several}");
}

#[test]
fn identifiers_are_distinct_and_absent_ones_stay_absent() {
    let mut sample = Sample::new(2, NOW).unwrap();
    let before = sample.next_batch(2000).unwrap();
    let absent = sample.absent(200).unwrap();
    let after = sample.next_batch(2000).unwrap();
    let present = before.iter().chain(&after).map(|record| &record.csi);
    let all: HashSet<&Csi> = present.chain(&absent).collect();
    assert_eq!(all.len(), 4200);
}

#[test]
fn a_repeated_candidate_is_made_anew() {
    let mut sample = Sample::new(2, NOW).unwrap();
    let (Some(first), next) = sample.candidate(0, 0) else {
        panic!("no candidate")
    };
    sample.seen.insert(fingerprint(&first));
    let (Some(second), _) = sample.candidate(0, next) else {
        panic!("no candidate")
    };
    assert_ne!(first, second);
    assert_eq!(sample.identifiers(1).unwrap(), [(0, second)]);
}

#[test]
fn answers_are_those_of_the_records() {
    let mut sample = Sample::new(3, NOW).unwrap();
    let mut answers = Answers::new(&sample, 50);
    let records = sample.next_batch(1000).unwrap();
    answers.offer(&sample, &records[..400]).unwrap();
    answers.offer(&sample, &records[400..]).unwrap();
    let lines = answers.finish(&mut sample).unwrap();
    assert_eq!(lines.len(), 50);
    let mut by_kind = std::collections::BTreeMap::new();
    for line in &lines {
        let answer: serde_json::Value = serde_json::from_str(line).unwrap();
        let identifier = answer["identifier"].as_str().unwrap();
        let record = records
            .iter()
            .find(|record| record.csi.canonical() == identifier);
        let mappings = answer["mappings"].as_array().map_or(0, Vec::len);
        let result = answer["result"].as_str().unwrap().to_owned();
        match record {
            None => assert_eq!(result, "no_mapping"),
            Some(record) if result == "opted_out" => assert_eq!(record.mappings.len(), 1),
            Some(record) => assert_eq!(record.mappings.len(), mappings),
        }
        *by_kind
            .entry((result, mappings.min(2), record.is_some()))
            .or_insert(0) += 1;
    }
    assert_eq!(by_kind.into_values().collect::<Vec<_>>(), [10; 5]);
}

#[test]
fn too_few_records_are_made_up_for_by_absent_ones() {
    let mut sample = Sample::new(3, NOW).unwrap();
    let mut answers = Answers::new(&sample, 7);
    let records = sample.next_batch(2).unwrap();
    answers.offer(&sample, &records).unwrap();
    assert_eq!(answers.finish(&mut sample).unwrap().len(), 7);
    let none = Answers::new(&sample, 0);
    assert!(none.finish(&mut sample).unwrap().is_empty());
}
