//! The line of JSON that reports a lookup.

use serde::Serialize;

use super::{Lookup, Unverifiable};
use crate::audience::AudienceLabel;
use crate::csi::Csi;
use crate::mapping::Mapping;
use crate::resolve::{Context, Resolution, resolve};

/// The report of one lookup: a JSON object on one line, its members always in
/// this order:
///
/// | `result` | further members |
/// |---|---|
/// | `mappings` | `mappings`: those of [`Lookup::Mappings`]; `routes` and `set_aside`: those of [`Resolution`], the first route the one to use |
/// | `no_mapping` | |
/// | `opted_out` | |
/// | `blocked` | |
/// | `unverifiable` | `reason`: as [`Unverifiable`] is serialised |
/// | `error` | `error`: what went wrong, in words |
///
/// Before them, `identifier`: the canonical form, or for an `error` the text
/// that was given if it is no identifier; then, if the record is not the public
/// one, `audience`: the sender's name for those it is meant for. The line is for whoever asked, and
/// for nobody else.
#[derive(Serialize)]
pub struct AnswerLine<'a> {
    identifier: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<&'a AudienceLabel>,
    #[serde(flatten)]
    outcome: Outcome<'a>,
}

#[derive(Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
enum Outcome<'a> {
    Mappings {
        mappings: &'a [Mapping],
        #[serde(flatten)]
        resolution: Resolution<'a>,
    },
    NoMapping,
    OptedOut,
    Blocked,
    Unverifiable {
        reason: Unverifiable,
    },
    Error {
        error: &'a str,
    },
}

impl<'a> AnswerLine<'a> {
    /// Of a lookup that was answered, for a sender of whom nothing is known.
    pub fn found(csi: &'a Csi, lookup: &'a Lookup) -> Self {
        let resolution = resolve(lookup.mappings(), &Context::default());
        Self::resolved(csi, lookup, resolution)
    }

    /// Of a lookup that was answered, with what [`resolve`] made of it.
    pub fn resolved(csi: &'a Csi, lookup: &'a Lookup, resolution: Resolution<'a>) -> Self {
        let outcome = match lookup {
            Lookup::Mappings(mappings) => Outcome::Mappings {
                mappings,
                resolution,
            },
            Lookup::NoMapping => Outcome::NoMapping,
            Lookup::OptedOut => Outcome::OptedOut,
            Lookup::Blocked => Outcome::Blocked,
            Lookup::Unverifiable(reason) => Outcome::Unverifiable { reason: *reason },
        };
        Self {
            identifier: csi.canonical(),
            audience: None,
            outcome,
        }
    }

    /// Of a lookup that failed, or could not begin.
    pub fn failed(identifier: &'a str, error: &'a str) -> Self {
        Self {
            identifier,
            audience: None,
            outcome: Outcome::Error { error },
        }
    }

    /// The same of the record that is meant for an audience.
    #[must_use]
    pub fn in_audience(mut self, label: &'a AudienceLabel) -> Self {
        self.audience = Some(label);
        self
    }

    /// The line, without its end.
    pub fn to_json(&self) -> String {
        // Cannot fail: no maps with other keys than text, no failing types.
        serde_json::to_string(self).expect("plain values serialise")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Tag;

    #[test]
    fn lines_are_known() {
        let csi = Csi::parse("someone@example.org").unwrap();
        let line = |lookup| AnswerLine::found(&csi, &lookup).to_json();
        assert_eq!(
            line(Lookup::NoMapping),
            r#"{"identifier":"mailto:someone@example.org","result":"no_mapping"}"#
        );
        assert_eq!(
            line(Lookup::OptedOut),
            r#"{"identifier":"mailto:someone@example.org","result":"opted_out"}"#
        );
        assert_eq!(
            line(Lookup::Unverifiable(Unverifiable::CredentialExpired)),
            concat!(
                r#"{"identifier":"mailto:someone@example.org","result":"unverifiable","#,
                r#""reason":"credential-expired"}"#
            )
        );
        let label = AudienceLabel::new("Family").unwrap();
        assert_eq!(
            AnswerLine::found(&csi, &Lookup::OptedOut)
                .in_audience(&label)
                .to_json(),
            r#"{"identifier":"mailto:someone@example.org","audience":"Family","result":"opted_out"}"#
        );
        assert_eq!(
            line(Lookup::Mappings(vec![Mapping::example(
                1,
                7,
                &["a.example"]
            )])),
            concat!(
                r#"{"identifier":"mailto:someone@example.org","result":"mappings","mappings":["#,
                r#"{"id":"01010101010101010101010101010101","seq":7,"#,
                r#""not_before":"2026-11-23T00:00:00Z","expires":"2026-12-23T00:00:00Z","assignment":2,"#,
                r#""replaces":"same-id","policy":{"exclusivity":"shared","reach":"any-app"},"#,
                r#""entries":[{"msp":"a.example","tags":["personal"],"priority":0,"preference":"default"}]}],"#,
                r#""routes":[{"msp":"a.example","tags":["personal"],"#,
                r#""mapping":"01010101010101010101010101010101","source":"public","#,
                r#""reasons":["default",{"priority":0}]}],"set_aside":[]}"#
            )
        );
        let lookup = Lookup::Mappings(vec![Mapping::example(1, 7, &["a.example", "b.example"])]);
        let context = Context {
            tags: vec![Tag::new("personal").unwrap()],
            apps: vec![],
        };
        let shown =
            AnswerLine::resolved(&csi, &lookup, resolve(lookup.mappings(), &context)).to_json();
        assert!(
            shown.contains(r#""reasons":[{"wanted-tag":"personal"},"default",{"priority":0}]"#),
            "{shown}"
        );
        assert_eq!(
            AnswerLine::failed("12\n3", "no \"country\"").to_json(),
            r#"{"identifier":"12\n3","result":"error","error":"no \"country\""}"#
        );
    }
}
