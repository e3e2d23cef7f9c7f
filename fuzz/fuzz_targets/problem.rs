//! Whatever reads as a problem document reads back from its own JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::problem::Problem;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(problem) = Problem::from_json(bytes) {
        assert_eq!(Problem::from_json(&problem.to_json()), Ok(problem));
    }
});
