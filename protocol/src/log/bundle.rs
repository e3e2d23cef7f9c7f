//! Bundles of entries: each with its length as a u16 (big-endian) before it.

use super::{LogError, TILE_WIDTH};

/// Most bytes of a bundle of manifests.
pub const BUNDLE_BYTES_MAX: usize = TILE_WIDTH * (2 + crate::cose::MAX_SIGNED_BYTES);

/// The bytes of a bundle.
///
/// # Errors
/// [`LogError::Tile`] for no or more than 256 entries, or one of more than 65535
/// bytes.
pub fn encode<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, LogError> {
    if entries.is_empty() || entries.len() > TILE_WIDTH {
        return Err(LogError::Tile);
    }
    let mut bundle = Vec::new();
    for entry in entries {
        let entry = entry.as_ref();
        let length = u16::try_from(entry.len()).map_err(|_| LogError::Tile)?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// The entries of a bundle of that width.
///
/// # Errors
/// [`LogError::Tile`] for another number of them, or a length beyond the end.
pub fn decode(mut bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, LogError> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, rest) = rest.split_at_checked(length).ok_or(LogError::Tile)?;
        if entries.len() == usize::from(width) {
            return Err(LogError::Tile);
        }
        entries.push(entry);
        bytes = rest;
    }
    if !bytes.is_empty() || entries.len() != usize::from(width) {
        return Err(LogError::Tile);
    }
    Ok(entries)
}

/// The beginning of a bundle: its first `width` entries.
///
/// # Errors
/// [`LogError::Tile`] if it has fewer.
pub fn prefix(bytes: &[u8], width: u16) -> Result<&[u8], LogError> {
    let mut end = 0;
    for _ in 0..width {
        let length = bytes.get(end..).and_then(<[u8]>::first_chunk);
        let length = u16::from_be_bytes(*length.ok_or(LogError::Tile)?);
        end += 2 + usize::from(length);
    }
    bytes.get(..end).ok_or(LogError::Tile)
}
