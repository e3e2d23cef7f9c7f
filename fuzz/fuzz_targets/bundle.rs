//! Any bytes are a bundle or are refused, and a bundle has one encoding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::bundle::Bundle;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bundle) = Bundle::decode(bytes) {
        assert_eq!(bundle.encode(), bytes);
    }
});
