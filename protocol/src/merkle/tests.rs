use proptest::prelude::*;

use super::*;

fn content(index: u32) -> Vec<u8> {
    format!("bucket {index}").into_bytes()
}

fn tree(leaves: u32) -> Tree {
    Tree::build((0..leaves).map(|i| leaf(i, &content(i))).collect()).unwrap()
}

#[test]
fn known_roots() {
    // Recomputed by hand from the definition, with SHA3-256 alone.
    let h = |parts: &[&[u8]]| Hash::of(&parts.concat());
    let a = h(&[&[0], &[0, 0, 0, 0], b"bucket 0"]);
    let b = h(&[&[0], &[0, 0, 0, 1], b"bucket 1"]);
    let c = h(&[&[0], &[0, 0, 0, 2], b"bucket 2"]);
    let pad = h(&[&[2]]);
    let left = h(&[&[1], a.as_bytes(), b.as_bytes()]);
    let right = h(&[&[1], c.as_bytes(), pad.as_bytes()]);
    assert_eq!(tree(1).root(), a);
    assert_eq!(tree(2).root(), left);
    assert_eq!(
        tree(3).root(),
        h(&[&[1], left.as_bytes(), right.as_bytes()])
    );
    assert_eq!(
        Hash::of(b"abc").to_string(),
        "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"
    );
}

#[test]
fn every_leaf_verifies_and_nothing_else_does() {
    for leaves in [1, 2, 3, 255, 256, 257, 511, 512, 513, 1000, 1025] {
        let tree = tree(leaves);
        let cap = tree.cap();
        assert_eq!(cap.root(), tree.root());
        assert_eq!(cap.nodes().len(), Cap::nodes_for(leaves).unwrap());
        assert_eq!(Cap::new(leaves, cap.nodes().to_vec()).as_ref(), Ok(&cap));
        for index in [0, leaves / 3, leaves / 2, leaves - 1] {
            let path = tree.lower_path(index).unwrap();
            assert_eq!(path.len(), path_len(leaves).unwrap());
            assert_eq!(cap.verify(index, &content(index), &path), Ok(()));
            let neighbour = (index + 1) % leaves;
            if neighbour != index {
                assert_eq!(
                    cap.verify(neighbour, &content(index), &path),
                    Err(MerkleError::NotUnderRoot)
                );
            }
            assert_eq!(
                cap.verify(index, b"another", &path),
                Err(MerkleError::NotUnderRoot)
            );
            for height in 0..path.len() {
                let mut wrong = path.clone();
                wrong[height].0[31] ^= 1;
                assert_eq!(
                    cap.verify(index, &content(index), &wrong),
                    Err(MerkleError::NotUnderRoot)
                );
            }
        }
    }
}

#[test]
fn cap_is_256_nodes_from_256_leaves_on() {
    let sizes: Vec<_> = [1, 2, 3, 128, 129, 256, 257, 1 << 20]
        .map(|leaves| (Cap::nodes_for(leaves).unwrap(), path_len(leaves).unwrap()))
        .into();
    assert_eq!(
        sizes,
        [
            (1, 0),
            (2, 0),
            (4, 0),
            (128, 0),
            (256, 0),
            (256, 0),
            (256, 1),
            (256, 12)
        ]
    );
}

#[test]
fn refusals_name_what_was_expected() {
    assert_eq!(
        Tree::build(Vec::new()).unwrap_err(),
        MerkleError::LeafCount { found: 0 }
    );
    assert_eq!(
        path_len(LEAVES_MAX + 1),
        Err(MerkleError::LeafCount {
            found: u64::from(LEAVES_MAX) + 1
        })
    );
    let tree = tree(600);
    let cap = tree.cap();
    assert_eq!(
        Cap::new(600, cap.nodes()[1..].to_vec()),
        Err(MerkleError::CapNodes {
            expected: 256,
            found: 255
        })
    );
    assert_eq!(
        tree.lower_path(600),
        Err(MerkleError::Index {
            leaves: 600,
            found: 600
        })
    );
    let path = tree.lower_path(5).unwrap();
    assert_eq!(
        cap.verify(600, b"", &path),
        Err(MerkleError::Index {
            leaves: 600,
            found: 600
        })
    );
    for wrong in [&path[1..], &[path.as_slice(), &path[..1]].concat()] {
        assert_eq!(
            cap.verify(5, &content(5), wrong),
            Err(MerkleError::PathLength {
                expected: 2,
                found: wrong.len()
            })
        );
    }
}

proptest! {
    #[test]
    fn paths_verify_in_trees_of_any_size(leaves in 1u32..2000, pick in any::<u32>()) {
        let tree = tree(leaves);
        let index = pick % leaves;
        let path = tree.lower_path(index).unwrap();
        prop_assert_eq!(tree.cap().verify(index, &content(index), &path), Ok(()));
    }
}
