//! Measures what quota and tokens add to a lookup at the server: the checks and
//! the ledger, beside the evaluation and the pass over the database.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use benches::fixture;
use benches::oprf::Batch;
use benches::report::machine::Machine;
use benches::spread::Spread;
use clap::Parser;
use pir_core::database::DatabaseView;
use pir_core::params::Params;
use pir_core::server::Server;
use protocol::merkle::Hash;
use protocol::time::UnixTime;
use protocol::token::{
    IssuerDirectory, IssuerKey, PendingTokens, ServerName, Token, TokenChallenge, TokenType,
};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde::Serialize;
use server::data_dir::{DataDir, InitOptions};
use server::ledger::{Charge, Level, MeterId, Outcome, Quota, Spend, SpentToken};
use server::meter::Meter;
use server::tokens::Tokens;
use tokio::task::JoinSet;

/// Redeem tokens and charge quota, and compare with what they pay for.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Size of the database, in MiB.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(8..=16384))]
    mib: u64,
    /// Rounds, in each of which everything is done once.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=1000))]
    rounds: u64,
    /// Requests whose spends wait at a time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=512))]
    together: u64,
    /// The commit that is measured.
    #[arg(long, default_value = "unknown")]
    commit: String,
    /// Where to write the figures as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Microseconds.
#[derive(Serialize)]
struct Report {
    commit: String,
    machine: Machine,
    mib: u64,
    together: u64,
    rounds: u64,
    /// One evaluation with its proof, on one thread.
    evaluation: Spread,
    /// One query in a pass of its own, on one thread.
    pass: Spread,
    /// A token's verification, on one thread.
    verification: Spread,
    /// A durable spend of quota alone, from call to answer.
    spend_alone: Spread,
    /// For each of those that wait together: time until the last is durable, by
    /// their number.
    spend_together: Spread,
    /// The same for tokens.
    redeem_together: Spread,
}

impl Report {
    /// What an account's quota adds to a lookup: one spend.
    fn quota_share(&self) -> f64 {
        self.spend_together.median / self.lookup()
    }

    /// What two tokens add, one for the evaluation and one for the query.
    fn token_share(&self) -> f64 {
        2.0 * (self.verification.median + self.redeem_together.median) / self.lookup()
    }

    fn lookup(&self) -> f64 {
        self.evaluation.median + self.pass.median
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let one = ThreadPoolBuilder::new().num_threads(1).build()?;
    let machine = Machine::detect();
    let rounds = usize::try_from(args.rounds)?;
    let (evaluation, pass) = (evaluation(&one, rounds)?, pass(&one, args.mib, rounds)?);
    let root = tempfile::tempdir()?;
    let bench = Bench::new(root.path())?;
    let together = usize::try_from(args.together)?;
    let report = Report {
        commit: args.commit.clone(),
        machine,
        mib: args.mib,
        together: args.together,
        rounds: args.rounds,
        evaluation,
        pass,
        verification: bench.verification(rounds)?,
        spend_alone: bench.spends(rounds, 1, Paying::Quota)?,
        spend_together: bench.spends(rounds, together, Paying::Quota)?,
        redeem_together: bench.spends(rounds, together, Paying::Token)?,
    };
    print(&report);
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}

fn evaluation(pool: &ThreadPool, rounds: usize) -> Result<Spread> {
    let batch = Batch::new(1)?;
    pool.install(|| batch.evaluate())?;
    Ok(Spread::seconds(rounds, || pool.install(|| batch.evaluate().is_ok())).times(1e6))
}

fn pass(pool: &ThreadPool, mib: u64, rounds: usize) -> Result<Spread> {
    let bytes = usize::try_from(mib << 20)?;
    // About as many rows as columns.
    let rows = (bytes as f64).sqrt() as usize / 2048 * 2048;
    let rows = rows.max(2048);
    let params = Params::new((bytes / rows).next_multiple_of(2048), rows)?;
    let database = fixture::uniform_bytes(params.database_bytes())?;
    let database = DatabaseView::new(&params, &database)?;
    let preprocessed = pir_core::setup::preprocess(&database, &fixture::crs_seed(), &|_| ())?;
    fixture::check(database, &preprocessed, &[7])?;
    let packing = fixture::in_huge_pages(&preprocessed.packing)?;
    let packing: &[u32] = bytemuck::cast_slice(&packing);
    let check = pir_core::check::Check::new(&database, packing)?;
    let server = Server::new(database, packing)?.checked(&check);
    let (queries, _) = fixture::queries(&params, &[7])?;
    let mut workspace = pir_core::server::Workspace::default();
    pool.install(|| server.answer_with(&mut workspace, &queries).map(drop))?;
    let mut answer = || pool.install(|| server.answer_with(&mut workspace, &queries).is_ok());
    Ok(Spread::seconds(rounds, &mut answer).times(1e6))
}

#[derive(Clone, Copy)]
enum Paying {
    Quota,
    Token,
}

/// A provider's ledger and token keys.
struct Bench {
    meter: Meter,
    tokens: Tokens,
    issued: Vec<Token>,
}

impl Bench {
    fn new(root: &std::path::Path) -> Result<Self> {
        let now = UnixTime::now();
        let options = InitOptions {
            trust: None,
            listen: None,
        };
        let data = DataDir::init(&root.join("data"), &options)?;
        let digest: Hash = Tokens::prepare(&data, now, 3600)?;
        let tokens = Tokens::open(&data, Some(&digest))?;
        let directory = tokens.directory().context("no directory")?;
        let directory = IssuerDirectory::from_json(directory)?;
        let (public, _) = directory.issuing(now).context("no key")?;
        let name = ServerName::new(directory.issuer_name.as_deref().context("no name")?)?;
        let challenge = TokenChallenge::for_origin(TokenType::Voprf, name.clone(), name);
        let pending = PendingTokens::blind(&challenge, &public, 32, &mut rand::rng())?;
        let key: &IssuerKey = tokens
            .issuing(public.id().truncated(), now)
            .context("no key")?;
        let response = key.issue(&pending.request().elements, &mut rand::rng())?;
        Ok(Self {
            meter: Meter::start(data.ledger()?, UnixTime::now)?,
            issued: pending.finalize(&response)?,
            tokens,
        })
    }

    fn verification(&self, rounds: usize) -> Result<Spread> {
        let now = UnixTime::now();
        let verify = || -> bool {
            let mut good = self
                .issued
                .iter()
                .map(|token| self.tokens.verify(token, now));
            good.all(|good| good.is_ok())
        };
        ensure!(verify(), "a good token is refused");
        Ok(Spread::seconds(rounds, verify).times(1e6 / self.issued.len() as f64))
    }

    /// Spends that wait together, each by its share of the time.
    fn spends(&self, rounds: usize, together: usize, paying: Paying) -> Result<Spread> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let mut taken = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let begun = Instant::now();
            runtime.block_on(async {
                let mut spends = JoinSet::new();
                for _ in 0..together {
                    let (meter, spend) = (self.meter.clone(), spend(paying));
                    spends.spawn(async move { meter.spend(spend).await });
                }
                while let Some(outcome) = spends.join_next().await {
                    match outcome?? {
                        Outcome::Spent { .. } => {}
                        other => bail!("not spent: {other:?}"),
                    }
                }
                Ok(())
            })?;
            taken.push(begun.elapsed().as_secs_f64() * 1e6 / together as f64);
        }
        Ok(Spread::of(taken))
    }
}

/// One element by three meters, as an account's request is charged, or a token
/// that was never spent.
fn spend(paying: Paying) -> Spend {
    const QUOTA: Quota = Quota {
        burst: 1_000_000,
        refill_per_hour: 1_000_000,
        per_day: 1_000_000,
    };
    match paying {
        Paying::Quota => Spend {
            charges: [Level::Sender, Level::Account, Level::Global]
                .into_iter()
                .zip(1..)
                .map(|(level, name)| Charge {
                    meter: MeterId([name; 32]),
                    quota: QUOTA,
                    amount: 1,
                    level,
                })
                .collect(),
            tokens: Vec::new(),
        },
        Paying::Token => Spend {
            charges: Vec::new(),
            tokens: vec![SpentToken {
                id: rand::random(),
                expires: UnixTime::now().saturating_add(3600),
            }],
        },
    }
}

fn print(report: &Report) {
    let row = |what: &str, spread: &Spread| {
        println!(
            "| {what} | {:.1} ({:.1}–{:.1}) |",
            spread.median, spread.min, spread.max
        );
    };
    let machine = &report.machine;
    println!("- commit: {}", report.commit);
    println!(
        "- machine: {}, {} threads, load before the run: {:.2}",
        machine.processor, machine.threads, machine.load
    );
    println!(
        "- {} MiB, {} spends together, medians of {} rounds, least to greatest in brackets\n",
        report.mib, report.together, report.rounds
    );
    println!("| at the server | µs |\n|---|--:|");
    row(
        "evaluation of one element, with its proof",
        &report.evaluation,
    );
    row("pass for one query, one thread", &report.pass);
    row("verification of a token", &report.verification);
    row("spend of quota, alone, until durable", &report.spend_alone);
    row(
        "spend of quota, its share of a commit",
        &report.spend_together,
    );
    row(
        "spend of a token, its share of a commit",
        &report.redeem_together,
    );
    println!(
        "\na lookup is an evaluation and a pass: quota adds {:.2} %, two tokens add {:.2} %",
        100.0 * report.quota_share(),
        100.0 * report.token_share()
    );
}
