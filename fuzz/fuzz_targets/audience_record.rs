//! Any bytes, bare or signed, are an audience record or are refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::audience::SignedAudienceRecord;
use protocol::cose::{ContentType, SigningKey, sign1};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = SignedAudienceRecord::from_bytes(bytes) {
        assert_eq!(record.as_bytes(), bytes);
    }
    let key = SigningKey::from_seed(&[1; 32]);
    let signed = sign1(&key, ContentType::AudienceRecord, bytes);
    if let Ok(record) = SignedAudienceRecord::from_bytes(&signed)
        && record.unverified().write_key == key.verifying_key()
    {
        let again = record.unverified().sign(&key);
        assert_eq!(again.map(|again| again.as_bytes().to_vec()), Ok(signed));
    }
});
