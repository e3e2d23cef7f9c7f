//! Decodes PIR querys; what is accepted has the length that the parameters give.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pir_core::params::Params;
use pir_core::query::{self, Query};

static PARAMS: LazyLock<Params> = LazyLock::new(|| Params::new(2048, 2048).expect("valid shape"));

fuzz_target!(|bytes: &[u8]| {
    if Query::decode(&PARAMS, bytes).is_ok() {
        assert_eq!(bytes.len(), query::encoded_bytes(&PARAMS));
    }
});
