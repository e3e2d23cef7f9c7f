//! Whatever decodes as a manifest has the bytes it was decoded from.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::manifest::SignedManifest;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = SignedManifest::from_bytes(bytes) {
        assert_eq!(manifest.as_bytes(), bytes);
        assert_eq!(manifest.unverified().check(), Ok(()));
    }
});
