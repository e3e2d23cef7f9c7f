//! Any ciphertext is opened or refused, any plaintext has one padding, and
//! what is sealed comes out again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::audience::padding::{CONTENT_MAX, pad, unpad};
use protocol::audience::{AudienceCiphertext, AudienceHandle, AudienceSecret};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

fuzz_target!(|bytes: &[u8]| {
    let secret = AudienceSecret::from_bytes([1; 32]);
    let handle = AudienceHandle::from_bytes([2; 32]);
    if let Ok(ciphertext) = AudienceCiphertext::from_bytes(bytes) {
        assert!(ciphertext.open(&secret, &handle).is_err());
    }
    if let Ok(content) = unpad(bytes) {
        assert_eq!(pad(content).as_deref().map(Vec::as_slice), Ok(bytes));
    }
    match AudienceCiphertext::seal(&secret, &handle, bytes, &mut StdRng::seed_from_u64(0)) {
        Ok(sealed) => {
            assert_eq!(sealed.open(&secret, &handle).as_deref().map(Vec::as_slice), Ok(bytes));
            if let Ok(bundle) = sealed.open_bundle(&secret, &handle) {
                assert_eq!(bundle.encode(), bytes);
            }
        }
        Err(_) => assert!(bytes.len() > CONTENT_MAX),
    }
});
