//! Any bytes, bare or signed, are a mapping or are refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::cose::{ContentType, SigningKey, sign1};
use protocol::mapping::SignedMapping;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mapping) = SignedMapping::from_bytes(bytes) {
        assert_eq!(mapping.as_bytes(), bytes);
    }
    let key = SigningKey::from_seed(&[1; 32]);
    let signed = sign1(&key, ContentType::Mapping, bytes);
    if let Ok(mapping) = SignedMapping::from_bytes(&signed) {
        let again = mapping.unverified().sign(&key);
        assert_eq!(again.map(|again| again.as_bytes().to_vec()), Ok(signed));
    }
});
