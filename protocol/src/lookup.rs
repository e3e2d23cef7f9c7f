//! Results of a lookup, each distinct and none folded into another.

mod line;
mod unverifiable;

use serde::Serialize;

pub use line::AnswerLine;
pub use unverifiable::Unverifiable;

use crate::mapping::Mapping;

/// What a lookup found out about a CSI.
///
/// In JSON `{"outcome": "no-mapping"}`, `{"outcome": "opted-out"}`,
/// `{"outcome": "blocked"}`,
/// `{"outcome": "mappings", "detail": [..]}` or
/// `{"outcome": "unverifiable", "detail": "<reason>"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "detail", rename_all = "kebab-case")]
pub enum Lookup {
    /// Nobody has published where the CSI can be reached.
    NoMapping,
    /// The recipient has said that they are not to be found.
    OptedOut,
    /// The DP says that it withholds what was published, if anything was.
    Blocked,
    /// Where the CSI can be reached: one mapping at least, by id.
    Mappings(Vec<Mapping>),
    /// There is an answer, but it can't be believed.
    Unverifiable(Unverifiable),
}

impl Lookup {
    /// The mappings found; none for any other outcome.
    pub fn mappings(&self) -> &[Mapping] {
        match self {
            Self::Mappings(mappings) => mappings,
            Self::NoMapping | Self::OptedOut | Self::Blocked | Self::Unverifiable(_) => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_have_distinct_json() {
        let json = |lookup: Lookup| serde_json::to_string(&lookup).unwrap();
        assert_eq!(json(Lookup::NoMapping), r#"{"outcome":"no-mapping"}"#);
        assert_eq!(json(Lookup::OptedOut), r#"{"outcome":"opted-out"}"#);
        assert_eq!(json(Lookup::Blocked), r#"{"outcome":"blocked"}"#);
        assert_eq!(
            json(Lookup::Unverifiable(Unverifiable::BucketNotUnderRoot)),
            r#"{"outcome":"unverifiable","detail":"bucket-not-under-root"}"#
        );
        let mapping = Mapping::example(1, 7, &["a.example"]);
        let shown = json(Lookup::Mappings(vec![mapping.clone()]));
        assert!(!shown.contains(mapping.subject.canonical()), "{shown}");
        assert_eq!(
            shown,
            concat!(
                r#"{"outcome":"mappings","detail":[{"id":"01010101010101010101010101010101","seq":7,"#,
                r#""not_before":"2026-11-23T00:00:00Z","expires":"2026-12-23T00:00:00Z","assignment":2,"#,
                r#""replaces":"same-id","policy":{"exclusivity":"shared","reach":"any-app"},"#,
                r#""entries":[{"msp":"a.example","tags":["personal"],"priority":0,"preference":"default"}]}]}"#
            )
        );
    }
}
