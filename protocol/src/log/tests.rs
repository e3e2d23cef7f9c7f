use proptest::prelude::*;

use super::*;
use crate::cose::SigningKey;

/// RFC 6962 §2.1, as it is written.
fn naive_root(leaves: &[LogHash]) -> LogHash {
    match leaves {
        [] => LogHash::of_empty_tree(),
        [leaf] => *leaf,
        _ => {
            let mut middle = 1;
            while middle * 2 < leaves.len() {
                middle *= 2;
            }
            let (left, right) = leaves.split_at(middle);
            LogHash::of_node(&naive_root(left), &naive_root(right))
        }
    }
}

fn leaves(count: usize) -> Vec<LogHash> {
    (0..count)
        .map(|n| LogHash::of_leaf(&n.to_be_bytes()))
        .collect()
}

fn head(leaves: &[LogHash]) -> TreeHead {
    TreeHead {
        size: leaves.len() as u64,
        root: naive_root(leaves),
    }
}

/// All tiles that the ranges need, through their encoding.
fn tiles(tree: &Tree, ranges: &[std::ops::Range<u64>], size: u64) -> TileSet {
    let mut set = TileSet::default();
    for tile in TileSet::needed(ranges, size) {
        let bytes = TileId::encode(&tree.tile(&tile).unwrap());
        set.insert(&tile, tile.decode(&bytes).unwrap());
    }
    set
}

#[test]
fn roots_are_those_of_certificate_transparency() {
    // The reference implementation's inputs and roots.
    let inputs = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut tree = Tree::default();
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(tree.head(0).unwrap().root.to_string(), empty);
    for (size, (input, root)) in (1..).zip(inputs.iter().zip(roots)) {
        tree.append(LogHash::of_leaf(&hex::decode(input).unwrap()));
        assert_eq!(tree.head(size).unwrap().root.to_string(), root);
    }
    let proof: Vec<String> = prove_consistency(6, 8, &tree)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        proof,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
}

#[test]
fn every_entry_of_every_small_tree_is_proven_and_nothing_else() {
    let all = leaves(40);
    let tree: Tree = all.iter().copied().collect();
    for size in 1..=all.len() {
        let head = head(&all[..size]);
        assert_eq!(tree.head(head.size), Some(head));
        for index in 0..head.size {
            let proof = prove_inclusion(index, head.size, &tree).unwrap();
            let leaf = &all[index as usize];
            assert_eq!(verify_inclusion(leaf, index, &head, &proof), Ok(()));
            let other = LogHash::of_leaf(b"other");
            let refused = verify_inclusion(&other, index, &head, &proof);
            assert_eq!(refused, Err(ProofError::Root));
            let elsewhere = (index + 1) % head.size;
            if elsewhere != index {
                assert!(verify_inclusion(leaf, elsewhere, &head, &proof).is_err());
            }
            let longer = [&proof[..], &[other]].concat();
            assert_eq!(
                verify_inclusion(leaf, index, &head, &longer),
                Err(ProofError::Length)
            );
        }
        let beyond = prove_inclusion(head.size, head.size, &tree);
        assert_eq!(beyond, Err(ProofError::Range));
    }
}

#[test]
fn every_two_sizes_are_consistent_and_other_histories_are_not() {
    let all = leaves(40);
    let tree: Tree = all.iter().copied().collect();
    for earlier in 0..=all.len() {
        let old = head(&all[..earlier]);
        let forked = TreeHead {
            size: old.size,
            root: LogHash::of_leaf(b"another history"),
        };
        for size in earlier..=all.len() {
            let new = head(&all[..size]);
            let proof = prove_consistency(old.size, new.size, &tree).unwrap();
            assert_eq!(verify_consistency(&old, &new, &proof), Ok(()));
            assert!(verify_consistency(&forked, &new, &proof).is_err());
            // Every tree begins with the empty one.
            assert!(
                earlier == 0 && size > 0
                    || verify_consistency(
                        &old,
                        &TreeHead {
                            root: forked.root,
                            ..new
                        },
                        &proof
                    )
                    .is_err()
            );
            if size > earlier {
                let back = verify_consistency(&new, &old, &proof);
                assert_eq!(back, Err(ProofError::Range));
            }
            if !proof.is_empty() {
                assert!(verify_consistency(&old, &new, &proof[1..]).is_err());
            }
        }
    }
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
}

#[test]
fn a_checkpoint_is_of_one_log_and_signed_by_it() {
    let (key, other) = (
        SigningKey::from_seed(&[1; 32]),
        SigningKey::from_seed(&[2; 32]),
    );
    let head = head(&leaves(3));
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
    let mut checkpoint = SignedCheckpoint::sign(head(&leaves(3)), &key).unwrap();
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
    let line = cosign(&stranger, &checkpoint);
    assert_eq!(checkpoint.attach(line, &known), Err(LogError::Key));
    // Of another checkpoint.
    let other = SignedCheckpoint::sign(head(&leaves(4)), &key).unwrap();
    let line = cosign(&two, &other);
    assert_eq!(checkpoint.attach(line, &known), Err(LogError::Signature));
    let line = cosign(&two, &checkpoint);
    checkpoint.attach(line, &known).unwrap();
    let opened = SignedCheckpoint::open(&checkpoint.encode(), &key.verifying_key()).unwrap();
    assert_eq!(opened.witnessed_by(&known), Ok(2));
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
    fn proofs_from_tiles_are_those_from_the_tree(
        size in 1_u64..70_000,
        index in any::<prop::sample::Index>(),
        earlier in any::<prop::sample::Index>(),
    ) {
        // Beyond one level of tiles, and two.
        let all = leaves(size as usize);
        let tree: Tree = all.iter().copied().collect();
        let head = tree.head(size).unwrap();
        let index = index.index(size as usize) as u64;
        let earlier = tree.head(earlier.index(size as usize + 1) as u64).unwrap();

        let ranges = inclusion_ranges(index, size).unwrap();
        let proof = prove_inclusion(index, size, &tiles(&tree, &ranges, size)).unwrap();
        prop_assert_eq!(verify_inclusion(&all[index as usize], index, &head, &proof), Ok(()));

        let ranges = consistency_ranges(earlier.size, size).unwrap();
        let proof = prove_consistency(earlier.size, size, &tiles(&tree, &ranges, size)).unwrap();
        prop_assert_eq!(verify_consistency(&earlier, &head, &proof), Ok(()));

        let whole = 0..size;
        let set = tiles(&tree, std::slice::from_ref(&whole), size);
        prop_assert_eq!(range_hash(&whole, &set), Ok(head.root));
    }

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
