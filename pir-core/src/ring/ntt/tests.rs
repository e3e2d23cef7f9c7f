use super::super::{ORBIT, PackPrime, ScanPrime, SpecialPrime, mul_mod, pow_mod};
use super::*;
use crate::sample::SecretRng;

fn random<M: Prime>(seed: u8) -> [u32; DEGREE] {
    let mut rng = SecretRng::from_seed([seed; 32]);
    std::array::from_fn(|_| rng.below(M::MODULUS))
}

fn evaluate<M: Prime>(coefficients: &[u32; DEGREE], exponent: usize) -> u32 {
    let x = pow_mod(M::PSI, exponent as u64, M::MODULUS);
    coefficients
        .iter()
        .rev()
        .fold(0, |sum, &c| (mul_mod(sum, x, M::MODULUS) + c) % M::MODULUS)
}

fn slots_are_values_in_orbit_order<M: Prime>() {
    let coefficients = random::<M>(1);
    let mut slots = coefficients;
    portable::forward::<M>(&mut slots);
    let mut u = 1;
    for i in 0..ORBIT {
        if i % 37 == 0 || i > ORBIT - 3 {
            assert_eq!(slots[i], evaluate::<M>(&coefficients, u));
            assert_eq!(
                slots[ORBIT + i],
                evaluate::<M>(&coefficients, 2 * DEGREE - u)
            );
        }
        u = u * 5 % (2 * DEGREE);
    }
    portable::inverse::<M>(&mut slots);
    assert_eq!(slots, coefficients);
}

#[test]
fn forward_evaluates_at_the_orbit_of_psi() {
    slots_are_values_in_orbit_order::<ScanPrime>();
    slots_are_values_in_orbit_order::<PackPrime>();
    slots_are_values_in_orbit_order::<SpecialPrime>();
}

/// Both directions on inputs at the ends of the allowed ranges.
#[cfg(target_arch = "x86_64")]
fn backends_agree<M: Prime>() {
    let Some(proof) = Avx512::detect() else {
        eprintln!("no AVX-512 VNNI here: nothing to compare");
        return;
    };
    for seed in 0..16u8 {
        let mut input = random::<M>(seed);
        match seed {
            0 => input.fill(4 * M::MODULUS - 1),
            1 => input.fill(0),
            2..8 => input
                .iter_mut()
                .for_each(|x| *x += u32::from(seed % 4) * M::MODULUS),
            _ => {}
        }
        let (mut expected, mut found) = (input, input);
        portable::forward::<M>(&mut expected);
        avx512::forward::<M>(proof, &mut found);
        assert_eq!(expected, found, "forward, seed {seed}");
        let mut input = expected;
        if seed % 3 == 0 {
            input.iter_mut().for_each(|x| *x += M::MODULUS);
        }
        let (mut expected, mut found) = (input, input);
        portable::inverse::<M>(&mut expected);
        avx512::inverse::<M>(proof, &mut found);
        assert_eq!(expected, found, "inverse, seed {seed}");
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn avx512_equals_portable() {
    backends_agree::<ScanPrime>();
    backends_agree::<PackPrime>();
    backends_agree::<SpecialPrime>();
}
