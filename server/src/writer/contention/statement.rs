//! What is said in a scenario, and its signed form.

use protocol::bundle::Bundle;
use protocol::cose::SigningKey;
use protocol::credential::{Credential, Issuer};
use protocol::csi::Csi;
use protocol::mapping::{
    Entry, Mapping, MappingId, MspDomain, Policy, Preference, Replaces, SignedMapping,
};
use protocol::removal::{Release, ReleaseReason, Removal, RemovalTarget, SignedRelease};
use protocol::trust::TrustList;
use protocol::wire::RemovalRequest;

use super::NOW;
use crate::accept::{Submission, Verifier};

const DAY_SECS: u64 = 86_400;
const CSIP: u8 = 1;

/// Who holds an identifier: a key, and the credential for it.
#[derive(Clone, Copy)]
pub(super) struct Holder {
    /// Seed of the key.
    pub(super) key: u8,
    pub(super) assignment: u64,
    /// Days since the credential was issued.
    pub(super) age: u64,
}

#[derive(Clone)]
pub(super) enum Statement {
    /// A credential with mappings.
    Publish(Holder, Vec<Says>),
    Remove(Holder, RemovalTarget, u64),
    /// The end of an assignment.
    Release(u64),
}

/// What a mapping says.
#[derive(Clone, Copy)]
pub(super) struct Says {
    pub(super) id: u8,
    pub(super) seq: u64,
    pub(super) replaces: Replaces,
    /// Which MSP; `None` for the opt-out.
    pub(super) msp: Option<u8>,
}

/// A statement about one identifier. The object is a mapping's, if there is one.
pub(super) enum Signed {
    Publication(Box<Bundle>),
    Removal(Box<RemovalRequest>),
    Release(Box<SignedRelease>),
}

impl Holder {
    pub(super) fn key(self) -> SigningKey {
        SigningKey::from_seed(&[self.key; 32])
    }

    pub(super) fn credential(self, csi: &Csi) -> Credential {
        let issued_at = NOW.saturating_sub(self.age * DAY_SECS);
        Credential {
            issuer: Issuer::new("csip.example").expect("an issuer"),
            subject: csi.clone(),
            holder: self.key().verifying_key(),
            issued_at,
            expires: issued_at.saturating_add(30 * DAY_SECS),
            assignment: self.assignment,
        }
    }
}

impl Says {
    pub(super) fn entries(self) -> Vec<Entry> {
        let entry = |number| {
            let msp = MspDomain::parse(&format!("msp{number}.example")).expect("a domain");
            Entry::new(msp, Vec::new(), 0, Preference::Ordinary).expect("an entry")
        };
        self.msp.map(entry).into_iter().collect()
    }

    fn sign(self, csi: &Csi, holder: Holder) -> SignedMapping {
        let mapping = Mapping {
            subject: csi.clone(),
            id: MappingId([self.id; 16]),
            seq: self.seq,
            not_before: NOW,
            expires: NOW.saturating_add(DAY_SECS),
            assignment: holder.assignment,
            replaces: self.replaces,
            policy: Policy::OPEN,
            entries: self.entries(),
        };
        mapping.sign(&holder.key()).expect("a mapping")
    }
}

impl Statement {
    pub(super) fn sign(&self, csi: &Csi) -> Signed {
        let csip = SigningKey::from_seed(&[CSIP; 32]);
        let credential = |holder: Holder| holder.credential(csi).issue(&csip);
        match self {
            Self::Publish(holder, says) => {
                let mappings = says.iter().map(|says| says.sign(csi, *holder)).collect();
                let credential = credential(*holder).expect("a credential");
                let bundle = Bundle::new(credential, mappings).expect("a bundle");
                Signed::Publication(Box::new(bundle))
            }
            Self::Remove(holder, target, seq) => {
                let removal = Removal {
                    subject: csi.clone(),
                    target: *target,
                    seq: *seq,
                    issued_at: NOW,
                    assignment: holder.assignment,
                };
                Signed::Removal(Box::new(RemovalRequest {
                    credential: credential(*holder).expect("a credential"),
                    removal: removal.sign(&holder.key()).expect("a removal"),
                }))
            }
            Self::Release(assignment) => {
                let release = Release {
                    issuer: Issuer::new("csip.example").expect("an issuer"),
                    subject: csi.clone(),
                    assignment: *assignment,
                    issued_at: NOW,
                    reason: ReleaseReason::Reassigned,
                };
                Signed::Release(Box::new(release.sign(&csip).expect("a release")))
            }
        }
    }
}

impl Signed {
    /// Verified afresh, as each of several requests would be.
    pub(super) fn submission(&self) -> Submission {
        let csip = SigningKey::from_seed(&[CSIP; 32]).verifying_key().to_text();
        let trust = TrustList::from_toml(&format!(
            "[[csip]]\nissuer = \"csip.example\"\nkey = \"{csip}\"\nscopes = [\"mailto:*@example.org\"]\n"
        ));
        let verifier = Verifier {
            trust: &trust.expect("a trust list"),
            now: NOW,
        };
        let verified = match self {
            Self::Publication(bundle) => verifier.publication(Bundle::clone(bundle)),
            Self::Removal(request) => verifier.removal(RemovalRequest::clone(request)),
            Self::Release(release) => verifier.release(SignedRelease::clone(release)),
        };
        verified.expect("a statement in order")
    }

    /// What the log names.
    pub(super) fn object(&self) -> &[u8] {
        match self {
            Self::Publication(bundle) => match bundle.mappings() {
                [] => bundle.credential().as_bytes(),
                [mapping, ..] => mapping.as_bytes(),
            },
            Self::Removal(request) => request.removal.as_bytes(),
            Self::Release(release) => release.as_bytes(),
        }
    }
}
