//! What a policy left in force on purpose, before it went: the next one drops nothing of it unnoticed.

use serde_json::{Value, json};

use crate::objects::{SETTINGS, WHOAMI, env, kratos, kratos_reading, label, policy_with, template};
use crate::scene::{AFTER_THE_PAUSE, SOON, Scene, condition, text};

const TOTP: &str = "SELFSERVICE_METHODS_TOTP_ENABLED";

/// Both levels, and a second factor.
fn whole(delivery: &Value) -> Value {
    json!({
        "requiredAAL": {"settings": "highest_available", "whoami": "highest_available"},
        "methods": {"totp": {"enabled": true}},
        "delivery": delivery,
        "deletionPolicy": "Retain",
    })
}

/// What a policy left that wanted all of this: it is gone, and its pause is not over.
async fn left_behind(scene: &Scene, workload: Value, spec: Value) {
    scene.create(workload).await;
    scene.create(policy_with("first", &["kratos"], spec)).await;
    scene.until_ready("first").await;
    scene.delete("MfaPolicy", "first").await;
}

/// Asks for one level alone, which needs no verb of anybody.
async fn refused_to_leave_out(scene: &Scene, delivery: &Value) -> String {
    let spec = json!({"requiredAAL": {"whoami": "highest_available"}, "delivery": delivery});
    scene.create(policy_with("next", &["kratos"], spec)).await;
    scene.until_condition_within(AFTER_THE_PAUSE, "next", "Accepted", "False", "InvalidSpec").await
}

#[tokio::test]
async fn what_was_retained_is_not_left_out_unnoticed() {
    let scene = Scene::start("left-out").await;
    left_behind(&scene, kratos("kratos"), whole(&json!({}))).await;
    let before = template(&scene.deployment("kratos").await);
    let message = refused_to_leave_out(&scene, &json!({})).await;
    for part in ["spec.requiredAAL.settings", "state it", "Deployment kratos", "MethodSwitchedOff:totp"] {
        assert!(message.contains(part), "{part} is missing in: {message}");
    }
    assert_eq!(template(&scene.deployment("kratos").await), before);

    // Who may weaken can say so.
    let said = json!({"requiredAAL": {"settings": "aal1", "whoami": "aal1"}, "acknowledge": ["MethodSwitchedOff:totp"]});
    scene.edit("MfaPolicy", "next", json!({ "spec": said })).await;
    scene.until_ready("next").await;
    let now = env(&scene.deployment("kratos").await, "kratos");
    assert_eq!(
        [now.get(SETTINGS), now.get(WHOAMI), now.get(TOTP)].map(|value| value.map(String::as_str)),
        [Some("aal1"), Some("aal1"), None]
    );

    // What was the weaker may be left to the server, whatever that has.
    scene.edit("MfaPolicy", "next", json!({"spec": {"requiredAAL": {"settings": null}}})).await;
    scene.until_ready("next").await;
    assert_eq!(env(&scene.deployment("kratos").await, "kratos").get(SETTINGS), None);
}

#[tokio::test]
async fn stating_what_was_retained_rolls_nothing() {
    let scene = Scene::start("left-stated").await;
    left_behind(&scene, kratos("kratos"), whole(&json!({}))).await;
    let before = template(&scene.deployment("kratos").await);
    refused_to_leave_out(&scene, &json!({})).await;
    scene.edit("MfaPolicy", "next", json!({ "spec": whole(&json!({})) })).await;
    scene.until_ready("next").await;
    assert_eq!(template(&scene.deployment("kratos").await), before);
}

#[tokio::test]
async fn a_file_that_was_retained_is_not_emptied_unnoticed() {
    let scene = Scene::start("left-file").await;
    let delivery = json!({"type": "ConfigFile", "configMapName": "kratos-mfa"});
    left_behind(&scene, kratos_reading("kratos", "kratos-mfa"), whole(&delivery)).await;
    let file = async || scene.get("ConfigMap", "kratos-mfa").await["data"]["kratos.yaml"].clone();
    let before = file().await;
    let message = refused_to_leave_out(&scene, &delivery).await;
    assert!(
        message.contains("spec.requiredAAL.settings") && message.contains("MethodSwitchedOff:totp"),
        "{message}"
    );
    assert_eq!(file().await, before);
    scene.edit("MfaPolicy", "next", json!({ "spec": whole(&delivery) })).await;
    scene.until_ready("next").await;
    assert_eq!(label(&scene.get("ConfigMap", "kratos-mfa").await), "next", "it is taken over");
}

/// The file goes on being read by those whom the next policy does not name.
#[tokio::test]
async fn a_file_that_was_retained_is_not_taken_from_a_distance() {
    let scene = Scene::start("left-distance").await;
    let delivery = json!({"type": "ConfigFile", "configMapName": "kratos-mfa"});
    left_behind(&scene, kratos_reading("kratos", "kratos-mfa"), whole(&delivery)).await;
    scene.create(kratos("other")).await;
    let before = scene.get("ConfigMap", "kratos-mfa").await["data"].clone();
    let named = json!({"configMapName": "kratos-mfa"});
    let spec = json!({"requiredAAL": {"whoami": "highest_available"}, "delivery": named});
    scene.create(policy_with("next", &["other"], spec)).await;
    let message =
        scene.until_condition_within(AFTER_THE_PAUSE, "next", "Accepted", "False", "InvalidSpec").await;
    assert!(
        message.contains("ConfigMap kratos-mfa") && message.contains("spec.delivery.configMapName"),
        "{message}"
    );
    assert_eq!(scene.get("ConfigMap", "kratos-mfa").await["data"], before);
    // A name of its own is all that it takes.
    scene.edit("MfaPolicy", "next", json!({"spec": {"delivery": {"configMapName": "other-mfa"}}})).await;
    scene.until_ready("next").await;
    assert_eq!(scene.get("ConfigMap", "kratos-mfa").await["data"], before);
}

/// One target that was left stricter holds up what comes after it, and nothing else.
#[tokio::test]
async fn only_the_target_that_would_lose_something_is_left() {
    let scene = Scene::start("left-one").await;
    left_behind(&scene, kratos("kratos"), whole(&json!({}))).await;
    scene.create(kratos("free")).await;
    let before = template(&scene.deployment("kratos").await);
    scene
        .create(policy_with(
            "next",
            &["free", "kratos"],
            json!({"requiredAAL": {"whoami": "highest_available"}}),
        ))
        .await;
    let message =
        scene.until_condition_within(AFTER_THE_PAUSE, "next", "Accepted", "False", "InvalidSpec").await;
    assert!(message.contains("Deployment kratos"), "{message}");
    assert!(env(&scene.deployment("free").await, "kratos").contains_key(WHOAMI));
    // A refused edit brings nothing along.
    scene.edit("MfaPolicy", "next", json!({"spec": {"methods": {"code": {"mfaEnabled": true}}}})).await;
    scene
        .until("the edit is refused", SOON, async || {
            let policy = scene.get("MfaPolicy", "next").await;
            let message = condition(&policy, "Accepted")
                .map(|condition| text(&condition["message"]))
                .unwrap_or_default();
            if message.contains("CodeCountsForEveryone") { Ok(()) } else { Err(message) }
        })
        .await;
    assert_eq!(template(&scene.deployment("kratos").await), before);
}

/// Whoever deleted that one said that all of it shall go.
#[tokio::test]
async fn what_was_to_be_reverted_may_be_left_out() {
    let scene = Scene::start("left-revert").await;
    let mut spec = whole(&json!({}));
    spec["deletionPolicy"] = json!("Revert");
    left_behind(&scene, kratos("kratos"), spec).await;
    let next = policy_with("next", &["kratos"], json!({"requiredAAL": {"whoami": "highest_available"}}));
    scene.create(next).await;
    scene
        .until("it is taken over", AFTER_THE_PAUSE, async || {
            let now = env(&scene.deployment("kratos").await, "kratos");
            if now.contains_key(SETTINGS) || !now.contains_key(WHOAMI) {
                Err(format!("{now:?}"))
            } else {
                Ok(())
            }
        })
        .await;
    scene.until_ready("next").await;
}

/// An error of the API server passes, and what stood there before is remembered then.
#[tokio::test]
async fn what_was_retained_is_remembered_before_anything_else_is_written() {
    let scene = Scene::start("left-unnoted").await;
    left_behind(&scene, kratos("kratos"), whole(&json!({}))).await;
    let name = scene.namespace.clone();
    // Of what stood there before, and of nothing else.
    let webhook = json!({
        "name": "records.example.com",
        "clientConfig": {"url": "https://127.0.0.1:9/"},
        "rules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["controllerrevisions"]}],
        "matchConditions": [{"name": "before", "expression": "object.revision == 0"}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
    });
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name}, "webhooks": [webhook],
    });
    scene.create(configuration).await;
    let mut number = 0;
    let refused = async || {
        number += 1;
        let probe = json!({
            "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": format!("probe-{number}")}, "revision": 0,
        });
        scene
            .try_kubectl(&["create", "--filename", "-"], &probe.to_string())
            .map_or(Ok(()), |()| Err("it passes".into()))
    };
    scene.until("the webhook is asked", SOON, refused).await;
    let before = template(&scene.deployment("kratos").await);
    let mut spec = whole(&json!({}));
    spec["privilegedSessionMaxAge"] = json!("5m");
    scene.create(policy_with("next", &["kratos"], spec)).await;
    scene.until_condition_within(AFTER_THE_PAUSE, "next", "Ready", "False", "WriteRefused").await;
    assert_eq!(
        template(&scene.deployment("kratos").await),
        before,
        "nothing is written over that is not remembered"
    );
    scene.delete("ValidatingWebhookConfiguration", &name).await;
    scene.until_condition_within(AFTER_THE_PAUSE, "next", "Ready", "True", "Ready").await;
    let uid = scene.get("MfaPolicy", "next").await["metadata"]["uid"].clone();
    let records = scene.list("ControllerRevision").await;
    let of_before =
        |record: &&Value| record["metadata"]["ownerReferences"][0]["uid"] == uid && record["revision"] == 0;
    let found = records.iter().find(of_before).unwrap_or_else(|| panic!("it is lost: {records:#?}"));
    let age = found.pointer("/data/overlay/selfservice/flows/settings/privileged_session_max_age");
    assert_eq!(
        (age, &found["data"]["overlay"]["session"]["whoami"]["required_aal"]),
        (None, &json!("highest_available"))
    );
}
