//! Files with a provider's key.

use anyhow::bail;
use protocol::cose::VerifyingKey;

/// A key in the form of a dp.pub: one line, beside comments.
pub(super) fn parse_key(text: &str) -> anyhow::Result<VerifyingKey> {
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    match (lines.next(), lines.next()) {
        (Some(line), None) => Ok(VerifyingKey::from_text(line)?),
        _ => bail!("expected one line with a key"),
    }
}
