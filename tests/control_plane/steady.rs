//! It writes when something changed, and as seldom as that allows.

use std::time::Duration;

use serde_json::{Value, json};

use crate::objects::{WHOAMI, env, generation, kratos, policy, policy_with, template};
use crate::scene::{AFTER_THE_PAUSE, SOON, Scene, text};

/// The audit log is the witness: at rest, through a restart, and through edits that change
/// nothing, the operator writes nothing at all.
#[tokio::test]
async fn at_rest_nothing_is_written() {
    let mut scene = Scene::start("rest").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    // One that is not at its end: its pods stay pending, for there is no node.
    let mut pending = kratos("pending");
    pending["spec"]["replicas"] = json!(2);
    scene.create(pending).await;
    scene.create(policy("waits", &["pending"])).await;
    scene.until_condition("waits", "RolledOut", "False", "Waiting").await;
    settle(&scene).await;

    let mark = scene.audit_mark();
    let before = [scene.deployment("kratos").await, scene.deployment("pending").await];
    scene.operator.restart();
    tokio::time::sleep(Duration::from_secs(20)).await;
    // Applied once more as it is, and relabelled.
    let mut same = policy("mfa", &["kratos"]);
    scene.apply("kubectl", same.clone()).await.expect("applied");
    same["metadata"]["labels"] = json!({"team": "identity"});
    scene.apply("kubectl", same).await.expect("applied");
    tokio::time::sleep(Duration::from_secs(5)).await;

    let writes = scene.writes_since(mark);
    assert!(writes.is_empty(), "the operator wrote: {writes:?}");
    let after = [scene.deployment("kratos").await, scene.deployment("pending").await];
    let version = |object: &Value| (generation(object), template(object));
    assert_eq!(after.each_ref().map(version), before.each_ref().map(version));
}

/// Waits until the operator's last write is some seconds old.
pub async fn settle(scene: &Scene) {
    scene
        .until("the operator rests", SOON, async || {
            let mark = scene.audit_mark();
            tokio::time::sleep(Duration::from_secs(4)).await;
            match scene.writes_since(mark) {
                writes if writes.is_empty() => Ok(()),
                writes => Err(format!("it writes {writes:?}")),
            }
        })
        .await;
}

#[tokio::test]
async fn five_edits_in_a_burst_roll_at_most_twice() {
    let scene = Scene::start("burst").await;
    let mut pending = kratos("kratos");
    pending["spec"]["replicas"] = json!(1);
    scene.create(pending).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_condition("mfa", "RolledOut", "False", "Waiting").await;
    // The burst begins after the first roll's own ten seconds.
    tokio::time::sleep(Duration::from_secs(11)).await;
    let before = generation(&scene.deployment("kratos").await);
    let begun = std::time::Instant::now();
    for minutes in 1..=5 {
        scene
            .edit("MfaPolicy", "mfa", json!({"spec": {"privilegedSessionMaxAge": format!("{minutes}m")}}))
            .await;
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    let name = "SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED_SESSION_MAX_AGE";
    // Every ten seconds something may go out, on a slow machine the edits themselves take longer than that.
    let most = 2 + i64::try_from(begun.elapsed().as_secs() / 10).expect("some seconds");
    scene
        .until("the last edit is in force", AFTER_THE_PAUSE, async || {
            let found =
                env(&scene.deployment("kratos").await, "kratos").get(name).cloned().unwrap_or_default();
            if found == "5m" { Ok(()) } else { Err(found) }
        })
        .await;
    let rolls = generation(&scene.deployment("kratos").await) - before;
    assert!((1..=most.min(4)).contains(&rolls), "five edits rolled it {rolls} times");
}

#[tokio::test]
async fn targets_roll_in_their_order_and_a_missing_one_holds_those_after_it() {
    let scene = Scene::start("order").await;
    scene.create(kratos("second")).await;
    scene.create(policy("mfa", &["first", "second"])).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "TargetNotFound").await;
    assert!(message.contains("first"), "{message}");
    scene.until_condition("mfa", "Reconciling", "True", "TargetNotFound").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(
        !env(&scene.deployment("second").await, "kratos").contains_key(WHOAMI),
        "the second must wait for the first"
    );

    scene.create(kratos("first")).await;
    scene.until_condition("mfa", "Ready", "True", "Ready").await;
    assert!(env(&scene.deployment("second").await, "kratos").contains_key(WHOAMI));
}

#[tokio::test]
async fn a_paused_target_holds_those_after_it_and_goes_on_by_itself() {
    let scene = Scene::start("paused").await;
    let mut paused = kratos("first");
    paused["spec"]["replicas"] = json!(1);
    paused["spec"]["paused"] = json!(true);
    scene.create(paused).await;
    scene.create(kratos("second")).await;
    scene.create(policy("mfa", &["first", "second"])).await;
    let message = scene.until_condition("mfa", "RolledOut", "False", "TargetPaused").await;
    assert!(message.contains("first") && message.contains("paused"), "{message}");
    scene.until_condition("mfa", "Reconciling", "True", "TargetPaused").await;
    assert!(
        !env(&scene.deployment("second").await, "kratos").contains_key(WHOAMI),
        "the second must wait for the first"
    );

    scene.edit("Deployment", "first", json!({"spec": {"paused": false, "replicas": 0}})).await;
    scene.until_ready("mfa").await;
    assert!(env(&scene.deployment("second").await, "kratos").contains_key(WHOAMI));
}

/// No kubelet runs here: the test says of each pod what a kubelet would.
#[tokio::test]
async fn a_roll_is_followed_to_its_end() {
    let scene = Scene::start("followed").await;
    let mut one = kratos("kratos");
    one["spec"]["replicas"] = json!(1);
    scene.create(one).await;
    let old = until_pod(&scene, &[]).await;
    say_ready(&scene, &old).await;
    scene.create(policy("mfa", &["kratos"])).await;

    let new = until_pod(&scene, &[&old]).await;
    scene.until_condition("mfa", "RolledOut", "False", "Waiting").await;
    let status = scene.get("MfaPolicy", "mfa").await["status"].clone();
    assert_eq!(status["requiredAAL"]["whoami"], "Unknown", "an old pod still runs: {status}");
    assert_eq!(status["pods"], "0/1");

    let crash = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "hunter2"}});
    let last = json!({"terminated": {"exitCode": 3, "reason": "Error", "message": "hunter2"}});
    say(&scene, &new, "False", json!({"state": crash, "lastState": last})).await;
    let message = scene.until_condition("mfa", "RolledOut", "False", "Crashing").await;
    assert!(message.contains(&new) && message.contains("exit code 3"), "{message}");
    assert!(!message.contains("hunter2"), "a container's own words are told: {message}");

    say_ready(&scene, &new).await;
    scene.until_ready("mfa").await;
    let status = scene.get("MfaPolicy", "mfa").await["status"].clone();
    assert_eq!(
        (&status["pods"], &status["requiredAAL"]["whoami"]),
        (&json!("1/1"), &json!("highest_available")),
        "{status}"
    );

    // Latched: somebody else's scaling and crashes change counts, not the verdict.
    scene.edit("Deployment", "kratos", json!({"spec": {"replicas": 3}})).await;
    scene
        .until("the status counts the new pods", SOON, async || {
            let pods = text(&scene.get("MfaPolicy", "mfa").await["status"]["pods"]);
            if pods == "1/3" { Ok(()) } else { Err(pods) }
        })
        .await;
    scene.until_condition("mfa", "RolledOut", "True", "RolledOut").await;
}

/// What a roll costs the API server, as its audit log has it.
#[tokio::test]
async fn a_roll_of_two_pods_costs_few_writes() {
    let scene = Scene::start("counted").await;
    let mut two = kratos("kratos");
    two["spec"]["replicas"] = json!(2);
    scene.create(two).await;
    let mut old = until_all_new(&scene, &[]).await;
    scene.create(policy("mfa", &["kratos"])).await;
    old = until_all_new(&scene, &old).await;
    scene.until_ready("mfa").await;
    settle(&scene).await;

    let mark = scene.audit_mark();
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"requiredAAL": {"whoami": "aal1"}}})).await;
    until_all_new(&scene, &old).await;
    scene.until_ready("mfa").await;
    settle(&scene).await;
    let mut writes = scene.writes_since(mark);
    writes.retain(|write| write.resource != "events");
    let of_status = writes.iter().filter(|write| write.resource == "mfapoliciesstatus").count();
    println!("{} writes, {of_status} of them of the status", writes.len());
    // Six and eleven where nothing else runs. A machine that is busy with other tests stretches the roll, and
    // the status is written once a second at most: so it tells more of it.
    assert!(
        of_status <= 9 && writes.len() <= 14,
        "{of_status} of the status among {}: {writes:#?}",
        writes.len()
    );
}

/// Waits until two pods run of which none is `known`: each gets ready some seconds after it came, as a real
/// one does.
async fn until_all_new(scene: &Scene, known: &[String]) -> Vec<String> {
    let mut new: Vec<String> = Vec::new();
    while new.len() < 2 {
        let all: Vec<_> = known.iter().chain(&new).map(String::as_str).collect();
        let pod = until_pod(scene, &all).await;
        say(
            scene,
            &pod,
            "False",
            json!({"state": {"waiting": {"reason": "ContainerCreating"}}, "lastState": {}}),
        )
        .await;
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        say_ready(scene, &pod).await;
        new.push(pod);
    }
    new
}

/// The name of a pod that is none of `known`.
async fn until_pod(scene: &Scene, known: &[&str]) -> String {
    scene
        .until("a new pod is there", SOON, async || {
            let pods = scene.list("Pod").await;
            let names: Vec<_> = pods.iter().map(|pod| text(&pod["metadata"]["name"])).collect();
            names
                .iter()
                .find(|name| !known.contains(&name.as_str()))
                .cloned()
                .ok_or(format!("there are {names:?}"))
        })
        .await
}

async fn say_ready(scene: &Scene, pod: &str) {
    say(scene, pod, "True", json!({"state": {"running": {}}, "lastState": {}})).await;
}

async fn say(scene: &Scene, pod: &str, ready: &str, container: Value) {
    let mut status =
        json!({"name": "kratos", "ready": ready == "True", "restartCount": 0, "image": "i", "imageID": "i"});
    status["state"] = container["state"].clone();
    status["lastState"] = container["lastState"].clone();
    let conditions = json!([{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": ready}]);
    let said = json!({"phase": "Running", "conditions": conditions, "containerStatuses": [status]});
    scene.edit_status("Pod", pod, said).await;
}

#[tokio::test]
async fn old_records_are_pruned_and_forged_ones_mean_nothing() {
    let scene = Scene::start("records").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy_with("mfa", &["kratos"], json!({"rollout": {"revisionHistoryLimit": 1}}))).await;
    scene.until_ready("mfa").await;
    let first = scene.newest_record("mfa").await.expect("a record");
    for minutes in 1..=2 {
        scene
            .edit("MfaPolicy", "mfa", json!({"spec": {"privilegedSessionMaxAge": format!("{minutes}m")}}))
            .await;
        scene.until_ready("mfa").await;
    }
    scene
        .until("one old record is kept, the older is gone", SOON, async || {
            let names: Vec<_> = scene
                .list("ControllerRevision")
                .await
                .iter()
                .map(|record| text(&record["metadata"]["name"]))
                .collect();
            let as_limited = names.len() == 2 && !names.contains(&text(&first["metadata"]["name"]));
            if as_limited { Ok(()) } else { Err(format!("there are {names:?}")) }
        })
        .await;

    // Newer than all others by its number, owned by the policy, but not what its name says.
    let newest = scene.newest_record("mfa").await.expect("a record");
    let mut forged = first.clone();
    (forged["apiVersion"], forged["kind"]) = (json!("apps/v1"), json!("ControllerRevision"));
    forged["metadata"] = json!({
        "name": first["metadata"]["name"],
        "labels": newest["metadata"]["labels"],
        "ownerReferences": newest["metadata"]["ownerReferences"],
    });
    forged["revision"] = json!(99);
    forged["data"]["overlay"]["session"]["whoami"]["required_aal"] = json!("aal1");
    let before = scene.deployment("kratos").await;
    scene.create(forged).await;
    scene.edit("Deployment", "kratos", json!({"metadata": {"labels": {"nudge": "1"}}})).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = scene.deployment("kratos").await;
    assert_eq!(template(&after), template(&before));
    scene.until_event("RecordIgnored", &[&text(&first["metadata"]["name"]), "find out who made it"]).await;
    scene.until_condition("mfa", "Ready", "True", "Ready").await;
}
