//! Files that were cut or altered anywhere.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::*;

/// A copy of a snapshot's file to damage, and how loading it ends.
struct Copy {
    directory: tempfile::TempDir,
    id: SnapshotId,
    key: VerifyingKey,
}

impl Copy {
    fn path(&self) -> PathBuf {
        current::snapshot_path(self.directory.path(), self.id)
    }

    fn refused(&self, context: &str) {
        let path = self.path();
        match load_from(self.directory.path(), self.id, &self.key) {
            Err(error @ SnapshotError::Unusable { .. }) => {
                let text = error.to_string();
                assert!(text.contains(&path.display().to_string()), "{text}");
            }
            other => panic!("{context}: {other:?}"),
        }
    }
}

fn copy(provider: &Provider) -> (Copy, Vec<u8>) {
    let snapshot = load(provider);
    let good = fs::read(snapshot.path()).unwrap();
    let copy = Copy {
        directory: tempfile::tempdir().unwrap(),
        id: snapshot.id(),
        key: provider.data.provider_public_key().unwrap(),
    };
    fs::write(copy.path(), &good).unwrap();
    copy_log(provider, &snapshot, copy.directory.path());
    (copy, good)
}

#[test]
fn a_file_cut_at_any_page_is_refused_with_its_name() {
    let (copy, good) = copy(&Provider::new(4));
    let file = fs::OpenOptions::new()
        .write(true)
        .open(copy.path())
        .unwrap();
    let pages = good.len().div_ceil(4096);
    for page in (0..pages).rev() {
        // What is in the file decides alone: loading each would read gigabytes.
        assert!(file::read(&good[..page * 4096]).is_err(), "{page} pages");
        if page % 97 == 0 {
            file.set_len(page as u64 * 4096).unwrap();
            copy.refused(&format!("{page} pages"));
        }
    }
    fs::write(copy.path(), &good).unwrap();
    load_from(copy.directory.path(), copy.id, &copy.key).unwrap();
}

/// Thousands of flips, of every byte of a small container, are in the tests of
/// [`file`]; these are of a snapshot's.
#[test]
fn a_file_with_any_bit_flipped_is_refused_with_its_name() {
    use std::os::unix::fs::FileExt as _;
    let (copy, good) = copy(&Provider::new(4));
    let file = fs::OpenOptions::new()
        .write(true)
        .open(copy.path())
        .unwrap();
    let seed = rand::random();
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..16 {
        let (at, bit) = (rng.random_range(0..good.len()), rng.random_range(0..8));
        file.write_all_at(&[good[at] ^ (1 << bit)], at as u64)
            .unwrap();
        copy.refused(&format!("bit {bit} of byte {at}, seed {seed}"));
        file.write_all_at(&[good[at]], at as u64).unwrap();
    }
    load_from(copy.directory.path(), copy.id, &copy.key).unwrap();
}
