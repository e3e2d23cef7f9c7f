//! What a lookup with audiences found.

use protocol::audience::AudienceLabel;
use protocol::cose::VerifyingKey;
use protocol::lookup::Lookup;
use protocol::resolve::{Candidate, Source};

/// What a recipient says to everyone, and to the audiences that the sender is
/// in. Each record is verified on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The public record.
    pub public: Lookup,
    /// The key that the public record's credential is for, if there is a record that
    /// opens. Whether the credential is believed, the lookup says.
    pub holder: Option<VerifyingKey>,
    /// The audiences that the recipient says something to, in the order of the
    /// keyring, those bound to the identifier first. Where nothing was found
    /// there is no entry.
    pub audiences: Vec<AudienceFound>,
    /// Audiences of the keyring that may apply and were not asked for, because
    /// there are fewer slots.
    pub not_asked: usize,
}

impl Found {
    /// All mappings of the newest assignment that was found, for
    /// [`resolve`](protocol::resolve::resolve). A former holder's record for an
    /// audience may still be there after the identifier went to somebody else.
    pub fn candidates(&self) -> Vec<Candidate<'_>> {
        let public = self.public.mappings().iter().map(Candidate::from);
        let audiences = self.audiences.iter().flat_map(|audience| {
            let source = Source::Audience(audience.label.as_str());
            let mappings = audience.lookup.mappings().iter();
            mappings.map(move |mapping| Candidate { mapping, source })
        });
        let mut candidates: Vec<Candidate<'_>> = public.chain(audiences).collect();
        let assignment = |candidate: &Candidate<'_>| candidate.mapping.assignment;
        let newest = candidates.iter().map(assignment).max();
        candidates.retain(|candidate| Some(assignment(candidate)) == newest);
        candidates
    }
}

/// What a recipient says to one audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudienceFound {
    /// What the sender calls the audience.
    pub label: AudienceLabel,
    /// Never [`Lookup::NoMapping`].
    pub lookup: Lookup,
}
