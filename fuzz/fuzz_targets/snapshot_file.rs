//! Reads snapshot containers. The input is also tried as a header whose own
//! digest is right, so that the table behind it is reached.
#![no_main]

use libfuzzer_sys::fuzz_target;
use server::snapshot::file::{self, Section};
use sha3::{Digest as _, Sha3_256};

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    let mut container = bytes.to_vec();
    container.resize(container.len().max(file::ALIGNMENT), 0);
    let end = file::ALIGNMENT - 32;
    let digest = Sha3_256::digest(&container[..end]);
    container[end..file::ALIGNMENT].copy_from_slice(&digest);
    check(&container);
});

/// Whatever is accepted has its sections inside.
fn check(container: &[u8]) {
    let _ = file::read_manifest(container, container.len() as u64);
    if let Ok(sections) = file::read(container) {
        for section in Section::ALL {
            assert!(sections.range(section).end <= container.len());
        }
    }
}
