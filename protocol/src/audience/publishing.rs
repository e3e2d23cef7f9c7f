//! A recipient's side: sealing a bundle, and taking it back.

use rand::CryptoRng;

use super::{
    AudienceCiphertext, AudienceContent, AudienceError, AudienceHandle, AudienceRecord,
    AudienceSecret, SignedAudienceRecord, kdf,
};
use crate::bundle::Bundle;
use crate::cose::SigningKey;
use crate::csi::Csi;
use crate::mapping::{Readers, SignedMapping};
use crate::time::UnixTime;

const WRITE_KEY_PURPOSE: &[u8] = b"sotto/v1/audience/write-key";

/// Place in the history of a handle, and times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// Above that of every record published for the handle before.
    pub seq: u64,
    /// When it is signed.
    pub issued_at: UnixTime,
    /// When a DP forgets it: at most
    /// [`MAX_VALIDITY_SECS`](super::MAX_VALIDITY_SECS) later.
    pub expires: UnixTime,
}

/// The record that tells the audience of `secret` what `bundle` says of `csi`:
/// sealed afresh, signed by the handle's [`write_key`].
///
/// The bundle is the recipient's credential with the mappings meant for this
/// audience, signed by `identity` for its [`Readers`] alone: a member who passes
/// them on can't publish them for all.
///
/// # Errors
/// [`AudienceError::SubjectMismatch`] if the bundle is for another CSI,
/// [`AudienceError::OtherReaders`] if a mapping is not signed for this audience,
/// [`AudienceError::ContentTooLong`], [`AudienceError::Validity`].
pub fn seal_record<R: CryptoRng + ?Sized>(
    identity: &SigningKey,
    csi: &Csi,
    secret: &AudienceSecret,
    bundle: &Bundle,
    term: Term,
    rng: &mut R,
) -> Result<SignedAudienceRecord, AudienceError> {
    if bundle.credential().unverified().subject != *csi {
        return Err(AudienceError::SubjectMismatch);
    }
    let handle = AudienceHandle::derive(csi, secret);
    let (credential, readers) = (bundle.credential().unverified(), Readers::Audience(&handle));
    let signed = |mapping: &SignedMapping| mapping.authenticate_for(credential, readers).is_ok();
    if !bundle.mappings().iter().all(signed) {
        return Err(AudienceError::OtherReaders);
    }
    let ciphertext = AudienceCiphertext::seal(secret, &handle, bundle.encode(), rng)?;
    sign(identity, handle, term, AudienceContent::Sealed(ciphertext))
}

/// The record that takes back what [`seal_record`] published for the audience
/// of `secret`.
///
/// # Errors
/// [`AudienceError::Validity`].
pub fn removal_record(
    identity: &SigningKey,
    csi: &Csi,
    secret: &AudienceSecret,
    term: Term,
) -> Result<SignedAudienceRecord, AudienceError> {
    let handle = AudienceHandle::derive(csi, secret);
    sign(identity, handle, term, AudienceContent::Removed)
}

/// The key that writes to `handle`: by HKDF from the recipient's own key (in
/// PKCS#8, which each key has one form of), so that there is nothing to
/// remember, the DP can't link handles by it, and members, who know the secret,
/// can't compute it.
pub fn write_key(identity: &SigningKey, handle: &AudienceHandle) -> SigningKey {
    let seed = kdf::derive(
        WRITE_KEY_PURPOSE,
        &identity.to_pkcs8_der(),
        [handle.as_bytes(), b""],
    );
    SigningKey::from_seed(&seed)
}

fn sign(
    identity: &SigningKey,
    handle: AudienceHandle,
    term: Term,
    content: AudienceContent,
) -> Result<SignedAudienceRecord, AudienceError> {
    let key = write_key(identity, &handle);
    let record = AudienceRecord {
        handle,
        write_key: key.verifying_key(),
        seq: term.seq,
        issued_at: term.issued_at,
        expires: term.expires,
        content,
    };
    record.sign(&key)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::credential::tests::{ISSUED, SUBJECT, csip, example, holder, stranger};
    use crate::mapping::Mapping;

    const TERM: Term = Term {
        seq: 7,
        issued_at: ISSUED,
        expires: ISSUED.saturating_add(3600),
    };

    fn csi() -> Csi {
        Csi::parse(SUBJECT).unwrap()
    }

    fn secret() -> AudienceSecret {
        AudienceSecret::from_bytes([8; 32])
    }

    fn bundle(mappings: u8) -> Bundle {
        let handle = AudienceHandle::derive(&csi(), &secret());
        let mappings = (0..mappings).map(|id| {
            let tagged = Mapping::example(id, 7, &["a.example", "b.example", "c.example"]);
            tagged
                .sign_for(&holder(), Readers::Audience(&handle))
                .unwrap()
        });
        Bundle::new(example().issue(&csip()).unwrap(), mappings.collect()).unwrap()
    }

    #[test]
    fn what_an_audience_is_told_can_not_be_published_for_all() {
        let for_all = Mapping::example(1, 7, &["a.example"])
            .sign(&holder())
            .unwrap();
        let credential = example().issue(&csip()).unwrap();
        let refused = Bundle::new(credential, vec![for_all]).unwrap();
        assert_eq!(
            seal(&csi(), &refused).map(drop),
            Err(AudienceError::OtherReaders)
        );
        let told = bundle(1);
        let [mapping] = told.mappings() else {
            panic!("one mapping");
        };
        let readers = AudienceHandle::derive(&csi(), &secret());
        let others = AudienceHandle::derive(&csi(), &AudienceSecret::from_bytes([9; 32]));
        let by = |readers| mapping.authenticate_for(&example(), readers).is_ok();
        assert!(by(Readers::Audience(&readers)));
        assert!(!by(Readers::Everyone) && !by(Readers::Audience(&others)));
        assert!(mapping.verify(&example(), ISSUED).is_err());
    }

    fn seal(csi: &Csi, bundle: &Bundle) -> Result<SignedAudienceRecord, AudienceError> {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        seal_record(&holder(), csi, &secret(), bundle, TERM, rng)
    }

    #[test]
    fn members_read_what_was_sealed() {
        let signed = seal(&csi(), &bundle(2)).unwrap();
        let record = signed.verify(ISSUED).unwrap();
        assert_eq!(record.handle, AudienceHandle::derive(&csi(), &secret()));
        assert_eq!((record.seq, record.expires), (TERM.seq, TERM.expires));
        let AudienceContent::Sealed(ciphertext) = &record.content else {
            panic!("{record:?}")
        };
        let opened = ciphertext.open_bundle(&secret(), &record.handle).unwrap();
        assert_eq!(opened.encode(), bundle(2).encode());
    }

    #[test]
    fn a_removal_is_signed_by_the_same_write_key() {
        let sealed = seal(&csi(), &bundle(1)).unwrap();
        let removal = removal_record(&holder(), &csi(), &secret(), TERM).unwrap();
        let (sealed, removal) = (sealed.unverified(), removal.verify(ISSUED).unwrap());
        assert_eq!(removal.content, AudienceContent::Removed);
        assert_eq!(
            (&removal.handle, &removal.write_key),
            (&sealed.handle, &sealed.write_key)
        );
    }

    #[test]
    fn what_would_not_be_believed_or_does_not_fit_is_not_sealed() {
        let other = Csi::parse("a@example.com").unwrap();
        assert_eq!(
            seal(&other, &bundle(1)).unwrap_err(),
            AudienceError::SubjectMismatch
        );
        assert!(matches!(
            seal(&csi(), &bundle(16)).unwrap_err(),
            AudienceError::ContentTooLong { found } if found > 4046
        ));
    }

    #[test]
    fn write_keys_are_unlinkable_and_reproducible() {
        let handle = |fill| AudienceHandle::from_bytes([fill; 32]);
        let key = |identity: &SigningKey, fill| write_key(identity, &handle(fill)).verifying_key();
        assert_eq!(key(&holder(), 1), key(&holder(), 1));
        assert_ne!(key(&holder(), 1), key(&holder(), 2));
        assert_ne!(key(&holder(), 1), key(&stranger(), 1));
        assert_ne!(key(&holder(), 1), holder().verifying_key());
        let p256 = || SigningKey::generate_p256(&mut ChaCha20Rng::seed_from_u64(1));
        assert_eq!(key(&p256(), 1), key(&p256(), 1));
        assert_ne!(key(&p256(), 1), key(&p256(), 2));
    }
}
