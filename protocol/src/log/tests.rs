use proptest::prelude::*;

use super::*;
use crate::cose::SigningKey;

/// Where a log of so many entries ends.
fn head(size: u64) -> TreeHead {
    let leaves = (0..size).map(|n| LogHash::of_leaf(&n.to_be_bytes()));
    leaves.collect::<Tree>().head(size).unwrap()
}

#[test]
fn paths_of_tiles_are_those_of_the_specification() {
    let whole = Part::Tile(TileId {
        level: 3,
        index: 1_234_067,
        width: 256,
    });
    assert_eq!(whole.to_string(), "3/x001/x234/067");
    let partial = Part::Entries { index: 0, width: 5 };
    assert_eq!(partial.to_string(), "entries/000.p/5");
    // A tree of 70000 entries, as the specification describes it.
    let size = 70_000;
    let node = |height, index| TileId::of(Node { height, index }, size);
    assert_eq!(
        node(0, 69_999),
        TileId {
            level: 0,
            index: 273,
            width: 112
        }
    );
    assert_eq!(
        node(0, 255),
        TileId {
            level: 0,
            index: 0,
            width: 256
        }
    );
    assert_eq!(
        node(8, 272),
        TileId {
            level: 1,
            index: 1,
            width: 17
        }
    );
    assert_eq!(
        node(16, 0),
        TileId {
            level: 2,
            index: 0,
            width: 1
        }
    );
    for path in [
        "",
        "0",
        "0/",
        "0/0",
        "0/0000",
        "0/1000",
        "00/000",
        "8/000",
        "-1/000",
        "0/x001/x002/3",
        "0/x000/001",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/01",
        "0/000.p/",
        "0/000.p/1/",
        "entries/001/000",
        "entries/+01",
        "data/000",
        "0/x001/x001/x001/x001/x001/x001/x001/x001/000",
    ] {
        assert_eq!(path.parse::<Part>(), Err(LogError::Path), "{path}");
    }
}

#[test]
fn the_note_of_the_go_checksum_database_verifies() {
    let key: NoteKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
        .parse()
        .unwrap();
    assert_eq!(key.kind(), SignatureKind::Text);
    let text = "If you think cryptography is the answer to your problem,\n\
                then you don't know what your problem is.\n";
    let signed = format!(
        "{text}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXg\
         KvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    );
    let note = Note::decode(signed.as_bytes()).unwrap();
    assert_eq!(note.text(), text);
    assert_eq!(note.is_signed_by(&key), Ok(true));
    assert_eq!(note.encode(), signed.as_bytes());
    let altered = signed.replace("cryptography", "cryptographY");
    let altered = Note::decode(altered.as_bytes()).unwrap();
    assert_eq!(altered.is_signed_by(&key), Err(LogError::Signature));
    // Wrong length and unknown algorithm, each with the id that goes with it.
    for key in [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3",
    ] {
        assert_eq!(key.parse::<NoteKey>(), Err(LogError::Key), "{key}");
    }
}

/// A checkpoint that the log arche2025h1.staging.ct.transparency.dev has published,
/// with the cosignatures that it had, and the keys that the log and the witnesses
/// publish (<https://transparency.dev/witnesses>). Both are also test data of
/// <https://github.com/florolf/tlog-scales>.
#[test]
fn a_checkpoint_that_the_worlds_witnesses_have_cosigned_verifies() {
    let text = "arche2025h1.staging.ct.transparency.dev\n1432088532\n\
                U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n";
    let signed = format!(
        "{text}\n\
         — arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6h\
         oGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=\n\
         — arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhU\
         kzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=\n\
         — transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KY\
         TzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==\n\
         — witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+\
         /iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==\n\
         — remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIo\
         bWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==\n\
         — witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvV\
         r+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==\n"
    );
    let keys = [
        "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f",
        "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
        "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
        "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
        "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
    ];
    let note = Note::decode(signed.as_bytes()).unwrap();
    assert_eq!(note.encode(), signed.as_bytes());
    assert_eq!(
        Checkpoint::parse(note.text()).unwrap().head.size,
        1_432_088_532
    );
    let altered = signed.replacen("1432088532", "1432088533", 1);
    let altered = Note::decode(altered.as_bytes()).unwrap();
    // A second later.
    let later = signed.replace("AAAABqEiEg", "AAAABqEiEh");
    let later = Note::decode(later.as_bytes()).unwrap();
    for (at, key) in keys.into_iter().enumerate() {
        let key: NoteKey = key.parse().unwrap();
        assert_eq!(note.is_signed_by(&key), Ok(true), "{key}");
        assert_eq!(
            altered.is_signed_by(&key),
            Err(LogError::Signature),
            "{key}"
        );
        // The time is signed too, by witnesses.
        let expected = match at {
            0 => Ok(true),
            _ => Err(LogError::Signature),
        };
        assert_eq!(later.is_signed_by(&key), expected, "{key}");
    }
}

#[test]
fn malformed_notes_are_refused() {
    let line = "— a AAAAAAA=\n";
    assert!(Note::decode(format!("text\n\n{line}").as_bytes()).is_ok());
    for note in [
        "",
        "text\n",
        "text\n\n",
        "text\n— a AAAAAAA=\n",
        "text\n\n— a AAAAAAA=",
        "text\n\n— a AAAAAAA=\n\n",
        "te\txt\n\n— a AAAAAAA=\n",
        "text\n\n- a AAAAAAA=\n",
        "text\n\n— AAAAAAA=\n",
        "text\n\n— a+b AAAAAAA=\n",
        "text\n\n— a AAAA\n",
        "text\n\n— a AAAAAA\n",
        "text\n\n— a  AAAAAAA=\n",
    ] {
        assert_eq!(
            Note::decode(note.as_bytes()),
            Err(LogError::Note),
            "{note:?}"
        );
    }
    let many: String = (0..65).map(|n| format!("— a{n} AAAAAAA=\n")).collect();
    let many = format!("text\n\n{many}");
    assert_eq!(Note::decode(many.as_bytes()), Err(LogError::Note));
    assert_eq!(Note::decode(b"text\xff\n\n"), Err(LogError::Note));
    // Twice the same is still what was signed.
    let twice = format!("text\n\n{line}{line}");
    assert_eq!(
        Note::decode(twice.as_bytes()).unwrap().encode(),
        twice.as_bytes()
    );
}

#[test]
fn a_checkpoint_is_of_one_log_and_signed_by_it() {
    let (key, other) = (
        SigningKey::from_seed(&[1; 32]),
        SigningKey::from_seed(&[2; 32]),
    );
    let head = head(3);
    let signed = SignedCheckpoint::sign(head, &key).unwrap();
    let bytes = signed.encode();
    let opened = SignedCheckpoint::open(&bytes, &key.verifying_key()).unwrap();
    assert_eq!(opened, signed);
    assert_eq!(opened.head(), head);
    let refused = SignedCheckpoint::open(&bytes, &other.verifying_key());
    assert_eq!(refused, Err(LogError::Origin));

    // In its name, signed by another; and altered.
    let text = signed.note().text();
    let mut forged = Note::new(text).unwrap();
    forged.sign("someone", &other).unwrap();
    let refused = SignedCheckpoint::open(&forged.encode(), &key.verifying_key());
    assert_eq!(refused, Err(LogError::Unsigned));
    let altered = String::from_utf8(bytes)
        .unwrap()
        .replacen("\n3\n", "\n4\n", 1);
    let refused = SignedCheckpoint::open(altered.as_bytes(), &key.verifying_key());
    assert_eq!(refused, Err(LogError::Signature));

    let root = text.lines().nth(2).unwrap();
    for text in [
        format!("origin\n03\n{root}\n"),
        format!("origin\n+3\n{root}\n"),
        format!("\n3\n{root}\n"),
        format!("origin\n3\n{root}\nextension\n"),
        format!("origin\n3\n{root}"),
        "origin\n3\nAAAA\n".to_owned(),
        "origin\n3\n".to_owned(),
    ] {
        assert_eq!(
            Checkpoint::parse(&text),
            Err(LogError::Checkpoint),
            "{text}"
        );
    }
    let p256 = SigningKey::generate_p256(&mut rand::rng());
    assert_eq!(log_key(&p256.verifying_key()), Err(LogError::Algorithm));
}

#[test]
fn only_known_witnesses_count() {
    let key = SigningKey::from_seed(&[1; 32]);
    let mut checkpoint = SignedCheckpoint::sign(head(3), &key).unwrap();
    let witness = |seed: u8| {
        let key = SigningKey::from_seed(&[seed; 32]);
        let name = format!("witness.example/{seed}");
        let public = NoteKey::new(&name, SignatureKind::Cosignature, key.verifying_key());
        (name, key, public.unwrap())
    };
    let (one, two, stranger) = (witness(11), witness(12), witness(13));
    let known = [one.2.clone(), two.2.clone()];
    assert_eq!(one.2.to_string().parse(), Ok(one.2.clone()));
    assert_eq!(checkpoint.witnessed_by(&known), Ok(0));
    let cosign = |by: &(String, SigningKey, NoteKey), checkpoint: &SignedCheckpoint| {
        let line = checkpoint
            .note()
            .cosign(&by.0, &by.1, 1_795_392_000)
            .unwrap();
        line.to_string().parse::<NoteSignature>().unwrap()
    };
    let line = cosign(&one, &checkpoint);
    checkpoint.attach(line.clone(), &known).unwrap();
    checkpoint.attach(line, &known).unwrap();
    assert_eq!(checkpoint.witnessed_by(&known), Ok(1));
    assert_eq!(checkpoint.note().signatures().len(), 2);
    let line = cosign(&stranger, &checkpoint);
    assert_eq!(checkpoint.attach(line, &known), Err(LogError::Key));
    // Of another checkpoint.
    let other = SignedCheckpoint::sign(head(4), &key).unwrap();
    let line = cosign(&two, &other);
    assert_eq!(checkpoint.attach(line, &known), Err(LogError::Signature));
    let line = cosign(&two, &checkpoint);
    checkpoint.attach(line, &known).unwrap();
    let opened = SignedCheckpoint::open(&checkpoint.encode(), &key.verifying_key()).unwrap();
    assert_eq!(opened.witnessed_by(&known), Ok(2));
    // A witness that has signed twice, at two times, is one.
    let line = checkpoint.note().cosign(&one.0, &one.1, 1_795_392_060);
    checkpoint.attach(line.unwrap(), &known).unwrap();
    assert_eq!(checkpoint.witnessed_by(&known[..1]), Ok(1));
    // A key that signs text doesn't verify cosignatures, nor the other way.
    let text = NoteKey::new(&one.0, SignatureKind::Text, one.1.verifying_key()).unwrap();
    assert_eq!(opened.witnessed_by(&[text]), Ok(0));
}

#[test]
fn bundles_are_whole() {
    let entries: [&[u8]; 3] = [b"one", b"", b"three"];
    let bytes = bundle::encode(&entries).unwrap();
    assert_eq!(bytes, b"\0\x03one\0\0\0\x05three");
    assert_eq!(bundle::decode(&bytes, 3), Ok(entries.to_vec()));
    assert_eq!(bundle::decode(&bytes, 2), Err(LogError::Tile));
    assert_eq!(bundle::decode(&bytes, 4), Err(LogError::Tile));
    assert_eq!(bundle::prefix(&bytes, 2), Ok(&bytes[..7]));
    assert_eq!(bundle::prefix(&bytes, 4), Err(LogError::Tile));
    assert_eq!(bundle::encode::<&[u8]>(&[]), Err(LogError::Tile));
    assert_eq!(bundle::encode(&[vec![0; 65_536]]), Err(LogError::Tile));
}

proptest! {
    #[test]
    fn paths_round_trip(level in 0_u8..8, index: u64, width in 1_u16..=256) {
        for part in [
            Part::Tile(TileId { level, index, width }),
            Part::Entries { index, width },
        ] {
            prop_assert_eq!(part.to_string().parse(), Ok(part));
        }
    }

    #[test]
    fn any_note_is_itself_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(note) = Note::decode(&bytes) {
            prop_assert_eq!(note.encode(), bytes);
        }
    }

    #[test]
    fn any_bundle_is_itself_or_refused(
        bytes in prop::collection::vec(0_u8..4, 0..40),
        width in 1_u16..5,
    ) {
        if let Ok(entries) = bundle::decode(&bytes, width) {
            prop_assert_eq!(bundle::encode(&entries).unwrap(), bytes);
        }
    }
}
