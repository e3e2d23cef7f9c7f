//! What an OPRF evaluation yields.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// The OPRF's value for one identifier under one key (RFC 9497 §3.3.2): 64
/// bytes that stand for the identifier.
///
/// Zeroised on drop, `Debug` is redacted, and there is no equality: compare
/// what is derived from it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct OprfOutput([u8; Self::BYTES]);

impl OprfOutput {
    /// Bytes in an output: those of a SHA-512 digest.
    pub const BYTES: usize = 64;

    /// An output computed earlier under the same key, as from a cache.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The output's bytes: as secret as the identifier.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Debug for OprfOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OprfOutput(redacted)")
    }
}
