//! How a holder asks a CSIP, a telecom or e-mail provider, to vouch for its key.

mod request;

pub use request::{CodeWanted, CsipEndpoint, RequestError, request};
