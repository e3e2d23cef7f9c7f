//! Deterministically encoded CBOR (RFC 8949 §4.2.1), enforced.
//!
//! Everything that is signed is encoded by [`encode`] and read by [`decode`],
//! which accepts exactly the bytes that [`encode`] would have produced: a signed
//! object has one encoding, so equal objects have equal bytes and digests.
//! The subset used is integers, byte and text strings, arrays, maps and
//! booleans; tags, floats, null and indefinite lengths are refused.

mod map;
mod scan;

pub use ciborium::Value;
pub use map::{Field, MapReader};

use scan::scan;

/// Deepest nesting of arrays and maps that is read.
pub const MAX_DEPTH: usize = 8;

/// Most items (of any kind, nested ones included) that one object may hold.
pub const MAX_ITEMS: usize = 4096;

/// Encodes a value deterministically: shortest heads, definite lengths, map
/// keys in bytewise order of their encodings.
///
/// # Errors
/// [`CborError::DuplicateKey`] if a map holds a key twice;
/// [`CborError::UnsupportedType`] for tags, floats and null.
pub fn encode(value: &Value) -> Result<Vec<u8>, CborError> {
    let mut out = Vec::new();
    write_item(&sorted(value)?, &mut out)?;
    Ok(out)
}

/// Decodes exactly one deterministically encoded item.
///
/// Nesting, number of items and every claimed length are checked against the
/// input before anything is allocated.
///
/// # Errors
/// [`CborError`], by what rule of RFC 8949 §4.2.1 or of this profile is broken.
pub fn decode(bytes: &[u8]) -> Result<Value, CborError> {
    scan(bytes)?;
    let value: Value = ciborium::from_reader(bytes).map_err(|_| CborError::Malformed)?;
    if encode(&value)? != bytes {
        return Err(CborError::NotDeterministic);
    }
    Ok(value)
}

/// Checks that `bytes` are exactly one deterministically encoded item.
///
/// # Errors
/// As [`decode`].
pub fn check_deterministic(bytes: &[u8]) -> Result<(), CborError> {
    decode(bytes).map(drop)
}

/// Why bytes are not the CBOR that was expected.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// Not well-formed CBOR, or not UTF-8 in a text string.
    #[error("malformed CBOR")]
    Malformed,
    /// The input ends inside an item.
    #[error("CBOR ends inside an item")]
    Truncated,
    /// Bytes follow the item.
    #[error("{count} bytes follow the CBOR item")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// A length is not stated up front.
    #[error("CBOR of indefinite length")]
    IndefiniteLength,
    /// A longer head than needed, or map keys out of order.
    #[error("CBOR is not deterministically encoded")]
    NotDeterministic,
    /// A map holds a key twice.
    #[error("CBOR map with a duplicate key")]
    DuplicateKey,
    /// A tag, float, null, undefined or other simple value.
    #[error("CBOR type that no object here uses")]
    UnsupportedType,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("CBOR nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// More items than [`MAX_ITEMS`].
    #[error("CBOR of more than {MAX_ITEMS} items")]
    TooManyItems,
    /// The outermost item, or a field, has another type than it must.
    #[error("CBOR field {field}: expected {expected}")]
    WrongType {
        /// Which field of the map; 0 stands for the outermost item.
        field: Field,
        /// The type it must have.
        expected: &'static str,
    },
    /// A required field is absent.
    #[error("CBOR field {field} is missing")]
    MissingField {
        /// Which field of the map.
        field: Field,
    },
    /// A field that the object doesn't have.
    #[error("CBOR map holds a field that the object doesn't have")]
    UnknownField,
}

fn write_item(value: &Value, out: &mut Vec<u8>) -> Result<(), CborError> {
    ciborium::into_writer(value, out).map_err(|_| CborError::UnsupportedType)
}

/// The same value with every map in the order of RFC 8949 §4.2.1.
fn sorted(value: &Value) -> Result<Value, CborError> {
    match value {
        Value::Integer(_) | Value::Bytes(_) | Value::Text(_) | Value::Bool(_) => Ok(value.clone()),
        Value::Array(items) => Ok(Value::Array(
            items.iter().map(sorted).collect::<Result<_, _>>()?,
        )),
        Value::Map(pairs) => {
            let mut keyed = Vec::with_capacity(pairs.len());
            for (key, item) in pairs {
                let key = sorted(key)?;
                let mut encoded_key = Vec::new();
                write_item(&key, &mut encoded_key)?;
                keyed.push((encoded_key, key, sorted(item)?));
            }
            keyed.sort_by(|a, b| a.0.cmp(&b.0));
            if keyed.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                return Err(CborError::DuplicateKey);
            }
            Ok(Value::Map(
                keyed
                    .into_iter()
                    .map(|(_, key, item)| (key, item))
                    .collect(),
            ))
        }
        _ => Err(CborError::UnsupportedType),
    }
}

#[cfg(test)]
mod tests;
