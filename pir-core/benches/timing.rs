//! Does the time of what handles a client's secrets depend on them?
//!
//! ```text
//! cargo bench -p pir-core --features timing --bench timing [-- SECONDS]
//! ```
//!
//! Measures each target for SECONDS (10; queries three times as long) and
//! prints the greatest |t| that the statistical test in `timing/dudect.rs`
//! finds. Fails if one is above 10, or if a comparison that leaks on purpose is
//! not found out. A statistical test finds leaks; it doesn't prove that there
//! are none, and it speaks of this machine and this build.

#[path = "timing/dudect.rs"]
mod dudect;

use std::process::ExitCode;
use std::time::Duration;

use dudect::{Class, LEAK, Outcome, SUSPECT};
use pir_core::client::{Client, ColumnIndex};
use pir_core::crs::CrsSeed;
use pir_core::database::DatabaseView;
use pir_core::params::Params;
use pir_core::ring::DEGREE;
use pir_core::{query::Query, server::Server, setup, timing};
use rand::{Rng, RngExt};
use subtle::ConstantTimeEq as _;

/// Words that a measurement of a sampler takes: one alone is lost in the
/// resolution of the clock.
const WORDS: usize = 64;

/// Bytes that a measurement of a comparison takes.
const COMPARED: usize = 256;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Cargo passes `--bench` to benches it runs as such; as a test there is
    // nothing to do, since timing must not decide tests.
    let Some(seconds) = arguments.iter().find(|argument| *argument != "--bench") else {
        if arguments.is_empty() {
            println!("run with: cargo bench -p pir-core --features timing --bench timing");
            return ExitCode::SUCCESS;
        }
        return run(Duration::from_secs(10));
    };
    match seconds.parse() {
        Ok(seconds @ 1..=86_400) => run(Duration::from_secs(seconds)),
        _ => {
            eprintln!("{seconds:?} is not a number of seconds for each target, 1 to 86400");
            ExitCode::from(2)
        }
    }
}

fn run(time: Duration) -> ExitCode {
    println!(
        "{:44} {:>10} {:>12} {:>9}  verdict",
        "target", "samples", "mean", "max |t|"
    );
    let caught = show("control: comparison that stops early", &early_exit(time)) > LEAK;
    if !caught {
        println!("the control's leak was not found: measure longer or on a quieter machine");
    }
    let mut clean = true;
    let mut target = |name: &str, outcome: Outcome| clean &= show(name, &outcome) <= LEAK;
    target("control: comparison in constant time", constant_time(time));
    for (name, sampler) in [
        ("ternary", timing::ternary as fn(u64) -> i8),
        ("Gaussian", timing::gaussian),
    ] {
        for (word, fixed) in [
            ("0", 0),
            ("2^63 - 1", u64::MAX >> 1),
            ("2^64 - 1", u64::MAX),
        ] {
            let name = format!("{name} sampler: word {word}");
            target(&name, sample(time, sampler, fixed));
        }
    }
    let client = ClientBench::new();
    // Slow, so that the same number of seconds gives fewer samples.
    target("query: column 0", client.column(3 * time));
    target("query: one seed of its secret", client.seed(3 * time));
    for (name, value) in [("0", 0), ("1", 1), ("-1", -1)] {
        let name = format!("decryption: secret of all {name}");
        target(&name, client.decryption(time, [value; DEGREE]));
    }
    if clean && caught {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints a line and gives |t|.
fn show(name: &str, outcome: &Outcome) -> f64 {
    let Outcome { samples, t, mean } = *outcome;
    let verdict = match t {
        t if t > LEAK => "leak",
        t if t > SUSPECT => "unclear: measure longer",
        _ => "no evidence of leakage",
    };
    println!("{name:44} {samples:>10} {mean:>12.2?} {t:>9.2}  {verdict}");
    t
}

/// The fixed input or the random one, which is drawn for both classes.
fn choose<T>(class: Class, fixed: T, random: T) -> T {
    match class {
        Class::Fixed => fixed,
        Class::Random => random,
    }
}

fn compared(class: Class, rng: &mut impl Rng) -> [u8; COMPARED] {
    let mut random = [0; COMPARED];
    rng.fill_bytes(&mut random);
    choose(class, [0x5a; COMPARED], random)
}

/// Leaks on purpose: how far it gets depends on the input.
fn early_exit(time: Duration) -> Outcome {
    dudect::test(time, compared, |found| {
        let expected = std::hint::black_box([0x5a; COMPARED]);
        found.iter().zip(&expected).all(|(a, b)| a == b)
    })
}

/// The same comparison without the leak.
fn constant_time(time: Duration) -> Outcome {
    dudect::test(time, compared, |found| {
        let expected = std::hint::black_box([0x5a; COMPARED]);
        bool::from(found.ct_eq(&expected))
    })
}

fn sample(time: Duration, sampler: fn(u64) -> i8, fixed: u64) -> Outcome {
    let prepare = |class, rng: &mut _| {
        let random: [u64; WORDS] = RngExt::random(rng);
        choose(class, [fixed; WORDS], random)
    };
    dudect::test(time, prepare, |words| words.map(sampler))
}

/// A small database's client, and an answer to decrypt.
struct ClientBench {
    params: Params,
    client: Client,
    hint: pir_core::hint::Hint,
    answer: pir_core::answer::Answer,
}

impl ClientBench {
    fn new() -> Self {
        let params = Params::new(2 * DEGREE, DEGREE).expect("a small shape");
        let bytes: Vec<u8> = (0..params.database_bytes() as u64)
            .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
            .collect();
        let database = DatabaseView::new(&params, &bytes).expect("a database");
        let seed = CrsSeed::derive(b"timing", 0);
        let preprocessed = setup::preprocess(&database, &seed, &|_| ()).expect("uniform rows");
        let client = Client::new(&params, &seed);
        let (query, pending) = client
            .prepare(ColumnIndex::from(1))
            .expect("a query")
            .send();
        let query = Query::decode(&params, query.as_bytes()).expect("a query");
        let server = Server::new(database, preprocessed.packing.as_slice()).expect("a server");
        let answer = server.answer(&[query]).expect("an answer").remove(0);
        let column = pending
            .decrypt(&preprocessed.hint, &answer)
            .expect("an answer");
        assert_eq!(column, database.column(1).expect("column 1"));
        Self {
            params,
            client,
            hint: preprocessed.hint,
            answer,
        }
    }

    /// Column 0 or any, each with fresh randomness.
    fn column(&self, time: Duration) -> Outcome {
        let columns = self.params.columns() as u32;
        let prepare = |class, rng: &mut _| {
            let random = RngExt::random_range(rng, 0..columns);
            (choose(class, 0, random), RngExt::random(rng))
        };
        self.query(time, prepare)
    }

    /// One secret and its errors or any, for one column.
    fn seed(&self, time: Duration) -> Outcome {
        let prepare = |class, rng: &mut _| (77, choose(class, [7; 32], RngExt::random(rng)));
        self.query(time, prepare)
    }

    fn query(
        &self,
        time: Duration,
        prepare: impl FnMut(Class, &mut rand_chacha::ChaCha8Rng) -> (u32, [u8; 32]),
    ) -> Outcome {
        dudect::test(time, prepare, |(column, seed)| {
            timing::prepare(&self.client, ColumnIndex::from(column), seed)
        })
    }

    /// A given secret or any, for one answer.
    fn decryption(&self, time: Duration, fixed: [i8; DEGREE]) -> Outcome {
        let prepare = |class, rng: &mut _| {
            let random: [i8; DEGREE] = std::array::from_fn(|_| RngExt::random_range(rng, -1..=1));
            timing::pending(&self.params, &choose(class, fixed, random))
        };
        dudect::test(time, prepare, |pending| {
            pending.decrypt(&self.hint, &self.answer)
        })
    }
}
