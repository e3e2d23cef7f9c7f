//! `sotto remove`.

use anyhow::{Context as _, anyhow};
use client::recipient::DraftError;
use dialoguer::Select;
use protocol::audience::AudienceLabel;
use protocol::mapping::{Mapping, MappingId};
use protocol::removal::{Removal, RemovalTarget};
use protocol::time::UnixTime;
use protocol::wire::RemovalRequest;

use super::audience_record::label;
use super::holder::{Before, HolderArgs, SubjectArgs};
use super::receipt::WaitArgs;
use super::{Failure, Outcome, audience_record, interactive, statement};

/// Arguments of `remove`.
///
/// What is removed stays removed: the provider refuses it when it is sent again.
/// To be found nowhere, also by what others may publish from an earlier backup,
/// say so with `sotto opt-out`.
#[derive(Debug, clap::Args)]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    subject: SubjectArgs,

    /// The mapping with this id; see `sotto mappings`.
    #[arg(long, value_name = "HEX", value_parser = id, conflicts_with = "all")]
    id: Option<MappingId>,

    /// All mappings of the identifier.
    #[arg(long)]
    all: bool,

    /// What was published for this audience of your keyring.
    #[arg(long, value_name = "LABEL", value_parser = label, conflicts_with_all = ["id", "all"])]
    audience: Option<AudienceLabel>,

    #[command(flatten)]
    wait: WaitArgs,

    #[command(flatten)]
    holder: HolderArgs,
}

/// Signs the removal and hands it in.
///
/// # Errors
/// [`Failure`], if it was not accepted.
pub(super) async fn run(args: &RemoveArgs) -> Result<Outcome, Failure> {
    if let Some(label) = &args.audience {
        let holder = args.holder.holder(&args.subject)?;
        return audience_record::remove(&holder, label, args.wait).await;
    }
    let target = match (args.id, args.all) {
        (Some(id), _) => Some(RemovalTarget::Mapping(id)),
        (None, true) => Some(RemovalTarget::All),
        (None, false) => None,
    };
    if target.is_none() && !interactive() {
        return Err(Failure::Usage(anyhow!(
            "say what is to be removed: --id with the id of a mapping, see `sotto mappings`, or \
             --all"
        )));
    }
    let holder = args.holder.holder(&args.subject)?;
    let before = holder.before().await?;
    let target = match target {
        Some(target) => target,
        None => ask(&before)?,
    };
    if let RemovalTarget::Mapping(id) = target
        && !held(&before).any(|mapping| mapping.id == id)
    {
        return Err(Failure::Run(anyhow!(
            "the provider has no mapping with this id: see `sotto mappings`"
        )));
    }
    let version = holder.next_version(&before)?;
    let removal = Removal {
        subject: holder.credential.unverified().subject.clone(),
        target,
        seq: version.seq,
        issued_at: UnixTime::now(),
        assignment: version.assignment,
    };
    let request = RemovalRequest {
        credential: holder.credential.clone(),
        removal: removal
            .sign(&holder.key)
            .map_err(|error| Failure::Run(anyhow!(error)))?,
    };
    let receipt = holder.remove(&request, &before).await?;
    args.wait.report(&holder.recipient, &receipt).await?;
    Ok(Outcome::Complete)
}

/// For clap: the id of a mapping.
fn id(text: &str) -> Result<MappingId, DraftError> {
    client::recipient::mapping_id(text)
}

fn held(before: &Before) -> impl Iterator<Item = &Mapping> {
    let bundle = before.held.bundle.iter();
    bundle.flat_map(|bundle| bundle.mappings().iter().map(|signed| signed.unverified()))
}

fn ask(before: &Before) -> Result<RemovalTarget, Failure> {
    let mappings: Vec<&Mapping> = held(before).collect();
    let mut choices: Vec<String> = mappings
        .iter()
        .map(|mapping| statement::describe(mapping).trim_start().to_owned())
        .collect();
    choices.push("all".to_owned());
    let at = Select::new()
        .with_prompt("What is to be removed")
        .items(&choices)
        .interact()
        .context("cannot ask")
        .map_err(Failure::Run)?;
    Ok(mappings.get(at).map_or(RemovalTarget::All, |mapping| {
        RemovalTarget::Mapping(mapping.id)
    }))
}
