//! Collapse: two chains of key switches bring the masks on τ_t(s), for all t,
//! to one mask on s. The mask before each switch is a line of the packing
//! matrices; the mask after the last is published.

use crate::crs::KeyMasks;
use crate::packing::{Chain, GroupPanels, LANES, ROTATIONS, TILE, Windows};
use crate::ring::poly::{Coefficients, Poly};
use crate::ring::{DEGREE, ORBIT, PackPrime, SpecialPrime};
use crate::ring::{ntt, pointwise, to_montgomery};

use super::{Row, Square};

/// Mask w of a switching key, ready for ModDown(a ⊙ w): P^{-1}·w mod Q and
/// w mod P, in Montgomery form.
struct PreparedMask {
    pack: Box<[u32; DEGREE]>,
    special: Box<[u32; DEGREE]>,
}

impl PreparedMask {
    fn new(masks: &KeyMasks) -> Self {
        let mut pack = Box::new([0; DEGREE]);
        pointwise::multiply::<PackPrime>(
            &mut pack,
            masks.pack.values(),
            &[pointwise::SPECIAL_INVERSE; DEGREE],
        );
        for value in pack.iter_mut() {
            *value = to_montgomery::<PackPrime>(*value);
        }
        let mut special = Box::new(*masks.special.values());
        pointwise::into_montgomery::<SpecialPrime>(&mut special);
        Self { pack, special }
    }
}

/// The rotation key's mask w_g, so that every τ_t of it is a window.
pub(super) struct RotationMasks {
    pack: Windows,
    special: Windows,
}

impl RotationMasks {
    pub(super) fn new(masks: &KeyMasks) -> Self {
        let prepared = PreparedMask::new(masks);
        Self {
            pack: Windows::new(&prepared.pack),
            special: Windows::new(&prepared.special),
        }
    }
}

/// Collapses a group: fills its packing matrices and gives a_fin.
///
/// `aggregated` holds Â_t in row `s·d/2 + j` for t = (-1)^s·5^j, by slots.
pub(super) fn collapse(
    aggregated: &Square,
    rotation: &RotationMasks,
    conjugation: &KeyMasks,
    packing: &mut [u32],
) -> Poly<PackPrime, Coefficients> {
    let GroupPanels {
        panels: [plus, minus],
        conjugation: last,
    } = GroupPanels::new(packing);
    let (plus_rows, minus_rows) = aggregated.split_at(ORBIT);
    let (mut sum, on_conjugate) = rayon::join(
        || chain(Chain::Plus, plus_rows, rotation, plus),
        || {
            let mut mask = chain(Chain::Minus, minus_rows, rotation, minus);
            let conjugation = PreparedMask::new(conjugation);
            let (pack, special) = (&conjugation.pack[..], &conjugation.special[..]);
            let key = [
                (&pack[..ORBIT], &special[..ORBIT]),
                (&pack[ORBIT..], &special[ORBIT..]),
            ];
            let lifted = switch(&mut mask, key);
            last[0].copy_from_slice(&lifted.pack);
            last[1].copy_from_slice(&lifted.special);
            mask
        },
    );
    pointwise::add::<PackPrime>(&mut sum, &on_conjugate);
    ntt::inverse::<PackPrime>(&mut sum);
    Poly::from_values(sum)
}

/// Runs the d/2 - 1 rotations of a chain over its Â_t (row j for ±5^j); gives
/// the mask on τ_{±1}(s).
fn chain(
    chain: Chain,
    aggregated: &[Row],
    rotation: &RotationMasks,
    [pack_panel, special_panel]: [&mut [u32]; 2],
) -> Box<[u32; DEGREE]> {
    let mut mask = Box::new(aggregated[ROTATIONS].slots);
    for step in (0..ROTATIONS).rev() {
        let key = [0, 1].map(|h| {
            let (pack, special) = (&rotation.pack, &rotation.special);
            (
                pack.rotated(chain, h, step),
                special.rotated(chain, h, step),
            )
        });
        let lifted = switch(&mut mask, key);
        store_line(step, &lifted.pack, pack_panel);
        store_line(step, &lifted.special, special_panel);
        pointwise::add::<PackPrime>(&mut mask, &aggregated[step].slots);
    }
    mask
}

/// A mask before a switch: slots mod Q, and of its centred lift mod P.
struct Lifted {
    pack: [u32; DEGREE],
    special: [u32; DEGREE],
}

/// One key switch: replaces the mask a by ModDown(a ⊙ w).
///
/// `key` holds the halves of P^{-1}·w mod Q and of w mod P.
fn switch(mask: &mut [u32; DEGREE], key: [(&[u32], &[u32]); 2]) -> Lifted {
    let pack = *mask;
    let mut special = pack;
    ntt::inverse::<PackPrime>(&mut special);
    pointwise::lift_to_special(&mut special);
    ntt::forward::<SpecialPrime>(&mut special);

    let mut low = [0; DEGREE];
    pointwise::multiply_halves::<SpecialPrime>(&mut low, &special, [key[0].1, key[1].1]);
    ntt::inverse::<SpecialPrime>(&mut low);
    pointwise::divide_by_special(&mut low);
    ntt::forward::<PackPrime>(&mut low);
    pointwise::multiply_halves::<PackPrime>(mask, &pack, [key[0].0, key[1].0]);
    pointwise::subtract::<PackPrime>(mask, &low);
    Lifted { pack, special }
}

/// Writes slots as line `step` of every tile of a panel.
fn store_line(step: usize, slots: &[u32; DEGREE], panel: &mut [u32]) {
    let tiles = panel.chunks_exact_mut(TILE);
    for (tile, slots) in tiles.zip(slots.chunks_exact(LANES)) {
        tile[step * LANES..(step + 1) * LANES].copy_from_slice(slots);
    }
}
