//! What a lookup with audiences found.

use protocol::audience::AudienceLabel;
use protocol::lookup::Lookup;

/// What a recipient says to everyone, and to the audiences that the sender is
/// in. Each record stands on its own: none overrules another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The public record.
    pub public: Lookup,
    /// The audiences that the recipient says something to, in the order of the
    /// keyring, those bound to the identifier first. Where nothing was found
    /// there is no entry.
    pub audiences: Vec<AudienceFound>,
    /// Audiences of the keyring that may apply and were not asked for, because
    /// there are fewer slots.
    pub not_asked: usize,
}

/// What a recipient says to one audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudienceFound {
    /// What the sender calls the audience.
    pub label: AudienceLabel,
    /// Never [`Lookup::NoMapping`].
    pub lookup: Lookup,
}
