//! The statistical test of Reparaz, Balasch and Verbauwhede, "Dude, is my code
//! constant time?" (ePrint 2016/1123).
//!
//! Inputs of two classes, one fixed and one random, are measured in random
//! order. If time doesn't depend on the input, both classes have the same
//! distribution of times, and Welch's t of their means stays small however
//! many are measured. Interrupts and other tasks make the upper tail heavy and
//! hide small differences, so the test is repeated on times cropped at many
//! percentiles (§3.2), and once on squared differences from the mean, which
//! sees a difference of variances.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// |t| from which the test asks for a second look: under the null hypothesis
/// it is passed less than once in 10^5 tests.
pub(crate) const SUSPECT: f64 = 4.5;

/// |t| from which there is a leak.
pub(crate) const LEAK: f64 = 10.0;

/// Inputs that are made, then measured, at a time.
const BATCH: usize = 1000;

/// Percentiles at which times are cropped.
const CROPS: usize = 100;

/// Least measurements of each class in a test whose t counts.
const LEAST: f64 = 500.0;

/// Which input a measurement gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Always the same.
    Fixed,
    /// Drawn for each measurement.
    Random,
}

/// What was found out about one target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// Measurements, of both classes.
    pub(crate) samples: usize,
    /// Greatest |t| of all tests.
    pub(crate) t: f64,
    /// Mean time of all measurements.
    pub(crate) mean: Duration,
}

/// Measures `run` for `time` on inputs that `prepare` makes for a class.
///
/// `prepare` should do the same work for both classes; only `run` is timed.
/// The classes and what `prepare` draws come from a fixed seed.
pub(crate) fn test<Input, Output>(
    time: Duration,
    mut prepare: impl FnMut(Class, &mut ChaCha8Rng) -> Input,
    mut run: impl FnMut(Input) -> Output,
) -> Outcome {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let begun = Instant::now();
    let mut batch = || -> Vec<(Class, f64)> {
        // Made beforehand, so that a measurement doesn't depend on the making
        // of its input.
        let inputs: Vec<(Class, Input)> = (0..BATCH)
            .map(|_| {
                let class = [Class::Fixed, Class::Random][(rng.next_u32() >> 31) as usize];
                (class, prepare(class, &mut rng))
            })
            .collect();
        let timed = inputs.into_iter().map(|(class, input)| {
            let start = Instant::now();
            let output = black_box(run(black_box(input)));
            let nanoseconds = start.elapsed().as_nanos() as f64;
            drop(output);
            (class, nanoseconds)
        });
        timed.collect()
    };
    // The first batch warms up and gives the percentiles, nothing else.
    let mut tests = Tests::new(batch().into_iter().map(|(_, time)| time).collect());
    while tests.samples() == 0 || begun.elapsed() < time {
        for (class, time) in batch() {
            tests.add(class, time);
        }
    }
    tests.outcome()
}

/// All tests of one target.
struct Tests {
    raw: Welch,
    /// Times below each limit only.
    cropped: Vec<(f64, Welch)>,
    /// Squared differences from the mean so far.
    squared: Welch,
}

impl Tests {
    /// Takes limits from a sample: the 1 - 2^(-10·i/CROPS) quantiles, so that
    /// they lie denser towards the greatest times.
    fn new(mut sample: Vec<f64>) -> Self {
        sample.sort_by(f64::total_cmp);
        let limit = |crop: usize| {
            let quantile = 1.0 - 0.5f64.powf(10.0 * crop as f64 / CROPS as f64);
            sample[(quantile * (sample.len() - 1) as f64) as usize]
        };
        Self {
            raw: Welch::default(),
            cropped: (1..=CROPS)
                .map(|crop| (limit(crop), Welch::default()))
                .collect(),
            squared: Welch::default(),
        }
    }

    fn add(&mut self, class: Class, time: f64) {
        self.raw.add(class, time);
        for (limit, test) in &mut self.cropped {
            if time < *limit {
                test.add(class, time);
            }
        }
        // The mean must be known to some precision first.
        if self.samples() > BATCH {
            self.squared.add(class, (time - self.raw.mean()).powi(2));
        }
    }

    fn samples(&self) -> usize {
        self.raw
            .classes
            .iter()
            .map(|class| class.count)
            .sum::<f64>() as usize
    }

    fn outcome(&self) -> Outcome {
        let cropped = self.cropped.iter().map(|(_, test)| test);
        let tests = cropped.chain([&self.raw, &self.squared]);
        Outcome {
            samples: self.samples(),
            t: tests.map(|test| test.t().abs()).fold(0.0, f64::max),
            mean: Duration::from_nanos(self.raw.mean() as u64),
        }
    }
}

/// Welch's t-test, incremental.
#[derive(Default)]
struct Welch {
    classes: [Moments; 2],
}

impl Welch {
    fn add(&mut self, class: Class, value: f64) {
        self.classes[class as usize].add(value);
    }

    fn mean(&self) -> f64 {
        let [a, b] = &self.classes;
        (a.mean * a.count + b.mean * b.count) / (a.count + b.count)
    }

    /// t of the difference of the classes' means; 0 while there is too little
    /// to say anything.
    fn t(&self) -> f64 {
        let [a, b] = &self.classes;
        if a.count < LEAST || b.count < LEAST {
            return 0.0;
        }
        let error = (a.variance() / a.count + b.variance() / b.count).sqrt();
        let difference = a.mean - b.mean;
        if difference == 0.0 {
            0.0
        } else {
            difference / error
        }
    }
}

/// Mean and variance by Welford's recurrence.
#[derive(Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let difference = value - self.mean;
        self.mean += difference / self.count;
        self.squares += difference * (value - self.mean);
    }

    fn variance(&self) -> f64 {
        self.squares / (self.count - 1.0)
    }
}
