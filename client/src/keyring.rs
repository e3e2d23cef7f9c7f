//! The audiences that a client is in, and its pairing key.

mod file;

use protocol::audience::{AudienceLabel, AudienceSecret, Invitation, PairingKey};
use protocol::csi::Csi;
use rand::CryptoRng;

pub use file::{KeyringFile, KeyringFileError, LineError};

/// Most audiences of a keyring.
pub const MAX_MEMBERSHIPS: usize = 1024;

/// Secrets that a client shares with recipients or senders. `Debug` shows their
/// number alone.
#[derive(Clone, Default)]
pub struct Keyring {
    memberships: Vec<Membership>,
    pairing: Option<PairingKey>,
}

/// An audience that the client is in, as sender or as recipient. `Debug` is
/// redacted.
#[derive(Clone)]
pub struct Membership {
    /// The client's own name for it, once a keyring.
    pub label: AudienceLabel,
    /// What members share.
    pub secret: AudienceSecret,
    /// The one CSI that it has records of, or `None` if it may have records of
    /// any.
    pub csi: Option<Csi>,
}

impl Keyring {
    /// The audiences, in the order in which they were added.
    pub fn memberships(&self) -> &[Membership] {
        &self.memberships
    }

    /// The audience of this name.
    pub fn find(&self, label: &AudienceLabel) -> Option<&Membership> {
        self.memberships
            .iter()
            .find(|membership| membership.label == *label)
    }

    /// Adds an audience behind all others.
    ///
    /// # Errors
    /// [`KeyringError::DuplicateLabel`], [`KeyringError::Full`].
    pub fn add(&mut self, membership: Membership) -> Result<(), KeyringError> {
        if self.find(&membership.label).is_some() {
            return Err(KeyringError::DuplicateLabel);
        }
        if self.memberships.len() == MAX_MEMBERSHIPS {
            return Err(KeyringError::Full);
        }
        self.memberships.push(membership);
        Ok(())
    }

    /// Forgets an audience.
    ///
    /// # Errors
    /// [`KeyringError::UnknownLabel`].
    pub fn remove(&mut self, label: &AudienceLabel) -> Result<Membership, KeyringError> {
        let at = self
            .memberships
            .iter()
            .position(|membership| membership.label == *label)
            .ok_or(KeyringError::UnknownLabel)?;
        Ok(self.memberships.remove(at))
    }

    /// The key for audiences of one sender, if there is one.
    pub fn pairing_key(&self) -> Option<&PairingKey> {
        self.pairing.as_ref()
    }

    /// The key for audiences of one sender; a new one if there was none.
    pub fn pairing_key_or_new<R: CryptoRng + ?Sized>(&mut self, rng: &mut R) -> &PairingKey {
        self.pairing
            .get_or_insert_with(|| PairingKey::generate(rng))
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring({} redacted)", self.memberships.len())
    }
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Membership(redacted)")
    }
}

impl Membership {
    /// What makes someone else a member.
    pub fn invitation(&self) -> Invitation {
        Invitation {
            secret: self.secret.clone(),
            label: self.label.clone(),
            csi: self.csi.clone(),
        }
    }
}

impl From<Invitation> for Membership {
    fn from(invitation: Invitation) -> Self {
        Self {
            label: invitation.label,
            secret: invitation.secret,
            csi: invitation.csi,
        }
    }
}

/// Why a keyring was not changed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// There is an audience of this name.
    #[error("the keyring has an audience of this label: choose another")]
    DuplicateLabel,
    /// There is none.
    #[error("the keyring has no audience of this label")]
    UnknownLabel,
    /// There are [`MAX_MEMBERSHIPS`] of them.
    #[error("the keyring has {MAX_MEMBERSHIPS} audiences, which is as many as it may have")]
    Full,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn membership(label: &str, fill: u8, csi: Option<&str>) -> Membership {
        Membership {
            label: AudienceLabel::new(label).unwrap(),
            secret: AudienceSecret::from_bytes([fill; 32]),
            csi: csi.map(|csi| Csi::parse(csi).unwrap()),
        }
    }

    #[test]
    fn labels_are_unique_and_order_is_kept() {
        let mut keyring = Keyring::default();
        for (label, fill) in [("b", 1), ("a", 2), ("c", 3)] {
            keyring.add(membership(label, fill, None)).unwrap();
        }
        assert_eq!(
            keyring.add(membership("a", 4, None)),
            Err(KeyringError::DuplicateLabel)
        );
        let label = |text| AudienceLabel::new(text).unwrap();
        let removed = keyring.remove(&label("a")).unwrap();
        assert_eq!(removed.secret.as_bytes(), &[2; 32]);
        assert_eq!(
            keyring.remove(&label("a")).unwrap_err(),
            KeyringError::UnknownLabel
        );
        keyring.add(membership("a", 5, None)).unwrap();
        let labels: Vec<&str> = keyring
            .memberships()
            .iter()
            .map(|membership| membership.label.as_str())
            .collect();
        assert_eq!(labels, ["b", "c", "a"]);
        assert_eq!(
            keyring.find(&label("c")).unwrap().secret.as_bytes(),
            &[3; 32]
        );
    }

    #[test]
    fn the_number_of_audiences_is_bounded() {
        let mut keyring = Keyring::default();
        for number in 0..MAX_MEMBERSHIPS {
            keyring
                .add(membership(&number.to_string(), 1, None))
                .unwrap();
        }
        assert_eq!(
            keyring.add(membership("more", 1, None)),
            Err(KeyringError::Full)
        );
    }

    #[test]
    fn the_pairing_key_is_made_once() {
        let mut keyring = Keyring::default();
        assert!(keyring.pairing_key().is_none());
        let first = keyring.pairing_key_or_new(&mut rand::rng()).public_key();
        let second = keyring.pairing_key_or_new(&mut rand::rng()).public_key();
        assert_eq!(first, second);
        assert_eq!(keyring.pairing_key().unwrap().public_key(), first);
    }

    #[test]
    fn debug_shows_the_number_alone() {
        let mut keyring = Keyring::default();
        keyring
            .add(membership("family", 7, Some("a@example.org")))
            .unwrap();
        assert_eq!(
            format!("{keyring:?} {:?}", keyring.memberships()[0]),
            "Keyring(1 redacted) Membership(redacted)"
        );
    }
}
