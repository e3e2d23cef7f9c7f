//! An acknowledged write is durable: the real server, killed at random points
//! under writes over TLS, has lost nothing that it answered for and has nothing
//! half-written.

#[path = "durability/history.rs"]
mod history;
#[path = "durability/writers.rs"]
mod writers;

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use server::data_dir::{DataDir, InitOptions};
use tests::Running;
use tests::postgres::Cluster;

use history::{History, Row};
use server::store::Store as _;

const ROUNDS: u64 = 50;

/// Of the delay between the first answer of a round and the kill.
const DELAY_MS: std::ops::RangeInclusive<u64> = 20..=300;

/// Where a server keeps what it is given.
trait Place {
    /// The `[store]` table of the configuration.
    fn store(&self) -> String;

    /// What happens to the store itself after the server was killed in a round;
    /// returns when nothing of the server's is under way there any more.
    fn killed(&self, round: u64) -> Result<()>;
}

/// In the data directory.
struct Embedded;

impl Place for Embedded {
    fn store(&self) -> String {
        "[store]\nkind = \"embedded\"\n".to_owned()
    }

    fn killed(&self, _round: u64) -> Result<()> {
        Ok(())
    }
}

impl Place for Cluster {
    fn store(&self) -> String {
        let url = self.url("postgres");
        format!("[store]\nkind = \"postgres\"\nurl = \"{url}\"\n")
    }

    fn killed(&self, round: u64) -> Result<()> {
        // PostgreSQL itself crashes too now and then.
        if round % 8 == 7 {
            self.stop()?;
            self.resume()?;
        }
        // A commit that had arrived is still carried out.
        let others = "SELECT count(*) FROM pg_stat_activity \
                      WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        while self.sql("postgres", others)? != "0" {
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_the_embedded_store() -> Result<()> {
    survives_kills(&Embedded)
}

#[test]
fn nothing_acknowledged_is_lost_by_the_postgres_store() -> Result<()> {
    survives_kills(&Cluster::start(None)?)
}

/// Otherwise the tests above would show nothing.
#[test]
fn a_store_that_was_set_back_is_noticed() -> Result<()> {
    let root = tempfile::tempdir()?;
    let history = Arc::new(History::new()?);
    let data = data_directory(root.path(), &Embedded, &history)?;
    let rows = history.check(&*data.store()?.view()?)?;
    let (_, mut rows) = round(&Embedded, &data, &history, &rows, 0, 0)?;
    let store = data.root().join("store.redb");
    let (before, answered) = (std::fs::read(&store)?, history.counts().publications);
    let mut number = 1;
    while history.counts().publications == answered {
        (_, rows) = round(&Embedded, &data, &history, &rows, number, 0)?;
        number += 1;
    }
    std::fs::write(&store, before)?;
    // The journal of removals notices by itself; without it, the check does.
    ensure!(data.store().is_err(), "the journal noticed nothing");
    let noticed = history.check(&*data.unjournalled_store()?.view()?);
    let Err(error) = noticed else {
        bail!("nothing was noticed");
    };
    ensure!(error.to_string().contains("acknowledged"), "{error:#}");
    Ok(())
}

fn data_directory(root: &Path, place: &dyn Place, history: &History) -> Result<DataDir> {
    let options = InitOptions {
        trust: Some(history.trust()),
        listen: None,
    };
    let data = DataDir::init(&root.join("data"), &options)?;
    let config = format!(
        "listen = \"127.0.0.1:0\"\n{}[snapshot]\ninterval_secs = 0\n",
        place.store()
    );
    std::fs::write(data.root().join("config.toml"), config)?;
    Ok(data)
}

fn survives_kills(place: &dyn Place) -> Result<()> {
    let seed: u64 = rand::random();
    let root = tempfile::tempdir()?;
    let history = Arc::new(History::new()?);
    let data = data_directory(root.path(), place, &history)?;
    let mut cut_off = 0;
    let mut rows = history.check(&*data.store()?.view()?)?;
    for number in 0..ROUNDS {
        let without_answer;
        (without_answer, rows) = round(place, &data, &history, &rows, number, seed)
            .with_context(|| format!("round {number} of seed {seed}"))?;
        cut_off += without_answer;
    }
    let counts = history.counts();
    let shown = format!("{counts:?}, {cut_off} cut off, seed {seed}");
    // Every round has an answer; that the kills hit something is what it's about.
    ensure!(counts.publications >= ROUNDS as usize / 2, "{shown}");
    ensure!(counts.removals > 0 && counts.replaced > 0, "{shown}");
    ensure!(cut_off > 0, "{shown}");
    println!("{shown}");
    Ok(())
}

/// Starts the server, compares what it shows with what its store had, and kills
/// it while it is written to; gives the number of requests without an answer,
/// and what its store has then.
fn round(
    place: &dyn Place,
    data: &DataDir,
    history: &Arc<History>,
    before: &[Row],
    number: u64,
    seed: u64,
) -> Result<(usize, Vec<Row>)> {
    let mut rng = StdRng::seed_from_u64(seed.wrapping_add(number));
    let runtime = tokio::runtime::Runtime::new()?;
    let server = Running::start(data)?;
    runtime.block_on(writers::look(&server, data, history, before))?;
    let (answered, first) = std::sync::mpsc::channel();
    let delay = Duration::from_millis(rng.random_range(DELAY_MS));
    let writing = writers::write(&server, data, history, rng, answered)?;
    let writing = writing.map(|writer| runtime.spawn(writer));
    // Ends without one only if all of them ended.
    let begun = first.recv_timeout(Duration::from_secs(60));
    if begun.is_ok() {
        thread::sleep(delay);
    }
    let log = server.kill()?;
    let mut cut_off = 0;
    for writer in writing {
        cut_off += runtime.block_on(writer)??;
    }
    begun.with_context(|| format!("no answer; the server says:\n{log}"))?;
    place.killed(number)?;
    Ok((cut_off, history.check(&*data.store()?.view()?)?))
}
