//! Polynomials whose type says the modulus and the domain.

use std::fmt;
use std::marker::PhantomData;

use zeroize::Zeroize;

use super::{DEGREE, Prime, ntt};

/// Held by coefficients of X^0 … X^{d-1}.
#[derive(Clone, Copy, Debug)]
pub enum Coefficients {}

/// Held by values at the roots of unity, in orbit order.
#[derive(Clone, Copy, Debug)]
pub enum Slots {}

/// An element of R_m, residues in `[0, m)`.
pub struct Poly<M, Domain> {
    values: Box<[u32; DEGREE]>,
    form: PhantomData<(M, Domain)>,
}

impl<M: Prime, Domain> Poly<M, Domain> {
    /// The polynomial with the given residues, d of them in `[0, m)`.
    pub(crate) fn from_residues(residues: impl Iterator<Item = u32>) -> Self {
        let mut values = Box::new([0; DEGREE]);
        for (value, residue) in values.iter_mut().zip(residues) {
            debug_assert!(residue < M::MODULUS);
            *value = residue;
        }
        Self::from_values(values)
    }

    pub(crate) fn from_values(values: Box<[u32; DEGREE]>) -> Self {
        Self {
            values,
            form: PhantomData,
        }
    }

    /// The residues, in the order of the domain.
    #[must_use]
    pub fn values(&self) -> &[u32; DEGREE] {
        &self.values
    }

    pub(crate) fn values_mut(&mut self) -> &mut [u32; DEGREE] {
        &mut self.values
    }
}

impl<M: Prime> Poly<M, Coefficients> {
    /// The same polynomial by its slots.
    #[must_use]
    pub fn into_slots(mut self) -> Poly<M, Slots> {
        ntt::forward::<M>(&mut self.values);
        Poly::from_values(self.values)
    }
}

impl<M: Prime> Poly<M, Slots> {
    /// The same polynomial by its coefficients.
    #[must_use]
    pub fn into_coefficients(mut self) -> Poly<M, Coefficients> {
        ntt::inverse::<M>(&mut self.values);
        Poly::from_values(self.values)
    }
}

impl<M, Domain> Clone for Poly<M, Domain> {
    fn clone(&self) -> Self {
        Self {
            values: self.values.clone(),
            form: PhantomData,
        }
    }
}

/// Residues may be secret, so they are not shown.
impl<M, Domain> fmt::Debug for Poly<M, Domain> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Poly(..)")
    }
}

impl<M, Domain> Zeroize for Poly<M, Domain> {
    fn zeroize(&mut self) {
        self.values.zeroize();
    }
}
