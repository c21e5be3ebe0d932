//! What a human is told: events, the log, and the line for each change of the enforced level.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::objects::{SECRET, WHOAMI, env_patch, is_bare, kratos, kratos_with, policy, policy_with};
use crate::scene::{AFTER_THE_PAUSE, SOON, Scene, text};

/// Longer than it takes to tell what a status said.
const REACTION: Duration = Duration::from_secs(2);

/// Every line of a log, which is JSON.
fn lines(scene: &Scene) -> Vec<Value> {
    let log = scene.operator.log();
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

fn audit_lines(scene: &Scene) -> Vec<Value> {
    lines(scene).into_iter().filter(|line| line["target"] == "audit").collect()
}

/// How often each reason was told, and as what.
async fn told(scene: &Scene) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for event in scene.list("Event").await {
        assert_eq!(event["reportingController"], "mfa-operator");
        let series = event["series"]["count"].as_u64().unwrap_or(1);
        *told.entry(format!("{} {}", text(&event["type"]), text(&event["reason"]))).or_default() +=
            usize::try_from(series).expect("few");
    }
    told
}

/// Waits until just these were told since `before`, and holds that nothing follows.
async fn until_told(scene: &Scene, before: &mut BTreeMap<String, usize>, what: &str, expected: &[&str]) {
    let mut wanted = before.clone();
    for reason in expected {
        *wanted.entry((*reason).to_owned()).or_default() += 1;
    }
    let check = async || {
        let now = told(scene).await;
        if now == wanted { Ok(()) } else { Err(format!("told is {now:?}, not {wanted:?}")) }
    };
    scene.until(what, SOON, check).await;
    scene.throughout(what, REACTION, check).await;
    *before = wanted;
}

fn levels(settings: &str, whoami: &str) -> Value {
    json!({"spec": {"requiredAAL": {"settings": settings, "whoami": whoami}}})
}

#[tokio::test]
async fn each_change_of_a_life_is_told_once() {
    let mut scene = Scene::start_with_json("life").await;
    let mut before = BTreeMap::new();
    scene.create(kratos("kratos")).await;
    let totp = json!({"methods": {"totp": {"enabled": true}}});
    scene.create(policy_with("mfa", &["kratos"], totp)).await;
    scene.until_ready("mfa").await;
    let began = ["Normal RolloutStarted", "Normal RolledOut", "Normal LevelChanged", "Normal Ready"];
    until_told(&scene, &mut before, "a policy comes", &began).await;

    scene.operator.restart();
    until_told(&scene, &mut before, "a restart", &[]).await;

    scene.edit("MfaPolicy", "mfa", levels("highest_available", "aal1")).await;
    scene.until_ready("mfa").await;
    let weaker = ["Normal RolloutStarted", "Normal RolledOut", "Warning LevelChanged", "Normal Ready"];
    until_told(&scene, &mut before, "a weaker level", &weaker).await;
    scene
        .until_event("LevelChanged", &["whoami from highest_available to aal1", "spec last set by owner"])
        .await;

    scene.edit("MfaPolicy", "mfa", json!({"spec": {"suspend": true}})).await;
    until_told(&scene, &mut before, "suspended", &["Normal Suspended"]).await;
    scene.operator.restart();
    until_told(&scene, &mut before, "a restart while suspended", &[]).await;
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"suspend": false}})).await;
    until_told(&scene, &mut before, "resumed", &["Normal Resumed"]).await;

    for target in ["one", "two"] {
        scene.edit("MfaPolicy", "mfa", json!({"spec": {"targetRefs": [{"name": target}]}})).await;
        until_told(&scene, &mut before, "a target that is not there", &["Warning TargetNotFound"]).await;
        scene.until_event("TargetNotFound", &[target]).await;
    }
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"targetRefs": [{"name": "kratos"}]}})).await;
    until_told(&scene, &mut before, "corrected", &["Normal Ready"]).await;

    scene.delete("MfaPolicy", "mfa").await;
    scene.until("it is reverted", AFTER_THE_PAUSE, async || is_bare(&scene.deployment("kratos").await)).await;
    until_told(&scene, &mut before, "deleted", &["Normal Reverted"]).await;

    let changes: Vec<_> = audit_lines(&scene).iter().map(change).collect();
    let expected = [
        ["Unknown", "highest_available", "Unknown", "highest_available", "Policy", "owner", "1"],
        ["highest_available", "highest_available", "highest_available", "aal1", "Policy", "owner", "2"],
        ["highest_available", "Unknown", "aal1", "Unknown", "Deleted", "", ""],
    ];
    assert_eq!(changes, expected);
    for line in audit_lines(&scene) {
        assert_eq!(
            (&line["policy"], &line["targets"]),
            (&json!(format!("{}/mfa", scene.namespace)), &json!("Deployment kratos")),
            "{line}"
        );
        assert!(text(&line["revision"]).starts_with("mfa-") && !text(&line["uid"]).is_empty(), "{line}");
    }
    every_line_says_what_it_is_about(&scene);
}

fn change(line: &Value) -> [String; 7] {
    ["from_settings", "to_settings", "from_whoami", "to_whoami", "cause", "manager", "generation"].map(
        |field| {
            line[field].as_str().map_or_else(
                || line[field].as_i64().map(|number| number.to_string()).unwrap_or_default(),
                Into::into,
            )
        },
    )
}

fn every_line_says_what_it_is_about(scene: &Scene) {
    let about = |line: &Value| line["policy"] == format!("{}/mfa", scene.namespace);
    let all = lines(scene);
    for line in &all {
        assert!(
            ["timestamp", "level", "target", "message"].iter().all(|field| line[field].is_string()),
            "{line}"
        );
    }
    let told: Vec<_> =
        all.iter().filter(|line| line["kind"] == "MfaPolicy" && line["object"].is_string()).collect();
    assert!(told.len() > 10, "the events are in the log");
    for line in told {
        assert!(
            about(line)
                && line["generation"].is_i64()
                && line["targets"].is_string()
                && line["reason"].is_string(),
            "{line}"
        );
        assert!(line["reason"] == "TargetNotFound" || line["revision"].is_string(), "{line}");
    }
    assert!(!scene.operator.log().contains(SECRET));
}

/// A second thing that beats the policy is news, though the condition stands.
#[tokio::test]
async fn each_override_is_told() {
    let scene = Scene::start("override-again").await;
    scene
        .create(kratos_with("kratos", json!({"name": "session_whoami_required_aal", "value": "aal1"})))
        .await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_event("Overridden", &["session_whoami_required_aal"]).await;
    scene.edit("Deployment", "kratos", env_patch(&[("SESSION", "{}")])).await;
    scene.until_event("Overridden", &["session_whoami_required_aal", "SESSION "]).await;
    tokio::time::sleep(REACTION).await;
    assert_eq!(scene.events("Overridden").await.len(), 2);
}

#[tokio::test]
async fn no_filter_tells_a_secret_or_hides_a_level() {
    let mut scene = Scene::start_with_json("log").await;
    scene.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "base"}, "data": {"kratos.yaml": format!("dsn: {SECRET}\n")}})).await;
    let mut workload = kratos("kratos");
    let pod = &mut workload["spec"]["template"]["spec"];
    pod["volumes"] = json!([{"name": "config", "configMap": {"name": "base"}}]);
    pod["containers"][0]["volumeMounts"] = json!([{"name": "config", "mountPath": "/etc/config"}]);
    scene.create(workload).await;

    // Everything that any part of the program can say, over a whole roll.
    scene.operator.restart_logging("trace");
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    scene.edit("Deployment", "kratos", env_patch(&[(WHOAMI, "aal1")])).await;
    scene.until_event("DriftRepaired", &[WHOAMI]).await;
    scene.until_ready("mfa").await;
    assert!(lines(&scene).iter().any(|line| line["level"] == "TRACE"));
    assert!(!scene.operator.log().contains("hunter2"), "the log has a secret");

    // At rest there is nothing to say.
    scene.operator.restart_logging("info");
    tokio::time::sleep(REACTION).await;
    let quiet = lines(&scene).len();
    tokio::time::sleep(REACTION * 2).await;
    assert_eq!(lines(&scene)[quiet..], Vec::<Value>::new(), "at rest it logs nothing at info");

    // The directive names the target on purpose.
    scene.operator.restart_logging("off,audit=off,audit[{policy}]=off");
    let before = lines(&scene).len();
    scene.edit("MfaPolicy", "mfa", levels("highest_available", "aal1")).await;
    scene.until_ready("mfa").await;
    let since = lines(&scene).split_off(before);
    let told: Vec<_> = since.iter().map(|line| (text(&line["target"]), text(&line["to_whoami"]))).collect();
    assert_eq!(told, [("audit".to_owned(), "aal1".to_owned())]);
}
