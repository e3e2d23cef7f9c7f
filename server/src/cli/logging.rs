//! Where log lines go and which there are.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::config::{Log, LogFormat, LogLevel};

/// The targets whose lines are known to show nothing of requests.
const OURS: [&str; 4] = ["access", "server", "pir_core", "protocol"];

/// Logs to standard error from now on.
pub(super) fn start(log: &Log) {
    let layer = match log.format {
        LogFormat::Text => fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .boxed(),
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(std::io::stderr)
            .boxed(),
    };
    // Fails only if there is one already, which then keeps logging.
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(filter(log.level)))
        .try_init();
}

/// Libraries may say what failed, and nothing else at any level: at their finer
/// ones they show headers.
fn filter(level: LogLevel) -> Targets {
    let level = LevelFilter::from(level);
    Targets::new()
        .with_default(level.min(LevelFilter::ERROR))
        .with_targets(OURS.map(|target| (target, level)))
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn libraries_are_quiet_at_every_level() {
        let filter = filter(LogLevel::Trace);
        assert!(filter.would_enable("access", &Level::INFO));
        assert!(filter.would_enable("server::http", &Level::TRACE));
        for library in [
            "h2::codec",
            "hyper",
            "rustls::server",
            "tokio_rustls",
            "tower_http",
        ] {
            assert!(filter.would_enable(library, &Level::ERROR));
            assert!(!filter.would_enable(library, &Level::WARN), "{library}");
        }
        assert!(!super::filter(LogLevel::Error).would_enable("access", &Level::INFO));
    }
}
