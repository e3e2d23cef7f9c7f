use super::*;
use crate::ring::poly::Poly;
use crate::sample::SecretRng;

fn key(rng: &mut SecretRng, largest: bool) -> SwitchingKey {
    let mut residue = |modulus| {
        if largest {
            modulus - 1
        } else {
            rng.below(modulus)
        }
    };
    SwitchingKey {
        pack: Poly::from_residues((0..DEGREE).map(|_| residue(PackPrime::MODULUS))),
        special: Poly::from_residues((0..DEGREE).map(|_| residue(SpecialPrime::MODULUS))),
    }
}

/// T for one slot straight from the definition.
fn slot<M: Prime>(
    group: &[u32],
    modulus: Modulus,
    rotation: &[u32; DEGREE],
    conjugation_key: &[u32; DEGREE],
    slot: usize,
) -> u32 {
    let (h, i) = (slot / ORBIT, slot % ORBIT);
    let product = |a: u32, b: u32| u128::from(a) * u128::from(b);
    let mut sum = product(conjugation(group, modulus)[slot], conjugation_key[slot]);
    for chain in [Chain::Plus, Chain::Minus] {
        let half = if chain == Chain::Plus { h } else { 1 - h };
        for step in 0..ROTATIONS {
            let mask =
                panel(group, chain, modulus)[slot / LANES * TILE + step * LANES + slot % LANES];
            sum += product(mask, rotation[half * ORBIT + (i + step) % ORBIT]);
        }
    }
    (sum % u128::from(M::MODULUS)) as u32
}

fn check(batch: usize, largest: bool) {
    let params = Params::new(2048, 2048).unwrap();
    let mut rng = SecretRng::from_seed([batch as u8; 32]);
    let mut random = |modulus, count: usize| -> Vec<u32> {
        let residue = |_| {
            if largest {
                modulus - 1
            } else {
                rng.below(modulus)
            }
        };
        (0..count).map(residue).collect()
    };
    let (pack, special) = (PackPrime::MODULUS, SpecialPrime::MODULUS);
    let parts = [
        random(pack, PANEL),
        random(special, PANEL),
        random(pack, PANEL),
        random(special, PANEL),
        random(pack, DEGREE),
        random(special, DEGREE),
    ];
    let matrices = parts.concat();
    let queries: Vec<Query> = (0..batch)
        .map(|_| Query {
            params,
            elements: vec![0; 2048],
            rotation: key(&mut rng, largest),
            conjugation: key(&mut rng, largest),
        })
        .collect();
    let view = PackingView::new(&params, &matrices).unwrap();
    let batch = Batch::new(&params, &queries).unwrap();
    let portable = super::pack(Backend::Portable, view, batch);
    for (number, query) in queries.iter().enumerate() {
        let (pack, special) = (
            portable.pack_slots(0, number),
            portable.special_slots(0, number),
        );
        let (rotation, conjugation) = (&query.rotation, &query.conjugation);
        for index in [0, 15, 16, 1000, 1023, 1024, 2047] {
            let expected = slot::<PackPrime>(
                &matrices,
                Modulus::Pack,
                rotation.pack.values(),
                conjugation.pack.values(),
                index,
            );
            assert_eq!(pack[index], expected);
            let expected = slot::<SpecialPrime>(
                &matrices,
                Modulus::Special,
                rotation.special.values(),
                conjugation.special.values(),
                index,
            );
            assert_eq!(special[index], expected);
        }
    }
    for backend in Backend::available() {
        let found = super::pack(backend, view, batch);
        assert_eq!(portable.pack.tiles, found.pack.tiles, "{backend}");
        assert_eq!(portable.special.tiles, found.special.tiles, "{backend}");
    }
}

#[test]
fn kernels_equal_the_definition_on_all_batch_sizes() {
    for batch in (1..=8).chain([MAX_BATCH]) {
        check(batch, false);
    }
}

#[test]
fn the_largest_residues_do_not_overflow() {
    check(1, true);
    check(8, true);
}

#[test]
fn matrices_of_another_shape_are_refused() {
    let params = Params::new(2048, 4096).unwrap();
    assert!(matches!(
        PackingView::new(&params, &[0; 16]),
        Err(Error::Length { found: 64, .. })
    ));
}
