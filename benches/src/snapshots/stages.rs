//! How long each stage took, as the log tells it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// A stage that has ended.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
    /// What it came to.
    pub result: String,
}

/// The stages since they were last taken; to be installed as a layer.
#[derive(Clone, Debug, Default)]
pub struct Stages(Arc<Mutex<Vec<Stage>>>);

impl Stages {
    /// Those that have ended, which are then forgotten.
    pub fn take(&self) -> Vec<Stage> {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Stage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Stages {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let (Some(name), Some(seconds)) = (fields.stage, fields.seconds) {
            let result = fields.message;
            eprintln!("  {name:<24} {seconds:>8.2} s  {result}");
            self.lock().push(Stage {
                name,
                seconds,
                result,
            });
        }
    }
}

#[derive(Default)]
struct Fields {
    stage: Option<String>,
    seconds: Option<f64>,
    message: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "stage" {
            self.stage = Some(value.to_owned());
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "secs" {
            self.seconds = Some(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}
