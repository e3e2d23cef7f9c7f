//! `sotto lookup`.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, anyhow};
use client::{Client, ClientError, FilterUse, Found, Progress, Traffic, Wallet};
use protocol::csi::Csi;
use protocol::lookup::{AnswerLine, Lookup};
use protocol::mapping::{MspDomain, Tag};
use protocol::resolve::{Context as Sender, resolve};

use super::input::{Asked, read_lines};
use super::progress::Bar;
use super::settings::CacheArgs;
use super::{Connection, Failure, Outcome, show, watched};

/// Arguments of `lookup`.
#[derive(Debug, clap::Args)]
pub(super) struct LookupArgs {
    /// Phone numbers and e-mail addresses. Other users of this machine may see
    /// them while the command runs: --file keeps them private.
    #[arg(value_name = "IDENTIFIER", required_unless_present = "file")]
    identifiers: Vec<String>,

    /// File with further ones, one a line; - is standard input.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Region in which numbers without country code are dialled, such as DE.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,

    /// MSP whose own application you use, such as msp.example; may be repeated,
    /// the preferred one first.
    ///
    /// Some recipients want to be found only by those who use the same
    /// application: their entries are set aside unless you name it. Where the
    /// recipient has no preference, your applications come first. Instead of
    /// those of the configuration file (apps = [..]).
    #[arg(long = "app", value_name = "MSP", value_parser = MspDomain::parse)]
    apps: Vec<MspDomain>,

    /// What you want to reach the recipient for, such as business; may be
    /// repeated.
    ///
    /// Compared exactly with the tags that recipients give their entries:
    /// business, family, friends, group, personal, or words of their own. Entries
    /// with it come first, then those without tags; others are set aside, unless
    /// nothing else is left. Tags stay here: the provider doesn't see them.
    #[arg(long = "tag", value_name = "TAG", value_parser = Tag::new)]
    tags: Vec<Tag>,

    /// Pay with the tokens of this wallet, and show neither API key nor
    /// certificate: the provider doesn't learn who asks.
    #[arg(long, value_name = "FILE")]
    wallet: Option<PathBuf>,

    /// Print a JSON object a line instead of text.
    #[arg(long)]
    json: bool,

    /// Also print, on standard error, what was sent and received.
    #[arg(long, short)]
    verbose: bool,

    /// Download the provider's membership filter, if it has one, and don't ask for
    /// what is certainly absent.
    ///
    /// Saves most queries if few are found; the provider then learns roughly how
    /// many may be there: the next power of two, at least 16, for each thousand.
    #[arg(long)]
    filter: bool,

    #[command(flatten)]
    cache: CacheArgs,

    #[command(flatten)]
    connection: Connection,
}

/// Looks up, prints, and tells whether every answer was a verified one.
///
/// # Errors
/// [`Failure`], if nothing could be looked up.
pub(super) async fn run(args: &LookupArgs) -> Result<Outcome, Failure> {
    let mut settings = args.connection.settings()?;
    args.cache.apply(&mut settings)?;
    if args.filter {
        settings.client.filter = FilterUse::SkipAbsent;
    }
    let region = args.region.as_deref().or(settings.region.as_deref());
    let sender = Sender {
        apps: if args.apps.is_empty() {
            settings.apps
        } else {
            args.apps.clone()
        },
        tags: args.tags.clone(),
    };
    let mut texts = args.identifiers.clone();
    if let Some(path) = &args.file {
        texts.extend(read_lines(path).map_err(Failure::Usage)?);
    }
    if texts.is_empty() {
        return Err(Failure::Usage(anyhow!("no identifiers in the file")));
    }
    let asked: Vec<Asked> = texts.iter().map(|text| Asked::new(text, region)).collect();
    let csis: Vec<Csi> = asked
        .iter()
        .filter_map(|asked| asked.csi.clone().ok())
        .collect();
    let mut results = Vec::new();
    if !csis.is_empty() {
        let mut config = settings.client;
        if let Some(path) = &args.wallet {
            let wallet = Wallet::open(path, &config.dp_key);
            config = config.with_wallet(wallet.map_err(|error| Failure::Usage(error.into()))?);
        }
        let client = Client::connect(config).await?;
        let connected = client.traffic();
        if args.verbose {
            describe_connection(&client, connected);
        }
        let (bar, last) = (Bar::new(csis.len()), Mutex::default());
        let tell = |progress| {
            bar.show(progress);
            *last.lock().unwrap_or_else(PoisonError::into_inner) = progress;
        };
        results = client.find_many_telling(&csis, &tell).await;
        drop(bar);
        if args.verbose {
            let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
            describe_lookups(client.traffic().since(connected), csis.len(), last);
        }
    }
    print(args.json, &asked, results, &sender)
}

fn print(
    json: bool,
    asked: &[Asked],
    results: Vec<Result<Found, ClientError>>,
    sender: &Sender,
) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Complete;
    let mut not_asked = 0;
    let mut results = results.into_iter();
    let mut text = String::new();
    for asked in asked {
        let found = match &asked.csi {
            Ok(csi) => results
                .next()
                .unwrap_or(Err(ClientError::Interrupted))
                .map(|found| (csi, found))
                .map_err(|error| (csi.canonical(), format!("{:#}", anyhow!(error)))),
            Err(error) => Err((asked.text.as_str(), error.to_string())),
        };
        if !matches!(&found, Ok((_, found)) if verified(found)) {
            outcome = Outcome::Incomplete;
        }
        match (&found, json) {
            (Ok((csi, found)), true) => {
                // The routes are those of everything that was found, on each line.
                let resolution = resolve(found.candidates(), sender);
                let line = |lookup| AnswerLine::resolved(csi, lookup, resolution.clone());
                text += &line(&found.public).to_json();
                for audience in &found.audiences {
                    let line = line(&audience.lookup).in_audience(&audience.label);
                    text = text + "\n" + &line.to_json();
                }
            }
            (Err((identifier, error)), true) => {
                text += &AnswerLine::failed(identifier, error).to_json()
            }
            (Ok((csi, found)), false) => text += &show::found(csi, found, sender),
            (Err((identifier, error)), false) => text += &show::failed(identifier, error),
        }
        if let Ok((_, found)) = &found {
            not_asked = not_asked.max(found.not_asked);
        }
        text.push('\n');
    }
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
        .map_err(Failure::Run)?;
    if not_asked > 0 {
        eprintln!(
            "sotto: up to {not_asked} audiences of the keyring were not asked for an identifier: \
             --slots asks for more"
        );
    }
    if watched() && matches!(outcome, Outcome::Incomplete) {
        eprintln!("sotto: not every lookup gave a verified answer");
    }
    Ok(outcome)
}

/// Whether every record that was found can be believed.
fn verified(found: &Found) -> bool {
    let audiences = found.audiences.iter().map(|audience| &audience.lookup);
    std::iter::once(&found.public)
        .chain(audiences)
        .all(|lookup| !matches!(lookup, Lookup::Unverifiable(_)))
}

fn describe_connection(client: &Client, traffic: Traffic) {
    let snapshot = client.snapshot();
    let manifest = snapshot.manifest();
    eprintln!(
        "snapshot {} of {}, {} records; manifest and hint: {} bytes down",
        manifest.sequence, manifest.published_at, manifest.records, traffic.received
    );
}

fn describe_lookups(traffic: Traffic, lookups: usize, progress: Progress) {
    let each = |bytes: u64| bytes / lookups as u64;
    eprintln!(
        "{lookups} lookups in {} requests: {} bytes up, {} bytes down; {} up and {} down each",
        traffic.requests,
        traffic.sent,
        traffic.received,
        each(traffic.sent),
        each(traffic.received)
    );
    let Progress {
        evaluated,
        recalled,
        queries,
        fetched_before,
        filtered,
        ..
    } = progress;
    eprintln!(
        "{evaluated} records evaluated and {recalled} recalled; {queries} queries, \
         {fetched_before} fetched before, {filtered} absent by the filter"
    );
}
