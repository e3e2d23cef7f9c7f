//! The credentials of an identity.

use std::fs;
use std::path::PathBuf;

use protocol::credential::SignedCredential;
use protocol::csi::Csi;
use protocol::merkle::Hash;
use protocol::precedence::{Precedence, compare};

use super::{Identity, IdentityError, files, make_directory};
use crate::durable::{self, FileError, PRIVATE};

const CREDENTIALS: &str = "credentials";

impl Identity {
    /// The newest credential of each identifier, by identifier.
    ///
    /// # Errors
    /// [`IdentityError::File`], [`IdentityError::Credential`].
    pub fn credentials(&self) -> Result<Vec<SignedCredential>, IdentityError> {
        let mut all: Vec<SignedCredential> = self
            .stored()?
            .into_iter()
            .map(|(_, credential)| credential)
            .collect();
        all.sort_by(|a, b| {
            let (x, y) = (a.unverified(), b.unverified());
            let newest_first = b.revision().version.cmp(&a.revision().version);
            x.subject.cmp(&y.subject).then(newest_first)
        });
        all.dedup_by(|later, kept| later.unverified().subject == kept.unverified().subject);
        Ok(all)
    }

    /// The newest credential of an identifier.
    ///
    /// # Errors
    /// As [`credentials`](Self::credentials), and
    /// [`IdentityError::NoCredential`].
    pub fn credential(&self, csi: &Csi) -> Result<SignedCredential, IdentityError> {
        let mut all = self.credentials()?.into_iter();
        all.find(|credential| credential.unverified().subject == *csi)
            .ok_or(IdentityError::NoCredential)
    }

    /// Keeps a credential and forgets older ones of its identifier. Whether a
    /// trusted CSIP signed it, the caller has checked.
    ///
    /// # Errors
    /// [`IdentityError::NotHolder`], [`IdentityError::OlderCredential`],
    /// [`IdentityError::Credential`], [`IdentityError::File`].
    pub fn add_credential(&self, credential: &SignedCredential) -> Result<(), IdentityError> {
        let claims = credential.unverified();
        if !self.has(&claims.holder)? {
            return Err(IdentityError::NotHolder);
        }
        let mut outdated = Vec::new();
        for (path, stored) in self.stored()? {
            if stored.unverified().subject != claims.subject {
                continue;
            }
            match compare(credential.revision(), stored.revision()) {
                Precedence::Replay => return Ok(()),
                Precedence::Older => return Err(IdentityError::OlderCredential),
                Precedence::Newer | Precedence::Equivocation => outdated.push(path),
            }
        }
        let directory = self.directory.join(CREDENTIALS);
        make_directory(&directory)?;
        let name = hex::encode(&Hash::of(credential.as_bytes()).as_bytes()[..16]);
        let path = directory.join(format!("{name}.cose"));
        durable::replace(&path, PRIVATE, credential.as_bytes())?;
        for path in outdated {
            fs::remove_file(&path).map_err(FileError::new("remove", &path))?;
        }
        Ok(())
    }

    fn stored(&self) -> Result<Vec<(PathBuf, SignedCredential)>, IdentityError> {
        let paths = files(&self.directory.join(CREDENTIALS), "cose")?;
        let read = paths.into_iter().map(|path| {
            let bytes = fs::read(&path).map_err(FileError::new("read", &path))?;
            match SignedCredential::from_bytes(&bytes) {
                Ok(credential) => Ok((path, credential)),
                Err(source) => Err(IdentityError::Credential { path, source }),
            }
        });
        read.collect()
    }
}
