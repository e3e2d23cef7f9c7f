//! Which instructions this machine has, decided once at run time.
//!
//! Kernels come in two forms: explicit intrinsics in files named after the
//! instruction set, and plain loops that [`multiversion!`] compiles a second
//! time with AVX-512 enabled so that the compiler vectorises them.

use std::fmt;

/// An instruction set that kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// Portable Rust; it defines the answer.
    Portable,
    /// AVX-512 F, BW, DQ, VL and VNNI.
    Avx512Vnni,
}

impl Backend {
    /// The best backend of this machine.
    #[must_use]
    pub fn detect() -> Self {
        if Avx512::detect().is_some() {
            Self::Avx512Vnni
        } else {
            Self::Portable
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Avx512Vnni => "avx512-vnni",
        })
    }
}

/// Proof that the machine has AVX-512 F, BW, DQ, VL and VNNI.
///
/// Only [`Avx512::detect`] makes one, so that holding one is the safety
/// argument of every kernel that takes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// The proof, if the machine has the instructions.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni"))
        .then_some(Self(()))
    }

    /// No other architecture has them.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn detect() -> Option<Self> {
        None
    }
}

/// Defines functions whose plain loops are compiled twice, for the baseline
/// and for AVX-512, and dispatched at run time.
macro_rules! multiversion {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident$(<$generic:ident: $bound:path>)?
        ($($arg:ident: $ty:ty),* $(,)?) $body:block)*) => {$(
        $(#[$meta])*
        $vis fn $name$(<$generic: $bound>)?($($arg: $ty),*) {
            #[inline(always)]
            fn portable$(<$generic: $bound>)?($($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512$(<$generic: $bound>)?($($arg: $ty),*) {
                portable$(::<$generic>)?($($arg),*);
            }

            #[cfg(target_arch = "x86_64")]
            if $crate::arch::Avx512::detect().is_some() {
                #[expect(unsafe_code, reason = "call of a detected target feature")]
                // SAFETY: detection above has found the enabled features.
                return unsafe { avx512$(::<$generic>)?($($arg),*) };
            }
            portable$(::<$generic>)?($($arg),*);
        }
    )*};
}
pub(crate) use multiversion;
