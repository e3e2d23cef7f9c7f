//! HKDF-SHA512 (RFC 5869) as audience records use it.

use hkdf::Hkdf;
use sha2::Sha512;
use zeroize::Zeroizing;

/// 32 bytes that only holders of `secret` can compute. `purpose` is both the
/// salt of the extraction and the head of the expansion's info; `context`
/// follows it there, and its parts are of fixed lengths.
pub(super) fn derive(purpose: &[u8], secret: &[u8], context: [&[u8]; 2]) -> Zeroizing<[u8; 32]> {
    let kdf = Hkdf::<Sha512>::new(Some(purpose), secret);
    let mut key = Zeroizing::new([0; 32]);
    kdf.expand_multi_info(&[purpose, context[0], context[1]], key.as_mut())
        // RFC 5869 §2.3: the only failure is more than 255 hashes of output.
        .expect("output shorter than 255 hashes");
    key
}
