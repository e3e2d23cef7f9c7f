//! Whatever decodes as a hint encodes to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::hint::SnapshotHint;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(hint) = SnapshotHint::decode(bytes) {
        assert_eq!(hint.encode(), bytes);
    }
});
