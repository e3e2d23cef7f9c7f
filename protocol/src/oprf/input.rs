//! What the OPRF is evaluated on.

use zeroize::Zeroizing;

use crate::audience::AudienceHandle;
use crate::csi::Csi;

const CSI_LABEL: &[u8] = b"sotto/v1/csi";
const AUDIENCE_LABEL: &[u8] = b"sotto/v1/audience";

/// What names a record. A DP can't tell the two kinds apart when they are
/// blinded.
///
/// No `Debug`: it stands for an identifier.
#[derive(Clone, Copy)]
pub enum OprfInput<'a> {
    /// A public record: `"sotto/v1/csi" ‖ length of the canonical form as u16
    /// BE ‖ canonical form`.
    Csi(&'a Csi),
    /// An audience record: `"sotto/v1/audience" ‖ handle`.
    Audience(&'a AudienceHandle),
}

impl OprfInput<'_> {
    pub(super) fn to_bytes(self) -> Zeroizing<Vec<u8>> {
        let (label, length, name) = match self {
            Self::Csi(csi) => {
                let canonical = csi.canonical().as_bytes();
                // Canonical forms are at most `csi::MAX_CANONICAL_BYTES`, below
                // 2^16.
                let length = (canonical.len() as u16).to_be_bytes();
                (CSI_LABEL, Some(length), canonical)
            }
            Self::Audience(handle) => (AUDIENCE_LABEL, None, &handle.as_bytes()[..]),
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(label.len() + 2 + name.len()));
        bytes.extend_from_slice(label);
        bytes.extend(length.into_iter().flatten());
        bytes.extend_from_slice(name);
        bytes
    }
}

impl<'a> From<&'a Csi> for OprfInput<'a> {
    fn from(csi: &'a Csi) -> Self {
        Self::Csi(csi)
    }
}

impl<'a> From<&'a AudienceHandle> for OprfInput<'a> {
    fn from(handle: &'a AudienceHandle) -> Self {
        Self::Audience(handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_domain_separated() {
        let csi = Csi::parse("a@b.example").unwrap();
        assert_eq!(
            *OprfInput::from(&csi).to_bytes(),
            b"sotto/v1/csi\x00\x12mailto:a@b.example"
        );
        let handle = AudienceHandle::from_bytes([7; 32]);
        let expected = [&b"sotto/v1/audience"[..], &[7; 32]].concat();
        assert_eq!(*OprfInput::from(&handle).to_bytes(), expected);
    }
}
