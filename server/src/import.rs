//! Imports credentials and mappings from a file into the store.
//!
//! A file is JSON Lines, `{"credential": "<base64url>", "mappings":
//! ["<base64url>", ..]}` one a line, or a CBOR sequence (RFC 8742) of
//! `[credential, [mapping, ..]]`, all byte strings. Every signature is verified;
//! what is refused is reported by number and reason, never by content, and what
//! is good is kept. Batches are durable with the place that they end at, so an
//! import that was interrupted goes on there.

mod item;
mod source;

use std::fs::File;
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use protocol::csi::Csi;
use protocol::time::UnixTime;
use protocol::trust::TrustList;
use rayon::prelude::*;
use sha3::{Digest as _, Sha3_256};

pub use item::ItemError;
pub use source::Format;

use crate::accept::{self, AudienceLimits, Journal, Outcome, Submission, Verifier};
use crate::digest;
use crate::durable::FileError;
use crate::progress::Progress;
use crate::store::{ImportProgress, SourceId, Store, StoreError};
use source::{Position, RawItem, Source};

/// Items verified together and made durable together.
const BATCH_ITEMS: usize = 4096;

/// A file holds no audience records.
const NO_AUDIENCE: AudienceLimits = AudienceLimits {
    per_sender: 0,
    total: 0,
};

/// What an import needs to know.
pub struct ImportOptions<'a> {
    /// Who may speak for which identifiers.
    pub trust: &'a TrustList,
    /// When it is.
    pub now: UnixTime,
    /// How to show progress.
    pub progress: Progress,
    /// Where refused items go, a line each.
    pub report: &'a mut dyn Write,
}

/// What an import did, the runs that it continued included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What was counted.
    pub counts: ImportProgress,
    /// Items that an earlier run had done.
    pub resumed_at: u64,
}

/// Why an import ended early. The batches before are durable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The report can't be written.
    #[error("cannot write the report: {0}; what was imported before stays")]
    Report(#[source] io::Error),
    /// The file holds nothing to import.
    #[error("{path} holds nothing to import: expected JSON Lines or a CBOR sequence", path = .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The trust list is empty.
    #[error(
        "trust.toml lists no CSIP, so everything would be refused: add those whose credentials you accept"
    )]
    NobodyTrusted,
    /// A CBOR sequence that can't be followed.
    #[error("{path}: item {number} is not CBOR, so what follows can't be found; what is before it stays", path = .path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Which item, counted from 1.
        number: u64,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Imports a file.
///
/// # Errors
/// [`ImportError`].
pub fn run(
    store: &dyn Store,
    path: &Path,
    options: ImportOptions<'_>,
) -> Result<Summary, ImportError> {
    if options.trust.is_empty() {
        return Err(ImportError::NobodyTrusted);
    }
    let file = File::open(path).map_err(FileError::new("open", path))?;
    let length = file.metadata().map_err(FileError::new("read", path))?.len();
    let reading = options.progress.stage("reading", 0);
    let content = digest::chunked_reader(&file).map_err(FileError::new("read", path))?;
    reading.finish(&format!("{length} bytes"));
    let id = source_id(&content, options.trust);
    let mut done = store.view()?.import_progress(&id)?.unwrap_or_default();
    let resumed_at = done.items;
    let mut source = Source::open(path, &done)?;
    let stage = options.progress.stage("import", length);
    stage.advance(done.bytes);
    let verifier = Verifier {
        trust: options.trust,
        now: options.now,
    };
    let mut batch = Batch::next(&mut source, verifier)?;
    loop {
        // While one batch is put into the store, the next is verified.
        let (next, applied) = thread::scope(|scope| {
            let ended = batch.items.is_empty();
            let next = (!ended).then(|| scope.spawn(|| Batch::next(&mut source, verifier)));
            let applied = batch.apply(store, &id, done, options.now);
            // A panic there is a panic here.
            let next = next.map(|next| next.join().unwrap_or_else(|panic| resume_unwind(panic)));
            (next, applied)
        });
        let (counts, refused) = applied?;
        for (number, why) in refused {
            writeln!(options.report, "{} {number}: {why}", batch.unit)
                .map_err(ImportError::Report)?;
        }
        options.report.flush().map_err(ImportError::Report)?;
        stage.advance(counts.bytes - done.bytes);
        done = counts;
        match next {
            Some(next) => batch = next?,
            None => break,
        }
    }
    stage.finish(&format!("{} items", done.items));
    if done.items == 0 {
        return Err(ImportError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(Summary {
        counts: done,
        resumed_at,
    })
}

/// Items that are verified, and not yet in the store.
struct Batch {
    /// What an item is called in reports.
    unit: &'static str,
    /// By number; none after the end of the file.
    items: Vec<(u64, Result<Submission, ItemError>)>,
    /// Where it ends.
    at: Position,
}

/// What was counted up to the end of a batch, and which of its items were refused.
type Applied = (ImportProgress, Vec<(u64, ItemError)>);

impl Batch {
    fn next(source: &mut Source, verifier: Verifier<'_>) -> Result<Self, ImportError> {
        let raw = source.next_batch(BATCH_ITEMS)?;
        let verify = |item: &RawItem| (item.number, item::verify(item, verifier));
        Ok(Self {
            unit: source.format().unit(),
            items: raw.par_iter().map(verify).collect(),
            at: source.position(),
        })
    }

    /// Puts it into the store, together with the place that it ends at.
    fn apply(
        &self,
        store: &dyn Store,
        id: &SourceId,
        done: ImportProgress,
        now: UnixTime,
    ) -> Result<Applied, StoreError> {
        let mut counts = done;
        let mut refused = Vec::new();
        store.update(&mut |update| {
            counts = ImportProgress {
                bytes: self.at.bytes,
                lines: self.at.lines,
                items: self.at.items,
                ..done
            };
            refused.clear();
            let subjects: Vec<&Csi> = self
                .items
                .iter()
                .filter_map(|(_, verified)| verified.as_ref().ok()?.subject())
                .collect();
            update.prefetch(&subjects)?;
            let mut journal = Journal::open(update)?;
            for (number, verified) in &self.items {
                let applied = match verified {
                    Ok(submission) => {
                        accept::apply(update, &mut journal, submission, &NO_AUDIENCE, now)?
                            .map_err(ItemError::from)
                    }
                    Err(why) => Err(*why),
                };
                match applied {
                    Ok(outcome) => counts.count(outcome),
                    Err(why) => {
                        counts.refused += 1;
                        refused.push((*number, why));
                    }
                }
            }
            journal.close(update)?;
            update.note_import(id, (!self.items.is_empty()).then_some(&counts))
        })?;
        Ok((counts, refused))
    }
}

/// The same file under another trust list is another import: what was refused
/// may be good now.
fn source_id(content: &[u8; 32], trust: &TrustList) -> SourceId {
    let mut hash = Sha3_256::new();
    hash.update(b"sotto/v1/import");
    hash.update(content);
    hash.update(trust.digest());
    SourceId(hash.finalize().into())
}

impl ImportProgress {
    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Added => self.added += 1,
            Outcome::Changed => self.updated += 1,
            Outcome::Unchanged => self.unchanged += 1,
        }
    }
}

impl RawItem {
    /// An item that could not even be read.
    fn content(&self) -> Result<&[u8], ItemError> {
        self.content.as_deref().map_err(|why| *why)
    }
}

#[cfg(test)]
mod tests;
