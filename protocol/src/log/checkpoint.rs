//! Checkpoints (<https://c2sp.org/tlog-checkpoint>): where the log ends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{CHECKPOINT_BYTES_MAX, LogError, LogHash, Note, NoteKey, NoteSignature, SignatureKind};
use crate::cose::{SigningKey, VerifyingKey};

/// How many entries a log has, and the root of its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// Number of entries.
    pub size: u64,
    /// The root over them.
    pub root: LogHash,
}

/// Where which log ends: the text of the note. This log's has no extension
/// lines, which nobody could audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Names the log.
    pub origin: String,
    /// Its end.
    pub head: TreeHead,
}

/// A checkpoint as it is published, signed by the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    note: Note,
    head: TreeHead,
}

/// The name of a DP's log, which is also that of its key: `sotto.dp/` and the
/// key's thumbprint in hexadecimal.
pub fn origin(dp_key: &VerifyingKey) -> String {
    format!("sotto.dp/{}", hex::encode(dp_key.key_id().as_bytes()))
}

/// The key that signs a DP's checkpoints, as witnesses and monitors know it.
///
/// # Errors
/// [`LogError::Algorithm`] if it is not Ed25519.
pub fn log_key(dp_key: &VerifyingKey) -> Result<NoteKey, LogError> {
    NoteKey::new(origin(dp_key), SignatureKind::Text, dp_key.clone())
}

impl Checkpoint {
    /// The note's text.
    pub fn text(&self) -> String {
        let root = STANDARD.encode(self.head.root.as_bytes());
        format!("{}\n{}\n{root}\n", self.origin, self.head.size)
    }

    /// Reads the note's text.
    ///
    /// # Errors
    /// [`LogError::Checkpoint`], also for extension lines.
    pub fn parse(text: &str) -> Result<Self, LogError> {
        let malformed = LogError::Checkpoint;
        let mut lines = text.split('\n');
        let mut line = || lines.next().ok_or(malformed);
        let (origin, size, root) = (line()?, line()?, line()?);
        let root = STANDARD.decode(root).map_err(|_| malformed)?;
        let root: [u8; LogHash::BYTES] = root.try_into().map_err(|_| malformed)?;
        let checkpoint = Self {
            origin: origin.to_owned(),
            head: TreeHead {
                size: size.parse().map_err(|_| malformed)?,
                root: LogHash::from_bytes(root),
            },
        };
        // Zeros too many, signs and further lines have another text.
        if origin.is_empty() || checkpoint.text() != text {
            return Err(malformed);
        }
        Ok(checkpoint)
    }
}

impl SignedCheckpoint {
    /// Signs where a DP's log ends.
    ///
    /// # Errors
    /// [`LogError::Algorithm`].
    pub fn sign(head: TreeHead, key: &SigningKey) -> Result<Self, LogError> {
        let origin = origin(&key.verifying_key());
        let mut note = Note::new(
            Checkpoint {
                origin: origin.clone(),
                head,
            }
            .text(),
        )?;
        note.sign(&origin, key)?;
        Ok(Self { note, head })
    }

    /// Reads a checkpoint of this DP's log. Signatures of others are ignored.
    ///
    /// # Errors
    /// [`LogError`], by what is wrong.
    pub fn open(bytes: &[u8], dp_key: &VerifyingKey) -> Result<Self, LogError> {
        if bytes.len() > CHECKPOINT_BYTES_MAX {
            return Err(LogError::Note);
        }
        let note = Note::decode(bytes)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        if checkpoint.origin != origin(dp_key) {
            return Err(LogError::Origin);
        }
        if !note.is_signed_by(&log_key(dp_key)?)? {
            return Err(LogError::Unsigned);
        }
        Ok(Self {
            note,
            head: checkpoint.head,
        })
    }

    /// Where the log ends.
    pub fn head(&self) -> TreeHead {
        self.head
    }

    /// The note.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// The published bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.note.encode()
    }

    /// How many of these witnesses have cosigned.
    ///
    /// # Errors
    /// [`LogError::Signature`] if a cosignature in the name of one does not
    /// verify.
    pub fn witnessed_by(&self, witnesses: &[NoteKey]) -> Result<usize, LogError> {
        let mut count = 0;
        for witness in witnesses {
            count += usize::from(self.note.is_signed_by(witness)?);
        }
        Ok(count)
    }

    /// Adds the cosignature of one of these witnesses, once.
    ///
    /// # Errors
    /// [`LogError::Key`] if it is none of theirs, [`LogError::Signature`] if it
    /// does not verify, [`LogError::Note`] if there are too many.
    pub fn attach(
        &mut self,
        cosignature: NoteSignature,
        witnesses: &[NoteKey],
    ) -> Result<(), LogError> {
        for witness in witnesses {
            if witness.verify(self.note.text(), &cosignature)? {
                if self.note.signatures().contains(&cosignature) {
                    return Ok(());
                }
                self.note.add(cosignature)?;
                if self.encode().len() > CHECKPOINT_BYTES_MAX {
                    return Err(LogError::Note);
                }
                return Ok(());
            }
        }
        Err(LogError::Key)
    }
}
