//! A policy that holds still: nothing is written but its status and what its workloads remember.

use std::time::Duration;

use serde_json::{Value, json};

use crate::objects::{
    WHOAMI, enforces, env, env_patch, generation, governed, kratos, kratos_reading, policy_with, template,
};
use crate::scene::{SOON, Scene, text};
use crate::steady::settle;

const REACTION: Duration = Duration::from_secs(3);

fn suspend(suspend: bool) -> Value {
    json!({"spec": {"suspend": suspend}})
}

async fn in_force(name: &str) -> Scene {
    let scene = Scene::start(name).await;
    scene.create(kratos("kratos")).await;
    scene.create(policy_with("mfa", &["kratos"], json!({}))).await;
    scene.until_ready("mfa").await;
    scene
}

/// Waits until what the workload and the file remember is to be left as they are, or not.
async fn until_remembered(scene: &Scene, deletion_policy: &str) {
    for (kind, name) in [("Deployment", "kratos"), ("ConfigMap", "mfa-mfa")] {
        scene
            .until(&format!("{kind} {name} remembers {deletion_policy}"), SOON, async || {
                let memory = governed(&scene.get(kind, name).await);
                if memory["deletionPolicy"] == deletion_policy { Ok(()) } else { Err(memory.to_string()) }
            })
            .await;
    }
}

#[tokio::test]
async fn an_edit_waits_and_is_written_at_the_end() {
    let scene = in_force("suspend").await;
    let before = template(&scene.deployment("kratos").await);
    scene.edit("MfaPolicy", "mfa", suspend(true)).await;
    until_remembered(&scene, "Retain").await;
    // With nothing to do it is as ready as before.
    scene.until_condition("mfa", "Ready", "True", "Ready").await;
    scene
        .edit(
            "MfaPolicy",
            "mfa",
            json!({"spec": {"privilegedSessionMaxAge": "15m", "requiredAAL": {"whoami": "aal1"}}}),
        )
        .await;
    let message = scene.until_condition("mfa", "RolledOut", "False", "Suspended").await;
    assert!(message.contains("spec.suspend") && message.contains(WHOAMI), "{message}");
    scene.until_condition("mfa", "Stalled", "True", "Suspended").await;
    scene.until_condition("mfa", "Accepted", "True", "Accepted").await;
    let status = scene.get("MfaPolicy", "mfa").await["status"].clone();
    assert_eq!(status["requiredAAL"]["whoami"], "highest_available", "the status is true to what runs");
    let records = scene.list("ControllerRevision").await.len();
    tokio::time::sleep(REACTION).await;
    assert_eq!(template(&scene.deployment("kratos").await), before);
    assert!(!text(&scene.get("ConfigMap", "mfa-mfa").await["data"]["kratos.yaml"]).contains("15m"));
    assert_eq!(scene.list("ControllerRevision").await.len(), records);

    scene.edit("MfaPolicy", "mfa", suspend(false)).await;
    scene.until_ready("mfa").await;
    until_remembered(&scene, "Revert").await;
    assert_eq!(env(&scene.deployment("kratos").await, "kratos")[WHOAMI], "aal1");
}

#[tokio::test]
async fn drift_is_told_and_not_repaired() {
    let scene = in_force("suspend-drift").await;
    scene.edit("MfaPolicy", "mfa", suspend(true)).await;
    until_remembered(&scene, "Retain").await;
    scene.edit("Deployment", "kratos", env_patch(&[(WHOAMI, "aal1")])).await;
    scene.edit("ConfigMap", "mfa-mfa", json!({"data": {"kratos.yaml": "{}"}})).await;
    let message = scene.until_condition("mfa", "Ready", "False", "Suspended").await;
    assert!(message.contains(WHOAMI), "{message}");
    scene.until_event("Suspended", &[WHOAMI]).await;
    // The status follows what Kubernetes observes of the edit.
    settle(&scene).await;
    let mark = scene.audit_mark();
    tokio::time::sleep(REACTION).await;
    assert_eq!(env(&scene.deployment("kratos").await, "kratos")[WHOAMI], "aal1");
    let writes: Vec<_> = scene.writes_since(mark).iter().map(|write| format!("{write:?}")).collect();
    assert_eq!(writes, Vec::<String>::new(), "at rest it writes nothing");
    scene.edit("MfaPolicy", "mfa", suspend(false)).await;
    scene.until("the drift is repaired", SOON, async || enforces(&scene.deployment("kratos").await)).await;
    scene.until_ready("mfa").await;
    assert!(
        text(&scene.get("ConfigMap", "mfa-mfa").await["data"]["kratos.yaml"]).contains("highest_available")
    );
}

#[tokio::test]
async fn deleted_while_suspended_it_leaves_everything_as_it_is() {
    let scene = in_force("suspend-delete").await;
    scene.edit("MfaPolicy", "mfa", suspend(true)).await;
    until_remembered(&scene, "Retain").await;
    let before = generation_of_template(&scene).await;
    scene.delete("MfaPolicy", "mfa").await;
    // Longer than the pause after a deletion.
    tokio::time::sleep(Duration::from_secs(45)).await;
    enforces(&scene.deployment("kratos").await).expect("it still enforces");
    assert_eq!(generation_of_template(&scene).await, before);
    assert!(
        text(&scene.get("ConfigMap", "mfa-mfa").await["data"]["kratos.yaml"]).contains("highest_available")
    );
}

/// Suspending is what one does in trouble: what is in force must be remembered whatever is refused.
#[tokio::test]
async fn what_is_refused_is_remembered_as_to_be_left() {
    let scene = in_force("suspend-refused").await;
    let allowed =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "kratos", "image": "nginx"}]}}}});
    scene.edit("Deployment", "kratos", allowed).await;
    scene.until_condition("mfa", "Accepted", "False", "NotKratos").await;
    scene.edit("MfaPolicy", "mfa", suspend(true)).await;
    until_remembered(&scene, "Retain").await;
    scene.edit("MfaPolicy", "mfa", suspend(false)).await;
    until_remembered(&scene, "Revert").await;
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"deletionPolicy": "Retain"}})).await;
    until_remembered(&scene, "Retain").await;
}

#[tokio::test]
async fn a_new_one_that_is_suspended_takes_nothing() {
    let scene = Scene::start("suspend-new").await;
    for workload in [kratos("kratos"), kratos_reading("reading", "file-mfa")] {
        scene.create(workload).await;
    }
    scene.create(policy_with("mfa", &["kratos"], json!({"suspend": true}))).await;
    scene
        .create(policy_with(
            "file",
            &["reading"],
            json!({"suspend": true, "delivery": {"type": "ConfigFile"}}),
        ))
        .await;
    for (policy, workload) in [("mfa", "kratos"), ("file", "reading")] {
        scene.until_condition(policy, "RolledOut", "False", "Suspended").await;
        assert_eq!(generation(&scene.deployment(workload).await), 1, "{workload} is as it was");
        assert!(scene.find("ConfigMap", &format!("{policy}-mfa")).await.is_none());
    }
    scene.edit("MfaPolicy", "mfa", suspend(false)).await;
    scene.until_ready("mfa").await;
}

#[tokio::test]
async fn a_target_that_is_dropped_keeps_what_it_has_until_the_end() {
    let scene = in_force("suspend-drop").await;
    scene.create(kratos("second")).await;
    scene
        .edit("MfaPolicy", "mfa", json!({"spec": {"targetRefs": [{"name": "kratos"}, {"name": "second"}]}}))
        .await;
    scene.until_ready("mfa").await;
    scene
        .edit("MfaPolicy", "mfa", json!({"spec": {"suspend": true, "targetRefs": [{"name": "second"}]}}))
        .await;
    let message = scene.until_condition("mfa", "RolledOut", "False", "Suspended").await;
    assert!(message.contains("Deployment kratos"), "{message}");
    enforces(&scene.deployment("kratos").await).expect("it still enforces");
    scene.edit("MfaPolicy", "mfa", suspend(false)).await;
    scene
        .until("it is reverted", SOON, async || crate::objects::is_bare(&scene.deployment("kratos").await))
        .await;
}

async fn generation_of_template(scene: &Scene) -> Value {
    template(&scene.deployment("kratos").await)
}

/// To create one needs no right beside that, so it must not keep anybody else's policy out.
#[tokio::test]
async fn one_that_never_applied_keeps_nobody_out() {
    let scene = Scene::start("suspended-claim").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy_with("early", &["kratos"], json!({"suspend": true}))).await;
    scene.until_condition("early", "Stalled", "True", "Suspended").await;
    scene.create(policy_with("mfa", &["kratos"], json!({}))).await;
    scene.until_ready("mfa").await;
    enforces(&scene.deployment("kratos").await).expect("the one that is not suspended governs");
    scene.edit("MfaPolicy", "early", suspend(false)).await;
    let message = scene.until_condition("early", "Accepted", "False", "TargetClaimed").await;
    assert!(message.contains("the policy mfa"), "{message}");
    scene.until_condition("mfa", "Ready", "True", "Ready").await;
}
