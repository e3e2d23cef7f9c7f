//! E-mail addresses.

use email_address::EmailAddress;
use icu_casemap::CaseMapper;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::{CsiError, MAILTO, domain};

/// Most bytes of an address (RFC 5321 §4.5.3.1.3, without the brackets).
pub(super) const MAX_ADDRESS_BYTES: usize = 254;

/// Most bytes of a local part (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;

/// The canonical form of an address without its scheme.
pub(super) fn canonical(address: &str) -> Result<Zeroizing<String>, CsiError> {
    let (local, domain) = address.rsplit_once('@').ok_or(CsiError::NotAnIdentifier)?;
    let local = canonical_local_part(local)?;
    let domain = domain::to_ascii(domain)?;
    if local.len() + 1 + domain.len() > MAX_ADDRESS_BYTES {
        return Err(CsiError::TooLong {
            max: MAX_ADDRESS_BYTES,
        });
    }
    Ok(Zeroizing::new(format!("{MAILTO}{}@{domain}", *local)))
}

/// NFC, full case folding, NFC: as UAX 15 and Unicode §3.13 define them.
fn canonical_local_part(local: &str) -> Result<Zeroizing<String>, CsiError> {
    let folded = folded(local);
    if folded.len() > MAX_LOCAL_BYTES {
        return Err(CsiError::TooLong {
            max: MAX_LOCAL_BYTES,
        });
    }
    // A quoted string is another spelling of a dot-atom, or needs characters
    // that no provider gives out.
    if folded.contains('"') || !EmailAddress::is_valid_local_part(&folded) {
        return Err(CsiError::LocalPart);
    }
    // Folding is idempotent but for rare sequences; those have no canonical form.
    if *self::folded(&folded) != *folded {
        return Err(CsiError::LocalPart);
    }
    Ok(folded)
}

fn folded(local: &str) -> Zeroizing<String> {
    let composed = Zeroizing::new(local.nfc().collect::<String>());
    let folded = CaseMapper::new().fold_string(&composed);
    Zeroizing::new(folded.nfc().collect())
}
