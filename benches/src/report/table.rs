//! The report as Markdown.

use std::fmt::Write as _;

use super::record::{Pass, Report, SizeReport};
use crate::spread::Spread;

/// The whole report: machine, then passes and the rest, size by size.
pub(super) fn markdown(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ = head(&mut out, report).and_then(|()| {
        passes(&mut out, &report.sizes)?;
        rest(&mut out, &report.sizes)?;
        published(&mut out, report)
    });
    out
}

fn head(out: &mut String, report: &Report) -> std::fmt::Result {
    let machine = &report.machine;
    writeln!(out, "# Report of {}\n", report.date)?;
    let commit = report.commit.as_deref().unwrap_or("not stated");
    writeln!(out, "- commit: {commit}")?;
    writeln!(
        out,
        "- machine: {}, {} threads, {}; {:.1} GiB of memory, Linux {}, transparent huge pages: {}, load before the run: {:.2}",
        machine.processor,
        machine.threads,
        machine.caches.join(", "),
        machine.memory_gib,
        machine.kernel,
        machine.huge_pages,
        machine.load,
    )?;
    writeln!(
        out,
        "- kernels: {} (the processor has {})",
        report.backend,
        machine.features.join(", ")
    )?;
    writeln!(
        out,
        "- parameters: {}, {} bits of security",
        report.parameter_set, report.security_bits
    )?;
    writeln!(
        out,
        "- medians of {} rounds, least to greatest in brackets; GB are 10^9 bytes; \
         effective rates count the matrix once for each query\n",
        report.rounds
    )
}

fn passes(out: &mut String, sizes: &[SizeReport]) -> std::fmt::Result {
    writeln!(out, "## Passes\n")?;
    writeln!(
        out,
        "| database | threads | queries | read GB/s | scan GB/s | to read | limit GB/s | to limit | packing GB/s | to read | pass ms | pass GB/s | to read | lookups/s |"
    )?;
    writeln!(
        out,
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    )?;
    for size in sizes {
        for pass in &size.passes {
            row(out, &size.label(), pass)?;
        }
    }
    writeln!(out)
}

fn row(out: &mut String, size: &str, pass: &Pass) -> std::fmt::Result {
    writeln!(
        out,
        "| {size} | {} | {} | {:.1} | {} | {:.2} | {} | {} | {} | {:.2} | {} | {:.1} | {:.2} | {:.1} |",
        pass.threads,
        pass.batch,
        pass.read_gbps,
        spread(pass.scan_gbps),
        pass.scan_to_read,
        pass.limit_gbps
            .map_or("—".to_owned(), |x| format!("{x:.1}")),
        pass.scan_to_limit
            .map_or("—".to_owned(), |x| format!("{x:.2}")),
        spread(pass.packing_gbps),
        pass.packing_to_read,
        spread(pass.pass_ms),
        pass.pass_gbps.median,
        pass.pass_to_read,
        pass.queries_per_s.median,
    )
}

fn rest(out: &mut String, sizes: &[SizeReport]) -> std::fmt::Result {
    writeln!(out, "## Set-up, client and cost, one thread\n")?;
    write!(out, "| |")?;
    for size in sizes {
        write!(out, " {} |", size.label())?;
    }
    writeln!(out, "\n|---|{}", "--:|".repeat(sizes.len()))?;
    let mut line = |name: &str, value: &dyn Fn(&SizeReport) -> String| {
        write!(out, "| {name} |")?;
        for size in sizes {
            write!(out, " {} |", value(size))?;
        }
        writeln!(out)
    };
    line("columns × rows", &|s| {
        format!("{} × {}", s.columns, s.rows)
    })?;
    line("failure bound", &|s| format!("2^{:.1}", s.failure_log2))?;
    line("upload, bytes", &|s| s.upload_bytes.to_string())?;
    line("answer, bytes", &|s| s.answer_bytes.to_string())?;
    line("hint once, bytes", &|s| s.hint_bytes.to_string())?;
    line("packing matrices, bytes", &|s| s.packing_bytes.to_string())?;
    line("set-up, s", &|s| format!("{:.2}", s.setup.total_s))?;
    line("of it row masks, s", &|s| {
        format!("{:.2}", s.setup.row_masks_s)
    })?;
    line("of it aggregation and collapse, s", &|s| {
        format!("{:.2}", s.setup.aggregation_and_collapse_s)
    })?;
    line("set-up, MiB a core-second", &|s| {
        format!("{:.0}", s.setup.mib_per_core_s)
    })?;
    line("peak memory of set-up, of what is served", &|s| {
        format!("{:.3}", s.setup.peak_rss_to_served)
    })?;
    line("update, s, one bucket in a thousand changed", &|s| {
        format!("{:.2}", s.update.update_s)
    })?;
    line("full set-up to update", &|s| {
        format!("{:.1}", s.update.to_full)
    })?;
    line("query, ms", &|s| spread(s.query_ms))?;
    line("decryption, ms", &|s| spread(s.decrypt_ms))?;
    line("cheapest pass", &|s| {
        format!("queries: {}, threads: {}", s.cost.batch, s.cost.threads)
    })?;
    line("core-seconds a lookup", &|s| {
        format!("{:.4}", s.cost.core_seconds_per_lookup)
    })?;
    line("core-hours a million lookups", &|s| {
        format!("{:.2}", s.cost.core_hours_per_million)
    })?;
    line("traffic a million lookups, GB", &|s| {
        format!("{:.0}", s.cost.traffic_gb_per_million)
    })?;
    writeln!(out)
}

fn published(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(out, "## Published by others, not measured here\n")?;
    writeln!(
        out,
        "| scheme | database | upload + answer, kB | hint, kB | server, ms, one thread | source |"
    )?;
    writeln!(out, "|---|---|--:|--:|--:|---|")?;
    for point in &report.published {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            point.scheme,
            super::record::mib_label(point.database_mib),
            point.communication_kb,
            point.hint_kb.map_or("none".to_owned(), |kb| kb.to_string()),
            point.server_ms,
            point.source,
        )?;
    }
    Ok(())
}

/// `median (min–max)` with three significant digits.
fn spread(spread: Spread) -> String {
    let digits = match spread.median {
        x if x >= 100.0 => 0,
        x if x >= 10.0 => 1,
        x if x >= 1.0 => 2,
        _ => 3,
    };
    let Spread { median, min, max } = spread;
    format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
}
