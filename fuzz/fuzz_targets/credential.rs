//! Any bytes, bare or signed, are a credential or are refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::cose::{ContentType, SigningKey, sign1};
use protocol::credential::SignedCredential;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(credential) = SignedCredential::from_bytes(bytes) {
        assert_eq!(credential.as_bytes(), bytes);
    }
    let key = SigningKey::from_seed(&[1; 32]);
    let signed = sign1(&key, ContentType::Credential, bytes);
    if let Ok(credential) = SignedCredential::from_bytes(&signed) {
        let again = credential.unverified().clone().issue(&key);
        assert_eq!(again.map(|again| again.as_bytes().to_vec()), Ok(signed));
    }
});
