//! The answer to one query, as it travels.

use crate::Error;
use crate::bits;
use crate::hint::check_header;
use crate::params::Params;

const MAGIC: [u8; 4] = *b"SPa1";
const WHAT: &str = "answer";
const HEADER: usize = 16;

/// Bodies of all groups, `rows` elements of log2 q_b bits.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    params: Params,
    bodies: Vec<u32>,
}

impl Answer {
    /// All bodies zero.
    pub(crate) fn empty(params: &Params) -> Self {
        Self {
            params: *params,
            bodies: vec![0; params.rows()],
        }
    }

    /// Makes it one for `params`, with bodies to be overwritten.
    pub(crate) fn reset(&mut self, params: &Params) {
        self.params = *params;
        self.bodies.resize(params.rows(), 0);
    }

    /// What it was made for.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    pub(crate) fn bodies_mut(&mut self) -> &mut [u32] {
        &mut self.bodies
    }

    pub(crate) fn bodies(&self) -> &[u32] {
        &self.bodies
    }

    /// Wire form: magic, parameter fingerprint, `rows·log2 q_b/8` bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let params = &self.params;
        let mut out = Vec::with_capacity(encoded_bytes(params));
        out.extend(MAGIC);
        out.extend(params.fingerprint());
        bits::pack(&mut out, self.bodies.iter().copied(), params.widths().body);
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
            bodies: bits::unpack(body, params.widths().body).collect(),
        })
    }
}

/// Bytes of an encoded answer.
#[must_use]
pub fn encoded_bytes(params: &Params) -> usize {
    HEADER + params.rows() * params.widths().body as usize / 8
}
