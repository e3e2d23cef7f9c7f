//! What long work tells: the person who waits for a command, on standard error;
//! of what a service does by itself, the log.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// How long each stage took, in the log.
    Logged,
    /// A line every few seconds.
    Lines,
    /// A bar that moves.
    Bar,
}

impl Progress {
    /// A bar on a terminal, lines elsewhere.
    pub fn detect() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Bar
        } else {
            Self::Lines
        }
    }

    /// Begins a stage of `total` steps (0: not counted).
    pub fn stage(self, name: &'static str, total: u64) -> Stage {
        let bar = (self == Self::Bar).then(|| bar(name, total));
        let now = Instant::now();
        Stage {
            name,
            total,
            shown: self,
            bar,
            done: AtomicU64::new(0),
            begun: now,
            said: Mutex::new(now),
        }
    }
}

/// A stage under way.
#[derive(Debug)]
pub struct Stage {
    name: &'static str,
    total: u64,
    shown: Progress,
    bar: Option<ProgressBar>,
    done: AtomicU64,
    begun: Instant,
    said: Mutex<Instant>,
}

impl Stage {
    /// Counts steps that are done.
    pub fn advance(&self, steps: u64) {
        let done = self.done.fetch_add(steps, Ordering::Relaxed) + steps;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if self.shown == Progress::Lines {
            self.say(done);
        }
    }

    /// Ends the stage; gives how long it took.
    pub fn finish(self, result: &str) -> Duration {
        let took = self.begun.elapsed();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        match self.shown {
            Progress::Logged => {
                tracing::info!(stage = self.name, secs = took.as_secs_f64(), "{result}");
            }
            Progress::Lines | Progress::Bar => {
                eprintln!("{:<24} {:>8.2} s  {result}", self.name, took.as_secs_f64());
            }
        }
        took
    }

    fn say(&self, done: u64) {
        // A thread that can't have the lock leaves it to the one that has it.
        let Ok(mut said) = self.said.try_lock() else {
            return;
        };
        if said.elapsed() < LINE_EVERY {
            return;
        }
        *said = Instant::now();
        match (done * 100).checked_div(self.total) {
            Some(percent) => {
                eprintln!("{:<24} {percent:>3} %  {done} of {}", self.name, self.total)
            }
            None => eprintln!("{:<24} {done}", self.name),
        }
    }
}

fn bar(name: &'static str, total: u64) -> ProgressBar {
    let (bar, template) = if total == 0 {
        (
            ProgressBar::new_spinner(),
            "{msg:<24} {spinner} {pos} {per_sec}",
        )
    } else {
        (
            ProgressBar::new(total),
            "{msg:<24} {wide_bar} {pos}/{len} {per_sec} {eta}",
        )
    };
    // The templates are constants of the right form; the default is no worse.
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.set_message(name);
    bar
}
