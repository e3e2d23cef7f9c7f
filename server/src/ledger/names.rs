//! Names of meters: hashes under a key of the ledger's own.

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use protocol::pseudonym::Pseudonym;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::MeterId;
use crate::keys::KEY_BYTES;
use crate::senders::SenderName;

/// Whose meter it is.
#[derive(Clone, Copy, Debug)]
pub enum Holder<'a> {
    /// Everybody's together.
    Everyone,
    /// An account's.
    Account(&'a SenderName),
    /// An end sender's; without pseudonym the account is its own one sender.
    Sender(&'a SenderName, Option<&'a Pseudonym>),
    /// That of an issuer of tokens, by its name.
    Issuer(&'a str),
}

/// The ledger's keys. `Debug` is redacted, wiped when dropped.
#[derive(Clone)]
pub struct LedgerKeys {
    meter: Zeroizing<[u8; 32]>,
    check: [u8; 32],
}

impl LedgerKeys {
    /// Derives them by HKDF-SHA256 from the content of `keys/store.key`.
    pub fn derive(key: &[u8; KEY_BYTES]) -> Self {
        let kdf = Hkdf::<Sha256>::new(Some(b"sotto/v1/ledger"), key);
        let expand = |info: &[u8]| {
            let mut out = Zeroizing::new([0; 32]);
            // 32 bytes are far below 255 blocks of the hash.
            kdf.expand(info, out.as_mut()).expect("a short output");
            out
        };
        Self {
            meter: expand(b"sotto/v1/ledger/meter"),
            check: *expand(b"sotto/v1/ledger/check"),
        }
    }

    /// A value that tells keys apart and nothing else.
    pub(crate) fn check(&self) -> &[u8; 32] {
        &self.check
    }

    /// The name of a holder's meter: HMAC-SHA256 of
    /// `kind ‖ length of name (u16) ‖ name ‖ pseudonym`.
    pub fn meter(&self, holder: Holder<'_>) -> MeterId {
        let (kind, name, pseudonym) = match holder {
            Holder::Everyone => (0, "", ""),
            Holder::Account(account) => (1, account.as_str(), ""),
            // No pseudonym is empty.
            Holder::Sender(account, pseudonym) => {
                (2, account.as_str(), pseudonym.map_or("", Pseudonym::as_str))
            }
            Holder::Issuer(name) => (3, name, ""),
        };
        // HMAC takes keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(self.meter.as_ref()).expect("any key length");
        // Names are far shorter; a longer one would only share a prefix.
        let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
        mac.update(&[kind]);
        mac.update(&length.to_be_bytes());
        mac.update(name.as_bytes());
        mac.update(pseudonym.as_bytes());
        MeterId(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for LedgerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LedgerKeys(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_holder_has_a_meter_of_its_own_under_every_key() {
        let [a, ab] = ["a", "ab"].map(|name| SenderName::new(name).unwrap());
        let [b, c] = ["b", "c"].map(|text| Pseudonym::parse(text).unwrap());
        let holders = [
            Holder::Everyone,
            Holder::Account(&a),
            Holder::Account(&ab),
            Holder::Sender(&a, None),
            Holder::Sender(&ab, None),
            Holder::Sender(&a, Some(&b)),
            Holder::Sender(&a, Some(&c)),
            Holder::Sender(&ab, Some(&b)),
            Holder::Issuer("a"),
        ];
        let keys = [[1; 32], [2; 32]].map(|key| LedgerKeys::derive(&key));
        let meters = keys
            .iter()
            .flat_map(|keys| holders.map(|holder| keys.meter(holder)));
        let distinct: HashSet<MeterId> = meters.collect();
        assert_eq!(distinct.len(), 2 * holders.len());
        let again = LedgerKeys::derive(&[1; 32]).meter(Holder::Account(&a));
        assert_eq!(again, keys[0].meter(Holder::Account(&a)));
        assert_ne!(keys[0].check(), keys[1].check());
    }
}
