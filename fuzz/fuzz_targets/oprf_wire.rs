//! Whatever decodes as an OPRF message encodes to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::wire::{OprfRequest, OprfResponse};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = OprfRequest::decode(bytes) {
        assert_eq!(request.encode(), bytes);
    }
    if let Ok(response) = OprfResponse::decode(bytes) {
        assert_eq!(response.encode(), bytes);
    }
});
