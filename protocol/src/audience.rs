//! Audience records.

/// Names an audience record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AudienceHandle([u8; 32]);

impl AudienceHandle {
    /// A handle read from somewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The handle's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
