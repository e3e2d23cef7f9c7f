//! Common reference string: the public ring elements that both sides derive
//! and neither sends.
//!
//! Everything is expanded from a seed that binds the protocol, the parameter
//! set, the caller's context (the provider's public key) and an epoch. A
//! client derives it itself and never takes it from the wire: a server that
//! chose A = 0, say, would read its queries.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sha3::{Digest, Sha3_256};

use crate::params::{Params, SET};
use crate::ring::poly::{Poly, Slots};
use crate::ring::{DEGREE, PackPrime, Prime, ScanPrime, SpecialPrime, pointwise};

/// Seed of a common reference string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrsSeed([u8; 32]);

impl CrsSeed {
    /// SHA3-256 of the protocol's name, the parameter set's name, the length
    /// and bytes of `context`, and `epoch` (64 bits, big endian).
    ///
    /// `context` is the public key of the provider; `epoch` rises when a
    /// provider rebuilds its database in full.
    #[must_use]
    pub fn derive(context: &[u8], epoch: u64) -> Self {
        let mut hash = Sha3_256::new();
        hash.update(b"sotto pir crs v1\0");
        hash.update(SET.name.as_bytes());
        hash.update(b"\0");
        hash.update((context.len() as u64).to_be_bytes());
        hash.update(context);
        hash.update(epoch.to_be_bytes());
        Self(hash.finalize().into())
    }

    /// Uniform slots mod m, by rejection from ChaCha20 keyed by SHA3-256 of
    /// seed, label and index. The index keeps the elements independent.
    fn uniform<M: Prime>(&self, label: &str, index: u32) -> Poly<M, Slots> {
        let mut hash = Sha3_256::new();
        hash.update(self.0);
        hash.update(label.as_bytes());
        hash.update(b"\0");
        hash.update(index.to_be_bytes());
        let mut stream = ChaCha20Rng::from_seed(hash.finalize().into());
        let mask = (1 << M::BITS) - 1;
        let residues = std::iter::repeat_with(move || stream.next_u32() & mask)
            .filter(|&x| x < M::MODULUS)
            .take(DEGREE);
        Poly::from_residues(residues)
    }
}

/// The query masks Â_0 … Â_{C/d-1}, slots mod q in Montgomery form.
pub(crate) struct QueryMasks(Vec<Poly<ScanPrime, Slots>>);

impl QueryMasks {
    pub(crate) fn derive(params: &Params, seed: &CrsSeed) -> Self {
        let blocks = params.columns() / DEGREE;
        let masks = (0..blocks as u32).map(|block| {
            let mut mask = seed.uniform::<ScanPrime>("query mask", block);
            pointwise::into_montgomery::<ScanPrime>(mask.values_mut());
            mask
        });
        Self(masks.collect())
    }

    /// One element a block of d columns.
    pub(crate) fn blocks(&self) -> impl ExactSizeIterator<Item = &[u32; DEGREE]> {
        self.0.iter().map(Poly::values)
    }
}

/// Which switching key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeySwitch {
    /// From τ_5(s) to s.
    Rotation,
    /// From τ_{-1}(s) to s.
    Conjugation,
}

/// Mask w of a switching key: its residues mod Q and mod P.
pub(crate) struct KeyMasks {
    pub(crate) pack: Poly<PackPrime, Slots>,
    pub(crate) special: Poly<SpecialPrime, Slots>,
}

impl KeyMasks {
    pub(crate) fn derive(seed: &CrsSeed, key: KeySwitch) -> Self {
        Self {
            pack: seed.uniform("key mask mod Q", key as u32),
            special: seed.uniform("key mask mod P", key as u32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both sides must derive the same elements, whatever they are built from;
    /// the numbers come from an independent SHA3-256 and ChaCha20.
    #[test]
    fn elements_are_those_of_version_1() {
        let seed = CrsSeed::derive(b"known answer", 7);
        let query = seed.uniform::<ScanPrime>("query mask", 3);
        let masks = KeyMasks::derive(&seed, KeySwitch::Conjugation);
        assert_eq!(
            query.values()[..3],
            [1_036_411_286, 548_378_400, 169_323_975]
        );
        assert_eq!(masks.pack.values()[..3], [5_626_943, 719_857, 230_851]);
        assert_eq!(
            masks.special.values()[..3],
            [122_707_833, 69_925_150, 14_946_085]
        );
    }

    #[test]
    fn every_input_changes_the_elements() {
        let base = CrsSeed::derive(b"dp", 1);
        assert_eq!(base, CrsSeed::derive(b"dp", 1));
        assert_ne!(base, CrsSeed::derive(b"dp", 2));
        assert_ne!(base, CrsSeed::derive(b"dq", 1));
        let first = base.uniform::<ScanPrime>("query mask", 0);
        assert_ne!(
            first.values(),
            base.uniform::<ScanPrime>("query mask", 1).values()
        );
        assert_ne!(
            first.values(),
            base.uniform::<ScanPrime>("other", 0).values()
        );
        assert!(first.values().iter().all(|&x| x < ScanPrime::MODULUS));
    }
}
