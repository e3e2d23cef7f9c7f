//! What a log publishes: notes, checkpoints, keys, paths and bundles that decode
//! encode to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::log::{Checkpoint, Note, NoteKey, Part, bundle};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(note) = Note::decode(bytes) {
        assert_eq!(note.encode(), bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(checkpoint) = Checkpoint::parse(text) {
            assert_eq!(checkpoint.text(), text);
        }
        if let Ok(part) = text.parse::<Part>() {
            assert_eq!(part.to_string(), text);
        }
        if let Ok(key) = text.parse::<NoteKey>() {
            assert_eq!(key.to_string(), text);
        }
    }
    if let Some((width, bundle)) = bytes.split_first() {
        if let Ok(entries) = bundle::decode(bundle, (*width).into()) {
            if !entries.is_empty() {
                assert_eq!(bundle::encode(&entries).unwrap(), bundle);
            }
        }
        let _ = bundle::prefix(bundle, (*width).into());
    }
});
