//! What no policy names any more is let go, once that is certain, and never before.

use std::time::Duration;

use serde_json::{Value, json};

use crate::config_file::has_the_levels;
use crate::metrics::until_value;
use crate::objects::{GOVERNED, LABEL, SECRET, SETTINGS, WHOAMI};
use crate::objects::{
    enforces, env, env_patch, env_removal, generation, governed, is_bare, kratos, kratos_mounting,
    kratos_reading, kratos_with, policy, policy_with, template,
};
use crate::scene::{AFTER_THE_PAUSE, OWNER, SOON, Scene};

const MAX_AGE: &str = "SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED_SESSION_MAX_AGE";
/// Well within the pause.
const MOST_OF_THE_PAUSE: Duration = Duration::from_secs(25);
/// Longer than the pause, so that what should not happen after it would have.
const PAST_THE_PAUSE: Duration = Duration::from_secs(38);

async fn governed_scene(name: &str, targets: &[&str]) -> Scene {
    let scene = Scene::start(name).await;
    for target in targets {
        scene.create(kratos(target)).await;
    }
    scene.create(policy("mfa", targets)).await;
    scene.until_ready("mfa").await;
    scene
}

async fn until_bare(scene: &Scene, deployment: &str, limit: Duration) {
    let what = format!("Deployment {deployment} has nothing of the policy left");
    scene.until(&what, limit, async || is_bare(&scene.deployment(deployment).await)).await;
}

#[tokio::test]
async fn a_deleted_policy_is_reverted_after_the_pause() {
    let scene = governed_scene("deleted", &["kratos"]).await;
    let before = scene.deployment("kratos").await;
    scene.delete("MfaPolicy", "mfa").await;
    scene
        .throughout("nothing is undone within the pause", MOST_OF_THE_PAUSE, async || {
            let now = scene.deployment("kratos").await;
            if now["spec"] == before["spec"] {
                enforces(&now)
            } else {
                Err(format!("its spec is {}", now["spec"]))
            }
        })
        .await;
    until_bare(&scene, "kratos", AFTER_THE_PAUSE).await;
    let after = scene.deployment("kratos").await;
    assert_eq!(
        env(&after, "kratos"),
        [("DSN".to_owned(), SECRET.to_owned())].into(),
        "what others set stays"
    );
    assert_eq!(after["metadata"]["labels"]["app"], "kratos");
    assert_eq!(generation(&after), generation(&before) + 1, "one update does it");
    scene
        .until("the ConfigMap goes with it", SOON, async || match scene.find("ConfigMap", "mfa-mfa").await {
            None => Ok(()),
            Some(map) => Err(map.to_string()),
        })
        .await;
    scene.until_event("Reverted", &["kratos", "mfa"]).await;
}

/// Whoever brought a variable to the template keeps its name, also after the policy took the value over. Who
/// changed one that stood there has the value alone.
#[tokio::test]
async fn what_a_stranger_set_once_goes_with_the_rest() {
    let mut scene = Scene::start("shared").await;
    scene.create(kratos_reading("reader", "mfa-mfa")).await;
    scene.create(kratos_with("other", json!({"name": WHOAMI, "value": "aal1"}))).await;
    let spec = json!({"privilegedSessionMaxAge": "5m", "fieldConflicts": "TakeOver"});
    scene.create(policy_with("mfa", &["reader", "other"], spec)).await;
    scene.until_ready("mfa").await;
    // Nobody repairs between the two.
    scene.operator.stop();
    scene.edit("Deployment", "reader", env_removal(MAX_AGE)).await;
    scene.edit("Deployment", "reader", env_patch(&[(MAX_AGE, "9m")])).await;
    scene.operator.launch_again();
    for (name, variable) in [("reader", MAX_AGE), ("other", WHOAMI)] {
        scene
            .until("it is taken over", SOON, async || {
                is_hollow_but_for_us(&scene.deployment(name).await, variable)
            })
            .await;
    }
    scene.until_ready("mfa").await;
    let before = generation(&scene.deployment("other").await);
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"targetRefs": [{"name": "reader"}]}})).await;
    until_bare(&scene, "other", SOON).await;
    // A Deployment counts a change of its annotations, too.
    assert_eq!(generation(&scene.deployment("other").await), before + 2, "one roll does it");
    // The file has the age from then on.
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"delivery": {"type": "ConfigFile"}}})).await;
    scene.until_ready("mfa").await;
    has_the_levels(&scene.deployment("reader").await).expect("the levels alone");
}

/// Whether its owner holds the name of this variable and not its value, which is ours.
fn is_hollow_but_for_us(deployment: &Value, variable: &str) -> Result<(), String> {
    let entry = format!(
        "/f:spec/f:template/f:spec/f:containers/k:{{\"name\":\"kratos\"}}/f:env/k:{{\"name\":\"{variable}\"}}"
    );
    let fields = deployment["metadata"]["managedFields"].as_array().into_iter().flatten();
    let held = |manager: &str, field: &str| {
        let mut own = fields.clone().filter(|entry| entry["manager"] == manager);
        own.any(|owner| owner["fieldsV1"].pointer(&entry).is_some_and(|entry| !entry[field].is_null()))
    };
    let is_so = held(OWNER, "f:name") && !held(OWNER, "f:value") && held("mfa-operator", "f:value");
    if is_so { Ok(()) } else { Err(deployment["metadata"]["managedFields"].to_string()) }
}

#[tokio::test]
async fn a_config_map_that_is_mounted_is_emptied_and_not_deleted() {
    let scene = Scene::start("mounted").await;
    scene.create(kratos_mounting("kratos", "mfa-mfa")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    scene.delete("MfaPolicy", "mfa").await;
    until_bare(&scene, "kratos", AFTER_THE_PAUSE).await;
    scene
        .until("the file sets nothing", SOON, async || {
            let file = scene.get("ConfigMap", "mfa-mfa").await["data"]["kratos.yaml"].clone();
            if file == "{}\n" { Ok(()) } else { Err(file.to_string()) }
        })
        .await;
    // Nothing else mounts or runs it: it must stay for the next pod.
    scene
        .throughout("the file stays", Duration::from_secs(5), async || {
            scene.find("ConfigMap", "mfa-mfa").await.map(|_| ()).ok_or("it is gone".into())
        })
        .await;
}

#[tokio::test]
async fn retain_leaves_everything() {
    let scene = governed_scene("retain", &["kratos"]).await;
    let before = scene.deployment("kratos").await;
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"deletionPolicy": "Retain"}})).await;
    scene
        .until("the annotation follows", SOON, async || {
            let memory = governed(&scene.deployment("kratos").await);
            if memory["deletionPolicy"] == "Retain" { Ok(()) } else { Err(memory.to_string()) }
        })
        .await;
    scene.until_ready("mfa").await;
    assert_eq!(
        template(&scene.deployment("kratos").await),
        template(&before),
        "the annotation rolls nothing"
    );
    scene.delete("MfaPolicy", "mfa").await;
    scene
        .throughout("a retained policy stays in force", PAST_THE_PAUSE, async || {
            scene.find("ConfigMap", "mfa-mfa").await.ok_or("the ConfigMap is gone")?;
            enforces(&scene.deployment("kratos").await)
        })
        .await;
}

#[tokio::test]
async fn a_policy_recreated_within_the_pause_changes_no_pod() {
    let scene = governed_scene("recreated", &["kratos"]).await;
    let before = scene.deployment("kratos").await;
    let old = scene.get("MfaPolicy", "mfa").await;
    let replica_sets = scene.list("ReplicaSet").await.len();
    scene.delete("MfaPolicy", "mfa").await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let new = scene.create(policy("mfa", &["kratos"])).await;
    assert_ne!(new["metadata"]["uid"], old["metadata"]["uid"]);
    scene.until_ready("mfa").await;
    let after = scene.deployment("kratos").await;
    assert_eq!(governed(&after)["policy"], new["metadata"]["uid"], "the new one governs");
    tokio::time::sleep(PAST_THE_PAUSE).await;
    assert_eq!(template(&scene.deployment("kratos").await), template(&before));
    assert_eq!(scene.list("ReplicaSet").await.len(), replica_sets, "nothing rolled, not even there and back");

    // It really governs: an edit is delivered, and drift repaired.
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"privilegedSessionMaxAge": "5m"}})).await;
    scene.until_ready("mfa").await;
    let name = "SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED_SESSION_MAX_AGE";
    assert_eq!(env(&scene.deployment("kratos").await, "kratos").get(name).map(String::as_str), Some("5m"));
}

#[tokio::test]
async fn a_dropped_target_is_reverted_at_once() {
    let scene = governed_scene("dropped", &["kratos", "second"]).await;
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"targetRefs": [{"name": "kratos"}]}})).await;
    // At once is before the pause of a deleted policy would be over.
    until_bare(&scene, "second", Duration::from_secs(28)).await;
    scene.until_ready("mfa").await;
    enforces(&scene.deployment("kratos").await).expect("the other target stays");
}

/// One edit says both: no longer this target, and leave it as it is.
#[tokio::test]
async fn a_target_dropped_under_retain_keeps_everything_also_when_the_policy_goes() {
    let scene = governed_scene("dropped-retained", &["kratos", "second"]).await;
    let before = template(&scene.deployment("second").await);
    scene
        .edit(
            "MfaPolicy",
            "mfa",
            json!({"spec": {"targetRefs": [{"name": "kratos"}], "deletionPolicy": "Retain"}}),
        )
        .await;
    scene
        .until("the annotation follows", SOON, async || {
            let memory = governed(&scene.deployment("second").await);
            if memory["deletionPolicy"] == "Retain" { Ok(()) } else { Err(memory.to_string()) }
        })
        .await;
    scene.until_ready("mfa").await;
    scene.delete("MfaPolicy", "mfa").await;
    tokio::time::sleep(PAST_THE_PAUSE).await;
    assert_eq!(template(&scene.deployment("second").await), before);
}

#[tokio::test]
async fn another_container_gets_the_variables_in_the_same_update() {
    let scene = Scene::start("moved").await;
    let mut two = kratos("kratos");
    let containers = &mut two["spec"]["template"]["spec"]["containers"];
    let mut other = containers[0].clone();
    other["name"] = json!("canary");
    containers.as_array_mut().expect("a list").push(other);
    scene.create(two).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    let before = scene.deployment("kratos").await;
    enforces(&before).expect("the container that is named like the target is the default");

    scene
        .edit(
            "MfaPolicy",
            "mfa",
            json!({"spec": {"targetRefs": [{"name": "kratos", "container": "canary"}]}}),
        )
        .await;
    scene.until_ready("mfa").await;
    let after = scene.deployment("kratos").await;
    assert_eq!(env(&after, "canary").get(WHOAMI).map(String::as_str), Some("highest_available"));
    assert_eq!(env(&after, "kratos").len(), 1, "the old container keeps only what others set");
    assert_eq!(generation(&after), generation(&before) + 1);
}

#[tokio::test]
async fn a_renamed_config_map_takes_the_place_of_the_old_one() {
    let scene = governed_scene("renamed", &["kratos"]).await;
    let before = scene.deployment("kratos").await;
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"delivery": {"configMapName": "levels-mfa"}}})).await;
    scene
        .until("the old ConfigMap is gone and the new one is there", SOON, async || {
            let (old, new) =
                (scene.find("ConfigMap", "mfa-mfa").await, scene.find("ConfigMap", "levels-mfa").await);
            if old.is_none() && new.is_some() { Ok(()) } else { Err(format!("old: {old:?}, new: {new:?}")) }
        })
        .await;
    scene.until_ready("mfa").await;
    assert_eq!(
        template(&scene.deployment("kratos").await),
        template(&before),
        "the name of a file rolls nothing"
    );
}

#[tokio::test]
async fn a_renamed_config_map_keeps_its_content_while_it_is_mounted() {
    let scene = Scene::start("renamed-mounted").await;
    scene.create(kratos_mounting("kratos", "mfa-mfa")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    let file = scene.get("ConfigMap", "mfa-mfa").await["data"].clone();
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"delivery": {"configMapName": "levels-mfa"}}})).await;
    scene
        .until("the new ConfigMap is there", SOON, async || {
            scene.find("ConfigMap", "levels-mfa").await.map(|_| ()).ok_or("it is not".into())
        })
        .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(scene.get("ConfigMap", "mfa-mfa").await["data"], file, "the next pod start still reads it");
}

#[tokio::test]
async fn a_policy_deleted_while_the_operator_was_away_is_reverted() {
    let mut scene = governed_scene("away", &["kratos"]).await;
    scene.operator.stop();
    scene.delete("MfaPolicy", "mfa").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene.operator.start_again();
    scene
        .throughout("the pause begins when the operator knows", Duration::from_secs(20), async || {
            enforces(&scene.deployment("kratos").await)
        })
        .await;
    until_bare(&scene, "kratos", AFTER_THE_PAUSE).await;
}

#[tokio::test]
async fn a_target_dropped_while_the_operator_was_away_is_reverted() {
    let mut scene = governed_scene("away-dropped", &["kratos", "second"]).await;
    scene.operator.stop();
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"targetRefs": [{"name": "kratos"}]}})).await;
    scene.operator.start_again();
    until_bare(&scene, "second", SOON).await;
}

/// A manifest as a backup tool restores it, label and annotation included.
#[tokio::test]
async fn a_restored_copy_without_its_policy_is_left_as_it_is() {
    let mut scene = governed_scene("restored", &["kratos"]).await;
    let mut copy = scene.deployment("kratos").await;
    scene.operator.stop();
    scene.delete("MfaPolicy", "mfa").await;
    scene.delete("Deployment", "kratos").await;
    let kept = ["name", "namespace", "labels", "annotations", "managedFields"];
    copy["metadata"].as_object_mut().expect("metadata").retain(|field, _| kept.contains(&field.as_str()));
    scene
        .until("the old Deployment is gone", SOON, async || match scene.find("Deployment", "kratos").await {
            None => Ok(()),
            Some(_) => Err("it is there".into()),
        })
        .await;
    let restored = scene.create(copy).await;
    // Whoever restores owns what it wrote; with our name it would be a copy of our ownership, too.
    let memory = json!({LABEL: restored["metadata"]["labels"][LABEL]});
    let notes = json!({GOVERNED: restored["metadata"]["annotations"][GOVERNED]});
    let body = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "kratos", "labels": memory, "annotations": notes},
    });
    scene.apply("mfa-operator", body).await.expect("equal values are shared");
    scene.operator.start_again();
    scene
        .throughout("the copy is left as it is", PAST_THE_PAUSE, async || {
            enforces(&scene.deployment("kratos").await)
        })
        .await;
    scene.until_event("LeftAsIs", &["kratos", "copied or restored"]).await;
    let left = format!(
        "mfa_workload_left{{policy_namespace=\"{}\",kind=\"Deployment\",name=\"kratos\",policy=\"mfa\"}}",
        scene.namespace
    );
    until_value(&scene, &left, SOON, 1.0).await;

    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    until_value(&scene, &left, SOON, 0.0).await;
    let taken = scene.deployment("kratos").await;
    assert_eq!(template(&taken), template(&restored), "a policy that names it again rolls nothing");
    assert_eq!(governed(&taken)["workload"], taken["metadata"]["uid"]);
}

#[tokio::test]
async fn a_label_that_somebody_else_put_governs_nothing() {
    let scene = Scene::start("by-hand").await;
    let mut by_hand = kratos("kratos");
    let uid = "00000000-0000-0000-0000-000000000000";
    let memory = json!({"deletionPolicy": "Revert", "policy": uid, "crd": uid, "workload": uid}).to_string();
    by_hand["metadata"]["labels"][LABEL] = json!("ghost");
    by_hand["metadata"]["annotations"] = json!({GOVERNED: memory});
    scene.create(by_hand).await;
    let before = scene.edit("Deployment", "kratos", env_patch(&[(WHOAMI, "highest_available")])).await;
    let mark = scene.audit_mark();
    tokio::time::sleep(PAST_THE_PAUSE).await;
    let after = scene.deployment("kratos").await;
    assert_eq!(
        (&after["spec"], &after["metadata"]["labels"]),
        (&before["spec"], &before["metadata"]["labels"])
    );
    assert_eq!(scene.writes_since(mark).iter().filter(|write| write.resource == "deployments").count(), 0);
}

#[tokio::test]
async fn a_variable_that_another_manager_owns_too_survives_and_is_named() {
    let scene = governed_scene("co-owned", &["kratos", "other"]).await;
    let only_env = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "kratos"},
        "spec": {"template": {"spec": {"containers": [{"name": "kratos", "env": [{"name": WHOAMI, "value": "highest_available"}]}]}}},
    });
    scene.apply("helm", only_env).await.expect("an equal value is shared");
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"targetRefs": [{"name": "other"}]}})).await;
    scene.until_event("Reverted", &["kratos", WHOAMI]).await;
    let after = env(&scene.deployment("kratos").await, "kratos");
    assert!(after.contains_key(WHOAMI) && !after.contains_key(SETTINGS), "{after:?}");
}

#[tokio::test]
async fn a_mistyped_target_leaves_the_real_one_governed() {
    let scene = governed_scene("mistyped", &["kratos"]).await;
    let before = env(&scene.deployment("kratos").await, "kratos");
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"targetRefs": [{"name": "kratoss"}]}})).await;
    scene.until_condition("mfa", "Accepted", "False", "TargetNotFound").await;
    scene
        .throughout("the real target keeps the policy", Duration::from_secs(5), async || {
            let after = env(&scene.deployment("kratos").await, "kratos");
            if after == before { Ok(()) } else { Err(format!("{after:?}")) }
        })
        .await;
}

#[tokio::test]
async fn a_namespace_is_deleted_with_everything_in_it() {
    let scene = governed_scene("namespace", &["kratos"]).await;
    scene.delete("Namespace", &scene.namespace).await;
    scene
        .until("the namespace is gone", AFTER_THE_PAUSE, async || {
            match scene.find("Namespace", &scene.namespace).await {
                None => Ok(()),
                Some(namespace) => Err(namespace["status"].to_string()),
            }
        })
        .await;
}

/// Somebody's finalizer holds the policy: until it is gone, it is in force.
#[tokio::test]
async fn a_policy_that_is_being_deleted_still_governs() {
    let scene = Scene::start("finalizer").await;
    scene.create(kratos("kratos")).await;
    let mut held = policy("mfa", &["kratos"]);
    held["metadata"]["finalizers"] = json!(["example.com/held"]);
    scene.create(held).await;
    scene.until_ready("mfa").await;
    scene.create(policy("waits", &["kratos"])).await;
    scene.until_condition("waits", "Accepted", "False", "TargetClaimed").await;
    scene.delete("MfaPolicy", "mfa").await;
    scene.edit("Deployment", "kratos", env_patch(&[(WHOAMI, "aal1")])).await;
    scene.until("drift is repaired", SOON, async || enforces(&scene.deployment("kratos").await)).await;
    scene.until_event("DriftRepaired", &[WHOAMI]).await;
    scene.delete("MfaPolicy", "waits").await;
    scene.edit("MfaPolicy", "mfa", json!({"metadata": {"finalizers": null}})).await;
    until_bare(&scene, "kratos", AFTER_THE_PAUSE).await;
}

#[tokio::test]
async fn a_refused_reversal_holds_up_nothing_else_and_is_tried_again() {
    let scene = governed_scene("reversal-refused", &["kratos", "second"]).await;
    let labelled = format!("has(object.metadata.labels) && '{LABEL}' in object.metadata.labels");
    scene.refuse_unless(&labelled, "labels must stay", json!({})).await;
    let spec = json!({"targetRefs": [{"name": "kratos"}], "requiredAAL": {"settings": "highest_available", "whoami": "aal1"}});
    scene.edit("MfaPolicy", "mfa", json!({ "spec": spec })).await;
    scene.until_ready("mfa").await;
    scene.until_event("WriteRefused", &["second", "labels must stay"]).await;
    assert_eq!(
        env(&scene.deployment("kratos").await, "kratos").get(WHOAMI).map(String::as_str),
        Some("aal1")
    );
    enforces(&scene.deployment("second").await).expect("what cannot be reverted stays whole");
    scene.let_pass().await;
    until_bare(&scene, "second", AFTER_THE_PAUSE).await;
}

#[tokio::test]
async fn a_new_policy_of_the_same_name_leaves_what_was_retained() {
    let scene = Scene::start("retained-name").await;
    scene.create(kratos("kratos")).await;
    scene.create(kratos("second")).await;
    let mut retaining = policy("mfa", &["kratos"]);
    retaining["spec"]["deletionPolicy"] = json!("Retain");
    retaining["spec"]["delivery"] = json!({"configMapName": "first-mfa"});
    scene.create(retaining).await;
    scene.until_ready("mfa").await;
    scene.delete("MfaPolicy", "mfa").await;
    scene.create(policy("mfa", &["second"])).await;
    scene.until_ready("mfa").await;
    scene
        .throughout("what was retained stays", Duration::from_secs(5), async || {
            scene.find("ConfigMap", "first-mfa").await.ok_or("the ConfigMap is gone")?;
            enforces(&scene.deployment("kratos").await)
        })
        .await;
}

#[tokio::test]
async fn a_policy_that_is_being_deleted_takes_nothing_new() {
    let scene = Scene::start("finalizer-new").await;
    let mut held = policy("mfa", &["kratos"]);
    held["metadata"]["finalizers"] = json!(["example.com/held"]);
    scene.create(held).await;
    scene.until_condition("mfa", "Accepted", "False", "TargetNotFound").await;
    scene.delete("MfaPolicy", "mfa").await;
    scene.create(kratos("kratos")).await;
    scene
        .throughout("it is left alone", Duration::from_secs(4), async || {
            is_bare(&scene.deployment("kratos").await)
        })
        .await;
    scene.edit("MfaPolicy", "mfa", json!({"metadata": {"finalizers": null}})).await;
}

/// As a Git folder that is pruned by mistake: they are gone within seconds, and back some minutes later.
#[tokio::test]
async fn many_that_go_at_once_take_nothing_with_them_for_a_while() {
    let scene = Scene::start("many-gone").await;
    let names: Vec<_> = (0..5).map(|number| format!("kratos-{number}")).collect();
    for name in &names {
        scene.create(kratos(name)).await;
        scene.create(policy(name, &[name])).await;
    }
    for name in &names {
        scene.until_ready(name).await;
    }
    until_value(&scene, "mfa_operator_reversals_delayed", SOON, 0.0).await;
    for name in &names {
        scene.delete("MfaPolicy", name).await;
    }
    for name in &names {
        scene.until_event("ReversalDelayed", &[name, "15 minutes", "apply the policy again"]).await;
    }
    // Longer than the pause of one that goes alone.
    scene
        .throughout("they keep what they have", PAST_THE_PAUSE, async || {
            for name in &names {
                enforces(&scene.deployment(name).await)?;
            }
            Ok(())
        })
        .await;
    until_value(&scene, "mfa_operator_reversals_delayed", SOON, 5.0).await;
    let before = scene.deployment(&names[0]).await;
    scene.create(policy(&names[0], &[&names[0]])).await;
    scene.until_ready(&names[0]).await;
    assert_eq!(template(&scene.deployment(&names[0]).await), template(&before), "nothing rolled");
    // The others are four, and their pause is over.
    scene.until("the others are reverted", SOON, async || is_bare(&scene.deployment(&names[4]).await)).await;
}
