//! What makes someone a member of an audience.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::{AudienceLabel, AudienceSecret, LabelError};
use crate::csi::{Csi, CsiError, MAX_CANONICAL_BYTES};

const PREFIX: &str = "sotto:audience?v=1&secret=";
const LABEL: &str = "&label=";
const CSI: &str = "&for=";

/// Characters of a secret in base64url without padding.
const SECRET_LEN: usize = 43;

/// Most bytes of an invitation's text.
pub const MAX_INVITATION_BYTES: usize = PREFIX.len()
    + SECRET_LEN
    + LABEL.len()
    + 3 * AudienceLabel::MAX_LEN
    + CSI.len()
    + 3 * MAX_CANONICAL_BYTES;

/// An audience's secret, the name that the inviter gives it, and whose records
/// it is for.
///
/// As text a URI (RFC 3986), made to be shown as a QR code:
///
/// ```text
/// sotto:audience?v=1&secret=<base64url>&label=<label>[&for=<canonical CSI>]
/// ```
///
/// In this order, with every byte of label and CSI beside `A–Z a–z 0–9 - . _ ~`
/// percent-encoded in upper case: an invitation has one text. Whoever has the
/// text is a member, so `Debug` is redacted.
#[derive(Clone)]
pub struct Invitation {
    /// What members share.
    pub secret: AudienceSecret,
    /// A name for it, which the one who joins may change.
    pub label: AudienceLabel,
    /// The one recipient who publishes for this audience, or `None` if it is
    /// to be tried with every identifier.
    pub csi: Option<Csi>,
}

impl Invitation {
    /// The text.
    pub fn to_uri(&self) -> Zeroizing<String> {
        // With its capacity from the start, so that no copy is left behind.
        let mut uri = Zeroizing::new(String::with_capacity(MAX_INVITATION_BYTES));
        uri.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(self.secret.as_bytes(), &mut uri);
        uri.push_str(LABEL);
        encode_into(&mut uri, self.label.as_str());
        if let Some(csi) = &self.csi {
            uri.push_str(CSI);
            encode_into(&mut uri, csi.canonical());
        }
        uri
    }

    /// Reads the text that [`to_uri`](Self::to_uri) writes, and no other.
    ///
    /// # Errors
    /// [`InvitationError`], by what is wrong.
    pub fn from_uri(text: &str) -> Result<Self, InvitationError> {
        if text.len() > MAX_INVITATION_BYTES {
            return Err(InvitationError::TooLong { found: text.len() });
        }
        let rest = text.strip_prefix(PREFIX).ok_or(InvitationError::Form)?;
        let (secret, rest) = rest.split_once(LABEL).ok_or(InvitationError::Form)?;
        let (label, csi) = match rest.split_once(CSI) {
            Some((label, csi)) => (label, Some(csi)),
            None => (rest, None),
        };
        let invitation = Self {
            secret: decode_secret(secret)?,
            label: AudienceLabel::new(&decode(label)?)?,
            csi: csi
                .map(|csi| Ok::<_, InvitationError>(Csi::from_canonical(&decode(csi)?)?))
                .transpose()?,
        };
        if *invitation.to_uri() == text {
            Ok(invitation)
        } else {
            Err(InvitationError::Form)
        }
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Invitation(redacted)")
    }
}

/// Why a text is no invitation. Holds no part of the text.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvitationError {
    /// Too long to be one.
    #[error("invitation of {found} bytes, expected at most {MAX_INVITATION_BYTES}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// Not in the one form of this version.
    #[error("expected an invitation of the form {PREFIX}…{LABEL}…")]
    Form,
    /// The secret is not 32 bytes in base64url.
    #[error("the invitation's secret is not 32 bytes in base64url")]
    Secret,
    /// The label.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// The identifier that it is for.
    #[error("the invitation's identifier: {0}")]
    Csi(#[from] CsiError),
}

fn decode_secret(text: &str) -> Result<AudienceSecret, InvitationError> {
    if text.len() != SECRET_LEN {
        return Err(InvitationError::Secret);
    }
    // Decoding may need room for a whole last group: 33 bytes.
    let mut bytes = Zeroizing::new([0; 33]);
    let count = URL_SAFE_NO_PAD
        .decode_slice(text, bytes.as_mut())
        .map_err(|_| InvitationError::Secret)?;
    let secret = bytes[..count].try_into();
    secret
        .map(AudienceSecret::from_bytes)
        .map_err(|_| InvitationError::Secret)
}

/// Percent-encodes all but the unreserved characters (RFC 3986 §2.3).
fn encode_into(uri: &mut String, text: &str) {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    for byte in text.bytes() {
        if is_unreserved(byte) {
            uri.push(char::from(byte));
        } else {
            uri.push('%');
            uri.push(char::from(HEX[usize::from(byte >> 4)]));
            uri.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Decodes percent-encoding; whether unreserved characters needed any is not
/// looked at.
fn decode(text: &str) -> Result<Zeroizing<String>, InvitationError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if is_unreserved(first) {
            bytes.push(first);
            rest = tail;
            continue;
        }
        if first != b'%' {
            return Err(InvitationError::Form);
        }
        let (digits, tail) = tail.split_first_chunk::<2>().ok_or(InvitationError::Form)?;
        let mut byte = [0];
        hex::decode_to_slice(digits, &mut byte).map_err(|_| InvitationError::Form)?;
        bytes.push(byte[0]);
        rest = tail;
    }
    String::from_utf8(bytes)
        .map(Zeroizing::new)
        .map_err(|_| InvitationError::Form)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use subtle::ConstantTimeEq as _;

    use super::*;

    /// 32 bytes of 0x61.
    const SECRET: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE";

    fn invitation(label: &str, csi: Option<&str>) -> Invitation {
        Invitation {
            secret: AudienceSecret::from_bytes([0x61; 32]),
            label: AudienceLabel::new(label).unwrap(),
            csi: csi.map(|csi| Csi::parse(csi).unwrap()),
        }
    }

    fn refused(text: &str) -> InvitationError {
        Invitation::from_uri(text).unwrap_err()
    }

    #[test]
    fn texts_are_known() {
        assert_eq!(
            *invitation("Family & friends", None).to_uri(),
            format!("sotto:audience?v=1&secret={SECRET}&label=Family%20%26%20friends")
        );
        assert_eq!(
            *invitation("ü", Some("+442079460000")).to_uri(),
            format!("sotto:audience?v=1&secret={SECRET}&label=%C3%BC&for=tel%3A%2B442079460000")
        );
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let csi = "Someone+x@example.org";
        let text = invitation("&for=", Some(csi)).to_uri();
        let again = Invitation::from_uri(&text).unwrap();
        assert_eq!(again.label.as_str(), "&for=");
        assert_eq!(again.csi, Some(Csi::parse(csi).unwrap()));
        assert!(bool::from(
            again.secret.ct_eq(&AudienceSecret::from_bytes([0x61; 32]))
        ));
        assert_eq!(format!("{again:?}"), "Invitation(redacted)");
    }

    #[test]
    fn other_forms_are_refused() {
        let good =
            format!("sotto:audience?v=1&secret={SECRET}&label=a%20b&for=mailto%3Aa%40b.example");
        assert!(Invitation::from_uri(&good).is_ok());
        for (from, to) in [
            ("sotto:", "SOTTO:"),
            ("v=1", "v=2"),
            ("&label", "&lable"),
            ("%20", "%2"),
            ("%20", "+"),
            ("%20", "%7A"),
            ("%3A", "%3a"),
            ("%3A", ":"),
            ("%20", "%FF"),
            ("&for=", "&x=1&for="),
            ("example", "example&x=1"),
            ("example", "example "),
            ("a%20b", "a%20b%"),
        ] {
            let changed = good.replace(from, to);
            assert_eq!(refused(&changed), InvitationError::Form, "{from} → {to}");
        }
        assert_eq!(refused(""), InvitationError::Form);
        let found = MAX_INVITATION_BYTES + 1;
        assert_eq!(
            refused(&"a".repeat(found)),
            InvitationError::TooLong { found }
        );
        for secret in [
            SECRET[..42].to_owned(),
            format!("{SECRET}="),
            format!("{SECRET}A"),
            // Bits that say nothing must be 0.
            format!("{}F", &SECRET[..42]),
            SECRET.replace('Y', "/"),
        ] {
            let changed = good.replace(SECRET, &secret);
            assert_eq!(refused(&changed), InvitationError::Secret, "{secret}");
        }
        assert!(matches!(
            refused(&good.replace("a%20b", "")),
            InvitationError::Label(LabelError::Length { found: 0 })
        ));
        assert!(matches!(
            refused(&good.replace("a%20b", "%0A")),
            InvitationError::Label(LabelError::Text)
        ));
        assert!(matches!(
            refused(&good.replace("b.example", "B.example")),
            InvitationError::Csi(CsiError::NotCanonical)
        ));
    }

    #[test]
    fn the_longest_fits() {
        let mail = format!(
            "{}@{}.example",
            "!".repeat(64),
            ["x".repeat(59), "y".repeat(59), "z".repeat(55)].join(".")
        );
        let text = invitation(&"&".repeat(64), Some(&mail)).to_uri();
        assert!(text.len() <= MAX_INVITATION_BYTES);
        assert!(Invitation::from_uri(&text).is_ok());
    }

    proptest! {
        #[test]
        fn invitations_round_trip(
            secret: [u8; 32],
            label in "[^\\p{C}\\p{Z}\\p{M}]{1,12}",
            mail in proptest::option::of("[a-z0-9+.]{0,8}[a-z]@[a-z]{1,9}\\.[a-z]{2,5}"),
        ) {
            let Ok(label) = AudienceLabel::new(&label) else { return Ok(()) };
            let csi = mail.and_then(|mail| Csi::parse(&mail).ok());
            let invitation = Invitation { secret: AudienceSecret::from_bytes(secret), label, csi };
            let again = Invitation::from_uri(&invitation.to_uri()).unwrap();
            prop_assert_eq!(again.secret.as_bytes(), &secret);
            prop_assert_eq!(again.label, invitation.label);
            prop_assert_eq!(again.csi, invitation.csi);
        }

        #[test]
        fn any_text_is_read_as_itself_or_refused(text in "(sotto:audience\\?v=1&secret=)?.{0,90}") {
            if let Ok(invitation) = Invitation::from_uri(&text) {
                prop_assert_eq!(&*invitation.to_uri(), &text);
            }
        }
    }
}
