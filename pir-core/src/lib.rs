//! Single-server lattice PIR: a SimplePIR matrix-vector scan over a
//! ring-structured public matrix, then InspiRING packing with a special
//! modulus.
//!
//! One round trip, a stateless server and (almost) stateless clients. The
//! database is a matrix of `rows × columns` bytes; a lookup fetches one column
//! (a *bucket*) without telling the server which.
//!
//! | role | what it does | where |
//! |---|---|---|
//! | set-up, per database | hint, aggregation, collapse | [`setup`] |
//! | client, per lookup | query with a fresh secret, decryption | [`client`] |
//! | server, per lookup | scan, online packing, answer | [`server`] |
//!
//! Sources, cited by section where they are used: SimplePIR (Henzinger et al.,
//! ePrint 2022/949), YPIR (Menon, Wu, ePrint 2024/270), InsPIRe (Mahdavi,
//! Patel, Seo, Yeo, ePrint 2025/1352), hybrid key switching (Gentry, Halevi,
//! Smart, ePrint 2012/099).
//!
//! The crate does no I/O and knows nothing of what the bytes mean.
//!
//! # Features
//!
//! `timing`, off by default, exposes what the statistical timing test calls
//! with secrets of its choice (module `timing`). Only for
//! `cargo bench -p pir-core --features timing --bench timing`.
//!
//! # Example
//!
//! ```
//! use pir_core::{client::{Client, ColumnIndex}, crs::CrsSeed, database::DatabaseView};
//! use pir_core::{params::Params, server, setup};
//!
//! let params = Params::new(2048, 2048)?;
//! let bytes: Vec<u8> = (0..2048usize * 2048).map(|i| (i * i / 7) as u8).collect();
//! let database = DatabaseView::new(&params, &bytes)?;
//! let seed = CrsSeed::derive(b"example", 0);
//! let preprocessed = setup::preprocess(&database, &seed, &|_| ())?;
//!
//! let client = Client::new(&params, &seed);
//! let (query, pending) = client.prepare(ColumnIndex::from(1234))?.send();
//!
//! let server = server::Server::new(database, preprocessed.packing.as_slice())?;
//! let query = pir_core::query::Query::decode(&params, query.as_bytes())?;
//! let answers = server.answer(std::slice::from_ref(&query))?;
//! let column = pending.decrypt(&preprocessed.hint, &answers[0])?;
//! assert_eq!(column, database.column(1234)?);
//! # Ok::<(), pir_core::Error>(())
//! ```

pub mod answer;
mod arch;
mod bits;
pub mod check;
pub mod client;
pub mod crs;
pub mod database;
mod error;
pub mod hint;
pub mod packing;
pub mod params;
pub mod query;
pub mod ring;
mod sample;
pub mod scan;
pub mod server;
pub mod setup;
#[cfg(feature = "timing")]
pub mod timing;

#[cfg(test)]
mod noise_tests;
#[cfg(test)]
mod wire_tests;

pub use arch::Backend;
pub use error::Error;
