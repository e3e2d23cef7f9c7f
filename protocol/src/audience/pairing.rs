//! An audience of one: a secret that a recipient and a sender compute from one
//! another's public keys (X25519, RFC 7748).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::CryptoRng;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::{AudienceSecret, kdf};

const TEXT: &str = "x25519:";
const SECRET_PURPOSE: &[u8] = b"sotto/v1/audience/pairing";

/// p = 2^255 - 19, little-endian: what coordinates are below (RFC 7748 §4.1).
const FIELD_ORDER: [u8; 32] = {
    let mut order = [0xff; 32];
    order[0] = 0xed;
    order[31] = 0x7f;
    order
};

/// The secret half of a pairing key. Wiped when dropped, `Debug` is redacted,
/// no equality.
#[derive(Clone)]
pub struct PairingKey(StaticSecret);

impl PairingKey {
    /// Bytes of an encoded key.
    pub const BYTES: usize = 32;

    /// A new key from `rng`.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut bytes = Zeroizing::new([0; Self::BYTES]);
        rng.fill_bytes(bytes.as_mut());
        Self::from_bytes(&bytes)
    }

    /// The key with these bytes; any will do (RFC 7748 §5).
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        Self(StaticSecret::from(*bytes))
    }

    /// Its bytes, to be kept.
    pub fn to_bytes(&self) -> Zeroizing<[u8; Self::BYTES]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public_key(&self) -> PairingPublicKey {
        PairingPublicKey(PublicKey::from(&self.0).to_bytes())
    }

    /// The secret of the audience in which this key's owner has the role
    /// `ours`, and the owner of `theirs` the other. Both compute the same:
    /// HKDF-SHA512 of the X25519 result, the salt
    /// `"sotto/v1/audience/pairing"`, the info `salt ‖ recipient's public key ‖
    /// sender's public key`.
    ///
    /// # Errors
    /// [`PairingError::NonContributory`] if `theirs` is of small order, so that
    /// anybody could compute the secret.
    pub fn agree(
        &self,
        theirs: &PairingPublicKey,
        ours: PairingRole,
    ) -> Result<AudienceSecret, PairingError> {
        let shared = self.0.diffie_hellman(&PublicKey::from(theirs.0));
        // RFC 7748 §6.1: the all-zero result, compared in constant time.
        if !shared.was_contributory() {
            return Err(PairingError::NonContributory);
        }
        let own = self.public_key();
        let (recipient, sender) = match ours {
            PairingRole::Recipient => (&own, theirs),
            PairingRole::Sender => (theirs, &own),
        };
        let secret = kdf::derive(SECRET_PURPOSE, shared.as_bytes(), [&recipient.0, &sender.0]);
        Ok(AudienceSecret::from_bytes(*secret))
    }
}

impl fmt::Debug for PairingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingKey(redacted)")
    }
}

/// The public half of a pairing key, in canonical encoding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PairingPublicKey([u8; PairingKey::BYTES]);

impl PairingPublicKey {
    /// The key with this u-coordinate, little-endian (RFC 7748 §5).
    ///
    /// # Errors
    /// [`PairingError::Key`] if it is not reduced: each key has one encoding.
    pub fn from_bytes(bytes: [u8; PairingKey::BYTES]) -> Result<Self, PairingError> {
        if bytes.iter().rev().lt(FIELD_ORDER.iter().rev()) {
            Ok(Self(bytes))
        } else {
            Err(PairingError::Key)
        }
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; PairingKey::BYTES] {
        &self.0
    }

    /// The form that people exchange: `x25519:` and the key in base64url
    /// without padding.
    pub fn to_text(&self) -> String {
        format!("{TEXT}{}", URL_SAFE_NO_PAD.encode(self.0))
    }

    /// Reads the form that [`to_text`](Self::to_text) writes.
    ///
    /// # Errors
    /// [`PairingError::Key`].
    pub fn from_text(text: &str) -> Result<Self, PairingError> {
        let encoded = text.strip_prefix(TEXT).ok_or(PairingError::Key)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded);
        let bytes = bytes.ok().and_then(|bytes| bytes.try_into().ok());
        Self::from_bytes(bytes.ok_or(PairingError::Key)?)
    }
}

impl fmt::Debug for PairingPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingPublicKey(..)")
    }
}

/// What the owner of a pairing key is in an audience of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PairingRole {
    /// Publishes for the other.
    Recipient,
    /// Looks the other up.
    Sender,
}

/// Why a pairing was refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairingError {
    /// Not a public key in its one form.
    #[error("expected a public key of the form {TEXT}<base64url>")]
    Key,
    /// The other's key is of small order.
    #[error("the other's public key is of small order: the secret would be no secret")]
    NonContributory,
}

#[cfg(test)]
mod tests {
    use hkdf::Hkdf;
    use proptest::prelude::*;
    use sha2::Sha512;
    use subtle::ConstantTimeEq as _;

    use super::*;

    fn unhex(text: &str) -> [u8; 32] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    fn secret(
        key: &PairingKey,
        theirs: &PairingPublicKey,
        role: PairingRole,
    ) -> Result<[u8; 32], PairingError> {
        key.agree(theirs, role).map(|secret| *secret.as_bytes())
    }

    /// RFC 7748 §6.1: keys and shared secret of Alice and Bob.
    #[test]
    fn follows_rfc_7748_and_the_documented_derivation() {
        let key = |text: &str| PairingKey::from_bytes(&unhex(text));
        let alice = key("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let bob = key("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        let alice_public =
            unhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        let bob_public = unhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        assert_eq!(alice.public_key().as_bytes(), &alice_public);
        assert_eq!(bob.public_key().as_bytes(), &bob_public);

        let shared = unhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        let info = [SECRET_PURPOSE, &alice_public, &bob_public].concat();
        let mut expected = [0; 32];
        Hkdf::<Sha512>::new(Some(b"sotto/v1/audience/pairing"), &shared)
            .expand(&info, &mut expected)
            .unwrap();
        assert_eq!(
            secret(&alice, &bob.public_key(), PairingRole::Recipient),
            Ok(expected)
        );
        assert_eq!(
            secret(&bob, &alice.public_key(), PairingRole::Sender),
            Ok(expected)
        );
    }

    #[test]
    fn roles_and_keys_separate_secrets() {
        let keys = [1, 2, 3].map(|fill| PairingKey::from_bytes(&[fill; 32]));
        let [a, b, c] = &keys;
        let forth = secret(a, &b.public_key(), PairingRole::Recipient).unwrap();
        let back = secret(a, &b.public_key(), PairingRole::Sender).unwrap();
        let other = secret(a, &c.public_key(), PairingRole::Recipient).unwrap();
        assert_ne!(forth, back);
        assert_ne!(forth, other);
        assert_eq!(
            back,
            secret(b, &a.public_key(), PairingRole::Recipient).unwrap()
        );
    }

    /// The points of small order with a reduced encoding
    /// (<https://cr.yp.to/ecdh.html#validate>).
    #[test]
    fn keys_of_small_order_are_refused() {
        let mut below_order = FIELD_ORDER;
        below_order[0] -= 1;
        let order_8 = [
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        ];
        let mut one = [0; 32];
        one[0] = 1;
        let mut points = vec![[0; 32], one, below_order];
        points.extend(order_8.map(unhex));
        for point in points {
            let theirs = PairingPublicKey::from_bytes(point).unwrap();
            for role in [PairingRole::Recipient, PairingRole::Sender] {
                assert_eq!(
                    secret(&PairingKey::from_bytes(&[1; 32]), &theirs, role),
                    Err(PairingError::NonContributory)
                );
            }
        }
    }

    #[test]
    fn public_keys_have_one_text() {
        let public = PairingKey::from_bytes(&[1; 32]).public_key();
        let text = public.to_text();
        assert_eq!(PairingPublicKey::from_text(&text), Ok(public));
        let mut above_order = FIELD_ORDER;
        above_order[31] |= 0x80;
        let with = |bytes: [u8; 32]| format!("{TEXT}{}", URL_SAFE_NO_PAD.encode(bytes));
        for refused in [
            "".to_owned(),
            text.replace("x25519:", "ed25519:"),
            format!("{text}="),
            format!(" {text}"),
            text[..text.len() - 1].to_owned(),
            with(FIELD_ORDER),
            with(above_order),
            with([0xff; 32]),
        ] {
            assert_eq!(
                PairingPublicKey::from_text(&refused),
                Err(PairingError::Key),
                "{refused}"
            );
        }
    }

    #[test]
    fn debug_is_redacted() {
        let key = PairingKey::from_bytes(&[1; 32]);
        assert_eq!(
            format!("{key:?} {:?}", key.public_key()),
            "PairingKey(redacted) PairingPublicKey(..)"
        );
    }

    proptest! {
        #[test]
        fn both_sides_agree(a: [u8; 32], b: [u8; 32]) {
            let (recipient, sender) = (PairingKey::from_bytes(&a), PairingKey::from_bytes(&b));
            let published = recipient.agree(&sender.public_key(), PairingRole::Recipient).unwrap();
            let asked = sender.agree(&recipient.public_key(), PairingRole::Sender).unwrap();
            prop_assert!(bool::from(published.ct_eq(&asked)));
        }

        #[test]
        fn text_round_trips(bytes: [u8; 32]) {
            if let Ok(key) = PairingPublicKey::from_bytes(bytes) {
                prop_assert_eq!(PairingPublicKey::from_text(&key.to_text()), Ok(key));
            }
        }
    }
}
