//! What lookups in a provider of the sample must print.

use protocol::bundle::{Bundle, evaluate};
use protocol::csi::Csi;
use protocol::lookup::{AnswerLine, Lookup};
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha20Rng;

use super::{Sample, SampleError, SampleRecord};

/// Kinds of answers that the choice is spread over.
const KINDS: usize = 4;

/// A choice of the sample's identifiers, evenly of each kind of answer (one
/// mapping, several, opted out, none) and as many that are absent.
pub struct Answers {
    count: usize,
    rng: ChaCha20Rng,
    /// A uniform choice of what was offered, by kind, and how many were.
    chosen: [Vec<Answer>; KINDS],
    offered: [u64; KINDS],
}

struct Answer {
    csi: Csi,
    lookup: Lookup,
}

impl Answers {
    /// A choice of `count` identifiers, for a sample of the same seed.
    #[must_use]
    pub fn new(sample: &Sample, count: usize) -> Self {
        Self {
            count,
            rng: sample.streams.once("answers"),
            chosen: Default::default(),
            offered: [0; KINDS],
        }
    }

    /// Takes some of the records into the choice (algorithm R of Vitter, 1985).
    ///
    /// # Errors
    /// [`SampleError::Bundle`], which no generated record causes.
    pub fn offer(&mut self, sample: &Sample, records: &[SampleRecord]) -> Result<(), SampleError> {
        let quota = self.count.div_ceil(KINDS + 1);
        if quota == 0 {
            return Ok(());
        }
        for record in records {
            let kind = kind(record);
            self.offered[kind] += 1;
            let place = self.rng.random_range(0..self.offered[kind]);
            if self.chosen[kind].len() < quota {
                let answer = Answer::of(sample, record)?;
                self.chosen[kind].push(answer);
            } else if place < quota as u64 {
                self.chosen[kind][place as usize] = Answer::of(sample, record)?;
            }
        }
        Ok(())
    }

    /// The lines that `sotto lookup --json` prints, in random order; where the
    /// sample has too few of a kind, more are absent.
    ///
    /// # Errors
    /// [`SampleError`], by what went wrong with the absent ones.
    pub fn finish(mut self, sample: &mut Sample) -> Result<Vec<String>, SampleError> {
        let mut answers: Vec<Answer> = self.chosen.into_iter().flatten().collect();
        answers.shuffle(&mut self.rng);
        answers.truncate(self.count - self.count / (KINDS + 1));
        let absent = sample.absent(self.count - answers.len())?;
        answers.extend(absent.into_iter().map(|csi| Answer {
            lookup: evaluate(None, &csi, sample.trust(), sample.now()),
            csi,
        }));
        answers.shuffle(&mut self.rng);
        Ok(answers
            .iter()
            .map(|answer| AnswerLine::found(&answer.csi, &answer.lookup).to_json())
            .collect())
    }
}

impl Answer {
    fn of(sample: &Sample, record: &SampleRecord) -> Result<Self, SampleError> {
        let bundle: Bundle = record.bundle()?;
        let lookup = evaluate(Some(&bundle), &record.csi, sample.trust(), sample.now());
        Ok(Self {
            csi: record.csi.clone(),
            lookup,
        })
    }
}

fn kind(record: &SampleRecord) -> usize {
    match record.mappings.as_slice() {
        [] => 0,
        [only] if only.unverified().is_opt_out() => 1,
        [_] => 2,
        _ => 3,
    }
}
