//! The bar that moves while many are looked up.

use client::Progress;
use indicatif::{ProgressBar, ProgressStyle};

use super::watched;

/// Fewest identifiers for which there is a bar.
const MANY: usize = 16;

/// A bar on a terminal, for many identifiers; nothing elsewhere.
pub(super) struct Bar(Option<ProgressBar>);

impl Bar {
    pub(super) fn new(identifiers: usize) -> Self {
        if !watched() || identifiers < MANY {
            return Self(None);
        }
        let bar = ProgressBar::new(0);
        let template = "{msg:<10} {wide_bar} {pos}/{len} {eta}";
        // The template is a constant of the right form; the default is no worse.
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message("evaluating");
        Self(Some(bar))
    }

    pub(super) fn show(&self, progress: Progress) {
        let Some(bar) = &self.0 else { return };
        if progress.queries > 0 {
            bar.set_message("asking");
        }
        bar.set_length(progress.queries as u64);
        bar.set_position(progress.answered as u64);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
