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

/// Forward and inverse of a backend.
#[cfg(target_arch = "x86_64")]
type Directions = [fn(&mut [u32; DEGREE]); 2];

/// The vector kernels that this machine runs.
#[cfg(target_arch = "x86_64")]
fn kernels<M: Prime>() -> Vec<(&'static str, Directions)> {
    let mut kernels: Vec<(&'static str, Directions)> = Vec::new();
    if Avx2::detect().is_some() {
        kernels.push((
            "avx2",
            [
                |values| avx2::forward::<M>(Avx2::detect().unwrap(), values),
                |values| avx2::inverse::<M>(Avx2::detect().unwrap(), values),
            ],
        ));
    }
    if Avx512::detect().is_some() {
        kernels.push((
            "avx512",
            [
                |values| avx512::forward::<M>(Avx512::detect().unwrap(), values),
                |values| avx512::inverse::<M>(Avx512::detect().unwrap(), values),
            ],
        ));
    }
    kernels
}

/// Both directions on inputs at the ends of the allowed ranges.
#[cfg(target_arch = "x86_64")]
fn backends_agree<M: Prime>() {
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
        let mut slots = input;
        portable::forward::<M>(&mut slots);
        let mut in_range = slots;
        if seed % 3 == 0 {
            in_range.iter_mut().for_each(|x| *x += M::MODULUS);
        }
        let mut coefficients = in_range;
        portable::inverse::<M>(&mut coefficients);
        for (name, [forward, inverse]) in kernels::<M>() {
            let mut found = input;
            forward(&mut found);
            assert_eq!(slots, found, "{name}, forward, seed {seed}");
            let mut found = in_range;
            inverse(&mut found);
            assert_eq!(coefficients, found, "{name}, inverse, seed {seed}");
        }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn vector_kernels_equal_portable() {
    backends_agree::<ScanPrime>();
    backends_agree::<PackPrime>();
    backends_agree::<SpecialPrime>();
}
