//! A mapping from flags.

use anyhow::{Context as _, anyhow, bail};
use client::recipient::{DEFAULT_VALIDITY_SECS, Draft, DraftError, Expiry, mapping_id};
use protocol::mapping::{
    Entry, Exclusivity, MappingId, MspDomain, Policy, Preference, Reach, Replaces, Tag,
};

/// The mapping.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Mapping")]
pub(super) struct DraftArgs {
    /// A messaging provider at which you can be reached, and after a colon tags,
    /// separated by commas, for what you use it. May be given several times, in
    /// the order in which they shall be tried. Registered tags: business,
    /// family, friends, group, personal.
    #[arg(long, value_name = "MSP[:TAG,TAG]")]
    msp: Vec<String>,

    /// Another priority than its place for an MSP; the lowest is tried first.
    #[arg(long, value_name = "MSP=NUMBER", requires = "msp")]
    priority: Vec<String>,

    /// The MSP to use when nothing else decides.
    #[arg(long, value_name = "MSP", requires = "msp")]
    default: Option<String>,

    /// No other mapping of yours is to be used beside this one.
    #[arg(long, requires = "msp")]
    exclusive: bool,

    /// Only for users of the MSP's own app.
    #[arg(long, requires = "msp")]
    same_app_only: bool,

    /// How long it holds: days as 90d, hours as 12h, or a time such as
    /// 2026-11-23T00:00:00Z; 90d if left out.
    #[arg(long, value_name = "WHEN", requires = "msp")]
    expires: Option<Expiry>,

    /// Take the place of all mappings that you have published before.
    #[arg(long, requires = "msp")]
    replaces_all: bool,

    /// Take the place of the mapping with this id; see `sotto mappings`.
    #[arg(long, value_name = "HEX", value_parser = id, requires = "msp")]
    id: Option<MappingId>,
}

impl DraftArgs {
    /// The mapping that the flags describe; `None` if there are none.
    ///
    /// # Errors
    /// What is wrong with which flag.
    pub(super) fn draft(&self) -> anyhow::Result<Option<Draft>> {
        if self.msp.is_empty() {
            return Ok(None);
        }
        let priorities: Vec<(MspDomain, u8)> = self
            .priority
            .iter()
            .map(|text| priority(text))
            .collect::<Result<_, _>>()?;
        let default = self
            .default
            .as_deref()
            .map(|name| domain("--default", name));
        let default = default.transpose()?;
        let mut entries = Vec::new();
        for (at, text) in self.msp.iter().enumerate() {
            let (name, tags) = text.split_once(':').unwrap_or((text, ""));
            let msp = domain("--msp", name)?;
            let given = priorities.iter().find(|(other, _)| *other == msp);
            let place = u8::try_from(at).unwrap_or(u8::MAX);
            let preference = if default.as_ref() == Some(&msp) {
                Preference::Default
            } else {
                Preference::Ordinary
            };
            let tags = tags.split(',').map(str::trim).filter(|tag| !tag.is_empty());
            let tags = tags.map(Tag::new).collect::<Result<_, _>>();
            let priority = given.map_or(place, |(_, priority)| *priority);
            let entry = tags.and_then(|tags| Entry::new(msp, tags, priority, preference));
            entries.push(entry.with_context(|| format!("--msp {}", name.escape_debug()))?);
        }
        let named = |msp: &MspDomain| entries.iter().any(|entry: &Entry| entry.msp == *msp);
        if let Some(other) = priorities
            .iter()
            .map(|(msp, _)| msp)
            .find(|msp| !named(msp))
        {
            bail!("--priority names {other}, which no --msp does");
        }
        if let Some(other) = default.filter(|msp| !named(msp)) {
            bail!("--default names {other}, which no --msp does");
        }
        Ok(Some(Draft {
            id: self.id,
            replaces: match self.replaces_all {
                true => Replaces::All,
                false => Replaces::SameId,
            },
            policy: Policy {
                exclusivity: match self.exclusive {
                    true => Exclusivity::Exclusive,
                    false => Exclusivity::Shared,
                },
                reach: match self.same_app_only {
                    true => Reach::SameAppOnly,
                    false => Reach::AnyApp,
                },
            },
            expires: self.expires.unwrap_or(Expiry::After(DEFAULT_VALIDITY_SECS)),
            entries,
        }))
    }
}

/// For clap: the id of a mapping.
fn id(text: &str) -> Result<MappingId, DraftError> {
    mapping_id(text)
}

fn domain(flag: &str, name: &str) -> anyhow::Result<MspDomain> {
    MspDomain::parse(name).map_err(|_| {
        anyhow!(
            "{flag} {}: expected the domain of a messaging provider, such as msp.example",
            name.escape_debug()
        )
    })
}

fn priority(text: &str) -> anyhow::Result<(MspDomain, u8)> {
    let parts = text.split_once('=').and_then(|(name, number)| {
        let number = number.parse().ok()?;
        Some((name, number))
    });
    let (name, number) = parts.ok_or_else(|| {
        anyhow!(
            "--priority {}: expected an MSP and a number from 0 to 255, such as msp.example=1",
            text.escape_debug()
        )
    })?;
    Ok((domain("--priority", name)?, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(msp: &[&str]) -> DraftArgs {
        DraftArgs {
            msp: msp.iter().map(|&text| text.to_owned()).collect(),
            ..DraftArgs::default()
        }
    }

    fn refused(args: &DraftArgs, part: &str) {
        let error = format!("{:#}", args.draft().unwrap_err());
        assert!(error.contains(part), "{error} names {part}");
    }

    #[test]
    fn flags_make_a_mapping() {
        assert_eq!(args(&[]).draft().unwrap(), None);
        let args = DraftArgs {
            priority: vec!["a.example=9".to_owned()],
            default: Some("B.example".to_owned()),
            exclusive: true,
            replaces_all: true,
            expires: Some(Expiry::After(60)),
            ..args(&[
                "a.example:family, friends",
                "b.example",
                "a.example:Chess Club",
            ])
        };
        let draft = args.draft().unwrap().unwrap();
        let entries: Vec<(&str, Vec<&str>, u8, Preference)> = draft
            .entries
            .iter()
            .map(|entry| {
                (
                    entry.msp.as_str(),
                    entry.tags().iter().map(Tag::as_str).collect(),
                    entry.priority,
                    entry.preference,
                )
            })
            .collect();
        assert_eq!(
            entries,
            [
                (
                    "a.example",
                    vec!["family", "friends"],
                    9,
                    Preference::Ordinary
                ),
                ("b.example", vec![], 1, Preference::Default),
                ("a.example", vec!["Chess Club"], 9, Preference::Ordinary),
            ]
        );
        assert_eq!(draft.replaces, Replaces::All);
        assert_eq!(draft.policy.exclusivity, Exclusivity::Exclusive);
        assert_eq!(draft.policy.reach, Reach::AnyApp);
        assert_eq!(draft.expires, Expiry::After(60));
    }

    #[test]
    fn what_is_wrong_is_named() {
        refused(&args(&["localhost"]), "--msp localhost");
        refused(&args(&["a.example:friends,friends"]), "repeated");
        let long = format!("a.example:{}", "x".repeat(33));
        refused(&args(&[&long]), "33 bytes");
        for text in ["a.example", "a.example=256", "a.example=-1", "=1"] {
            let args = DraftArgs {
                priority: vec![text.to_owned()],
                ..args(&["a.example"])
            };
            refused(&args, "--priority");
        }
        let other = DraftArgs {
            priority: vec!["b.example=1".to_owned()],
            ..args(&["a.example"])
        };
        refused(&other, "--priority names b.example");
        let other = DraftArgs {
            default: Some("b.example".to_owned()),
            ..args(&["a.example"])
        };
        refused(&other, "--default names b.example");
    }
}
