//! Domain names in the one form used here.

use super::CsiError;

/// Most bytes of a domain name in text form (RFC 1035 §2.3.4).
const MAX_DOMAIN_BYTES: usize = 253;

/// The name as lower-case A-labels: UTS 46 non-transitional with the ASCII
/// rules of STD 3, at least two labels, the last not a number (so no IPv4
/// address), no trailing dot.
pub(crate) fn to_ascii(name: &str) -> Result<String, CsiError> {
    let ascii = idna::domain_to_ascii_strict(name).map_err(|_| CsiError::Domain)?;
    let (_, last) = ascii.rsplit_once('.').ok_or(CsiError::Domain)?;
    if ascii.len() > MAX_DOMAIN_BYTES || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(CsiError::Domain);
    }
    Ok(ascii)
}

/// Whether the name is already as [`to_ascii`] would write it.
pub(crate) fn is_canonical(name: &str) -> bool {
    to_ascii(name).is_ok_and(|ascii| ascii == name)
}
