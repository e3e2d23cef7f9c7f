//! The report as SVG plots.

mod chart;

use anyhow::Result;
use plotters::style::RGBColor;

use super::published::Published;
use super::record::{Pass, Report, SizeReport, mib_label};
use chart::{Axis, COLOURS, Mark, Series, Ticks, draw, push};

/// Lookups a second against the size of the database, for the fewest and the
/// most queries a pass.
pub(super) fn throughput_by_size(report: &Report) -> Result<String> {
    let mut series: Vec<Series> = Vec::new();
    for size in &report.sizes {
        let batches = || size.passes.iter().map(|pass| pass.batch);
        let (Some(least), Some(most)) = (batches().min(), batches().max()) else {
            continue;
        };
        for pass in &size.passes {
            if pass.batch != least && pass.batch != most {
                continue;
            }
            let colour = COLOURS[usize::from(pass.batch != least)];
            let name = format!("{} a pass, {}", queries(pass.batch), threads(pass.threads));
            let mark = Mark::of_threads(pass.threads);
            let point = (size.database_mib as f64, pass.queries_per_s.median);
            push(&mut series, name, colour, mark, point);
        }
    }
    draw(
        "Throughput by size of the database",
        Axis::new("size of the database", Ticks::Mib),
        Axis::new("lookups a second", Ticks::Decades),
        &series,
        &[],
    )
}

/// Effective rate of the whole pass against the number of queries that share
/// it, beside the read bandwidth.
pub(super) fn throughput_by_batch(report: &Report) -> Result<String> {
    let mut series: Vec<Series> = Vec::new();
    for (size, colour) in report.sizes.iter().zip(COLOURS.iter().cycle()) {
        for pass in &size.passes {
            let name = format!("{}, {}", size.label(), threads(pass.threads));
            let mark = Mark::of_threads(pass.threads);
            let point = (pass.batch as f64, pass.pass_gbps.median);
            push(&mut series, name, *colour, mark, point);
        }
    }
    if let Some(size) = report.sizes.last() {
        for pass in &size.passes {
            let name = format!("plain read, {}", threads(pass.threads));
            let mark = Mark::of_threads(pass.threads);
            let point = (pass.batch as f64, pass.read_gbps);
            push(&mut series, name, RGBColor(150, 150, 150), mark, point);
        }
    }
    draw(
        "Effective throughput by queries that share a pass",
        Axis::new("queries a pass", Ticks::Powers),
        Axis::new(
            "database and packing matrices · queries / time, GB/s",
            Ticks::Decades,
        ),
        &series,
        &[],
    )
}

/// Bytes that a lookup sends and receives against the server's time on one
/// thread, beside what others have published.
pub(super) fn communication(report: &Report) -> Result<String> {
    let (mut series, mut labels) = (Vec::new(), Vec::new());
    for size in &report.sizes {
        let one_thread = || size.passes.iter().filter(|pass| pass.threads == 1);
        let alone = one_thread().find(|pass| pass.batch == 1);
        let shared = one_thread().max_by_key(|pass| pass.batch);
        if let Some(pass) = alone {
            let point = (kilobytes(size), pass.pass_ms.median);
            let name = "measured: one query a pass".to_owned();
            push(&mut series, name, COLOURS[0], Mark::Circle, point);
            labels.push((size.label(), point));
        }
        if let Some(pass) = shared.filter(|pass| pass.batch > 1) {
            let point = (kilobytes(size), per_query_ms(pass));
            let name = format!("measured: {} a pass, each", queries(pass.batch));
            push(&mut series, name, COLOURS[0], Mark::Ring, point);
            if alone.is_none() {
                labels.push((size.label(), point));
            }
        }
    }
    for point in &report.published {
        let (colour, mark) = match point.scheme {
            "InsPIRe" => (COLOURS[1], Mark::Triangle),
            "YPIR+SP" => (COLOURS[2], Mark::Triangle),
            "HintlessPIR" => (COLOURS[3], Mark::Triangle),
            _ => (COLOURS[6], Mark::Cross),
        };
        let at = (point.communication_kb, point.server_ms);
        push(&mut series, published_name(point), colour, mark, at);
        labels.push((point.scheme.to_owned(), at));
    }
    draw(
        "Communication and server time of a lookup, one thread",
        Axis::new("upload and answer, kB", Ticks::Decades),
        Axis::new("server time, ms", Ticks::Decades),
        &series,
        &labels,
    )
}

fn kilobytes(size: &SizeReport) -> f64 {
    size.lookup_bytes() as f64 / 1e3
}

fn per_query_ms(pass: &Pass) -> f64 {
    pass.pass_ms.median / pass.batch as f64
}

fn published_name(point: &Published) -> String {
    let hint = point
        .hint_kb
        .map_or(String::new(), |kb| format!(", {:.0} MB of hint", kb / 1e3));
    let size = mib_label(point.database_mib);
    format!("published: {}, {size}{hint}", point.scheme)
}

fn queries(count: usize) -> String {
    plural(count, "query", "queries")
}

fn threads(count: usize) -> String {
    plural(count, "thread", "threads")
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
