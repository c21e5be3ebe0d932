//! Cases of `metrics`.

use super::*;

#[test]
fn a_scraper_gets_what_it_asks_for() {
    let of_prometheus =
        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1";
    assert_eq!(Format::accepted(of_prometheus), Format::OpenMetrics);
    assert_eq!(Format::accepted("*/*"), Format::Prometheus);
    let metrics = Metrics::default();
    assert!(metrics.written(Format::OpenMetrics).ends_with("# EOF\n"));
    assert!(!metrics.written(Format::Prometheus).contains("# EOF"));
}

#[test]
fn only_an_error_has_a_kind_and_only_success_a_time() {
    let metrics = Metrics::default();
    metrics.reconciled(Ended::Badly("server"), Duration::from_millis(3), 7);
    let text = metrics.written(Format::OpenMetrics);
    for line in [
        "mfa_operator_reconciles_total{result=\"error\"} 1",
        "mfa_operator_reconciles_total{result=\"success\"} 0",
        "mfa_operator_reconcile_errors_total{kind=\"server\"} 1",
        "mfa_operator_reconcile_duration_seconds_count 1",
        "mfa_operator_last_success_timestamp_seconds 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    metrics.reconciled(Ended::Well, Duration::from_millis(3), 7);
    assert!(metrics.written(Format::OpenMetrics).contains("mfa_operator_last_success_timestamp_seconds 7"));
}
