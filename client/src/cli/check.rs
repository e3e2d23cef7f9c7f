//! `sotto check`.

use client::{Client, SnapshotView};
use pir_core::params::ParameterSet;
use protocol::time::UnixTime;

use super::settings::CacheArgs;
use super::{Connection, Failure, Outcome};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    cache: CacheArgs,

    #[command(flatten)]
    connection: Connection,
}

/// Connects and prints what the verified manifest says.
///
/// # Errors
/// [`Failure`], if anything could not be fetched or verified.
pub(super) async fn run(args: &CheckArgs) -> Result<Outcome, Failure> {
    let mut settings = args.connection.settings()?;
    args.cache.apply(&mut settings)?;
    let trust = settings.client.trust.digest();
    let client = Client::connect(settings.client).await?;
    for (name, value) in facts(&client.snapshot(), &trust, UnixTime::now()) {
        println!("{name:<22}{value}");
    }
    println!("{:<22}{} bytes", "downloaded", client.traffic().received);
    Ok(Outcome::Complete)
}

fn facts(snapshot: &SnapshotView, trust: &[u8; 32], now: UnixTime) -> Vec<(&'static str, String)> {
    let manifest = snapshot.manifest();
    let params = snapshot.params();
    let widths = params.widths();
    let security = ParameterSet::named(&manifest.pir.parameter_set).map(|set| set.security_bits());
    let same_trust = manifest.trust_list.as_bytes() == trust;
    let age = now.secs_since(manifest.published_at);
    let filter = manifest.filter.map(|filter| filter.bytes);
    vec![
        ("snapshot", manifest.snapshot.to_string()),
        ("sequence", manifest.sequence.to_string()),
        (
            "published",
            format!("{} ({age} s ago)", manifest.published_at),
        ),
        ("expires", manifest.expires_at.to_string()),
        (
            "log",
            snapshot.pin().log.map_or_else(
                || "not checked".to_owned(),
                |head| format!("contains it, {} manifests", head.size),
            ),
        ),
        ("records", manifest.records.to_string()),
        (
            "buckets",
            format!("{} of {} bytes", params.columns(), params.rows()),
        ),
        ("parameter set", manifest.pir.parameter_set.clone()),
        (
            "security",
            security.map_or_else(|error| error.to_string(), |bits| format!("{bits} bits")),
        ),
        (
            "failure bound",
            format!("2^{:.1} per lookup", params.failure_log2()),
        ),
        (
            "widths",
            format!(
                "query {}, mask {}, body {} bits",
                widths.query, widths.mask, widths.body
            ),
        ),
        (
            "query",
            format!("{} bytes", pir_core::query::encoded_bytes(params)),
        ),
        (
            "answer",
            format!("{} bytes", pir_core::answer::encoded_bytes(params)),
        ),
        ("hint", format!("{} bytes", manifest.hint.bytes)),
        (
            "membership filter",
            filter.map_or_else(|| "none".to_owned(), |bytes| format!("{bytes} bytes")),
        ),
        ("Merkle root", manifest.merkle_root.to_string()),
        ("OPRF epoch", manifest.oprf_epoch.to_string()),
        ("CRS epoch", manifest.crs_epoch.to_string()),
        (
            "trust list",
            if same_trust {
                "same as here"
            } else {
                "differs from the one here"
            }
            .to_owned(),
        ),
    ]
}
