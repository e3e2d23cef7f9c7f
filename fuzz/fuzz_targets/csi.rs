//! Any text is an identifier or is refused, and normalising is idempotent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::csi::{Csi, MAX_CANONICAL_BYTES};

fuzz_target!(|text: &str| {
    for parsed in [Csi::parse(text), Csi::parse_in_region(text, "GB")] {
        let Ok(csi) = parsed else { continue };
        assert!(csi.canonical().len() <= MAX_CANONICAL_BYTES);
        assert_eq!(Csi::from_canonical(csi.canonical()), Ok(csi));
    }
    if let Ok(csi) = Csi::from_canonical(text) {
        assert_eq!(csi.canonical(), text);
    }
});
