//! `sotto audit`.

mod verify;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use client::identity::Identity;
use client::recipient::{Recipient, RecipientConfig};
use protocol::audit::{Action, Entry, Head, object_digest};
use protocol::cose::MAX_SIGNED_BYTES;

use super::credential::read_at_most;
use super::{Connection, Failure, Outcome};

use verify::{Scope, VerifyArgs};

/// Arguments of `audit`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: Option<AuditCommand>,

    #[command(flatten)]
    all: VerifyArgs,
}

/// Commands of `audit`.
#[derive(Debug, clap::Subcommand)]
enum AuditCommand {
    /// Checks the whole log of manifests.
    Chain(VerifyArgs),
    /// Computes root and hint of the newest snapshot from its database.
    Snapshot(VerifyArgs),
    /// Prints the log of what the provider accepted.
    ///
    /// Each entry is bound to all before it: one can't be altered or left out
    /// without changing every hash that follows. The log names no identifiers;
    /// an object is recognised by who has it, by its digest.
    Log(LogArgs),
}

/// Arguments of `log`.
#[derive(Debug, clap::Args)]
struct LogArgs {
    /// First entry, counted from 0.
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    from: u64,

    /// Check the whole log from its beginning, and that it still goes the way
    /// that the provider's receipts said; print the end only.
    #[arg(long, conflicts_with = "from")]
    verify: bool,

    /// Print the entries of the signed object in this file alone.
    #[arg(long, value_name = "FILE")]
    object: Option<PathBuf>,

    /// Directory of the identity with the receipts; without it, that of the
    /// configuration file or ~/.config/sotto/identity.
    #[arg(long, value_name = "DIR")]
    identity: Option<PathBuf>,

    #[command(flatten)]
    connection: Connection,
}

/// Runs a command of `audit`.
///
/// # Errors
/// [`Failure`], if the log can't be fetched or believed.
pub(super) async fn run(args: &AuditArgs) -> Result<Outcome, Failure> {
    match &args.command {
        None => verify::run(&args.all, Scope::All).await,
        Some(AuditCommand::Chain(args)) => verify::run(args, Scope::Chain).await,
        Some(AuditCommand::Snapshot(args)) => verify::run(args, Scope::Snapshot).await,
        Some(AuditCommand::Log(args)) => log(args).await,
    }
}

/// Prints or checks the log of what was accepted.
async fn log(args: &LogArgs) -> Result<Outcome, Failure> {
    let settings = args.connection.settings()?;
    let recipient = Recipient::new(&RecipientConfig::from(&settings.client))?;
    let object = match &args.object {
        None => None,
        Some(path) => {
            let bytes = read_at_most(path, MAX_SIGNED_BYTES)
                .with_context(|| format!("cannot read {}", path.display()))
                .map_err(Failure::Usage)?;
            Some(object_digest(&bytes))
        }
    };
    let receipt = if args.verify {
        args.receipt(&recipient)?
    } else {
        None
    };
    let mut passed = receipt.is_none_or(|receipt| receipt == Head::EMPTY);
    let mut found = 0_u64;
    let end = walk(&recipient, args.from, |entry, head| {
        passed |= receipt == Some(head);
        let wanted = match object {
            Some(object) => entry.object == object,
            None => !args.verify,
        };
        if wanted {
            found += 1;
            let mut out = std::io::stdout().lock();
            writeln!(out, "{}", line(entry))
                .context("cannot write to standard output")
                .map_err(Failure::Run)?;
        }
        Ok(())
    });
    let end = end.await?;
    if !passed {
        return Err(Failure::Run(anyhow!(
            "the log does not go the way that the provider's receipts said: it was rewritten or \
             shortened; keep the receipts and complain to the provider"
        )));
    }
    if args.verify {
        println!("{} entries, all in order; end {}", end.entries, end.hash);
        match receipt {
            Some(receipt) => println!("contains the receipt for {} entries", receipt.entries),
            None => println!("no receipt of this provider is held here to compare with"),
        }
    }
    if object.is_some() && found == 0 {
        eprintln!("sotto: the object is not in the log");
        return Ok(Outcome::Incomplete);
    }
    Ok(Outcome::Complete)
}

impl LogArgs {
    /// The furthest receipt, if there is an identity with one.
    fn receipt(&self, recipient: &Recipient) -> Result<Option<Head>, Failure> {
        let directory = self
            .connection
            .local()?
            .identity(self.identity.as_deref())?;
        match Identity::open(directory) {
            Ok(identity) => Ok(identity.receipt(recipient.provider())?),
            // Whoever has published nothing has nothing to compare with.
            Err(_) if self.identity.is_none() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Fetches the log from an index to its end and checks that all follow one
/// another; `visit` gets each entry and the end of the log with it.
async fn walk(
    recipient: &Recipient,
    from: u64,
    mut visit: impl FnMut(&Entry, Head) -> Result<(), Failure>,
) -> Result<Head, Failure> {
    let mut end: Option<Head> = None;
    loop {
        let at = end.map_or(from, |end| end.entries);
        let page = recipient.audit(at).await?;
        if page.entries.is_empty() {
            return Ok(end.unwrap_or(page.before));
        }
        // Within a page that holds already.
        let mut head = end.unwrap_or(page.before);
        for entry in &page.entries {
            head = head
                .follow(entry)
                .map_err(client::recipient::RecipientError::from)?;
            visit(entry, head)?;
        }
        end = Some(head);
    }
}

fn line(entry: &Entry) -> String {
    format!(
        "{:>8}  {}  {:<15}  {}",
        entry.index,
        entry.at,
        word(entry.action),
        entry.object
    )
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Credential => "credential",
        Action::Mapping => "mapping",
        Action::Removal => "removal",
        Action::Release => "release",
        Action::AudienceRecord => "audience-record",
        Action::Block => "block",
        Action::Unblock => "unblock",
        _ => "other",
    }
}
