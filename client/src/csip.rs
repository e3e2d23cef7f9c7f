//! The side of a CSIP: a telecom or e-mail provider that vouches for who holds
//! which identifier; and how a holder asks one.
//!
//! A holder [requests](request()) a credential for its key. The CSIP sends a
//! one-time code to the identifier through the operator's hook, and issues the
//! credential to whoever brings the code back. Its [`Registry`] counts, for each
//! identifier, how often it was given to someone else.

mod config;
mod directory;
mod hook;
mod issue;
mod registry;
mod request;
mod service;
mod tls;
mod verification;

pub use config::{ConfigError, CsipConfig, HookConfig, TlsFiles, VerificationPolicy};
pub use directory::{CsipDir, CsipDirError, CsipInit};
pub use hook::HookError;
pub use issue::{Csip, CsipError};
pub use registry::{Assigned, Ended, RefusedStart, Registry, RegistryError, RegistryKey};
pub use request::{CodeWanted, CsipEndpoint, RequestError, request};
pub use service::serve;
pub use tls::TlsError;
pub use verification::VerificationError;
