//! What `/metrics` tells of real events, and that it tells nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use mfa_operator::telemetry::metrics::table::ALL;
use serde_json::json;

use crate::objects::{WHOAMI, env_patch, kratos, policy};
use crate::scene::{AFTER_THE_PAUSE, SOON, Scene};

const OPEN: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";

/// Values by series, as they are written.
fn series(scene: &Scene) -> BTreeMap<String, f64> {
    let answer = scene.operator.answer("/metrics", OPEN).expect("the operator answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    assert!(
        head.to_lowercase().contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{head}"
    );
    assert!(body.ends_with("# EOF\n"), "{body}");
    let samples = body.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.map(|line| line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}")));
    samples
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{name} is {value}"))))
        .collect()
}

pub fn value(scene: &Scene, name: &str) -> f64 {
    series(scene).get(name).copied().unwrap_or_default()
}

pub async fn until_value(scene: &Scene, name: &str, limit: std::time::Duration, expected: f64) {
    let what = format!("{name} is {expected}");
    scene
        .until(&what, limit, async || {
            let found = value(scene, name);
            if found == expected { Ok(()) } else { Err(format!("it is {found}")) }
        })
        .await;
}

/// promtool of the machine or of Debian, on this text.
fn promtool(text: &str) -> Result<(), String> {
    let folder = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/prometheus"))
        .output()
        .expect("the script runs");
    assert!(folder.status.success(), "{}", String::from_utf8_lossy(&folder.stderr));
    let program = format!("{}/promtool", String::from_utf8_lossy(&folder.stdout).trim());
    let mut check = Command::new(program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    check.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("promtool reads it");
    let output = check.wait_with_output().expect("promtool ends");
    let complaint =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() && complaint.trim().is_empty() { Ok(()) } else { Err(complaint) }
}

#[tokio::test]
async fn counts_follow_what_happens_and_series_go_with_their_policy() {
    let scene = Scene::start("metrics").await;
    assert_eq!(value(&scene, "mfa_operator_rollouts_started_total{kind=\"Deployment\"}"), 0.0);
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    let ready = scene.until_ready("mfa").await;
    until_value(&scene, "mfa_operator_policies{reason=\"Ready\"}", SOON, 1.0).await;
    let found = series(&scene);
    assert_eq!(found["mfa_operator_rollouts_started_total{kind=\"Deployment\"}"], 1.0);
    assert_eq!(found["mfa_operator_rollouts_finished_total{kind=\"Deployment\"}"], 1.0);
    assert_eq!(found["mfa_operator_leader"], 1.0);
    assert!(found["mfa_operator_last_success_timestamp_seconds"] > 1_700_000_000.0);
    assert!(found["process_resident_memory_bytes"] > 1_000_000.0);
    for write in [
        "resource=\"deployments\",verb=\"apply\",result=\"done\"",
        "resource=\"configmaps\",verb=\"create\",result=\"done\"",
        "resource=\"controllerrevisions\",verb=\"create\",result=\"done\"",
        "resource=\"mfapolicies/status\",verb=\"apply\",result=\"done\"",
    ] {
        assert!(
            found.get(&format!("mfa_operator_writes_total{{{write}}}")).is_some_and(|count| *count >= 1.0),
            "{write}: {found:#?}"
        );
    }
    let revision = ready["status"]["revision"].as_str().expect("it has a revision");
    let info = format!(
        "mfa_policy_info{{policy_namespace=\"{}\",name=\"mfa\",revision=\"{revision}\",settings=\"highest_available\",whoami=\"highest_available\"}}",
        scene.namespace
    );
    assert_eq!(found.get(&info), Some(&1.0), "{found:#?}");
    assert!(!found.keys().any(|name| name.starts_with("mfa_policy_not_ready")), "it is ready: {found:#?}");

    scene.edit_as("kubectl-edit", "Deployment", "kratos", env_patch(&[(WHOAMI, "aal1")])).await;
    until_value(&scene, "mfa_operator_drift_repairs_total{kind=\"Deployment\"}", SOON, 1.0).await;

    scene.edit("MfaPolicy", "mfa", json!({"spec": {"targetRefs": [{"name": "absent"}]}})).await;
    let absent = format!(
        "mfa_policy_not_ready{{policy_namespace=\"{}\",name=\"mfa\",reason=\"TargetNotFound\"}}",
        scene.namespace
    );
    until_value(&scene, &absent, SOON, 1.0).await;

    let text = scene.operator.answer("/metrics", "*/*").expect("the operator answers");
    let (_, text) = text.split_once("\r\n\r\n").expect("an answer has a head");
    promtool(text).expect("promtool finds nothing to complain about");
    only_known_words(&series(&scene));

    scene.delete("MfaPolicy", "mfa").await;
    let gone = async || {
        let left: Vec<_> = series(&scene).into_keys().filter(|name| name.contains("name=\"mfa\"")).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    };
    scene.until("no series is left of the policy", AFTER_THE_PAUSE, gone).await;
}

#[tokio::test]
async fn what_the_cluster_refuses_is_counted() {
    let scene = Scene::start("metrics-refused").await;
    let mut frozen = kratos("kratos");
    frozen["metadata"]["labels"]["frozen"] = json!("yes");
    scene.create(frozen).await;
    scene
        .refuse_unless(
            "object.metadata.?labels.?frozen.orValue('') == ''",
            "frozen by the test",
            json!({"labels": {"frozen": "yes"}}),
        )
        .await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_condition("mfa", "Accepted", "False", "WriteRefused").await;
    assert!(
        value(
            &scene,
            "mfa_operator_writes_total{resource=\"deployments\",verb=\"apply\",result=\"refused\"}"
        ) >= 1.0
    );
    assert_eq!(value(&scene, "mfa_operator_rollouts_started_total{kind=\"Deployment\"}"), 0.0);
    scene.let_pass().await;
}

/// Each series is one of the table, with the labels that it has there.
fn only_known_words(found: &BTreeMap<String, f64>) {
    for name in found.keys() {
        let (full, labels) = name.split_once('{').unwrap_or((name, ""));
        let metric = ALL.iter().find(|metric| {
            let known = metric.full_name();
            full == known
                || ["_bucket", "_sum", "_count"].iter().any(|suffix| full == format!("{known}{suffix}"))
        });
        let metric = metric.unwrap_or_else(|| panic!("{name} is not in the table"));
        let labels: BTreeSet<_> =
            labels.split(',').filter_map(|label| label.split_once("=\"")).map(|(label, _)| label).collect();
        let known: BTreeSet<_> = metric
            .labels
            .iter()
            .map(|(label, _)| *label)
            .chain(full.ends_with("_bucket").then_some("le"))
            .collect();
        assert_eq!(labels, known, "{name}");
    }
}
