//! Any text is a trust list or is refused, and a list survives its own form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::trust::TrustList;

fuzz_target!(|text: &str| {
    if let Ok(list) = TrustList::from_toml(text) {
        let again = TrustList::from_toml(&list.to_toml());
        assert_eq!(again.as_ref().map(TrustList::digest), Ok(list.digest()));
        assert_eq!(again, Ok(list));
    }
});
