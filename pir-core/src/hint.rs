//! The hint: the half of every answer that is the same for everyone.

use crate::Error;
use crate::bits;
use crate::params::Params;

const MAGIC: [u8; 4] = *b"SPh1";
const WHAT: &str = "hint";
const HEADER: usize = 16;

/// Masks of all groups, `rows` elements of log2 q_a bits: a_fin switched to
/// q_a. Depends on the database and the CRS, not on any query.
#[derive(Clone, Debug, PartialEq)]
pub struct Hint {
    params: Params,
    masks: Vec<u32>,
}

impl Hint {
    pub(crate) fn new(params: &Params, masks: Vec<u32>) -> Self {
        Self {
            params: *params,
            masks,
        }
    }

    /// What it was made for.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Mask coefficients of row 0, 1, …
    pub(crate) fn masks(&self) -> &[u32] {
        &self.masks
    }

    pub(crate) fn into_masks(self) -> Vec<u32> {
        self.masks
    }

    /// Wire form: magic, parameter fingerprint, `rows·log2 q_a/8` bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let params = &self.params;
        let mut out = Vec::with_capacity(encoded_bytes(params));
        out.extend(MAGIC);
        out.extend(params.fingerprint());
        bits::pack(&mut out, self.masks.iter().copied(), params.widths().mask);
        out
    }

    /// Reads the wire form.
    ///
    /// # Errors
    ///
    /// [`Error::Length`], [`Error::Magic`], [`Error::ParameterMismatch`].
    pub fn decode(params: &Params, bytes: &[u8]) -> Result<Self, Error> {
        let body = check_header(WHAT, MAGIC, params, encoded_bytes(params), bytes)?;
        Ok(Self {
            params: *params,
            masks: bits::unpack(body, params.widths().mask).collect(),
        })
    }
}

/// Bytes of an encoded hint.
#[must_use]
pub fn encoded_bytes(params: &Params) -> usize {
    HEADER + params.rows() * params.widths().mask as usize / 8
}

/// Checks length, magic and fingerprint, in this order; gives what follows.
pub(crate) fn check_header<'a>(
    what: &'static str,
    magic: [u8; 4],
    params: &Params,
    expected: usize,
    bytes: &'a [u8],
) -> Result<&'a [u8], Error> {
    if bytes.len() != expected {
        return Err(Error::Length {
            what,
            expected,
            found: bytes.len(),
        });
    }
    let (header, body) = bytes.split_at(HEADER);
    if header[..4] != magic {
        return Err(Error::Magic { what });
    }
    if header[4..] != params.fingerprint() {
        return Err(Error::ParameterMismatch { what });
    }
    Ok(body)
}
