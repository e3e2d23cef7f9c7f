//! The identifiers that are asked for.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use protocol::csi::{Csi, CsiError};

/// A text that was given, and the identifier in it.
pub(super) struct Asked {
    pub(super) text: String,
    pub(super) csi: Result<Csi, CsiError>,
}

impl Asked {
    /// Reads a text; a number without country code as dialled in `region`.
    pub(super) fn new(text: &str, region: Option<&str>) -> Self {
        let csi = match region {
            Some(region) => Csi::parse_in_region(text, region),
            None => Csi::parse(text),
        };
        Self {
            text: text.to_owned(),
            csi,
        }
    }
}

/// The texts in a file, one a line; `-` is standard input. Empty lines and
/// those that begin with `#` are left out.
///
/// # Errors
/// A file that can't be read or isn't text.
pub(super) fn read_lines(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        text
    } else {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?
    };
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_one_identifier_a_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ids");
        std::fs::write(&path, "# friends\r\n a@example.org \n\n+442079460000\n").unwrap();
        assert_eq!(
            read_lines(&path).unwrap(),
            ["a@example.org", "+442079460000"]
        );
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(read_lines(&path).is_err());
    }

    #[test]
    fn the_region_is_for_national_numbers() {
        let canonical = |text, region| {
            Asked::new(text, region)
                .csi
                .map(|csi| csi.canonical().to_owned())
        };
        assert_eq!(
            canonical("020 7946 0000", Some("GB")).unwrap(),
            "tel:+442079460000"
        );
        assert_eq!(
            canonical("+33 1 99 00 12 34", Some("GB")).unwrap(),
            "tel:+33199001234"
        );
        assert_eq!(
            canonical("a@example.org", Some("GB")).unwrap(),
            "mailto:a@example.org"
        );
        assert_eq!(
            canonical("020 7946 0000", None),
            Err(CsiError::NoCountryCode)
        );
        assert_eq!(
            canonical("020 7946 0000", Some("XX")),
            Err(CsiError::UnknownRegion)
        );
    }
}
