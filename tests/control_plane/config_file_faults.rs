//! Delivery by a file where something goes wrong with it: drift, refusals, lost wiring, strangers, and
//! what is left when the policy goes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::config_file::{STRICT, by_file, file, has_the_levels};
use crate::objects::{
    GOVERNED, LABEL, WHOAMI, enforces, env_patch, env_removal, generation, is_bare, kratos, kratos_reading,
    kratos_with, policy_with, template,
};
use crate::scene::{AFTER_THE_PAUSE, SOON, Scene, text};
use crate::steady::settle;

#[tokio::test]
async fn the_levels_and_the_file_are_kept_up() {
    let scene = Scene::start("file-drift").await;
    scene.create(kratos_reading("kratos", "mfa-mfa")).await;
    scene.create(by_file("mfa", &["kratos"], json!({}))).await;
    scene.until_ready_without_pods("mfa").await;
    scene.edit("Deployment", "kratos", env_patch(&[(WHOAMI, "aal1")])).await;
    scene.until_event("DriftRepaired", &["kratos", WHOAMI, "owner"]).await;
    scene
        .until("it has its levels again", SOON, async || has_the_levels(&scene.deployment("kratos").await))
        .await;
    scene.edit("Deployment", "kratos", env_removal(WHOAMI)).await;
    scene
        .until("it has them once more", SOON, async || has_the_levels(&scene.deployment("kratos").await))
        .await;
    scene.edit("ConfigMap", "mfa-mfa", json!({"data": {"kratos.yaml": "{}"}})).await;
    scene.until_event("DriftRepaired", &["ConfigMap mfa-mfa"]).await;
    assert!(file(&scene, "mfa-mfa").await.contains(STRICT));
}

#[tokio::test]
async fn what_beats_the_file_is_named() {
    const TOTP: &str = "SELFSERVICE_METHODS_TOTP_ENABLED";
    let scene = Scene::start("beaten").await;
    let mut workload = kratos_reading("kratos", "mfa-mfa");
    let env = &mut workload["spec"]["template"]["spec"]["containers"][0]["env"];
    env.as_array_mut().expect("a list").push(json!({"name": TOTP, "value": "false"}));
    scene.create(workload).await;
    scene.create(by_file("mfa", &["kratos"], json!({"methods": {"totp": {"enabled": true}}}))).await;
    let message = scene.until_condition("mfa", "Ready", "False", "Overridden").await;
    assert!(message.contains(TOTP) && message.contains("beats the file"), "{message}");
    assert!(file(&scene, "mfa-mfa").await.contains(STRICT), "it is delivered all the same");
    let status = scene.get("MfaPolicy", "mfa").await["status"].clone();
    assert_eq!(
        status["requiredAAL"],
        json!({"settings": STRICT, "whoami": STRICT}),
        "what the pods start with"
    );
    scene.edit("Deployment", "kratos", env_removal(TOTP)).await;
    scene.until_ready_without_pods("mfa").await;
}

/// As under the other delivery: a level is a variable, and has one owner.
#[tokio::test]
async fn a_level_that_the_owner_sets_is_a_conflict() {
    let scene = Scene::start("owned-level").await;
    let wired = kratos_reading("kratos", "mfa-mfa");
    let mut workload = kratos_with("kratos", json!({"name": WHOAMI, "value": "aal1"}));
    for field in ["volumes", "containers"] {
        let env = workload["spec"]["template"]["spec"]["containers"][0]["env"].clone();
        workload["spec"]["template"]["spec"][field] = wired["spec"]["template"]["spec"][field].clone();
        workload["spec"]["template"]["spec"]["containers"][0]["env"] = env;
    }
    scene.create(workload).await;
    scene.create(by_file("mfa", &["kratos"], json!({}))).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "FieldConflict").await;
    assert!(message.contains(WHOAMI), "{message}");
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"fieldConflicts": "TakeOver"}})).await;
    scene.until("they are taken", SOON, async || has_the_levels(&scene.deployment("kratos").await)).await;
    scene.until_ready_without_pods("mfa").await;
}

/// Whoever may write ConfigMaps, and nothing else, lowers no level: not for good, and not for the time of a
/// repair.
#[tokio::test]
async fn no_write_of_the_file_reaches_the_levels() {
    let scene = Scene::start("file-levels").await;
    scene.create(kratos_reading("kratos", "mfa-mfa")).await;
    scene.create(by_file("mfa", &["kratos"], json!({}))).await;
    scene.until_ready_without_pods("mfa").await;
    let before = template(&scene.deployment("kratos").await);
    let weak = json!({"kratos.yaml": "session: {whoami: {required_aal: aal1}}\n"});
    let levels = async || scene.get("MfaPolicy", "mfa").await["status"]["requiredAAL"].clone();
    let strict = json!({"settings": STRICT, "whoami": STRICT});
    for round in 0..6 {
        scene.edit("ConfigMap", "mfa-mfa", json!({ "data": weak })).await;
        scene
            .until("the file is repaired, without a pause", SOON, async || {
                let file = file(&scene, "mfa-mfa").await;
                if file.contains(STRICT) { Ok(()) } else { Err(format!("round {round}: {file}")) }
            })
            .await;
        assert_eq!(levels().await, strict);
    }
    let marks = json!({"labels": {LABEL: null}, "annotations": {GOVERNED: null}});
    scene.edit("ConfigMap", "mfa-mfa", json!({ "data": weak, "metadata": marks })).await;
    scene.until_condition("mfa", "Accepted", "False", "ConfigMapTaken").await;
    assert_eq!(
        (levels().await, template(&scene.deployment("kratos").await)),
        (strict.clone(), before.clone())
    );
    scene.delete("ConfigMap", "mfa-mfa").await;
    scene.until_condition_within(AFTER_THE_PAUSE, "mfa", "Ready", "True", "Ready").await;
    scene.edit("ConfigMap", "mfa-mfa", json!({ "data": weak, "immutable": true })).await;
    scene.until_condition("mfa", "Accepted", "False", "WriteRefused").await;
    assert_eq!((levels().await, template(&scene.deployment("kratos").await)), (strict, before));
}

#[tokio::test]
async fn a_deleted_policy_leaves_an_empty_file_where_it_is_mounted() {
    let scene = Scene::start("file-delete").await;
    scene.create(kratos_reading("kratos", "mfa-mfa")).await;
    scene.create(by_file("mfa", &["kratos"], json!({}))).await;
    scene.until_ready_without_pods("mfa").await;
    scene.delete("MfaPolicy", "mfa").await;
    scene
        .until("nothing is left", AFTER_THE_PAUSE, async || is_bare(&scene.deployment("kratos").await))
        .await;
    // It is still mounted: a pod without it would not start.
    scene
        .until("the file is empty", SOON, async || {
            let file = file(&scene, "mfa-mfa").await;
            if file == "{}\n" { Ok(()) } else { Err(file) }
        })
        .await;
}

#[tokio::test]
async fn a_dropped_target_that_still_mounts_the_file_is_told() {
    let scene = Scene::start("still-mounted").await;
    for name in ["kratos", "second"] {
        scene.create(kratos_reading(name, "mfa-mfa")).await;
    }
    scene.create(by_file("mfa", &["kratos", "second"], json!({}))).await;
    scene.until_ready_without_pods("mfa").await;
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"targetRefs": [{"name": "second"}]}})).await;
    scene.until("it is reverted", SOON, async || is_bare(&scene.deployment("kratos").await)).await;
    scene.until_event("Reverted", &["Deployment kratos", "still mounts ConfigMap mfa-mfa"]).await;
    assert!(file(&scene, "mfa-mfa").await.contains(STRICT), "the other target reads it");
}

/// What cannot be written is tried again at its pace, and nothing is noted that did not happen.
#[tokio::test]
async fn a_file_that_cannot_be_written_makes_no_storm() {
    let scene = Scene::start("immutable").await;
    scene.create(kratos_reading("kratos", "mfa-mfa")).await;
    scene.create(by_file("mfa", &["kratos"], json!({}))).await;
    scene.until_ready_without_pods("mfa").await;
    scene.edit("ConfigMap", "mfa-mfa", json!({"immutable": true})).await;
    let mark = scene.audit_mark();
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"privilegedSessionMaxAge": "15m"}})).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "WriteRefused").await;
    assert!(message.contains("mfa-mfa"), "{message}");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let writes: Vec<_> = scene.writes_since(mark).iter().map(|write| format!("{write:?}")).collect();
    assert!(writes.len() < 12, "{} writes: {writes:#?}", writes.len());
    let status = scene.get("MfaPolicy", "mfa").await["status"].clone();
    assert_ne!(status["targets"][0]["revision"], status["revision"], "the pods do not have it");
    scene.delete("ConfigMap", "mfa-mfa").await;
    scene.until_condition_within(AFTER_THE_PAUSE, "mfa", "Ready", "True", "Ready").await;
    assert!(file(&scene, "mfa-mfa").await.contains("15m"));
    assert!(!scene.events("DriftRepaired").await.iter().any(|note| note.contains("15m")));
}

/// Pods that are made while the workload is not wired carry its levels, and do not read the file.
#[tokio::test]
async fn a_workload_that_loses_its_wiring_is_rolled_out_anew_afterwards() {
    let scene = Scene::start("rewired").await;
    scene.create(kratos_reading("kratos", "mfa-mfa")).await;
    scene.create(by_file("mfa", &["kratos"], json!({}))).await;
    scene.until_ready_without_pods("mfa").await;
    let args = |words: Value| json!({"spec": {"template": {"spec": {"containers": [{"name": "kratos", "args": words}]}}}});
    scene.edit("Deployment", "kratos", args(json!(["serve", "all"]))).await;
    scene.until_condition("mfa", "Accepted", "False", "NotWired").await;
    let status = scene.get("MfaPolicy", "mfa").await["status"].clone();
    assert_eq!(status["requiredAAL"]["whoami"], STRICT, "{status:#}");
    scene
        .until("the roll is open again", SOON, async || {
            let applied =
                text(&scene.newest_record("mfa").await.ok_or("no record")?["metadata"]["annotations"]["mfa-operator.dev/applied"]);
            if applied.contains("\"rolledOut\":false") { Ok(()) } else { Err(applied) }
        })
        .await;
    scene.edit("Deployment", "kratos", args(json!(["serve", "all", "-c", "/etc/mfa/kratos.yaml"]))).await;
    scene.until_ready_without_pods("mfa").await;
}

/// A suspended policy says what the file says, not what it would.
#[tokio::test]
async fn a_strangers_file_is_not_told_as_the_policys() {
    let scene = Scene::start("file-stranger").await;
    scene.create(kratos_reading("kratos", "mfa-mfa")).await;
    scene.create(by_file("mfa", &["kratos"], json!({}))).await;
    scene.until_ready_without_pods("mfa").await;
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"suspend": true}})).await;
    scene.edit("ConfigMap", "mfa-mfa", json!({"data": {"kratos.yaml": "{}"}})).await;
    scene.until_condition("mfa", "RolledOut", "False", "Suspended").await;
    let status = scene.get("MfaPolicy", "mfa").await["status"].clone();
    assert_eq!(
        status["requiredAAL"],
        json!({"settings": STRICT, "whoami": STRICT}),
        "they are no matter of the file"
    );
    assert!(
        status["conditions"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|found| found["type"] != "Effective" || found["status"] != "True")
    );
}

/// The API server lets any name of a ConfigMap pass in a pod template: what cannot be read stops nothing.
#[tokio::test]
async fn a_name_that_no_object_can_have_stops_nothing() {
    let scene = Scene::start("no-name").await;
    scene.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "base"}, "data": {"kratos.yaml": "{}"}})).await;
    for (name, other) in [("spaced", "a b"), ("slashed", "a/b")] {
        let mut workload = kratos(name);
        workload["spec"]["strategy"] = json!({"type": "Recreate"});
        let pod = &mut workload["spec"]["template"]["spec"];
        let sources =
            json!([{"configMap": {"name": "base"}}, {"configMap": {"name": other, "optional": true}}]);
        pod["volumes"] = json!([{"name": "base", "projected": {"sources": sources}}]);
        pod["containers"][0]["volumeMounts"] = json!([{"name": "base", "mountPath": "/etc/config"}]);
        scene.create(workload).await;
        let webauthn = json!({"enabled": true, "rp": {"id": "example.com", "displayName": "Example"}});
        scene.create(policy_with(name, &[name], json!({"methods": {"webauthn": webauthn}}))).await;
        let is_enforced = async || enforces(&scene.deployment(name).await);
        scene.until("it is enforced", SOON, is_enforced).await;
        scene.until_condition(name, "Accepted", "True", "Accepted").await;
        scene.edit("Deployment", name, env_removal(WHOAMI)).await;
        scene.until_event("DriftRepaired", &[name]).await;
        scene.until("it is repaired", SOON, is_enforced).await;
    }
}

/// Two policies for one workload, each with a file of its own: no moment without either.
#[tokio::test]
async fn a_takeover_leaves_no_empty_file_behind_running_pods() {
    let scene = Scene::start("file-takeover").await;
    scene.create(kratos_reading("kratos", "first-mfa")).await;
    scene.create(by_file("first", &["kratos"], json!({}))).await;
    scene.until_ready_without_pods("first").await;
    scene.create(policy_with("rival", &["kratos"], json!({}))).await;
    scene.until_condition("rival", "Accepted", "False", "TargetClaimed").await;
    scene.delete("MfaPolicy", "first").await;
    scene
        .until("the rival takes over", AFTER_THE_PAUSE + Duration::from_secs(60), async || {
            // In this order: what is taken over between the two does not count against the file.
            let (file, workload) = (file(&scene, "first-mfa").await, scene.deployment("kratos").await);
            let taken = enforces(&workload);
            if taken.is_err() {
                has_the_levels(&workload).expect("the levels stay");
                assert!(file.contains(STRICT), "the file is empty before the variables are there");
            }
            taken
        })
        .await;
    scene.until_ready_without_pods("rival").await;
}

#[tokio::test]
async fn an_unwired_switch_keeps_what_is_in_force() {
    let scene = Scene::start("unwired-switch").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy_with("mfa", &["kratos"], json!({}))).await;
    scene.until_ready_without_pods("mfa").await;
    let before = generation(&scene.deployment("kratos").await);
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"delivery": {"type": "ConfigFile"}}})).await;
    scene.until_condition("mfa", "Accepted", "False", "NotWired").await;
    scene
        .throughout("it keeps its variables", Duration::from_secs(3), async || {
            let workload = scene.deployment("kratos").await;
            assert_eq!(generation(&workload), before);
            enforces(&workload)
        })
        .await;
}

/// A policy whose file is refused keeps the file that was accepted last, and a restart changes nothing.
#[tokio::test]
async fn what_is_in_force_is_known_after_a_restart() {
    let mut scene = Scene::start("file-restart").await;
    scene.create(kratos_reading("kratos", "mfa-mfa")).await;
    scene.create(by_file("mfa", &["kratos"], json!({"methods": {"totp": {"enabled": true}}}))).await;
    scene.until_ready_without_pods("mfa").await;
    scene
        .edit(
            "MfaPolicy",
            "mfa",
            json!({"spec": {"methods": {"totp": {"enabled": true, "issuer": "Second"}}}}),
        )
        .await;
    scene
        .until("the file is the second", SOON, async || {
            let file = file(&scene, "mfa-mfa").await;
            if file.contains("Second") { Ok(()) } else { Err(file) }
        })
        .await;
    scene.until_ready_without_pods("mfa").await;
    settle(&scene).await;
    let mark = scene.audit_mark();
    scene.operator.restart();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(
        scene.writes_since(mark).iter().map(|write| format!("{write:?}")).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
    // The levels are the same in both revisions: the file must be that of the second.
    scene.edit("ConfigMap", "mfa-mfa", json!({"data": {"kratos.yaml": "{}"}})).await;
    scene
        .until("the file is the second again", SOON, async || {
            let file = file(&scene, "mfa-mfa").await;
            if file.contains("Second") { Ok(()) } else { Err(file) }
        })
        .await;
}
