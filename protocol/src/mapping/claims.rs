//! The payload of a mapping.

use super::entry::{Entry, EntryError, MspDomain, Preference, Tag};
use super::{Exclusivity, MAX_ENTRIES, Mapping, MappingError, MappingId, Policy, Reach, Replaces};
use crate::cbor::{self, CborError, Field, MapReader, Value};
use crate::csi::Csi;
use crate::time::UnixTime;

const SUBJECT: Field = 1;
const ID: Field = 2;
const SEQ: Field = 3;
const NOT_BEFORE: Field = 4;
const EXPIRES: Field = 5;
const ASSIGNMENT: Field = 6;
const REPLACES_ALL: Field = 7;
const EXCLUSIVE: Field = 8;
const SAME_APP_ONLY: Field = 9;
const ENTRIES: Field = 10;

const MSP: Field = 1;
const TAGS: Field = 2;
const PRIORITY: Field = 3;
const DEFAULT: Field = 4;

impl Mapping {
    pub(super) fn to_payload(&self) -> Result<Vec<u8>, MappingError> {
        let exclusive = self.policy.exclusivity == Exclusivity::Exclusive;
        let same_app_only = self.policy.reach == Reach::SameAppOnly;
        let fields = [
            (SUBJECT, Value::Text(self.subject.canonical().to_owned())),
            (ID, Value::Bytes(self.id.0.to_vec())),
            (SEQ, Value::Integer(self.seq.into())),
            (NOT_BEFORE, Value::Integer(self.not_before.as_secs().into())),
            (EXPIRES, Value::Integer(self.expires.as_secs().into())),
            (ASSIGNMENT, Value::Integer(self.assignment.into())),
            (REPLACES_ALL, Value::Bool(self.replaces.all())),
            (EXCLUSIVE, Value::Bool(exclusive)),
            (SAME_APP_ONLY, Value::Bool(same_app_only)),
            (
                ENTRIES,
                Value::Array(self.entries.iter().map(entry_to_value).collect()),
            ),
        ];
        Ok(cbor::encode(&map(fields))?)
    }

    pub(super) fn from_payload(payload: &[u8]) -> Result<Self, MappingError> {
        let mut fields = MapReader::new(cbor::decode(payload)?)?;
        let entries = fields.array(ENTRIES)?;
        if entries.len() > MAX_ENTRIES {
            return Err(MappingError::TooManyEntries {
                found: entries.len(),
            });
        }
        let entries = entries.into_iter().enumerate();
        let entries = entries.map(|(at, value)| entry_from_value(at + 1, value));
        let mapping = Self {
            subject: Csi::from_canonical(&fields.text(SUBJECT)?)?,
            id: MappingId(fields.byte_array(ID)?),
            seq: fields.unsigned(SEQ)?,
            not_before: UnixTime::from_secs(fields.unsigned(NOT_BEFORE)?),
            expires: UnixTime::from_secs(fields.unsigned(EXPIRES)?),
            assignment: fields.unsigned(ASSIGNMENT)?,
            replaces: match fields.boolean(REPLACES_ALL)? {
                true => Replaces::All,
                false => Replaces::SameId,
            },
            policy: Policy {
                exclusivity: match fields.boolean(EXCLUSIVE)? {
                    true => Exclusivity::Exclusive,
                    false => Exclusivity::Shared,
                },
                reach: match fields.boolean(SAME_APP_ONLY)? {
                    true => Reach::SameAppOnly,
                    false => Reach::AnyApp,
                },
            },
            entries: entries.collect::<Result<_, _>>()?,
        };
        fields.finish()?;
        mapping.check()?;
        Ok(mapping)
    }
}

fn entry_to_value(entry: &Entry) -> Value {
    let tags = entry
        .tags()
        .iter()
        .map(|tag| Value::Text(tag.as_str().to_owned()));
    map([
        (MSP, Value::Text(entry.msp.as_str().to_owned())),
        (TAGS, Value::Array(tags.collect())),
        (PRIORITY, Value::Integer(entry.priority.into())),
        (
            DEFAULT,
            Value::Bool(entry.preference == Preference::Default),
        ),
    ])
}

fn entry_from_value(number: usize, value: Value) -> Result<Entry, MappingError> {
    let refusal = |source: EntryError| MappingError::Entry { number, source };
    let mut fields = MapReader::within(ENTRIES, value)?;
    let msp = fields.text(MSP)?;
    let wrong_tag = CborError::WrongType {
        field: TAGS,
        expected: "an array of texts",
    };
    let tags = fields.array(TAGS)?.into_iter().map(|tag| match tag {
        Value::Text(tag) => Tag::new(&tag).map_err(refusal),
        _ => Err(MappingError::Fields(wrong_tag)),
    });
    let tags: Vec<Tag> = tags.collect::<Result<_, _>>()?;
    let wrong = CborError::WrongType {
        field: PRIORITY,
        expected: "an integer from 0 to 255",
    };
    let priority = u8::try_from(fields.unsigned(PRIORITY)?).map_err(|_| wrong)?;
    let preference = match fields.boolean(DEFAULT)? {
        true => Preference::Default,
        false => Preference::Ordinary,
    };
    fields.finish()?;
    if tags.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(refusal(EntryError::TagOrder));
    }
    let msp = MspDomain::from_canonical(&msp).map_err(refusal)?;
    Entry::new(msp, tags, priority, preference).map_err(refusal)
}

fn map<const N: usize>(fields: [(Field, Value); N]) -> Value {
    Value::Map(
        fields
            .map(|(field, value)| (Value::Integer(field.into()), value))
            .to_vec(),
    )
}
