//! Whatever decodes as a structure of Privacy Pass encodes to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::token::{
    BatchTokenRequest, BatchTokenResponse, RsaTokenKey, RsaTokenRequest, Token, TokenChallenge,
    TokenRequest, TokenResponse,
};
use protocol::wire::PaidOprfRequest;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(challenge) = TokenChallenge::decode(bytes) {
        assert_eq!(challenge.encode(), bytes);
    }
    if let Ok(token) = Token::decode(bytes) {
        assert_eq!(token.as_bytes(), bytes);
    }
    if let Ok(request) = TokenRequest::decode(bytes) {
        assert_eq!(request.encode(), bytes);
    }
    if let Ok(response) = TokenResponse::decode(bytes) {
        assert_eq!(response.encode(), bytes);
    }
    if let Ok(request) = BatchTokenRequest::decode(bytes) {
        assert_eq!(request.encode(), bytes);
    }
    if let Ok(response) = BatchTokenResponse::decode(bytes) {
        assert_eq!(response.encode(), bytes);
    }
    if let Ok(request) = RsaTokenRequest::decode(bytes) {
        assert_eq!(request.encode(), bytes);
    }
    if let Ok(key) = RsaTokenKey::from_spki(bytes) {
        assert_eq!(key.to_spki(), bytes);
    }
    if let Ok(request) = PaidOprfRequest::decode(bytes) {
        assert_eq!(request.encode(), bytes);
    }
});
