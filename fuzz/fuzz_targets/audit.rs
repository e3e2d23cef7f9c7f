//! Entries of an audit log that decode encode to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::audit::Entry;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(entries) = Entry::decode_sequence(bytes) {
        let again: Vec<u8> = entries.iter().flat_map(Entry::encode).collect();
        assert_eq!(again, bytes);
    }
});
