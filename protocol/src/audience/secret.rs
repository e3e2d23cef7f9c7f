//! What the members of an audience share.

use std::fmt;

use rand::CryptoRng;
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The secret of one audience: 32 uniform bytes.
///
/// Zeroised on drop, `Debug` is redacted, compared in constant time alone.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct AudienceSecret([u8; Self::BYTES]);

impl AudienceSecret {
    /// Bytes in a secret.
    pub const BYTES: usize = 32;

    /// A new secret from `rng`.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut secret = Self([0; Self::BYTES]);
        rng.fill_bytes(&mut secret.0);
        secret
    }

    /// The secret with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes. Whoever asks for them answers for where they go.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl ConstantTimeEq for AudienceSecret {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for AudienceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AudienceSecret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn secrets_are_fresh_and_not_shown() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (a, b) = (
            AudienceSecret::generate(&mut rng),
            AudienceSecret::generate(&mut rng),
        );
        assert!(!bool::from(a.ct_eq(&b)));
        assert!(bool::from(
            a.ct_eq(&AudienceSecret::from_bytes(*a.as_bytes()))
        ));
        assert_eq!(format!("{a:?}"), "AudienceSecret(redacted)");
    }
}
