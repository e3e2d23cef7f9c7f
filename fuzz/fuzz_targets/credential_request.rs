//! Any bytes, bare or signed, are a request for a credential or are refused; so
//! are the messages of the CSIP's service.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::cose::{ContentType, SigningKey, sign1};
use protocol::credential::{CredentialRequest, SignedCredentialRequest};
use protocol::wire::csip::{Code, VerificationStarted};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = SignedCredentialRequest::from_bytes(bytes) {
        assert_eq!(request.as_bytes(), bytes);
    }
    let key = SigningKey::from_seed(&[1; 32]);
    let signed = sign1(&key, ContentType::CredentialRequest, bytes);
    if let Ok(request) = SignedCredentialRequest::from_bytes(&signed) {
        let asked = request.unverified();
        if asked.holder == key.verifying_key() {
            let again =
                CredentialRequest::sign(&asked.subject, &asked.issuer, &key, asked.issued_at);
            assert_eq!(again.map(|again| again.as_bytes().to_vec()), Ok(signed));
        }
    }
    if let Ok(started) = VerificationStarted::decode(bytes) {
        assert_eq!(VerificationStarted::decode(&started.encode()), Ok(started));
    }
    if let Ok(code) = Code::decode(bytes) {
        assert!(Code::decode(&code.encode()).is_ok_and(|again| again.matches(&code)));
    }
});
