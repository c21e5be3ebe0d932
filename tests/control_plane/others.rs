//! Pods that a target's selector finds, and that are somebody else's: as those of a Rollout of Argo's are,
//! which takes its template from a Deployment without pods.

use std::time::Duration;

use serde_json::{Value, json};

use crate::objects::{WHOAMI, enforces, env_patch, kratos, policy, policy_with};
use crate::rights;
use crate::scene::{SOON, Scene, text};
use crate::stand_in::{StandIn, free_port, ok, say_ready, serving_at, start_pods};
use crate::unreadable::between;

const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// As long as pods of others may be about to go, and then some.
const LOOKED_AGAIN: Duration = Duration::from_secs(90);

/// A ReplicaSet of this name and size over pods with these labels, controlled by something that stands for a
/// Rollout.
async fn replica_set(scene: &Scene, name: &str, labels: Value, port: u16) {
    let rollout = scene
        .create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("of-{name}")}}))
        .await;
    let owner = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": rollout["metadata"]["name"], "uid": rollout["metadata"]["uid"], "controller": true,
    }]);
    let mut template = serving_at("kratos", port)["spec"]["template"].clone();
    template["metadata"] = json!({ "labels": labels });
    scene
        .create(json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name, "labels": labels, "ownerReferences": owner},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        }))
        .await;
    pod_of(scene, name).await;
}

/// The pod that this ReplicaSet made.
async fn pod_of(scene: &Scene, replica_set: &str) -> String {
    let find = async || {
        let pods = scene.list("Pod").await;
        let own = pods.iter().find(|pod| pod["metadata"]["ownerReferences"][0]["name"] == replica_set);
        own.map(|pod| text(&pod["metadata"]["name"])).ok_or_else(|| format!("{pods:?}"))
    };
    scene.until("its pod is there", SOON, find).await
}

async fn until_levels(scene: &Scene, level: &str) {
    let told = async || {
        let status = scene.get("MfaPolicy", "mfa").await["status"].clone();
        let all = json!({"settings": level, "whoami": level});
        if status["requiredAAL"] == all && status["targets"][0]["requiredAAL"] == all {
            Ok(())
        } else {
            Err(status.to_string())
        }
    };
    scene.until(&format!("the levels are {level}"), LOOKED_AGAIN, told).await;
}

/// A policy over a Deployment with one pod, which has answered; the port at which pods are asked.
async fn in_force(scene: &Scene) -> u16 {
    let port = free_port();
    scene.create(serving_at("kratos", port)).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_condition("mfa", "RolledOut", "True", "NoPods").await;
    let own = StandIn::saying(port, ok(HASH));
    start_pods(scene, "kratos", &[own.address]).await;
    scene.until_condition("mfa", "Effective", "True", "HashesAgree").await;
    port
}

/// Whoever scales a workload to nothing, and takes its template, edits it.
async fn nudge(scene: &Scene) {
    // Another each time: an edit that changes nothing is none.
    let revision = scene.deployment("kratos").await["metadata"]["resourceVersion"].clone();
    scene
        .edit(
            "Deployment",
            "kratos",
            json!({"metadata": {"annotations": {"rollout.example/revision": revision}}}),
        )
        .await;
}

#[tokio::test]
async fn of_a_deployment_without_pods_nothing_is_claimed_while_others_have_its_labels() {
    let mut scene = Scene::start("others-at-rest").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready_without_pods("mfa").await;
    until_levels(&scene, "highest_available").await;

    replica_set(
        &scene,
        "kratos-canary",
        json!({"app": "kratos", "rollouts-pod-template-hash": "canary"}),
        4434,
    )
    .await;
    nudge(&scene).await;
    let told = scene.until_condition("mfa", "Ready", "False", "PodsOfAnotherOwner").await;
    let pod = pod_of(&scene, "kratos-canary").await;
    for word in
        [&*pod, "ReplicaSet kratos-canary of ConfigMap of-kratos-canary", "spec.targetRefs", "argo-rollouts"]
    {
        assert!(told.contains(word), "{word:?} is not in {told}");
    }
    until_levels(&scene, "Unknown").await;
    scene.until_event("PodsOfAnotherOwner", &[&pod]).await;
    scene.until_condition("mfa", "RolledOut", "False", "PodsOfAnotherOwner").await;
    // Nothing is remembered that is not looked for.
    scene.operator.restart();
    scene.until_condition("mfa", "Ready", "False", "PodsOfAnotherOwner").await;

    scene.delete("ReplicaSet", "kratos-canary").await;
    scene.until_condition_within(LOOKED_AGAIN, "mfa", "Ready", "True", "Ready").await;
    until_levels(&scene, "highest_available").await;
}

#[tokio::test]
async fn whose_a_pod_is_is_told_by_uid_and_not_by_the_name_of_who_made_it() {
    let scene = Scene::start("others-by-uid").await;
    let port = in_force(&scene).await;

    // As one of the Deployment's own would be called.
    replica_set(&scene, "kratos-5d4f", json!({"app": "kratos", "pod-template-hash": "5d4f"}), port).await;
    let stranger = StandIn::saying(port, ok("hunter2"));
    say_ready(&scene, &pod_of(&scene, "kratos-5d4f").await, stranger.address).await;
    nudge(&scene).await;
    scene.until_condition("mfa", "Ready", "False", "PodsOfAnotherOwner").await;
    scene.until_condition("mfa", "Effective", "True", "HashesAgree").await;
    until_levels(&scene, "Unknown").await;
    assert_eq!(stranger.asked(), 0, "somebody else's pod was asked");
}

/// Of a kind that is called so elsewhere, too, and that the garbage collector therefore leaves alone.
#[tokio::test]
async fn no_pod_passes_for_a_stateful_sets_own_by_naming_its_revision_as_a_replica_set() {
    let mut scene = Scene::start("others-revision").await;
    let port = free_port();
    let mut workload = serving_at("kratos", port);
    workload["kind"] = json!("StatefulSet");
    workload["spec"]["serviceName"] = json!("kratos");
    let workload = scene.create(workload).await;
    scene
        .create(policy_with("mfa", &[], json!({"targetRefs": [{"kind": "StatefulSet", "name": "kratos"}]})))
        .await;
    scene.until_condition("mfa", "RolledOut", "True", "NoPods").await;
    scene.edit("StatefulSet", "kratos", json!({"spec": {"replicas": 1}})).await;
    let find = async || scene.find("Pod", "kratos-0").await.ok_or_else(|| "it is not".into());
    let own = scene.until("its pod is there", SOON, find).await;
    let server = StandIn::saying(port, ok(HASH));
    say_ready(&scene, "kratos-0", server.address).await;
    scene.until_condition("mfa", "Effective", "True", "HashesAgree").await;

    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "stranger", "labels": {"app": "kratos"}}});
    pod["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps.example.com/v1", "kind": "ReplicaSet", "name": own["metadata"]["labels"]["controller-revision-hash"],
        "uid": workload["metadata"]["uid"], "controller": true,
    }]);
    pod["spec"] = workload["spec"]["template"]["spec"].clone();
    scene.create(pod).await;
    let stranger = StandIn::saying(port, ok("hunter2"));
    say_ready(&scene, "stranger", stranger.address).await;
    // So that all of its pods are looked at anew.
    scene.operator.restart();
    let told = scene.until_condition("mfa", "Ready", "False", "PodsOfAnotherOwner").await;
    assert!(told.contains("stranger"), "{told}");
    scene.until_condition("mfa", "Effective", "True", "HashesAgree").await;
    assert_eq!(stranger.asked(), 0, "somebody else's pod was asked");
}

#[tokio::test]
async fn a_replica_set_that_may_not_be_read_is_known_by_its_name() {
    let scene = Scene::start("others-forbidden").await;
    rights::revoke(&scene.client, &scene.namespace, "replicasets").await;
    let port = in_force(&scene).await;
    until_levels(&scene, "highest_available").await;
    scene.until("it is told", SOON, async || owners_not_read(&scene).await).await;

    replica_set(&scene, "kratos-canary-1", json!({"app": "kratos", "pod-template-hash": "1"}), port).await;
    nudge(&scene).await;
    scene.until_condition("mfa", "Ready", "False", "PodsOfAnotherOwner").await;
    scene.delete("ReplicaSet", "kratos-canary-1").await;
    scene.until_condition_within(LOOKED_AGAIN, "mfa", "Ready", "True", "Ready").await;
    until_levels(&scene, "highest_available").await;

    // As one of the Deployment's own is called: it has one pod, and now there are two.
    replica_set(&scene, "kratos-5d4f", json!({"app": "kratos", "pod-template-hash": "5d4f"}), port).await;
    nudge(&scene).await;
    let told = scene.until_condition("mfa", "Ready", "False", "Waiting").await;
    assert!(told.contains("get on replicasets"), "{told}");
    scene.until_condition("mfa", "Effective", "False", "Unreachable").await;
    until_levels(&scene, "Unknown").await;

    rights::give_back(&scene.client, &scene.namespace).await;
    nudge(&scene).await;
    scene.until_condition_within(LOOKED_AGAIN, "mfa", "Ready", "False", "PodsOfAnotherOwner").await;
    scene.delete("ReplicaSet", "kratos-5d4f").await;
    until_levels(&scene, "highest_available").await;
    assert!(owners_not_read(&scene).await.is_err(), "they are read again");
}

/// Whether the policy is told that it is known by name alone whose its pods are.
async fn owners_not_read(scene: &Scene) -> Result<(), String> {
    let advisories = scene.get("MfaPolicy", "mfa").await["status"]["advisories"].clone();
    let mut all = advisories.as_array().into_iter().flatten();
    if all.any(|advisory| advisory["type"] == "OwnersNotRead") { Ok(()) } else { Err(advisories.to_string()) }
}

#[tokio::test]
async fn of_pods_that_may_not_be_listed_nothing_is_claimed() {
    let scene = Scene::start("others-unlisted").await;
    in_force(&scene).await;
    until_levels(&scene, "highest_available").await;

    rights::revoke(&scene.client, &scene.namespace, "pods").await;
    nudge(&scene).await;
    let told = scene.until_condition_within(LOOKED_AGAIN, "mfa", "Ready", "False", "Waiting").await;
    assert!(told.contains("grant its account list on pods"), "{told}");
    scene.until_condition("mfa", "RolledOut", "False", "Waiting").await;
    scene.until_condition("mfa", "Effective", "False", "Unreachable").await;
    until_levels(&scene, "Unknown").await;
    assert!(scene.get("MfaPolicy", "mfa").await["status"]["pods"].is_null());
    scene.until_event("Waiting", &["list on pods"]).await;

    // So it is of a roll, which goes on.
    scene
        .edit(
            "MfaPolicy",
            "mfa",
            json!({"spec": {"methods": {"totp": {"enabled": true, "issuer": "Example"}}}}),
        )
        .await;
    let told = scene.until_condition_within(LOOKED_AGAIN, "mfa", "RolledOut", "False", "Progressing").await;
    assert!(told.contains("pods updated") && told.contains("grant its account list on pods"), "{told}");
    until_levels(&scene, "Unknown").await;

    rights::give_back(&scene.client, &scene.namespace).await;
    until_levels(&scene, "highest_available").await;
}

#[tokio::test]
async fn of_pods_that_cannot_be_listed_time_and_again_nothing_is_claimed() {
    let (between, scene) = between("others-failing").await;
    in_force(&scene).await;
    until_levels(&scene, "highest_available").await;

    between.fail(Some("/pods"));
    nudge(&scene).await;
    let told = scene.until_condition_within(LOOKED_AGAIN, "mfa", "Ready", "False", "Waiting").await;
    assert!(told.contains("time and again") && told.contains("InternalError"), "{told}");
    until_levels(&scene, "Unknown").await;

    between.fail(None);
    until_levels(&scene, "highest_available").await;
}

/// Of a target that is held no pod is asked, so that nobody else lists them.
#[tokio::test]
async fn of_a_target_that_is_held_nothing_is_claimed_before_others_were_looked_for() {
    let mut scene = Scene::start("others-held").await;
    let port = in_force(&scene).await;
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"suspend": true, "privilegedSessionMaxAge": "5m"}})).await;
    scene.until_condition("mfa", "Ready", "False", "Suspended").await;
    until_levels(&scene, "highest_available").await;

    scene.operator.stop();
    replica_set(
        &scene,
        "kratos-canary",
        json!({"app": "kratos", "rollouts-pod-template-hash": "canary"}),
        port,
    )
    .await;
    scene.operator.start_again();
    until_levels(&scene, "Unknown").await;
}

#[tokio::test]
async fn two_workloads_of_one_policy_may_share_their_labels() {
    let scene = Scene::start("others-shared").await;
    let mut second = kratos("second");
    for labels in ["/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
        *second.pointer_mut(labels).expect("it has labels") = json!({"app": "kratos", "part": "second"});
    }
    second["spec"]["replicas"] = json!(1);
    scene.create(kratos("kratos")).await;
    scene.create(second).await;
    let both =
        json!({"targetRefs": [{"name": "kratos"}, {"name": "second"}], "verification": {"mode": "Off"}});
    scene.create(policy("mfa", &["kratos"])).await;
    let told = scene.until_condition("mfa", "Ready", "False", "PodsOfAnotherOwner").await;
    assert!(told.contains("of Deployment second"), "{told}");
    scene.edit("MfaPolicy", "mfa", json!({ "spec": both })).await;
    let pods = scene.list("Pod").await;
    assert!(!pods.is_empty(), "the second has one");
    let told = async || {
        let ready = scene.get("MfaPolicy", "mfa").await["status"]["conditions"].to_string();
        if ready.contains("PodsOfAnotherOwner") { Err(ready) } else { Ok(()) }
    };
    scene.until("they are the policy's own", LOOKED_AGAIN, told).await;
}

fn job(name: &str, image: &str, args: Value) -> Value {
    let container = json!({"name": "kratos", "image": image, "args": args});
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"template": {
            "metadata": {"labels": {"app": "kratos"}},
            "spec": {"restartPolicy": "Never", "containers": [container]},
        }},
    })
}

/// Beside a Deployment at rest this Job is told as one that may serve, and the other one is not.
async fn is_told_beside(scene: &Scene, serves: Value, migrates: Value) {
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready_without_pods("mfa").await;
    let migrates = scene.create(migrates).await;
    let migrating = pod_of(scene, &text(&migrates["metadata"]["name"])).await;
    nudge(scene).await;
    until_levels(scene, "highest_available").await;
    // One that serves is told, so that it is known to have looked.
    let serves = scene.create(serves).await;
    let serving = pod_of(scene, &text(&serves["metadata"]["name"])).await;
    nudge(scene).await;
    let told = scene.until_condition("mfa", "Ready", "False", "PodsOfAnotherOwner").await;
    assert!(told.contains(&serving) && !told.contains(&migrating) && !told.contains("more"), "{told}");
}

/// As the one is that Ory's chart migrates the database with: it has the labels of the server.
#[tokio::test]
async fn a_job_that_serves_nobody_is_no_pod_of_another_owner() {
    let scene = Scene::start("others-job").await;
    let migrates = json!(["migrate", "sql", "-e", "--yes", "--config", "/etc/config/kratos.yaml"]);
    let image = "oryd/kratos:v1.3.1";
    is_told_beside(
        &scene,
        job("kratos-serves", image, json!(["serve", "all"])),
        job("kratos-automigrate", image, migrates),
    )
    .await;
}

/// What the image runs by itself no template tells: an identity server's serves.
#[tokio::test]
async fn a_job_that_runs_a_servers_own_command_is_no_migration() {
    let scene = Scene::start("others-job-bare").await;
    let bare = |name: &str, image: &str| job(name, image, Value::Null);
    is_told_beside(&scene, bare("kratos-bare", "oryd/kratos:v1.3.1"), bare("another-bare", "busybox:1"))
        .await;
}

/// Its pods are that one's own, and nobody else's.
#[tokio::test]
async fn whose_pods_a_workload_has_is_said_by_the_policy_that_has_it() {
    let scene = Scene::start("others-claimed").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("first", &["kratos"])).await;
    scene.until_ready_without_pods("first").await;
    let mut second = kratos("second");
    for labels in ["/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
        *second.pointer_mut(labels).expect("it has labels") = json!({"app": "kratos", "part": "second"});
    }
    second["spec"]["replicas"] = json!(1);
    scene.create(second).await;
    scene.create(policy("second", &["second"])).await;
    nudge(&scene).await;
    scene.until_condition("first", "Ready", "False", "PodsOfAnotherOwner").await;

    scene
        .edit(
            "MfaPolicy",
            "second",
            json!({"spec": {"targetRefs": [{"name": "second"}, {"name": "kratos"}]}}),
        )
        .await;
    scene.until_condition("second", "Ready", "False", "TargetClaimed").await;
    let mut edits = 0;
    scene
        .throughout("it is not taken for the first one's", Duration::from_secs(45), async || {
            edits += 1;
            scene
                .edit("MfaPolicy", "second", json!({"metadata": {"labels": {"edit": edits.to_string()}}}))
                .await;
            let status = scene.get("MfaPolicy", "first").await["status"].clone();
            if status["requiredAAL"]["whoami"] == "Unknown" { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
}

#[tokio::test]
async fn a_level_is_put_back_while_pods_cannot_be_listed() {
    let (between, scene) = between("others-repair").await;
    in_force(&scene).await;
    until_levels(&scene, "highest_available").await;
    between.fail(Some("/pods"));
    scene.edit("Deployment", "kratos", env_patch(&[(WHOAMI, "aal1")])).await;
    // Less than it takes until it is told that they cannot be listed.
    scene
        .until("it is put back", Duration::from_secs(20), async || {
            enforces(&scene.deployment("kratos").await)
        })
        .await;
}

/// Else what they once proved would be told for ever.
#[tokio::test]
async fn what_is_refused_again_and_again_keeps_no_pod_from_being_asked() {
    let scene = Scene::start("others-refused").await;
    let port = free_port();
    scene.create(serving_at("kratos", port)).await;
    scene.create(kratos("dropped")).await;
    scene.create(policy("mfa", &["kratos", "dropped"])).await;
    scene.until_condition("mfa", "RolledOut", "True", "NoPods").await;
    let own = StandIn::saying(port, ok(HASH));
    start_pods(&scene, "kratos", &[own.address]).await;
    scene.until_condition("mfa", "Effective", "True", "HashesAgree").await;

    let expression =
        "object.metadata.name != 'dropped' && !('breaks' in object.metadata.?labels.orValue({}))";
    scene.refuse_unless(expression, "it stays", json!({"labels": {"breaks": "it"}})).await;
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"targetRefs": [{"name": "kratos"}]}})).await;
    scene.until_event("WriteRefused", &["it stays"]).await;
    let later = StandIn::saying(port, ok(&HASH.replace('0', "1")));
    start_pods(&scene, "kratos", &[later.address]).await;
    let asks = async || if later.asked() > 0 { Ok(()) } else { Err("nobody asks".into()) };
    scene.until("a pod that comes later is asked all the same", Duration::from_secs(150), asks).await;
}
