use prometheus_client::encoding::text;

use super::*;

fn text(metrics: &Metrics) -> String {
    let mut written = String::new();
    text::encode(&mut written, &metrics.registry).unwrap();
    written
}

#[test]
fn a_bucket_of_removals_ends_at_the_bound() {
    let metrics = Metrics::new(Some(Duration::from_secs(6)));
    for secs in [0, 12, 13] {
        metrics.removed(secs);
    }
    let text = text(&metrics);
    for line in [
        "sotto_removal_bound_seconds 12.0",
        "sotto_removal_seconds_bucket{le=\"12.0\"} 2",
        "sotto_removal_seconds_bucket{le=\"+Inf\"} 3",
        "sotto_removal_seconds_count 3",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    // Without an interval there is no bound.
    assert!(!self::text(&Metrics::new(None)).contains("sotto_removal_bound"));
}

#[test]
fn a_method_or_route_of_the_clients_making_is_no_label() {
    let metrics = Metrics::new(None);
    let method = Method::from_bytes(b"CANARY").unwrap();
    metrics.answered(&method, None, Some(ProblemType::NotFound));
    metrics.answered(&Method::GET, Some("/v1/snapshots/{id}/hint"), None);
    let text = text(&metrics);
    for line in [
        "sotto_requests_total{method=\"other\",route=\"other\",outcome=\"not-found\"} 1",
        "sotto_requests_total{method=\"GET\",route=\"/v1/snapshots/{id}/hint\",outcome=\"ok\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[test]
fn a_rebuild_runs_until_it_is_dropped_and_failures_begin_at_zero() {
    let metrics = Metrics::new(None);
    let running = metrics.rebuilding();
    assert!(text(&metrics).contains("\nsotto_rebuild_running 1\n"));
    drop(running);
    metrics.rebuilt("store");
    let text = text(&metrics);
    assert!(text.contains("\nsotto_rebuild_running 0\n"));
    let outcomes = [(SERVED, 0), (PANICKED, 0), ("store", 1), ("build", 0)];
    for (outcome, count) in outcomes {
        let line = format!("sotto_rebuilds_total{{outcome=\"{outcome}\"}} {count}\n");
        assert!(text.contains(&line), "{line}: {text}");
    }
}
