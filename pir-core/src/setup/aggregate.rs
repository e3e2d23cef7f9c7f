//! Aggregation: Â_t = d^{-1} Σ_r X^r·τ_t(Ã_r) for t = ±5^j, all t at once.
//!
//! With E\[r\]\[u\] = d^{-1}·Ã_r(ψ^u), the slots are Â_t\[u'\] =
//! Σ_r ψ^{u'r}·E\[r\]\[u'·t\]: a transform down each column of E, then a gather
//! along diagonals. d² log d instead of d³ operations.

use rayon::prelude::*;

use super::Square;
use crate::ring::{ORBIT, PackPrime, ntt};

/// Side of the tiles in which the matrix is transposed.
const TILE: usize = 16;

/// Transforms the columns of `rows`: `out[u][u'] = Σ_r ψ^{u'r}·rows[r][u]`.
pub(super) fn columns(rows: &Square, out: &mut Square) {
    out.par_chunks_exact_mut(TILE)
        .enumerate()
        .for_each(|(strip, out)| {
            for (tile, rows) in rows.chunks_exact(TILE).enumerate() {
                for (column, out) in out.iter_mut().enumerate() {
                    let out = &mut out.slots[tile * TILE..(tile + 1) * TILE];
                    for (out, row) in out.iter_mut().zip(rows) {
                        *out = row.slots[strip * TILE + column];
                    }
                }
            }
            for column in out {
                ntt::forward::<PackPrime>(&mut column.slots);
            }
        });
}

/// Gathers Â_t: row `s·d/2 + j` of `out` is t = (-1)^s·5^j, by slots.
///
/// In orbit order slot (h, i) of Â_t is the entry of `columns` for
/// u = (h ⊕ s, i + j) and u' = (h, i).
pub(super) fn diagonals(columns: &Square, out: &mut Square) {
    out.par_chunks_exact_mut(TILE)
        .enumerate()
        .for_each(|(strip, out)| {
            let (s, first) = (strip * TILE / ORBIT, strip * TILE % ORBIT);
            for h in 0..2 {
                let source = &columns[(h ^ s) * ORBIT..((h ^ s) + 1) * ORBIT];
                for i in 0..ORBIT {
                    for (j, out) in out.iter_mut().enumerate() {
                        out.slots[h * ORBIT + i] =
                            source[(i + first + j) % ORBIT].slots[h * ORBIT + i];
                    }
                }
            }
        });
}
