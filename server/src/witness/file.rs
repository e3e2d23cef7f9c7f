//! The file that names the witnesses.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;

use protocol::log::{NoteKey, SignatureKind};
use reqwest::Url;

use super::WitnessError;
use crate::durable::FileError;

/// The file, in the data directory.
const FILE: &str = "witnesses";

/// A witness whose cosignatures are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Its key.
    pub key: NoteKey,
    /// Where checkpoints are sent; `None` if the operator carries them there.
    pub(super) add_checkpoint: Option<Url>,
}

impl Witness {
    /// Reads the file of a data directory: a witness a line, its key and perhaps a
    /// URL. None if there is no file.
    ///
    /// # Errors
    /// [`WitnessError::File`], [`WitnessError::Line`].
    pub fn read_all(root: &Path) -> Result<Vec<Self>, WitnessError> {
        let path = root.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(FileError::new("read", &path)(error).into()),
        };
        let mut witnesses = Vec::new();
        for (at, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let witness = Self::parse(line).ok_or_else(|| WitnessError::Line {
                path: path.clone(),
                line: at + 1,
            })?;
            witnesses.push(witness);
        }
        Ok(witnesses)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let key: NoteKey = words.next()?.parse().ok()?;
        let add_checkpoint = match words.next() {
            Some(prefix) => Some(add_checkpoint(prefix)?),
            None => None,
        };
        let whole = key.kind() == SignatureKind::Cosignature && words.next().is_none();
        whole.then_some(Self {
            key,
            add_checkpoint,
        })
    }
}

/// The address below a witness's submission prefix: HTTPS, or HTTP on this
/// machine alone, without a password that would end up in a log.
fn add_checkpoint(prefix: &str) -> Option<Url> {
    let url = Url::parse(&format!("{}/add-checkpoint", prefix.trim_end_matches('/'))).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let local = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    let secure = url.scheme() == "https" || url.scheme() == "http" && local;
    let plain = url.username().is_empty() && url.password().is_none();
    let path_alone = url.query().is_none() && url.fragment().is_none();
    (secure && plain && path_alone).then_some(url)
}
