//! Signed notes (<https://c2sp.org/signed-note>).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::LogError;
use crate::cose::{SigningKey, VerifyingKey};
use crate::time::UnixTime;

/// Most signatures of a note that are read.
const SIGNATURES_MAX: usize = 64;

/// What a signature's line begins with.
const DASH: &str = "— ";

/// Text with signatures, well-formed; whose they are is not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// A line of a note: who signed, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureKind {
    /// `0x01`: the note's text, with Ed25519.
    Text,
    /// `0x04`: time and text of a checkpoint, with Ed25519
    /// (<https://c2sp.org/tlog-cosignature>).
    Cosignature,
}

/// A named key that verifies notes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    kind: SignatureKind,
    key: VerifyingKey,
    public: [u8; 32],
}

impl Note {
    /// A note of this text, not signed yet.
    ///
    /// # Errors
    /// [`LogError::Note`] if it doesn't end with a newline or has control
    /// characters.
    pub fn new(text: impl Into<String>) -> Result<Self, LogError> {
        let text = text.into();
        let control = |c: char| c < ' ' && c != '\n';
        if !text.ends_with('\n') || text.contains(control) {
            return Err(LogError::Note);
        }
        Ok(Self {
            text,
            signatures: Vec::new(),
        })
    }

    /// Reads a note with at least one signature.
    ///
    /// # Errors
    /// [`LogError::Note`].
    pub fn decode(bytes: &[u8]) -> Result<Self, LogError> {
        let all = std::str::from_utf8(bytes).map_err(|_| LogError::Note)?;
        let blank = all.rfind("\n\n").ok_or(LogError::Note)?;
        let (text, lines) = (&all[..=blank], &all[blank + 2..]);
        let mut note = Self::new(text)?;
        let lines = lines.strip_suffix('\n').ok_or(LogError::Note)?;
        for line in lines.split('\n') {
            note.add(line.parse()?)?;
        }
        Ok(note)
    }

    /// The note's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = format!("{}\n", self.text);
        for signature in &self.signatures {
            out.push_str(&format!("{signature}\n"));
        }
        out.into_bytes()
    }

    /// The text, with its last newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature.
    ///
    /// # Errors
    /// [`LogError::Note`] if there are too many.
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), LogError> {
        if self.signatures.len() == SIGNATURES_MAX {
            return Err(LogError::Note);
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// Signs the text under the key's name.
    ///
    /// # Errors
    /// [`LogError::Key`] for a name that can't be one, [`LogError::Algorithm`],
    /// [`LogError::Note`].
    pub fn sign(&mut self, name: &str, key: &SigningKey) -> Result<(), LogError> {
        let public = NoteKey::new(name, SignatureKind::Text, key.verifying_key())?;
        self.add(NoteSignature {
            name: public.name.clone(),
            id: public.id(),
            bytes: key.sign(self.text.as_bytes()),
        })
    }

    /// Signs time and text as a witness does: the cosignature alone.
    ///
    /// # Errors
    /// As [`sign`](Self::sign).
    pub fn cosign(&self, name: &str, key: &SigningKey, at: u64) -> Result<NoteSignature, LogError> {
        let public = NoteKey::new(name, SignatureKind::Cosignature, key.verifying_key())?;
        let signature = key.sign(cosigned(at, &self.text).as_bytes());
        Ok(NoteSignature {
            id: public.id(),
            name: public.name,
            bytes: [&at.to_be_bytes()[..], &signature].concat(),
        })
    }

    /// Whether a key has signed. Signatures of others are ignored.
    ///
    /// # Errors
    /// [`LogError::Signature`] if one in its name does not verify.
    pub fn is_signed_by(&self, key: &NoteKey) -> Result<bool, LogError> {
        let mut signed = false;
        for signature in &self.signatures {
            signed |= key.verify(&self.text, signature)?;
        }
        Ok(signed)
    }
}

impl NoteKey {
    /// A key under a name.
    ///
    /// # Errors
    /// [`LogError::Key`] for a name with spaces or `+`, [`LogError::Algorithm`]
    /// if it is not Ed25519.
    pub fn new(
        name: impl Into<String>,
        kind: SignatureKind,
        key: VerifyingKey,
    ) -> Result<Self, LogError> {
        let name = name.into();
        check_name(&name, LogError::Key)?;
        let public = key.ed25519_bytes().ok_or(LogError::Algorithm)?;
        Ok(Self {
            name,
            kind,
            key,
            public,
        })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    pub fn kind(&self) -> SignatureKind {
        self.kind
    }

    /// Whether it is the same key, under whatever name: it signs once.
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.public == other.public
    }

    /// Whether the signature is by this key; `false` if it is by another.
    ///
    /// # Errors
    /// [`LogError::Signature`] if it says so and isn't.
    pub fn verify(&self, text: &str, signature: &NoteSignature) -> Result<bool, LogError> {
        if signature.name != self.name || signature.id != self.id() {
            return Ok(false);
        }
        let (message, bytes) = match self.kind {
            SignatureKind::Text => (text.to_owned(), signature.bytes.as_slice()),
            SignatureKind::Cosignature => {
                let (at, bytes) = signature
                    .bytes
                    .split_first_chunk()
                    .ok_or(LogError::Signature)?;
                let at = u64::from_be_bytes(*at);
                if i64::try_from(at).is_err() {
                    return Err(LogError::Signature);
                }
                (cosigned(at, text), bytes)
            }
        };
        self.key
            .verify(message.as_bytes(), bytes)
            .map_err(|_| LogError::Signature)?;
        Ok(true)
    }

    /// `SHA-256(name ‖ "\n" ‖ kind ‖ key)`, its first four bytes.
    fn id(&self) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(&self.name)
            .chain_update(b"\n")
            .chain_update([self.kind.number()])
            .chain_update(self.public)
            .finalize();
        [digest[0], digest[1], digest[2], digest[3]]
    }
}

impl SignatureKind {
    const fn number(self) -> u8 {
        match self {
            Self::Text => 0x01,
            Self::Cosignature => 0x04,
        }
    }
}

/// What a witness signs.
fn cosigned(at: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {at}\n{text}")
}

fn check_name(name: &str, error: LogError) -> Result<(), LogError> {
    let forbidden = |c: char| c.is_whitespace() || c == '+' || c.is_control();
    if name.is_empty() || name.contains(forbidden) {
        Err(error)
    } else {
        Ok(())
    }
}

impl fmt::Display for NoteKey {
    /// `name+id+key`: id in hexadecimal, kind and key in base64.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.kind.number()][..], &self.public].concat();
        let (id, key) = (hex::encode(self.id()), STANDARD.encode(key));
        write!(f, "{}+{id}+{key}", self.name)
    }
}

impl FromStr for NoteKey {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        let mut parts = text.splitn(3, '+');
        let mut part = || parts.next().ok_or(LogError::Key);
        let (name, _, key) = (part()?, part()?, part()?);
        let key = STANDARD.decode(key).map_err(|_| LogError::Key)?;
        let (kind, public) = key.split_first().ok_or(LogError::Key)?;
        let kind = [SignatureKind::Text, SignatureKind::Cosignature]
            .into_iter()
            .find(|known| known.number() == *kind)
            .ok_or(LogError::Key)?;
        let public: [u8; 32] = public.try_into().map_err(|_| LogError::Key)?;
        let key = VerifyingKey::from_ed25519_bytes(&public).map_err(|_| LogError::Key)?;
        let key = Self::new(name, kind, key)?;
        // The id is what the rest says it is.
        if key.to_string() == text {
            Ok(key)
        } else {
            Err(LogError::Key)
        }
    }
}

impl NoteSignature {
    /// In whose name it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The time that a cosignature states, if it is one; whether it verifies is
    /// another question.
    pub fn cosigned_at(&self) -> Option<UnixTime> {
        let (at, _) = self.bytes.split_first_chunk()?;
        Some(UnixTime::from_secs(u64::from_be_bytes(*at)))
    }
}

impl fmt::Display for NoteSignature {
    /// The line, without newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = STANDARD.encode([&self.id[..], &self.bytes].concat());
        write!(f, "{DASH}{} {bytes}", self.name)
    }
}

impl FromStr for NoteSignature {
    type Err = LogError;

    fn from_str(line: &str) -> Result<Self, LogError> {
        let line = line.strip_prefix(DASH).ok_or(LogError::Note)?;
        let (name, encoded) = line.split_once(' ').ok_or(LogError::Note)?;
        check_name(name, LogError::Note)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| LogError::Note)?;
        let (id, bytes) = bytes.split_first_chunk().ok_or(LogError::Note)?;
        if bytes.is_empty() {
            return Err(LogError::Note);
        }
        Ok(Self {
            name: name.to_owned(),
            id: *id,
            bytes: bytes.to_vec(),
        })
    }
}
