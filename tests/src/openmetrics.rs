//! What a server shows of its metrics, read as OpenMetrics 1.0 prescribes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};

/// A text that is in its form.
#[derive(Debug)]
pub struct Metrics {
    /// As it was sent.
    pub text: String,
    samples: BTreeMap<String, f64>,
}

#[derive(Default)]
struct Family {
    name: String,
    kind: String,
}

impl Metrics {
    /// Asks a server for it.
    ///
    /// # Errors
    /// Another answer, or a text that isn't OpenMetrics.
    pub async fn of(address: SocketAddr) -> Result<Self> {
        let response = reqwest::get(format!("http://{address}/metrics")).await?;
        let response = response.error_for_status()?;
        let media = response.headers().get("content-type").context("no type")?;
        ensure!(
            media == "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "{media:?}"
        );
        Self::parse(response.text().await?)
    }

    /// Reads a text, line by line.
    ///
    /// # Errors
    /// The first line that is not in its form.
    pub fn parse(text: String) -> Result<Self> {
        let body = text.strip_suffix("# EOF\n").context("no end")?;
        let mut samples = BTreeMap::new();
        let mut names = BTreeSet::new();
        let mut family = Family::default();
        for line in body.lines() {
            let wrong = || format!("not OpenMetrics: {line:?}");
            if let Some(rest) = line.strip_prefix("# ") {
                let mut parts = rest.splitn(3, ' ');
                let (Some(what), Some(name), Some(said)) =
                    (parts.next(), parts.next(), parts.next())
                else {
                    bail!(wrong());
                };
                ensure!(is_name(name), wrong());
                if name != family.name {
                    ensure!(names.insert(name.to_owned()), wrong());
                    family = Family {
                        name: name.to_owned(),
                        kind: String::new(),
                    };
                }
                match what {
                    "HELP" => {}
                    "TYPE" => {
                        let known = ["counter", "gauge", "histogram"].contains(&said);
                        ensure!(known && family.kind.is_empty(), wrong());
                        said.clone_into(&mut family.kind);
                    }
                    "UNIT" => ensure!(name.ends_with(&format!("_{said}")), wrong()),
                    _ => bail!(wrong()),
                }
                continue;
            }
            let (series, value) = line.rsplit_once(' ').with_context(wrong)?;
            let value: f64 = value.parse().with_context(wrong)?;
            let (name, labels) = match series.split_once('{') {
                Some((name, labels)) => (name, labels.strip_suffix('}').with_context(wrong)?),
                None => (series, ""),
            };
            ensure!(is_name(name) && are_labels(labels), wrong());
            let suffix = name.strip_prefix(&family.name).with_context(wrong)?;
            let fits = match family.kind.as_str() {
                "counter" => suffix == "_total" && value >= 0.0,
                "gauge" => suffix.is_empty(),
                "histogram" => ["_bucket", "_count", "_sum"].contains(&suffix),
                _ => false,
            };
            ensure!(fits, wrong());
            let again = samples.insert(series.to_owned(), value);
            ensure!(again.is_none(), wrong());
        }
        ensure!(!samples.is_empty(), "nothing is shown");
        Ok(Self { text, samples })
    }

    /// The value of a series, named with its labels.
    ///
    /// # Errors
    /// There is none.
    pub fn value(&self, series: &str) -> Result<f64> {
        let value = self.samples.get(series).copied();
        value.with_context(|| format!("no {series} in {}", self.text))
    }

    /// The names of all series, with their labels.
    pub fn series(&self) -> impl Iterator<Item = &str> {
        self.samples.keys().map(String::as_str)
    }
}

fn is_name(name: &str) -> bool {
    let word = |at: usize, c: char| {
        c == '_' || c == ':' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit())
    };
    !name.is_empty() && name.chars().enumerate().all(|(at, c)| word(at, c))
}

/// Whether these are `name="value"`, with commas between them. No value that a server
/// shows has to be escaped.
fn are_labels(labels: &str) -> bool {
    let is_label = |label: &str| {
        label.split_once("=\"").is_some_and(|(name, value)| {
            let value = value.strip_suffix('"');
            is_name(name) && value.is_some_and(|value| !value.contains(['"', '\\', '\n']))
        })
    };
    labels.is_empty() || labels.split(',').all(is_label)
}
