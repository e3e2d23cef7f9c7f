//! Signing and verifying.

use super::{Manifest, ManifestError, ManifestPin, encoding};
use crate::cose::{ContentType, CoseError, Sign1, SigningKey, VerifyingKey, sign1};
use crate::merkle::Hash;
use crate::time::UnixTime;

/// Seconds by which a client's clock may be behind the DP's.
pub const CLOCK_TOLERANCE_SECS: u64 = 60;

/// A manifest as it is published. It is well-formed and consistent; its
/// signature counts from [`verify`](Self::verify) on.
#[derive(Debug, Clone)]
pub struct SignedManifest {
    sign1: Sign1,
    manifest: Manifest,
}

impl Manifest {
    /// Signs the manifest with the DP's key.
    ///
    /// # Errors
    /// [`ManifestError::Inconsistent`]; [`ManifestError::ForeignKey`] if
    /// `dp_key` is another one; [`ManifestError::Payload`] if it can't be
    /// encoded.
    pub fn sign(&self, key: &SigningKey) -> Result<SignedManifest, ManifestError> {
        self.check()?;
        if self.dp_key != key.verifying_key() {
            return Err(ManifestError::ForeignKey);
        }
        let payload = encoding::encode(self)?;
        SignedManifest::from_bytes(&sign1(key, ContentType::Manifest, &payload))
    }
}

impl SignedManifest {
    /// Decodes a published manifest.
    ///
    /// # Errors
    /// [`ManifestError`] for whatever is malformed or inconsistent.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ManifestError> {
        let sign1 = Sign1::decode(bytes, ContentType::Manifest).map_err(ManifestError::Envelope)?;
        let manifest = encoding::decode(sign1.unverified_payload())?;
        manifest.check()?;
        Ok(Self { sign1, manifest })
    }

    /// The published bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.sign1.as_bytes()
    }

    /// SHA3-256 of the published bytes: what the next manifest names.
    pub fn digest(&self) -> Hash {
        Hash::of(self.as_bytes())
    }

    /// What to remember once the manifest was accepted.
    pub fn pin(&self) -> ManifestPin {
        ManifestPin {
            sequence: self.manifest.sequence,
            digest: self.digest(),
            oprf_epoch: self.manifest.oprf_epoch,
            oprf_key: self.manifest.oprf_key,
            log: None,
        }
    }

    /// The manifest, whoever signed it and whenever.
    pub fn unverified(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest, if it is the DP's whose key is pinned and valid now.
    ///
    /// # Errors
    /// [`ManifestError::ForeignKey`], [`ManifestError::Signature`],
    /// [`ManifestError::NotYetValid`], [`ManifestError::Expired`].
    pub fn verify(&self, pinned: &VerifyingKey, now: UnixTime) -> Result<&Manifest, ManifestError> {
        self.sign1.verify(pinned).map_err(|error| match error {
            CoseError::WrongKey | CoseError::WrongAlgorithm => ManifestError::ForeignKey,
            _ => ManifestError::Signature,
        })?;
        let manifest = &self.manifest;
        if manifest.dp_key != *pinned {
            return Err(ManifestError::ForeignKey);
        }
        if manifest.published_at > now.saturating_add(CLOCK_TOLERANCE_SECS) {
            return Err(ManifestError::NotYetValid {
                published_at: manifest.published_at,
            });
        }
        if now >= manifest.expires_at {
            return Err(ManifestError::Expired {
                expires_at: manifest.expires_at,
            });
        }
        Ok(manifest)
    }
}
