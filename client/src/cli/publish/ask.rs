//! A mapping from a person's answers.

use anyhow::Context as _;
use client::recipient::{Draft, Expiry};
use dialoguer::{Confirm, Input, Select};
use protocol::mapping::{
    Entry, EntryError, Exclusivity, MAX_ENTRIES, MspDomain, Policy, Preference, Reach, Replaces,
    Tag,
};

use crate::cli::Failure;

/// Asks for a mapping.
///
/// # Errors
/// [`Failure::Run`], if the terminal fails or is left.
pub(super) fn draft() -> Result<Draft, Failure> {
    answers().context("cannot ask").map_err(Failure::Run)
}

fn answers() -> anyhow::Result<Draft> {
    let mut chosen: Vec<(MspDomain, Vec<Tag>)> = Vec::new();
    while chosen.len() < MAX_ENTRIES {
        let prompt = match chosen.len() {
            0 => "Where can you be reached? Domain of a messaging provider",
            _ => "Where else? Nothing to go on",
        };
        let name: String = Input::new()
            .with_prompt(prompt)
            .allow_empty(!chosen.is_empty())
            .validate_with(|name: &String| match name.trim() {
                "" => Ok(()),
                name => MspDomain::parse(name).map(drop),
            })
            .interact_text()?;
        if name.trim().is_empty() {
            break;
        }
        let labels: String = Input::new()
            .with_prompt(format!(
                "What do you use it for? Tags such as {}; nothing for anything",
                Tag::REGISTERED.join(", ")
            ))
            .allow_empty(true)
            .validate_with(|labels: &String| tags(labels).map(drop))
            .interact_text()?;
        chosen.push((MspDomain::parse(name.trim())?, tags(&labels)?));
    }
    let default = match chosen.len() {
        0 | 1 => None,
        _ => {
            let mut names: Vec<String> = chosen.iter().map(|(msp, _)| msp.to_string()).collect();
            names.push("none of them".to_owned());
            let at = Select::new()
                .with_prompt("Which one is to be used when nothing else decides")
                .items(&names)
                .default(0)
                .interact()?;
            (at < chosen.len()).then_some(at)
        }
    };
    let replaces = match yes("Does this take the place of all that you have published before")? {
        true => Replaces::All,
        false => Replaces::SameId,
    };
    let exclusivity = match yes("Is it to be used alone, whatever else you publish")? {
        true => Exclusivity::Exclusive,
        false => Exclusivity::Shared,
    };
    let reach = match yes("Only for users of the same app")? {
        true => Reach::SameAppOnly,
        false => Reach::AnyApp,
    };
    let expires: Expiry = Input::<String>::new()
        .with_prompt("How long does it hold")
        .default("90d".to_owned())
        .validate_with(|text: &String| text.parse::<Expiry>().map(drop))
        .interact_text()?
        .parse()?;
    let entries = chosen.into_iter().enumerate().map(|(at, (msp, tags))| {
        let preference = match default == Some(at) {
            true => Preference::Default,
            false => Preference::Ordinary,
        };
        let place = u8::try_from(at).unwrap_or(u8::MAX);
        Entry::new(msp, tags, place, preference)
    });
    Ok(Draft {
        id: None,
        replaces,
        policy: Policy { exclusivity, reach },
        expires,
        entries: entries.collect::<Result<_, _>>()?,
    })
}

fn yes(question: &str) -> anyhow::Result<bool> {
    Ok(Confirm::new()
        .with_prompt(question)
        .default(false)
        .interact()?)
}

fn tags(labels: &str) -> Result<Vec<Tag>, EntryError> {
    let labels = labels
        .split(',')
        .map(str::trim)
        .filter(|label| !label.is_empty());
    labels.map(Tag::new).collect()
}
