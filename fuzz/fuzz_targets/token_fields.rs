//! Fields of the PrivateToken scheme and directories are read or refused, and
//! what is read is written the same way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::token::{Credentials, IssuerDirectory, challenges};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(credentials) = Credentials::from_field(bytes) {
        let again = Credentials::from_field(credentials.to_field().as_bytes()).unwrap();
        assert_eq!(again.token.as_bytes(), credentials.token.as_bytes());
    }
    if let Ok(found) = challenges(bytes) {
        for challenge in found {
            let field = challenge.to_field();
            assert_eq!(challenges(field.as_bytes()).unwrap(), [challenge]);
        }
    }
    if let Ok(directory) = IssuerDirectory::from_json(bytes) {
        let again = IssuerDirectory::from_json(&directory.to_json()).unwrap();
        assert_eq!(again, directory);
    }
});
