//! Tokens of type 0x0002: blind RSA, so that an MSP can be the issuer (RFC 9578
//! §6, RSABSSA-SHA384-PSS-Deterministic of RFC 9474).
//!
//! Written over `rsa` 0.10 and `crypto-bigint`, since `blind-rsa-signatures`
//! stands on a release candidate of `rsa`. RSA's private operation is blinded
//! once more with fresh randomness each time, and its result checked; that it
//! takes the same time for every key is not claimed (RUSTSEC-2023-0071), so an
//! issuer should not answer strangers.

use std::fmt;

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{NonZero, Odd, RandomMod as _, U2048, Word};
use protocol::token::{
    RSA_BYTES, RsaTokenKey, RsaTokenRequest, Token, TokenChallenge, TokenError, TokenInput,
    TokenType,
};
use rand::CryptoRng;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use rsa::traits::PublicKeyParts as _;
use rsa::{BoxedUint, PrivateKey};
use sha2::{Digest as _, Sha384};
use zeroize::Zeroizing;

const HASH_BYTES: usize = 48;
const SALT_BYTES: usize = 48;

/// Bytes of `DB` of EMSA-PSS (RFC 8017 §9.1.1).
const DB_BYTES: usize = RSA_BYTES - HASH_BYTES - 1;

/// The public exponent.
const EXPONENT: U2048 = U2048::from_u32(65537);

/// A token that is blinded and not signed yet. `Debug` is redacted, wiped when
/// dropped.
pub struct PendingRsaToken {
    key: RsaTokenKey,
    input: TokenInput,
    /// The blinding factor.
    blind: Zeroizing<[u8; RSA_BYTES]>,
    salt: Zeroizing<[u8; SALT_BYTES]>,
    blinded: [u8; RSA_BYTES],
}

/// An issuer's secret key. `Debug` is redacted, wiped when dropped.
pub struct RsaIssuerKey {
    secret: PrivateKey,
    public: RsaTokenKey,
}

/// Why a token of type 0x0002 could not be issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlindRsaError {
    /// A structure.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Not a PKCS#8 key of 2048 bits with the exponent 65537.
    #[error("expected an RSA key of 2048 bits with exponent 65537, PKCS#8 in PEM")]
    Key,
    /// The request is for another key.
    #[error("the request is for another key")]
    OtherKey,
    /// The number is not below the modulus, or the key failed.
    #[error("the request can't be signed")]
    Unsignable,
    /// The signature is not one of the key's.
    #[error("the signature does not verify under the issuer's key")]
    Signature,
    /// The blinding factor has no inverse: whoever finds one has factored the
    /// modulus.
    #[error("this blinding factor can't be used")]
    Blind,
}

impl PendingRsaToken {
    /// Draws and blinds a token for a challenge of type 0x0002 (`Blind`, RFC 9474
    /// §4.2).
    ///
    /// # Errors
    /// [`TokenError::Type`] for a challenge of another type,
    /// [`BlindRsaError::Blind`].
    pub fn blind<R: CryptoRng + ?Sized>(
        challenge: &TokenChallenge,
        key: &RsaTokenKey,
        rng: &mut R,
    ) -> Result<Self, BlindRsaError> {
        if challenge.token_type != TokenType::BlindRsa {
            let found = challenge.token_type.number();
            return Err(TokenError::Type { found }.into());
        }
        let input = TokenInput::draw(challenge, &key.id(), rng);
        let mut salt = Zeroizing::new([0; SALT_BYTES]);
        rng.fill_bytes(&mut *salt);
        let modulus = NonZero::new(number(key.modulus()))
            .into_option()
            .ok_or(BlindRsaError::Key)?;
        let blind = U2048::random_mod_vartime(rng, &modulus);
        Self::with(*key, input, salt, Zeroizing::new(bytes(&blind)))
    }

    fn with(
        key: RsaTokenKey,
        input: TokenInput,
        salt: Zeroizing<[u8; SALT_BYTES]>,
        blind: Zeroizing<[u8; RSA_BYTES]>,
    ) -> Result<Self, BlindRsaError> {
        let encoded = emsa_pss(input.as_bytes(), &salt);
        let params = params(&key)?;
        let factor = FixedMontyForm::new(&number(&blind), &params);
        if factor.invert().is_none().into() {
            return Err(BlindRsaError::Blind);
        }
        let message = FixedMontyForm::new(&number(&encoded), &params);
        let blinded = message.mul(&factor.pow_vartime(&EXPONENT));
        Ok(Self {
            key,
            input,
            blind,
            salt,
            blinded: bytes(&blinded.retrieve()),
        })
    }

    /// What to send (RFC 9578 §6.1).
    #[must_use]
    pub fn request(&self) -> RsaTokenRequest {
        RsaTokenRequest {
            truncated_key_id: self.key.id().truncated(),
            blinded: self.blinded,
        }
    }

    /// The token, if the answer is the key's signature (`Finalize`, RFC 9474
    /// §4.4).
    ///
    /// # Errors
    /// [`BlindRsaError::Signature`].
    pub fn finalize(self, answer: &[u8; RSA_BYTES]) -> Result<Token, BlindRsaError> {
        let params = params(&self.key)?;
        let inverse = FixedMontyForm::new(&number(&self.blind), &params)
            .invert()
            .into_option()
            .ok_or(BlindRsaError::Blind)?;
        let signature = FixedMontyForm::new(&number(answer), &params).mul(&inverse);
        // What is signed is known: comparing is verifying.
        let signed = signature.pow_vartime(&EXPONENT).retrieve();
        if bytes(&signed) != emsa_pss(self.input.as_bytes(), &self.salt) {
            return Err(BlindRsaError::Signature);
        }
        Ok(self.input.into_token(&bytes(&signature.retrieve()))?)
    }

    /// Everything, to be kept in a file that its owner alone may read until the
    /// answer is there.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let parts: [&[u8]; 4] = [
            self.key.modulus(),
            self.input.as_bytes(),
            &self.salt[..],
            &self.blind[..],
        ];
        Zeroizing::new(parts.concat())
    }

    /// Bytes of [`to_bytes`](Self::to_bytes).
    pub const BYTES: usize = RSA_BYTES + TokenInput::BYTES + SALT_BYTES + RSA_BYTES;

    /// What [`to_bytes`](Self::to_bytes) gave.
    ///
    /// # Errors
    /// [`BlindRsaError`].
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, BlindRsaError> {
        let (modulus, rest) = bytes.split_at(RSA_BYTES);
        let (input, rest) = rest.split_at(TokenInput::BYTES);
        let (salt, blind) = rest.split_at(SALT_BYTES);
        let array = |bytes: &[u8]| {
            let mut array = Zeroizing::new([0; RSA_BYTES]);
            array.copy_from_slice(bytes);
            array
        };
        let mut kept = Zeroizing::new([0; SALT_BYTES]);
        kept.copy_from_slice(salt);
        let key = RsaTokenKey::from_modulus(&array(modulus))?;
        let input = TokenInput::decode(input)?;
        Self::with(key, input, kept, array(blind))
    }
}

impl RsaIssuerKey {
    /// A new key. Takes a second or more.
    ///
    /// # Errors
    /// [`BlindRsaError::Key`] if `rng` is of no use.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Result<Self, BlindRsaError> {
        let secret = PrivateKey::new(rng, 8 * RSA_BYTES).map_err(|_| BlindRsaError::Key)?;
        Self::new(secret)
    }

    /// The key in a PKCS#8 PEM text.
    ///
    /// # Errors
    /// [`BlindRsaError::Key`].
    pub fn from_pem(pem: &str) -> Result<Self, BlindRsaError> {
        Self::new(PrivateKey::from_pkcs8_pem(pem).map_err(|_| BlindRsaError::Key)?)
    }

    fn new(secret: PrivateKey) -> Result<Self, BlindRsaError> {
        let modulus = secret.n().to_be_bytes();
        let modulus: &[u8; RSA_BYTES] = modulus[..].try_into().map_err(|_| BlindRsaError::Key)?;
        if *secret.e() != BoxedUint::from(65537u64) {
            return Err(BlindRsaError::Key);
        }
        let public = RsaTokenKey::from_modulus(modulus)?;
        Ok(Self { secret, public })
    }

    /// The key as a PKCS#8 PEM text.
    ///
    /// # Errors
    /// [`BlindRsaError::Key`].
    pub fn to_pem(&self) -> Result<Zeroizing<String>, BlindRsaError> {
        self.secret
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|_| BlindRsaError::Key)
    }

    /// The key to publish.
    #[must_use]
    pub const fn public_key(&self) -> &RsaTokenKey {
        &self.public
    }

    /// Signs a blinded token (`BlindSign`, RFC 9474 §4.3). Whom to sign for, and
    /// how many, is the issuer's to decide before.
    ///
    /// # Errors
    /// [`BlindRsaError::OtherKey`], [`BlindRsaError::Unsignable`].
    pub fn sign<R: CryptoRng + ?Sized>(
        &self,
        request: &RsaTokenRequest,
        rng: &mut R,
    ) -> Result<[u8; RSA_BYTES], BlindRsaError> {
        if request.truncated_key_id != self.public.id().truncated() {
            return Err(BlindRsaError::OtherKey);
        }
        let bits = self.secret.n().as_ref().bits_precision();
        let message = BoxedUint::from_be_slice(&request.blinded, bits)
            .map_err(|_| BlindRsaError::Unsignable)?;
        let signed = rsa::hazmat::rsa_decrypt_and_check(&self.secret, Some(rng), &message)
            .map_err(|_| BlindRsaError::Unsignable)?;
        signed.to_be_bytes()[..]
            .try_into()
            .map_err(|_| BlindRsaError::Unsignable)
    }
}

fn params(key: &RsaTokenKey) -> Result<FixedMontyParams<{ U2048::LIMBS }>, BlindRsaError> {
    let modulus = Odd::new(number(key.modulus()))
        .into_option()
        .ok_or(BlindRsaError::Key)?;
    Ok(FixedMontyParams::new_vartime(modulus))
}

fn number(bytes: &[u8; RSA_BYTES]) -> U2048 {
    U2048::from_be_slice(bytes)
}

fn bytes(number: &U2048) -> [u8; RSA_BYTES] {
    let mut bytes = [0; RSA_BYTES];
    let words = bytes.rchunks_exact_mut(size_of::<Word>());
    for (bytes, word) in words.zip(number.as_words()) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

/// EMSA-PSS with SHA-384, for a modulus of 2048 bits (RFC 8017 §9.1.1).
fn emsa_pss(message: &[u8], salt: &[u8; SALT_BYTES]) -> [u8; RSA_BYTES] {
    let digest = Sha384::new()
        .chain_update([0; 8])
        .chain_update(Sha384::digest(message))
        .chain_update(salt)
        .finalize();
    let mut encoded = [0; RSA_BYTES];
    let (db, rest) = encoded.split_at_mut(DB_BYTES);
    db[DB_BYTES - SALT_BYTES - 1] = 1;
    db[DB_BYTES - SALT_BYTES..].copy_from_slice(salt);
    // MGF1 (RFC 8017 §B.2.1).
    for (counter, block) in (0u32..).zip(db.chunks_mut(HASH_BYTES)) {
        let mask = Sha384::new()
            .chain_update(digest)
            .chain_update(counter.to_be_bytes())
            .finalize();
        for (byte, mask) in block.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
    db[0] &= 0x7f;
    rest[..HASH_BYTES].copy_from_slice(&digest);
    rest[HASH_BYTES] = 0xbc;
    encoded
}

impl fmt::Debug for PendingRsaToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingRsaToken(redacted)")
    }
}

impl fmt::Debug for RsaIssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaIssuerKey(redacted)")
    }
}

#[cfg(test)]
mod tests;
