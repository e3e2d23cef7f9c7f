//! Which instructions this machine has, decided at run time.
//!
//! Kernels come in two forms: explicit intrinsics in files named after the
//! instruction set, and plain loops that [`multiversion!`] compiles again with
//! AVX2 and AVX-512 enabled so that the compiler vectorises them.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// An instruction set that the kernels of a pass are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// Portable Rust; it defines the answer.
    Portable,
    /// AVX2.
    Avx2,
    /// AVX2 and AVX-VNNI.
    AvxVnni,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
    /// The same and VNNI.
    Avx512Vnni,
}

impl Backend {
    /// All of them, the best last.
    const ALL: [Self; 5] = [
        Self::Portable,
        Self::Avx2,
        Self::AvxVnni,
        Self::Avx512,
        Self::Avx512Vnni,
    ];

    /// The best backend of this machine.
    #[must_use]
    pub fn detect() -> Self {
        Self::available().last().unwrap_or(Self::Portable)
    }

    /// The backends of this machine, the best last.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|backend| match backend {
            Self::Portable => true,
            Self::Avx2 => Avx2::detect().is_some(),
            Self::AvxVnni => AvxVnni::detect().is_some(),
            Self::Avx512 => Avx512::detect().is_some(),
            Self::Avx512Vnni => Avx512Vnni::detect().is_some(),
        })
    }

    /// The backend itself, if the machine has it.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] if it doesn't.
    pub(crate) fn check(self) -> Result<Self, Error> {
        if Self::available().any(|available| available == self) {
            Ok(self)
        } else {
            Err(Error::Backend {
                available: Self::names(),
            })
        }
    }

    fn names() -> String {
        let names: Vec<&str> = Self::available().map(Self::name).collect();
        names.join(", ")
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avx-vnni",
            Self::Avx512 => "avx512",
            Self::Avx512Vnni => "avx512-vnni",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads the name that `Display` shows, of a backend that this machine has.
impl FromStr for Backend {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::available()
            .find(|backend| backend.name() == name)
            .ok_or_else(|| Error::Backend {
                available: Self::names(),
            })
    }
}

/// Defines proofs that the machine has instructions. Only `detect` makes one,
/// so that holding one is the safety argument of every kernel that takes it.
macro_rules! proofs {
    ($($(#[$meta:meta])* $name:ident: [$($feature:tt)+];)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name(());

        impl $name {
            /// The proof, if the machine has the instructions.
            #[cfg(target_arch = "x86_64")]
            pub(crate) fn detect() -> Option<Self> {
                (true $(&& is_x86_feature_detected!($feature))+).then_some(Self(()))
            }

            /// No other architecture has them.
            #[cfg(not(target_arch = "x86_64"))]
            pub(crate) fn detect() -> Option<Self> {
                None
            }
        }
    )*};
}

proofs! {
    /// Proof of AVX2.
    Avx2: ["avx2"];
    /// Proof of AVX2 and AVX-VNNI.
    AvxVnni: ["avx2" "avxvnni"];
    /// Proof of AVX-512 F, BW, DQ and VL.
    Avx512: ["avx512f" "avx512bw" "avx512dq" "avx512vl"];
    /// Proof of AVX-512 F, BW, DQ, VL and VNNI.
    Avx512Vnni: ["avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512vnni"];
}

/// Defines functions whose plain loops are compiled for the baseline, for AVX2
/// and for AVX-512, and dispatched at run time.
macro_rules! multiversion {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident$(<$generic:ident: $bound:path>)?
        ($($arg:ident: $ty:ty),* $(,)?) $body:block)*) => {$(
        $(#[$meta])*
        $vis fn $name$(<$generic: $bound>)?($($arg: $ty),*) {
            #[inline(always)]
            fn portable$(<$generic: $bound>)?($($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2$(<$generic: $bound>)?($($arg: $ty),*) {
                portable$(::<$generic>)?($($arg),*);
            }

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
            #[cfg(target_arch = "x86_64")]
            if $crate::arch::Avx2::detect().is_some() {
                #[expect(unsafe_code, reason = "call of a detected target feature")]
                // SAFETY: detection above has found the enabled feature.
                return unsafe { avx2$(::<$generic>)?($($arg),*) };
            }
            portable$(::<$generic>)?($($arg),*);
        }
    )*};
}
pub(crate) use multiversion;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_available_backends_are_read_and_others_refused() {
        for backend in Backend::available() {
            assert_eq!(backend.to_string().parse::<Backend>().unwrap(), backend);
            assert_eq!(backend.check().unwrap(), backend);
        }
        let error = "mmx".parse::<Backend>().unwrap_err();
        assert!(error.to_string().contains("portable"), "{error}");
        for missing in Backend::ALL {
            if Backend::available().all(|backend| backend != missing) {
                assert!(matches!(missing.check(), Err(Error::Backend { .. })));
                assert!(missing.to_string().parse::<Backend>().is_err());
            }
        }
    }
}
