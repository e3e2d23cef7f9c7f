//! A query as it travels and as the server holds it.

use std::fmt;

use crate::Error;
use crate::bits;
use crate::hint::check_header;
use crate::params::Params;
use crate::ring::poly::{Poly, Slots};
use crate::ring::{DEGREE, PackPrime, Prime, SpecialPrime};

/// Most queries that one pass over the database answers.
pub const MAX_BATCH: usize = 16;

const MAGIC: [u8; 4] = *b"SPq1";
const WHAT: &str = "query";
const HEADER: usize = 16;

/// Body y of a switching key: its residues mod Q and mod P, by slots.
#[derive(Clone)]
pub(crate) struct SwitchingKey {
    pub(crate) pack: Poly<PackPrime, Slots>,
    pub(crate) special: Poly<SpecialPrime, Slots>,
}

/// What the client sends for one lookup.
///
/// `columns` elements of k bits and the bodies of two switching keys. Every
/// query has the same length, whatever it asks for.
#[derive(Clone)]
pub struct Query {
    pub(crate) params: Params,
    pub(crate) elements: Vec<u32>,
    pub(crate) rotation: SwitchingKey,
    pub(crate) conjugation: SwitchingKey,
}

impl Query {
    /// Wire form: magic, parameter fingerprint, `columns·k/8` bytes of
    /// elements, then y_g mod Q, y_g mod P, y_h mod Q, y_h mod P in 23, 27, 23
    /// and 27 bits a slot.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let params = &self.params;
        let mut out = Vec::with_capacity(encoded_bytes(params));
        out.extend(MAGIC);
        out.extend(params.fingerprint());
        bits::pack(
            &mut out,
            self.elements.iter().copied(),
            params.widths().query,
        );
        for key in [&self.rotation, &self.conjugation] {
            bits::pack(&mut out, key.pack.values().iter().copied(), PackPrime::BITS);
            let special = key.special.values().iter().copied();
            bits::pack(&mut out, special, SpecialPrime::BITS);
        }
        out
    }

    /// Reads the wire form.
    ///
    /// # Errors
    ///
    /// [`Error::Length`], [`Error::Magic`], [`Error::ParameterMismatch`];
    /// [`Error::NonCanonical`] if a residue is not below its modulus.
    pub fn decode(params: &Params, bytes: &[u8]) -> Result<Self, Error> {
        let mut rest = check_header(WHAT, MAGIC, params, encoded_bytes(params), bytes)?;
        let width = params.widths().query;
        let elements = bits::take(&mut rest, params.columns() * width as usize / 8, WHAT)?;
        Ok(Self {
            params: *params,
            elements: bits::unpack(elements, width).collect(),
            rotation: decode_key(&mut rest)?,
            conjugation: decode_key(&mut rest)?,
        })
    }
}

/// The queries of one pass: 1 to [`MAX_BATCH`] of one shape.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    queries: &'a [Query],
}

impl<'a> Batch<'a> {
    /// The queries, checked against the parameters.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`] for no query or too many;
    /// [`Error::ParameterMismatch`] if a query is for other parameters.
    pub fn new(params: &Params, queries: &'a [Query]) -> Result<Self, Error> {
        if queries.is_empty() || queries.len() > MAX_BATCH {
            return Err(Error::BatchSize {
                limit: MAX_BATCH,
                found: queries.len(),
            });
        }
        if queries.iter().any(|query| query.params != *params) {
            return Err(Error::ParameterMismatch { what: WHAT });
        }
        Ok(Self { queries })
    }

    /// The queries.
    #[must_use]
    pub fn queries(self) -> &'a [Query] {
        self.queries
    }

    /// What the queries are for.
    #[must_use]
    pub fn params(self) -> &'a Params {
        &self.queries[0].params
    }
}

/// Shows nothing of its content.
impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Query(..)")
    }
}

/// Bytes of an encoded query.
#[must_use]
pub fn encoded_bytes(params: &Params) -> usize {
    let keys = 2 * DEGREE * (PackPrime::BITS + SpecialPrime::BITS) as usize / 8;
    HEADER + params.columns() * params.widths().query as usize / 8 + keys
}

fn decode_key(rest: &mut &[u8]) -> Result<SwitchingKey, Error> {
    Ok(SwitchingKey {
        pack: decode_slots(rest)?,
        special: decode_slots(rest)?,
    })
}

fn decode_slots<M: Prime>(rest: &mut &[u8]) -> Result<Poly<M, Slots>, Error> {
    let bytes = bits::take(rest, DEGREE * M::BITS as usize / 8, WHAT)?;
    let mut values = Box::new([0; DEGREE]);
    for (value, residue) in values.iter_mut().zip(bits::unpack(bytes, M::BITS)) {
        *value = residue;
    }
    if values.iter().any(|&x| x >= M::MODULUS) {
        return Err(Error::NonCanonical { what: WHAT });
    }
    Ok(Poly::from_values(values))
}
