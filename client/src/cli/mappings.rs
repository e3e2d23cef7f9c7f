//! `sotto mappings`.

use client::recipient::{Absence, CredentialStanding, Review, Standing, review};
use protocol::time::UnixTime;
use serde::Serialize;

use super::holder::{Holder, HolderArgs, SubjectArgs};
use super::{Failure, Outcome, statement};

/// Arguments of `mappings`.
///
/// What the provider holds is compared with what was published from here; the
/// exit code is 1 if it holds something that you did not sign, something that
/// you withdrew, or misses something without saying why.
#[derive(Debug, clap::Args)]
pub(super) struct MappingsArgs {
    #[command(flatten)]
    subject: SubjectArgs,

    /// Print a JSON object a line instead of text.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    holder: HolderArgs,
}

/// Asks for each identifier, or the one that is meant, and prints.
///
/// # Errors
/// [`Failure`], if the provider could not be asked.
pub(super) async fn run(args: &MappingsArgs) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Complete;
    for holder in args.holder.holders(&args.subject)? {
        let review = reviewed(&holder).await?;
        if !review.is_sound() {
            outcome = Outcome::Incomplete;
        }
        let identifier = holder.credential.unverified().subject.canonical();
        if args.json {
            let line = Line {
                identifier,
                sound: review.is_sound(),
                review: &review,
            };
            // Cannot fail: no maps with other keys than text.
            println!(
                "{}",
                serde_json::to_string(&line).expect("plain values serialise")
            );
        } else {
            println!("{identifier}\n{}", text(&review));
        }
    }
    Ok(outcome)
}

async fn reviewed(holder: &Holder) -> Result<Review, Failure> {
    let before = holder.before().await?;
    let identity = &holder.identity;
    Ok(review(
        &holder.credential,
        &before.held,
        before.known.as_ref(),
        |key| identity.has(key).unwrap_or(false),
        UnixTime::now(),
    ))
}

#[derive(Serialize)]
struct Line<'a> {
    identifier: &'a str,
    sound: bool,
    #[serde(flatten)]
    review: &'a Review,
}

fn text(review: &Review) -> String {
    let mut lines = Vec::new();
    lines.extend(match review.credential {
        CredentialStanding::Absent | CredentialStanding::Current => None,
        CredentialStanding::Older => Some(
            "  the provider has an older credential of yours: run `sotto publish \
             --credential-only`",
        ),
        CredentialStanding::Newer => {
            Some("  the provider has a newer credential of yours, from another device")
        }
        CredentialStanding::EarlierKey => Some(
            "  the provider has the credential for your earlier key: publish again under the new \
             one; what is published under the earlier one is then gone",
        ),
        CredentialStanding::Foreign => Some(
            "  WARNING: the provider has a credential for another key: someone else may hold the \
             identifier; ask your CSIP",
        ),
    });
    let mut lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
    for held in &review.held {
        lines.push(statement::describe(&held.mapping));
        let remark = match held.standing {
            Standing::AsPublished => continue,
            Standing::Elsewhere => "signed by your key, but not published from this device",
            Standing::EarlierKey => "signed by your earlier key",
            Standing::Withdrawn => {
                "WARNING: you have replaced or removed this; the provider still has it"
            }
            Standing::NotMine => "WARNING: not signed by your key; nobody will believe it",
        };
        lines.push(format!("    {remark}"));
    }
    for missing in &review.missing {
        lines.push(statement::describe(&missing.mapping));
        let remark = match missing.absence {
            Absence::Removed => {
                "not there any more: the provider says that it was removed later, as from another \
                 device"
            }
            Absence::Unexplained => {
                "WARNING: the provider accepted this and does not have it; publish it again"
            }
        };
        lines.push(format!("    {remark}"));
    }
    if review.held.is_empty() && review.missing.is_empty() {
        lines.push("  nothing is published".to_owned());
    }
    lines.join("\n")
}
