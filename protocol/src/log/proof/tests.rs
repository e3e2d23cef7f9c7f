use proptest::prelude::*;

use super::super::{TileId, TileSet, Tree};
use super::*;

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
}
