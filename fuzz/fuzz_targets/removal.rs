//! Any bytes, bare or signed, are a removal or a release or are refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::cose::{ContentType, SigningKey, sign1};
use protocol::removal::{SignedRelease, SignedRemoval};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(removal) = SignedRemoval::from_bytes(bytes) {
        assert_eq!(removal.as_bytes(), bytes);
    }
    if let Ok(release) = SignedRelease::from_bytes(bytes) {
        assert_eq!(release.as_bytes(), bytes);
    }
    let key = SigningKey::from_seed(&[1; 32]);
    let signed = sign1(&key, ContentType::Removal, bytes);
    if let Ok(removal) = SignedRemoval::from_bytes(&signed) {
        let again = removal.unverified().sign(&key);
        assert_eq!(again.map(|again| again.as_bytes().to_vec()), Ok(signed));
    }
    let signed = sign1(&key, ContentType::Release, bytes);
    if let Ok(release) = SignedRelease::from_bytes(&signed) {
        let again = release.unverified().sign(&key);
        assert_eq!(again.map(|again| again.as_bytes().to_vec()), Ok(signed));
    }
});
