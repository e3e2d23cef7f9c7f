use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

#[test]
fn known_document() {
    let problem = Problem::new(ProblemType::SnapshotGone)
        .with_detail("two builds ago")
        .with_current_snapshot(SnapshotId::from_bytes([0xcd; 32]))
        .with_retry_after(3);
    let expected = format!(
        concat!(
            r#"{{"type":"urn:sotto:problem:snapshot-gone","title":"The snapshot is not served","#,
            r#""status":410,"detail":"two builds ago","current_snapshot":"{}","retry_after":3}}"#
        ),
        "cd".repeat(32)
    );
    assert_eq!(String::from_utf8(problem.to_json()).unwrap(), expected);
    assert_eq!(
        problem.to_string(),
        "The snapshot is not served (410): two builds ago"
    );
}

#[test]
fn every_type_has_its_own_urn_and_reads_back() {
    let urns: HashSet<_> = ProblemType::ALL.iter().map(|kind| kind.urn()).collect();
    assert_eq!(urns.len(), ProblemType::ALL.len());
    for kind in ProblemType::ALL {
        assert!((400..600).contains(&kind.status()));
        assert!(kind.urn().starts_with("urn:sotto:problem:"));
        assert_eq!(
            Problem::from_json(&Problem::new(kind).to_json()),
            Ok(Problem::new(kind))
        );
        let quoted = serde_json::to_string(&kind).unwrap();
        assert_eq!(serde_json::from_str::<ProblemType>(&quoted).unwrap(), kind);
    }
}

#[test]
fn unknown_members_and_other_titles_are_ignored() {
    let json =
        br#"{"instance":"/x","type":"urn:sotto:problem:not-found","title":"?","status":404}"#;
    assert_eq!(
        Problem::from_json(json),
        Ok(Problem::new(ProblemType::NotFound))
    );
}

#[test]
fn refusals() {
    let refused = |json: &str, expected| {
        assert_eq!(Problem::from_json(json.as_bytes()), Err(expected), "{json}");
    };
    refused("", ProblemError::Malformed);
    refused("{}", ProblemError::Malformed);
    refused(
        r#"{"type":"urn:sotto:problem:internal","status":500} x"#,
        ProblemError::Malformed,
    );
    refused(
        r#"{"type":"urn:sotto:problem:internal","status":"500"}"#,
        ProblemError::Malformed,
    );
    refused(
        r#"{"type":"about:blank","status":500}"#,
        ProblemError::UnknownType,
    );
    refused(
        r#"{"type":"urn:sotto:problem:internal","status":503}"#,
        ProblemError::Status {
            expected: 500,
            found: 503,
        },
    );
    refused(
        r#"{"type":"urn:sotto:problem:internal","status":500,"current_snapshot":"00"}"#,
        ProblemError::CurrentSnapshot,
    );
    refused(
        &" ".repeat(PROBLEM_BYTES_MAX + 1),
        ProblemError::TooLong {
            found: PROBLEM_BYTES_MAX + 1,
        },
    );
}

proptest! {
    #[test]
    fn round_trips(
        kind in 0..ProblemType::ALL.len(),
        detail in proptest::option::of("\\PC{0,200}"),
        snapshot in proptest::option::of(any::<[u8; 32]>()),
        retry_after in any::<Option<u32>>(),
    ) {
        let problem = Problem {
            detail,
            current_snapshot: snapshot.map(SnapshotId::from_bytes),
            retry_after,
            ..Problem::new(ProblemType::ALL[kind])
        };
        prop_assert_eq!(Problem::from_json(&problem.to_json()), Ok(problem));
    }

    #[test]
    fn truncated_and_random_bytes_are_refused(
        cut in any::<usize>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let json = Problem::new(ProblemType::Overloaded).with_retry_after(1).to_json();
        let truncated = Problem::from_json(&json[..cut % json.len()]);
        prop_assert_eq!(truncated, Err(ProblemError::Malformed));
        prop_assert_eq!(Problem::from_json(&bytes), Err(ProblemError::Malformed));
    }
}
