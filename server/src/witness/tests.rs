use std::fs;

use protocol::cose::SigningKey;
use protocol::log::{NoteKey, SignatureKind};
use protocol::time::UnixTime;

use super::*;
use crate::fixture::Provider;
use crate::log::{Directory, Objects, checkpoint_name};
use crate::snapshot::build::published_manifest;

fn secret() -> SigningKey {
    SigningKey::from_seed(&[5; 32])
}

fn public(name: &str, kind: SignatureKind) -> NoteKey {
    NoteKey::new(name, kind, secret().verifying_key()).unwrap()
}

#[test]
fn a_witness_is_a_key_and_perhaps_a_url_that_nobody_listens_to() {
    let directory = tempfile::tempdir().unwrap();
    let read = |text: &str| {
        fs::write(directory.path().join("witnesses"), text).unwrap();
        Witness::read_all(directory.path())
    };
    assert_eq!(Witness::read_all(directory.path()).unwrap(), []);
    let key = public("w.example/1", SignatureKind::Cosignature);
    let url = |text: &str| {
        let read = read(&format!("# mine\n\n  {key}  {text}\n")).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].key, key);
        let url = read[0].add_checkpoint.clone();
        url.map(String::from)
    };
    assert_eq!(url(""), None);
    for (text, expected) in [
        ("https://w.example", "https://w.example/add-checkpoint"),
        (
            "https://w.example:1/a/",
            "https://w.example:1/a/add-checkpoint",
        ),
        ("http://127.0.0.9:1", "http://127.0.0.9:1/add-checkpoint"),
        ("http://[::1]:1", "http://[::1]:1/add-checkpoint"),
        ("http://localhost", "http://localhost/add-checkpoint"),
    ] {
        assert_eq!(url(text).as_deref(), Some(expected));
    }
    let text = public("w.example/1", SignatureKind::Text);
    for line in [
        "w.example/1".to_owned(),
        text.to_string(),
        format!("{key} http://w.example"),
        format!("{key} http://127.0.0.1.w.example"),
        format!("{key} https://user:word@w.example"),
        format!("{key} https://w.example/?a"),
        format!("{key} file:///w"),
        format!("{key} w.example"),
        format!("{key} https://w.example more"),
    ] {
        let refused = read(&format!("{key}\n{line}\n"));
        let at = matches!(refused, Err(WitnessError::Line { line: 2, .. }));
        assert!(at, "{line}");
    }
}

#[test]
fn a_cosignature_is_of_its_time_and_counts_once() {
    let provider = Provider::new(40);
    let published = Published::open(&provider.data, None).unwrap().unwrap();
    let name = "w.example/1";
    let key = [public(name, SignatureKind::Cosignature)];
    let checkpoint = published.checkpoint().unwrap();
    let key_of_dp = provider.data.provider_public_key().unwrap();
    let directory = provider.data.snapshots();
    let manifest = published_manifest(&directory, &key_of_dp).unwrap().unwrap();
    let then = manifest.unverified().published_at;
    let add = |at: UnixTime, now: UnixTime| {
        let line = checkpoint.note().cosign(name, &secret(), at.as_secs());
        published.add(&format!("{}\n", line.unwrap()), &key, now)
    };
    let now = then.saturating_add(1000);
    for at in [then.saturating_sub(301), now.saturating_add(301)] {
        assert!(matches!(add(at, now), Err(WitnessError::Time { .. })));
        assert_eq!(published.checkpoint().unwrap(), checkpoint);
    }
    let added = Added {
        added: 1,
        ignored: 0,
    };
    for at in [then, then.saturating_add(60), now] {
        assert_eq!(add(at, now).unwrap(), added);
        let signatures = published.checkpoint().unwrap();
        assert_eq!(signatures.note().signatures().len(), 2);
    }

    // A copy from before takes it over, and nothing of another log.
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = Directory::new(elsewhere.path());
    let object = checkpoint_name(&manifest.digest());
    let here = Directory::new(&directory);
    copy.put(&object, &checkpoint.encode()).unwrap();
    refresh(&here, &copy, &manifest, &key_of_dp).unwrap();
    assert_eq!(copy.get(&object).unwrap(), here.get(&object).unwrap());
    let cosigned = copy.get(&object).unwrap();
    for other in [checkpoint.encode(), b"nothing\n".to_vec()] {
        here.put(&object, &other).unwrap();
        refresh(&here, &copy, &manifest, &key_of_dp).unwrap();
        assert_eq!(copy.get(&object).unwrap(), cosigned);
    }
}
