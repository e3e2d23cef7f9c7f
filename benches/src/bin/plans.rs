//! Prints what the planner chooses for a range of database sizes, as the rows
//! of the table in docs/parameters.md.

use anyhow::Result;
use pir_core::params::plan;

fn main() -> Result<()> {
    for mib in [64, 256, 1024, 4096, 8192] {
        let params = plan::plan(mib << 20, 1)?;
        let (costs, widths) = (params.costs(), params.widths());
        println!(
            "| {mib} MiB | {} × {} | {}, {}, {} | {:.1} KB | {:.1} KB | {:.1} KB | {:.2} GiB | 2^{:.1} |",
            params.columns(),
            params.rows(),
            widths.query,
            widths.mask,
            widths.body,
            costs.upload_bytes as f64 / 1e3,
            costs.answer_bytes as f64 / 1e3,
            costs.hint_bytes as f64 / 1e3,
            costs.streamed_bytes as f64 / f64::from(1 << 30),
            params.failure_log2(),
        );
    }
    Ok(())
}
