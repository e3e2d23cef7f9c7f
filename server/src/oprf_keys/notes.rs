//! When each epoch's key was made, and when it retires: `keys/oprf/epochs.toml`.
//!
//! Nothing in it is secret. Lost, times are counted from now: a key then rotates
//! and retires later.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use protocol::time::UnixTime;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::OprfKeysError;
use crate::durable::{self, FileError, PUBLIC};

const HEADER: &str = "# Times of the OPRF keys. `sotto-server oprf` writes this.\n\n";

/// Notes by epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes(pub(super) BTreeMap<u64, Note>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) made: UnixTime,
    /// Known once a snapshot was published under the next key.
    pub(super) retires: Option<UnixTime>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "epoch")]
    epochs: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    number: u64,
    made: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retires: Option<Time>,
}

/// RFC 3339.
#[derive(Clone, Copy)]
struct Time(UnixTime);

impl Notes {
    pub(super) fn read(path: &Path) -> Result<Self, OprfKeysError> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            text => text.map_err(FileError::new("read", path))?,
        };
        let file: File = toml::from_str(&text).map_err(|source| OprfKeysError::Notes {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        let note = |entry: Entry| {
            let retires = entry.retires.map(|time| time.0);
            let made = entry.made.0;
            (entry.number, Note { made, retires })
        };
        Ok(Self(file.epochs.into_iter().map(note).collect()))
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), FileError> {
        let entry = |(number, note): (&u64, &Note)| Entry {
            number: *number,
            made: Time(note.made),
            retires: note.retires.map(Time),
        };
        let file = File {
            epochs: self.0.iter().map(entry).collect(),
        };
        // Numbers and strings always have a form.
        let text = toml::to_string(&file).unwrap_or_default();
        durable::replace(path, PUBLIC, format!("{HEADER}{text}").as_bytes())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.min(UnixTime::MAX).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        UnixTime::parse_rfc3339(&text)
            .map(Self)
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_round_trip_and_what_is_no_note_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("epochs.toml");
        assert_eq!(Notes::read(&path).unwrap(), Notes::default());
        let at = UnixTime::from_secs;
        let note = |made, retires| Note { made, retires };
        let notes = Notes(BTreeMap::from([
            (3, note(at(1_800_000_000), Some(at(1_800_003_600)))),
            (4, note(at(1_800_000_001), None)),
        ]));
        notes.write(&path).unwrap();
        assert_eq!(Notes::read(&path).unwrap(), notes);
        for text in [
            "[[epoch]]\nnumber = 1",
            "[[epoch]]\nnumber = 1\nmade = \"yesterday\"",
            "epochs = 1",
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Notes::read(&path).unwrap_err();
            assert!(error.to_string().contains("remove it"), "{error}");
        }
    }
}
