//! `sotto publish` and `sotto opt-out`.

mod ask;
mod flags;

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use client::recipient::Draft;
use dialoguer::Confirm;
use protocol::audience::AudienceLabel;
use protocol::bundle::Bundle;
use protocol::credential::Credential;
use protocol::mapping::{Mapping, MappingId};
use protocol::time::UnixTime;

use flags::DraftArgs;

use super::audience_record::label;
use super::holder::{Before, Holder, HolderArgs, SubjectArgs};
use super::receipt::WaitArgs;
use super::{Failure, Outcome, audience_record, interactive, statement};

/// Arguments of `publish`.
///
/// A mapping holds until it expires, is replaced by another with the same --id,
/// or is removed. Senders believe it only while a credential of yours is valid
/// beside it: renew that, and publish it with --credential-only.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PublishArgs {
    #[command(flatten)]
    subject: SubjectArgs,

    /// File with the mapping, in TOML; docs/mapping.toml shows every key.
    #[arg(long, value_name = "FILE", conflicts_with = "DraftArgs")]
    file: Option<PathBuf>,

    #[command(flatten)]
    draft: DraftArgs,

    /// Publish your newest credential and leave the mappings as they are.
    #[arg(long, conflicts_with_all = ["DraftArgs", "file"])]
    credential_only: bool,

    /// Tell only the members of this audience of your keyring, in the place of
    /// what they were told before; the provider does not learn whose it is. For 90
    /// days at most.
    #[arg(long, value_name = "LABEL", value_parser = label, conflicts_with = "credential_only")]
    audience: Option<AudienceLabel>,

    /// Do not ask before it is signed.
    #[arg(long, short)]
    yes: bool,

    #[command(flatten)]
    wait: WaitArgs,

    #[command(flatten)]
    holder: HolderArgs,
}

const EXAMPLES: &str = "\
Examples:
  sotto publish                                  asks, and shows before it signs
  sotto publish --csi-file me --msp msp.example:family,friends --msp work.example:business
  sotto publish --csi-file me --file mapping.toml
  sotto publish --csi-file me --credential-only  after the credential was renewed";

/// Arguments of `opt-out`.
#[derive(Debug, clap::Args)]
pub(super) struct OptOutArgs {
    #[command(flatten)]
    subject: SubjectArgs,

    /// How long it holds: days as 90d, hours as 12h, or a time such as
    /// 2026-11-23T00:00:00Z.
    #[arg(long, value_name = "WHEN", default_value = "90d")]
    expires: client::recipient::Expiry,

    /// Do not ask before it is signed.
    #[arg(long, short)]
    yes: bool,

    #[command(flatten)]
    wait: WaitArgs,

    #[command(flatten)]
    holder: HolderArgs,
}

/// Publishes a mapping, or a renewed credential.
///
/// # Errors
/// [`Failure`], if it was not accepted.
pub(super) async fn run(args: &PublishArgs) -> Result<Outcome, Failure> {
    if args.credential_only {
        return renew(&args.holder.holder(&args.subject)?, args.wait).await;
    }
    let draft = match &args.file {
        Some(path) => Some(read(path)?),
        None => args.draft.draft().map_err(Failure::Usage)?,
    };
    if draft.is_none() && !interactive() {
        return Err(Failure::Usage(anyhow!(
            "say where you can be reached: --msp, or --file with a mapping; to say that you are \
             not to be found, `sotto opt-out`"
        )));
    }
    let holder = args.holder.holder(&args.subject)?;
    let draft = match draft {
        Some(draft) => draft,
        None => ask::draft()?,
    };
    if draft.entries.is_empty() {
        return Err(Failure::Usage(anyhow!(
            "a mapping without MSPs says that you are not to be found: if you mean it, `sotto \
             opt-out`"
        )));
    }
    match &args.audience {
        Some(label) => audience_record::publish(&holder, label, draft, args.yes, args.wait).await,
        None => publish(&holder, draft, args.yes, args.wait).await,
    }
}

/// Publishes that the identifier is not to be found.
///
/// # Errors
/// As [`run`].
pub(super) async fn opt_out(args: &OptOutArgs) -> Result<Outcome, Failure> {
    let holder = args.holder.holder(&args.subject)?;
    let draft = Draft {
        expires: args.expires,
        ..Draft::OPT_OUT
    };
    publish(&holder, draft, args.yes, args.wait).await
}

async fn publish(
    holder: &Holder,
    draft: Draft,
    yes: bool,
    wait: WaitArgs,
) -> Result<Outcome, Failure> {
    let before = holder.before().await?;
    let now = UnixTime::now();
    let credential = holder.credential.unverified();
    let fresh = MappingId(rand::random());
    let version = holder.next_version(&before)?;
    let mapping = draft.into_mapping(credential.subject.clone(), version, fresh, now);
    if !confirmed(&mapping, credential, yes)? {
        return Ok(Outcome::Incomplete);
    }
    let signed = mapping
        .sign(&holder.key)
        .map_err(|error| Failure::Usage(anyhow!(error)))?;
    let bundle = Bundle::new(holder.credential.clone(), vec![signed]).map_err(unusable)?;
    let receipt = holder.publish(&bundle, &before).await?;
    println!("{}", mapping.id);
    wait.report(&holder.recipient, &receipt).await?;
    Ok(Outcome::Complete)
}

async fn renew(holder: &Holder, wait: WaitArgs) -> Result<Outcome, Failure> {
    let before: Before = holder.before().await?;
    let bundle = Bundle::new(holder.credential.clone(), Vec::new()).map_err(unusable)?;
    let receipt = holder.publish(&bundle, &before).await?;
    wait.report(&holder.recipient, &receipt).await?;
    Ok(Outcome::Complete)
}

/// Shows what is about to be signed, and asks a person who can be asked; `yes`
/// answers for them.
///
/// # Errors
/// [`Failure::Run`], if the terminal fails or is left.
pub(super) fn confirmed(
    mapping: &Mapping,
    credential: &Credential,
    yes: bool,
) -> Result<bool, Failure> {
    eprintln!("{}", mapping.subject.canonical());
    eprintln!("{}", statement::describe(mapping));
    if mapping.expires > credential.expires {
        eprintln!(
            "sotto: your credential ends at {}, before the mapping: from then on nobody believes \
             it until you renew the credential and publish that too",
            credential.expires
        );
    }
    if yes || !interactive() || confirm()? {
        return Ok(true);
    }
    eprintln!("sotto: nothing was published");
    Ok(false)
}

fn confirm() -> Result<bool, Failure> {
    Confirm::new()
        .with_prompt("Sign and publish this")
        .default(true)
        .interact()
        .context("cannot ask")
        .map_err(Failure::Run)
}

fn read(path: &std::path::Path) -> Result<Draft, Failure> {
    let named = || path.display().to_string();
    std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {}", named()))
        .and_then(|text| Draft::from_toml(&text).with_context(named))
        .map_err(Failure::Usage)
}

fn unusable(error: protocol::bundle::BundleError) -> Failure {
    Failure::Run(anyhow!(error))
}
