//! The figures as Markdown.

use std::fmt::Write as _;

use super::{Size, SnapshotsReport, Swaps, Work};
use crate::spread::Spread;

impl SnapshotsReport {
    /// Tables for people.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        // Writing to memory doesn't fail.
        let _ = self.write_markdown(&mut text);
        text
    }

    fn write_markdown(&self, text: &mut String) -> std::fmt::Result {
        let machine = &self.machine;
        writeln!(
            text,
            "# From the store to a served snapshot\n\n{}, commit {}\n\n{}, {} threads, {:.1} GiB, load before the run {:.2}\n",
            self.date,
            self.commit.as_deref().unwrap_or("unknown"),
            machine.processor,
            machine.threads,
            machine.memory_gib,
            machine.load,
        )?;
        for size in &self.sizes {
            size.write_markdown(text)?;
        }
        Ok(())
    }
}

impl Size {
    fn write_markdown(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "## {} recipients\n\n{} records, {} buckets of {} bytes, {:.1} % full; database {:.1} MiB, packing matrices {:.1} MiB, file {:.1} MiB, store {:.1} MiB; hint {:.1} KB, query {:.1} KB, answer {:.1} KB\n",
            self.recipients,
            self.records,
            self.columns,
            self.bucket_bytes,
            self.fill_percent,
            mib(self.database_bytes),
            mib(self.packing_bytes),
            mib(self.file_bytes),
            mib(self.store_bytes),
            self.hint_bytes as f64 / 1e3,
            self.query_bytes as f64 / 1e3,
            self.answer_bytes as f64 / 1e3,
        )?;
        let updates = self.updates.iter().map(|update| ("after a change", update));
        let all = [("first build", &self.first), ("load", &self.load)];
        writeln!(text, "| | stage | s | |\n|---|---|--:|---|")?;
        for (name, work) in all.into_iter().chain(updates) {
            work.write_markdown(name, text)?;
        }
        writeln!(text)?;
        self.swaps
            .as_ref()
            .map_or(Ok(()), |swaps| swaps.write_markdown(text))
    }
}

impl Work {
    fn write_markdown(&self, name: &str, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "| **{name}** | **all** | **{:.2}** | peak {:.1} MiB |",
            self.seconds,
            mib(self.peak_bytes)
        )?;
        for stage in &self.stages {
            writeln!(
                text,
                "| | {} | {:.2} | {} |",
                stage.name, stage.seconds, stage.result
            )?;
        }
        Ok(())
    }
}

impl Swaps {
    fn write_markdown(&self, text: &mut String) -> std::fmt::Result {
        let Spread { median, min, max } = self.verification_ms;
        let [alone, swapped, built] = self.peak_bytes.map(mib);
        writeln!(
            text,
            "What a client does with what it has fetched: {median:.2} ms a lookup ({min:.2}–{max:.2}). {} senders, each with a lookup every {} ms; peak of memory, senders included: {alone:.1} MiB with one snapshot, {swapped:.1} while others were taken over, {built:.1} while they were built. No lookup failed.\n",
            self.clients, self.every_ms,
        )?;
        writeln!(
            text,
            "| meanwhile | took s | lookups | p50 ms | p99 ms | max ms |\n|---|--:|--:|--:|--:|--:|"
        )?;
        for phase in &self.phases {
            writeln!(
                text,
                "| {} | {:.1} | {} | {:.1} | {:.1} | {:.1} |",
                phase.what, phase.seconds, phase.lookups, phase.p50_ms, phase.p99_ms, phase.max_ms
            )?;
        }
        writeln!(text)
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
