use std::sync::Arc;

use super::*;

const NOW: UnixTime = UnixTime::from_secs(1_795_392_000);

const POLICY: VerificationPolicy = VerificationPolicy {
    code_seconds: 600,
    attempts: 5,
    codes_per_identifier_hour: 3,
    codes_per_minute: 5,
};

fn registry(directory: &tempfile::TempDir) -> Registry {
    let path = directory.path().join("registry.key");
    if !path.exists() {
        RegistryKey::generate().create(&path).unwrap();
    }
    let key = RegistryKey::read(&path).unwrap();
    Registry::open(directory.path().join("registry.redb"), key).unwrap()
}

fn csi() -> Csi {
    Csi::parse("+442079460000").unwrap()
}

fn holder(byte: u8) -> KeyId {
    KeyId::from_bytes([byte; 32])
}

/// Verified and issued, at `now`.
fn issue(registry: &Registry, request: &[u8], now: UnixTime) -> Assigned {
    let admitted = registry.admit(&csi(), request, &POLICY, now).unwrap();
    registry.assign(&csi(), holder(1), admitted, now).unwrap()
}

#[test]
fn the_counter_rises_with_each_new_holder_and_only_then() {
    let directory = tempfile::tempdir().unwrap();
    let registry = registry(&directory);
    let assigned = |assignment, issued_at| Assigned {
        assignment,
        issued_at,
    };
    assert_eq!(issue(&registry, b"1", NOW), assigned(1, NOW));
    // Another key of the same holder in the same second supersedes.
    let admitted = registry.admit(&csi(), b"2", &POLICY, NOW).unwrap();
    assert_eq!(
        registry.assign(&csi(), holder(2), admitted, NOW).unwrap(),
        assigned(1, NOW.saturating_add(1))
    );
    let ended = registry
        .end(&csi(), ReleaseReason::Reassigned, NOW)
        .unwrap();
    assert_eq!(ended.assignment, 1);
    let later = NOW.saturating_add(5);
    assert_eq!(issue(&registry, b"3", later), assigned(2, later));
    // Another identifier has its own.
    let other = Csi::parse("someone@example.org").unwrap();
    assert_eq!(registry.admit(&other, b"4", &POLICY, later).unwrap(), 1);
}

#[test]
fn a_code_sent_before_a_change_of_hands_is_of_no_use_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let registry = registry(&directory);
    issue(&registry, b"1", NOW);
    let former = registry.admit(&csi(), b"2", &POLICY, NOW).unwrap();
    registry
        .end(&csi(), ReleaseReason::Reassigned, NOW)
        .unwrap();
    assert!(matches!(
        registry.assign(&csi(), holder(1), former, NOW),
        Err(RegistryError::ChangedHands)
    ));
    assert_eq!(issue(&registry, b"3", NOW).assignment, 2);
}

#[test]
fn a_release_can_be_noted_again_for_the_same_reason_alone() {
    let directory = tempfile::tempdir().unwrap();
    let registry = registry(&directory);
    let end = |reason, now| registry.end(&csi(), reason, now);
    assert!(matches!(
        end(ReleaseReason::GivenUp, NOW),
        Err(RegistryError::NotAssigned)
    ));
    issue(&registry, b"1", NOW);
    let ended = end(ReleaseReason::Ported, NOW).unwrap();
    let again = end(ReleaseReason::Ported, NOW.saturating_add(9)).unwrap();
    assert_eq!(again, ended);
    assert!(matches!(
        end(ReleaseReason::Fraud, NOW),
        Err(RegistryError::EndedOtherwise {
            found: ReleaseReason::Ported
        })
    ));
}

#[test]
fn what_was_noted_outlives_the_process_and_needs_its_key() {
    let directory = tempfile::tempdir().unwrap();
    issue(&registry(&directory), b"1", NOW);
    let again = registry(&directory);
    assert!(matches!(
        again.admit(&csi(), b"1", &POLICY, NOW),
        Err(RegistryError::Refused(RefusedStart::Replayed))
    ));
    again.end(&csi(), ReleaseReason::GivenUp, NOW).unwrap();
    assert_eq!(issue(&registry(&directory), b"2", NOW).assignment, 2);
    let other = Registry::open(
        directory.path().join("registry.redb"),
        RegistryKey::generate(),
    );
    assert!(matches!(other, Err(RegistryError::OtherKey)));
    let content = std::fs::read(directory.path().join("registry.redb")).unwrap();
    assert!(!content.windows(10).any(|part| part == b"2079460000"));
}

#[test]
fn codes_are_limited_for_each_and_for_all() {
    let directory = tempfile::tempdir().unwrap();
    let registry = registry(&directory);
    let admit = |csi: &Csi, request: &[u8], secs| {
        let now = NOW.saturating_add(secs);
        match registry.admit(csi, request, &POLICY, now) {
            Err(RegistryError::Refused(refused)) => Some(refused),
            other => {
                other.unwrap();
                None
            }
        }
    };
    assert_eq!(admit(&csi(), b"1", 0), None);
    assert_eq!(admit(&csi(), b"2", 10), None);
    assert_eq!(admit(&csi(), b"3", 20), None);
    let too_many = |retry_after_seconds| {
        Some(RefusedStart::Identifier {
            retry_after_seconds,
        })
    };
    assert_eq!(admit(&csi(), b"4", 30), too_many(3570));
    let other = Csi::parse("someone@example.org").unwrap();
    assert_eq!(admit(&other, b"5", 30), None);
    assert_eq!(admit(&other, b"6", 30), None);
    assert_eq!(
        admit(&other, b"7", 30),
        Some(RefusedStart::Everybody {
            retry_after_seconds: 30
        })
    );
    assert_eq!(admit(&other, b"7", 60), None);
    assert_eq!(admit(&csi(), b"8", 3599), too_many(1));
    assert_eq!(admit(&csi(), b"8", 3600), None);
}

#[test]
fn a_clock_that_was_wrong_is_told_and_blocks_nobody_for_long() {
    let directory = tempfile::tempdir().unwrap();
    let registry = registry(&directory);
    let future = NOW.saturating_add(1_000_000);
    issue(&registry, b"1", future);
    for request in [b"2", b"3", b"4"] {
        registry.admit(&csi(), request, &POLICY, future).ok();
    }
    let admitted = registry.admit(&csi(), b"5", &POLICY, NOW).unwrap();
    assert!(matches!(
        registry.assign(&csi(), holder(1), admitted, NOW),
        Err(RegistryError::Clock { .. })
    ));
}

#[test]
fn two_processes_take_turns() {
    let directory = tempfile::tempdir().unwrap();
    let registries = [registry(&directory), registry(&directory)].map(Arc::new);
    let threads: Vec<_> = (0..8_u8)
        .map(|at| {
            let registry = Arc::clone(&registries[usize::from(at) % 2]);
            std::thread::spawn(move || {
                let csi = Csi::parse(&format!("someone{at}@example.org")).unwrap();
                let policy = VerificationPolicy {
                    codes_per_minute: 8,
                    ..POLICY
                };
                let admitted = registry.admit(&csi, &[at], &policy, NOW).unwrap();
                registry.assign(&csi, holder(at), admitted, NOW).unwrap()
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap().assignment, 1);
    }
    assert!(matches!(
        registries[0].admit(
            &csi(),
            b"one more",
            &VerificationPolicy {
                codes_per_minute: 8,
                ..POLICY
            },
            NOW
        ),
        Err(RegistryError::Refused(RefusedStart::Everybody { .. }))
    ));
}
