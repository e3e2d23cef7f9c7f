//! Whom a mapping is signed for.

use std::borrow::Cow;

use crate::audience::AudienceHandle;
use crate::cose::EXTERNAL_AAD;

const AUDIENCE: &[u8] = b" audience ";

/// Whom a mapping is signed for. Its signature covers this, so that nobody who
/// reads a mapping meant for few can publish it for all.
#[derive(Clone, Copy, Debug)]
pub enum Readers<'a> {
    /// Every sender.
    Everyone,
    /// The members of the audience with this handle.
    Audience(&'a AudienceHandle),
}

impl Readers<'_> {
    /// The external AAD (RFC 9052 §4.3) of the signature: [`EXTERNAL_AAD`], and
    /// for an audience `" audience "` and the handle after it.
    pub(super) fn external_aad(self) -> Cow<'static, [u8]> {
        match self {
            Self::Everyone => Cow::Borrowed(EXTERNAL_AAD),
            Self::Audience(handle) => {
                Cow::Owned([EXTERNAL_AAD, AUDIENCE, handle.as_bytes()].concat())
            }
        }
    }
}
