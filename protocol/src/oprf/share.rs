//! A key in two parts, of which neither says anything about it.

use std::fmt;

use curve25519_dalek::scalar::Scalar;
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{ELEMENT_BYTES, OprfError, OprfKey, OprfPublicKey};

/// One of two scalars that add up to a secret key (additive secret sharing):
/// uniformly distributed whatever the key is. It carries the public key of the
/// whole, by which shares of different keys are told apart.
///
/// Zeroised on drop, `Debug` is redacted, no equality.
#[derive(Clone)]
pub struct OprfShare {
    scalar: Zeroizing<[u8; OprfKey::BYTES]>,
    whole: OprfPublicKey,
}

impl OprfShare {
    /// Bytes of an encoded share.
    pub const BYTES: usize = OprfKey::BYTES + ELEMENT_BYTES;

    /// Two shares of a key, of which `rng` draws the first.
    pub(super) fn split<R: CryptoRng + ?Sized>(key: &OprfKey, rng: &mut R) -> [Self; 2] {
        let mut wide = Zeroizing::new([0; 64]);
        rng.fill_bytes(&mut *wide);
        let first = Zeroizing::new(Scalar::from_bytes_mod_order_wide(&wide));
        let second = Zeroizing::new(*key.secret() - *first);
        [first, second].map(|scalar| Self {
            scalar: Zeroizing::new(scalar.to_bytes()),
            whole: key.public_key(),
        })
    }

    /// The share with this encoding: scalar, then public key of the whole.
    ///
    /// # Errors
    /// [`OprfError::InvalidKey`].
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, OprfError> {
        let mut scalar = Zeroizing::new([0; OprfKey::BYTES]);
        let mut whole = [0; ELEMENT_BYTES];
        scalar.copy_from_slice(&bytes[..OprfKey::BYTES]);
        whole.copy_from_slice(&bytes[OprfKey::BYTES..]);
        let canonical = Option::<Scalar>::from(Scalar::from_canonical_bytes(*scalar));
        canonical.map(Zeroizing::new).ok_or(OprfError::InvalidKey)?;
        let whole = OprfPublicKey::from_bytes(&whole).map_err(|_| OprfError::InvalidKey)?;
        Ok(Self { scalar, whole })
    }

    /// Its encoding, for a key file.
    pub fn to_bytes(&self) -> Zeroizing<[u8; Self::BYTES]> {
        let mut bytes = Zeroizing::new([0; Self::BYTES]);
        bytes[..OprfKey::BYTES].copy_from_slice(&*self.scalar);
        bytes[OprfKey::BYTES..].copy_from_slice(self.whole.as_bytes());
        bytes
    }

    /// The public key of the whole.
    pub fn public_key(&self) -> OprfPublicKey {
        self.whole
    }

    /// The key that two shares were made from.
    ///
    /// # Errors
    /// [`OprfError::Shares`] if they are not the two of one key.
    pub fn join(&self, other: &Self) -> Result<OprfKey, OprfError> {
        let scalar = |share: &Self| Zeroizing::new(Scalar::from_bytes_mod_order(*share.scalar));
        let sum = Zeroizing::new(*scalar(self) + *scalar(other));
        let key =
            OprfKey::from_bytes(&Zeroizing::new(sum.to_bytes())).map_err(|_| OprfError::Shares)?;
        let public = key.public_key();
        if public == self.whole && public == other.whole {
            Ok(key)
        } else {
            Err(OprfError::Shares)
        }
    }
}

impl fmt::Debug for OprfShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OprfShare(redacted)")
    }
}
