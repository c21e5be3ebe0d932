//! What somebody else undoes is put back at once and told; whoever keeps undoing it is named.

use std::time::Duration;

use serde_json::{Value, json};

use crate::objects::{
    GOVERNED, LABEL, WHOAMI, enforces, env, env_patch, env_removal, governed, kratos, label, policy, template,
};
use crate::scene::{OWNER, SOON, Scene, text};

async fn governed_scene(name: &str) -> Scene {
    let scene = Scene::start(name).await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    scene
}

/// Waits until the Deployment carries everything again, and the repair was told.
async fn until_repaired(scene: &Scene, words: &[&str]) {
    scene
        .until("the Deployment has everything again", SOON, async || {
            let deployment = scene.deployment("kratos").await;
            enforces(&deployment)?;
            let whole = label(&deployment) == "mfa" && governed(&deployment)["policy"].is_string();
            if whole { Ok(()) } else { Err(format!("its metadata is {}", deployment["metadata"])) }
        })
        .await;
    scene.until_event("DriftRepaired", words).await;
    scene.until_ready("mfa").await;
}

#[tokio::test]
async fn an_edited_variable() {
    let scene = governed_scene("drift-edited").await;
    scene.edit_as("kubectl-edit", "Deployment", "kratos", env_patch(&[(WHOAMI, "aal1")])).await;
    until_repaired(&scene, &["kratos", WHOAMI, "kubectl-edit"]).await;
}

#[tokio::test]
async fn a_removed_variable() {
    let scene = governed_scene("drift-removed").await;
    scene.edit("Deployment", "kratos", env_removal(WHOAMI)).await;
    until_repaired(&scene, &["kratos", WHOAMI]).await;
}

/// Each repair is told in its own words, also where one follows the other at once.
#[tokio::test]
async fn one_thing_after_the_other() {
    let scene = governed_scene("drift-twice").await;
    scene.edit("Deployment", "kratos", env_removal(WHOAMI)).await;
    until_repaired(&scene, &["kratos", WHOAMI]).await;
    scene.edit("Deployment", "kratos", json!({"metadata": {"labels": {LABEL: null}}})).await;
    until_repaired(&scene, &["kratos", LABEL]).await;
}

#[tokio::test]
async fn a_removed_label() {
    let scene = governed_scene("drift-label").await;
    let template = scene.deployment("kratos").await["spec"]["template"].clone();
    scene.edit("Deployment", "kratos", json!({"metadata": {"labels": {LABEL: null}}})).await;
    until_repaired(&scene, &["kratos", LABEL]).await;
    assert_eq!(scene.deployment("kratos").await["spec"]["template"], template, "a label rolls nothing");
}

#[tokio::test]
async fn an_edited_annotation() {
    let scene = governed_scene("drift-annotation").await;
    let forged = json!({"deletionPolicy": "Retain", "policy": "x", "crd": "y"}).to_string();
    scene.edit("Deployment", "kratos", json!({"metadata": {"annotations": {GOVERNED: forged}}})).await;
    until_repaired(&scene, &["kratos", GOVERNED]).await;
    scene
        .until("the annotation is the operator's", SOON, async || {
            let memory = governed(&scene.deployment("kratos").await);
            if memory["deletionPolicy"] == "Revert" { Ok(()) } else { Err(memory.to_string()) }
        })
        .await;
}

/// As `helm upgrade --force` does it: everything that the manifest does not have is gone, our
/// ownership too.
#[tokio::test]
async fn a_deployment_that_was_replaced() {
    let scene = governed_scene("drift-replaced").await;
    let mut upgraded = kratos("kratos");
    upgraded["spec"]["template"]["spec"]["containers"][0]["image"] = json!("oryd/kratos:v1.3.2");
    let replaced = scene.replace(upgraded).await;
    assert!(enforces(&replaced).is_err(), "the replacement should have dropped the policy");
    until_repaired(&scene, &["kratos", WHOAMI]).await;
    assert_eq!(image(&scene.deployment("kratos").await), "oryd/kratos:v1.3.2");
}

#[tokio::test]
async fn a_rollout_that_was_undone_brings_the_old_image_back_and_keeps_the_policy() {
    let scene = Scene::start("drift-undo").await;
    scene.create(kratos("kratos")).await;
    scene
        .until("the first template has a ReplicaSet", SOON, async || {
            match scene.list("ReplicaSet").await.len() {
                1 => Ok(()),
                other => Err(format!("there are {other}")),
            }
        })
        .await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    let image_patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "kratos", "image": "oryd/kratos:v1.3.2"}]}}}});
    scene.edit("Deployment", "kratos", image_patch).await;
    scene.until_ready("mfa").await;

    scene.kubectl(&["rollout", "undo", "deployment/kratos", "--to-revision=1"]);
    until_repaired(&scene, &["kratos", WHOAMI]).await;
    assert_eq!(image(&scene.deployment("kratos").await), "oryd/kratos:v1.3.1");
}

#[tokio::test]
async fn a_changed_config_map() {
    let scene = governed_scene("drift-file").await;
    let file = scene.get("ConfigMap", "mfa-mfa").await["data"].clone();
    scene
        .edit(
            "ConfigMap",
            "mfa-mfa",
            json!({"data": {"kratos.yaml": "session: {whoami: {required_aal: aal1}}"}}),
        )
        .await;
    until_file_is(&scene, &file).await;
}

#[tokio::test]
async fn a_deleted_config_map() {
    let scene = governed_scene("drift-file-deleted").await;
    let file = scene.get("ConfigMap", "mfa-mfa").await["data"].clone();
    scene.delete("ConfigMap", "mfa-mfa").await;
    until_file_is(&scene, &file).await;
}

#[tokio::test]
async fn a_config_map_without_its_label() {
    let scene = governed_scene("drift-file-label").await;
    let file = scene.get("ConfigMap", "mfa-mfa").await["data"].clone();
    let bare = json!({"metadata": {"labels": {LABEL: null}}, "data": {"kratos.yaml": "{}"}});
    scene.edit("ConfigMap", "mfa-mfa", bare).await;
    until_file_is(&scene, &file).await;
}

async fn until_file_is(scene: &Scene, data: &Value) {
    scene
        .until("the ConfigMap is as it was", SOON, async || {
            let map = scene.find("ConfigMap", "mfa-mfa").await.ok_or("it is not there")?;
            if map["data"] == *data && label(&map) == "mfa" { Ok(()) } else { Err(map.to_string()) }
        })
        .await;
    scene.until_event("DriftRepaired", &["ConfigMap", "mfa-mfa"]).await;
}

#[tokio::test]
async fn a_fight_slows_down_and_names_the_other() {
    let scene = governed_scene("drift-fight").await;
    let mark = scene.audit_mark();
    let mut rewritten = 0;
    scene
        .throughout("the other manager rewrites the variable", Duration::from_secs(30), async || {
            if env(&scene.deployment("kratos").await, "kratos")
                .get(WHOAMI)
                .is_some_and(|value| value != "aal1")
            {
                scene.edit_as("stubborn", "Deployment", "kratos", env_patch(&[(WHOAMI, "aal1")])).await;
                rewritten += 1;
            }
            Ok(())
        })
        .await;
    let message = scene.until_condition("mfa", "Accepted", "False", "FieldConflict").await;
    for word in ["stubborn", WHOAMI, "kratos"] {
        assert!(message.contains(word), "{word} is missing in: {message}");
    }
    scene.until_condition("mfa", "Stalled", "True", "FieldConflict").await;
    let repairs = scene
        .writes_since(mark)
        .iter()
        .filter(|write| write.resource == "deployments" && write.code == 200)
        .count();
    assert!(
        (2..=4).contains(&repairs),
        "the operator repaired {repairs} times within 30 s, the other wrote {rewritten} times"
    );
}

#[tokio::test]
async fn a_fight_over_the_config_map_costs_no_roll_and_is_met_each_time() {
    let scene = governed_scene("drift-file-fight").await;
    let file = scene.get("ConfigMap", "mfa-mfa").await["data"].clone();
    let before = template(&scene.deployment("kratos").await);
    for _ in 0..8 {
        scene.edit("ConfigMap", "mfa-mfa", json!({"data": {"kratos.yaml": "{}"}})).await;
        until_file_is(&scene, &file).await;
    }
    scene.until_condition("mfa", "Accepted", "True", "Accepted").await;
    assert_eq!(template(&scene.deployment("kratos").await), before);
    enforces(&scene.deployment("kratos").await).expect("the Deployment is not concerned");
}

#[tokio::test]
async fn drift_while_the_operator_was_away() {
    let mut scene = governed_scene("drift-away").await;
    scene.operator.stop();
    scene.edit_as(OWNER, "Deployment", "kratos", env_patch(&[(WHOAMI, "aal1")])).await;
    scene.operator.start_again();
    until_repaired(&scene, &["kratos", WHOAMI, OWNER]).await;
}

fn image(deployment: &Value) -> String {
    text(&deployment["spec"]["template"]["spec"]["containers"][0]["image"])
}
