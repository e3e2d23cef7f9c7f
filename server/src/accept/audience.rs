//! Audience records.

/// How many audience records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudienceLimits {
    /// Of one sender's account.
    pub per_sender: u64,
    /// Of all.
    pub total: u64,
}
