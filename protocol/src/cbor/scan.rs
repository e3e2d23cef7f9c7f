//! A walk over CBOR that allocates nothing, before anything else reads it.

use minicbor::data::Type;
use minicbor::decode::{Decoder, Error};

use super::{CborError, MAX_DEPTH, MAX_ITEMS};

/// Checks that `bytes` are one item of the supported types, of definite
/// lengths that the input can hold, within [`MAX_DEPTH`] and [`MAX_ITEMS`].
pub(super) fn scan(bytes: &[u8]) -> Result<(), CborError> {
    let mut decoder = Decoder::new(bytes);
    // Items still to come at each open level; the outermost level is one item.
    let mut open = [0_u64; MAX_DEPTH + 1];
    open[0] = 1;
    let mut depth = 0;
    let mut items = 0;
    loop {
        while open[depth] == 0 {
            if depth == 0 {
                return match bytes.len() - decoder.position() {
                    0 => Ok(()),
                    count => Err(CborError::TrailingBytes { count }),
                };
            }
            depth -= 1;
        }
        open[depth] -= 1;
        items += 1;
        if items > MAX_ITEMS {
            return Err(CborError::TooManyItems);
        }
        if let Some(children) = item(&mut decoder)? {
            if depth == MAX_DEPTH {
                return Err(CborError::TooDeep);
            }
            // Each item takes a byte at least.
            if children > (bytes.len() - decoder.position()) as u64 {
                return Err(CborError::Truncated);
            }
            depth += 1;
            open[depth] = children;
        }
    }
}

/// Reads one item, or the head of one that holds others: then how many.
fn item(decoder: &mut Decoder<'_>) -> Result<Option<u64>, CborError> {
    match decoder.datatype().map_err(refusal)? {
        Type::Bool => decoder.bool().map(drop).map_err(refusal)?,
        Type::U8
        | Type::U16
        | Type::U32
        | Type::U64
        | Type::I8
        | Type::I16
        | Type::I32
        | Type::I64
        | Type::Int => decoder.int().map(drop).map_err(refusal)?,
        Type::Bytes => decoder.bytes().map(drop).map_err(refusal)?,
        Type::String => decoder.str().map(drop).map_err(refusal)?,
        Type::Array => return decoder.array().map_err(refusal),
        Type::Map => {
            let pairs = decoder.map().map_err(refusal)?;
            return Ok(pairs.map(|count| count.saturating_mul(2)));
        }
        Type::BytesIndef | Type::StringIndef | Type::ArrayIndef | Type::MapIndef | Type::Break => {
            return Err(CborError::IndefiniteLength);
        }
        Type::Unknown(_) => return Err(CborError::Malformed),
        _ => return Err(CborError::UnsupportedType),
    }
    Ok(None)
}

fn refusal(error: Error) -> CborError {
    if error.is_end_of_input() {
        CborError::Truncated
    } else {
        CborError::Malformed
    }
}
