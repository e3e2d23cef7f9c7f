//! Any text is an invitation or is refused, and an invitation has one text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::audience::{Invitation, PairingPublicKey};

fuzz_target!(|text: &str| {
    if let Ok(invitation) = Invitation::from_uri(text) {
        assert_eq!(*invitation.to_uri(), text);
    }
    if let Ok(key) = PairingPublicKey::from_text(text) {
        assert_eq!(key.to_text(), text);
    }
});
