//! Whatever decodes as a membership filter encodes to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::filter::MembershipFilter;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(filter) = MembershipFilter::decode(bytes) {
        assert_eq!(filter.encode(), bytes);
        assert!(bytes.len() as u64 <= MembershipFilter::encoded_bytes_max(filter.count()));
    }
});
