//! What an update took from a row.

use protocol::bundle::Bundle;
use protocol::merkle::Hash;
use protocol::precedence::Version;

use crate::store::{Content, Marks, Row, StoreError};

/// What an update took from a row, and what it left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// The row's marks; the first at least the version of every mapping that
    /// went.
    pub(super) marks: Marks,
    /// Digests of the mappings that stayed or came.
    pub(super) kept: Vec<Hash>,
}

impl Withdrawal {
    /// Compares a row with the one that takes its place; `None` if nothing old
    /// was withdrawn.
    pub(super) fn between(before: Option<&Row>, after: &Row) -> Result<Option<Self>, StoreError> {
        let kept = digests(after.content.as_ref())?;
        let mut marks = after.marks;
        let mut went = false;
        if let Some(content) = before.and_then(|row| row.content.as_ref()) {
            for mapping in decode(content)?.mappings() {
                if !kept.contains(&Hash::of(mapping.as_bytes())) {
                    went = true;
                    marks.statements = marks.statements.max(mapping.unverified().version());
                }
            }
        }
        let rose = match before {
            Some(before) => before.marks != after.marks,
            // Nothing stands in the way of what comes first.
            None => after.content.is_none() || after.marks.statements > Marks::NONE.statements,
        };
        Ok((went || rose).then_some(Self { marks, kept }))
    }

    /// Takes the same from a row of an earlier state, or leaves the marks alone
    /// where that state has no row.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn apply(&self, row: Option<Row>) -> Result<Row, StoreError> {
        let (marks, content) = match row {
            Some(row) => (row.marks.join(self.marks), row.content),
            None => (self.marks, None),
        };
        let content = content
            .map(|content| self.keep(content))
            .transpose()?
            .flatten();
        Ok(Row { marks, content })
    }

    /// This one, after another of the same row: marks never fall.
    #[must_use]
    pub fn after(self, before: &Self) -> Self {
        Self {
            marks: self.marks.join(before.marks),
            ..self
        }
    }

    fn keep(&self, content: Content) -> Result<Option<Content>, StoreError> {
        let bundle = decode(&content)?;
        let kept: Vec<_> = bundle
            .mappings()
            .iter()
            .filter(|mapping| self.kept.contains(&Hash::of(mapping.as_bytes())))
            .cloned()
            .collect();
        if kept.is_empty() {
            return Ok(None);
        }
        let kept =
            Bundle::new(bundle.credential().clone(), kept).map_err(|_| StoreError::Corrupt)?;
        Ok(Some(Content {
            bundle: kept.encode().to_vec().into(),
            ..content
        }))
    }

    /// The marks, then the digests.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32 + 32 * self.kept.len());
        for version in [self.marks.statements, self.marks.credentials] {
            bytes.extend_from_slice(&version.assignment.to_be_bytes());
            bytes.extend_from_slice(&version.seq.to_be_bytes());
        }
        self.kept
            .iter()
            .for_each(|digest| bytes.extend_from_slice(digest.as_bytes()));
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (marks, kept) = bytes.split_first_chunk::<32>()?;
        let number = |at: usize| {
            let field = marks[8 * at..].first_chunk().copied().unwrap_or_default();
            u64::from_be_bytes(field)
        };
        let version = |at| Version {
            assignment: number(at),
            seq: number(at + 1),
        };
        let (kept, rest) = kept.as_chunks();
        rest.is_empty().then(|| Self {
            marks: Marks {
                statements: version(0),
                credentials: version(2),
            },
            kept: kept
                .iter()
                .map(|digest| Hash::from_bytes(*digest))
                .collect(),
        })
    }
}

fn digests(content: Option<&Content>) -> Result<Vec<Hash>, StoreError> {
    let Some(content) = content else {
        return Ok(Vec::new());
    };
    let bundle = decode(content)?;
    let digests = bundle
        .mappings()
        .iter()
        .map(|mapping| Hash::of(mapping.as_bytes()));
    Ok(digests.collect())
}

fn decode(content: &Content) -> Result<Bundle, StoreError> {
    Bundle::decode(&content.bundle).map_err(|_| StoreError::Corrupt)
}
