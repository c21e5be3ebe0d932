//! Those who never stop: whoever they are, the server is not rolled at their pace, they are named, and
//! everybody else is served at once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::objects::{SETTINGS, env, kratos, kratos_reading, policy, policy_with};
use crate::rights;
use crate::scene::{OWNER, SOON, Scene, condition};
use crate::stand_in::{Silent, StandIn, free_address, free_port, ok, serving_at, start_pods};

const STORM: Duration = Duration::from_secs(25);
/// A storm is over by then, whatever it was waited for.
const CALM: Duration = Duration::from_secs(180);

/// A second policy, over a workload of its own, is written while the storm blows: the next gust waits for
/// that.
async fn somebody_else_is_served(scene: &Scene, number: usize) {
    let (name, workload) = (format!("other-{number}"), format!("workload-{number}"));
    scene.create(kratos(&workload)).await;
    scene.create(policy(&name, &[&workload])).await;
    scene
        .until(&format!("{name} is served beside the storm"), SOON, async || {
            let variables = env(&scene.deployment(&workload).await, "kratos");
            if variables.contains_key(SETTINGS) { Ok(()) } else { Err(format!("{variables:?}")) }
        })
        .await;
}

/// Does it once a second as long as the storm lasts, and longer until that says that it was enough; serves
/// others meanwhile.
async fn storm(scene: &Scene, mut blow: impl AsyncFnMut(usize) -> bool) {
    let begun = Instant::now();
    let mut number = 0;
    while !blow(number).await || begun.elapsed() < STORM {
        assert!(begun.elapsed() < CALM, "it blew {number} times, and that was not enough");
        if number % 8 == 4 {
            somebody_else_is_served(scene, number).await;
        }
        number += 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn generation(scene: &Scene) -> i64 {
    scene.deployment("kratos").await["metadata"]["generation"].as_i64().unwrap_or_default()
}

/// As it was, but for what the API server keeps.
fn bare(deployment: &Value) -> Value {
    let mut bare = deployment.clone();
    let metadata = bare["metadata"].as_object_mut().expect("a map");
    for field in ["resourceVersion", "managedFields", "generation", "creationTimestamp", "uid"] {
        metadata.remove(field);
    }
    bare
}

#[tokio::test]
async fn who_replaces_it_again_and_again_is_named() {
    let scene = Scene::start("storm-replace").await;
    let original = bare(&scene.create(kratos("kratos")).await);
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    let before = generation(&scene).await;
    let mut replaced = 0;
    storm(&scene, async |_| {
        if env(&scene.deployment("kratos").await, "kratos").contains_key(SETTINGS) {
            scene.replace(original.clone()).await;
            replaced += 1;
        }
        let policy = scene.get("MfaPolicy", "mfa").await;
        condition(&policy, "Accepted").is_some_and(|accepted| accepted["reason"] == "FieldConflict")
    })
    .await;
    let message = scene.until_condition("mfa", "Accepted", "False", "FieldConflict").await;
    assert!(message.contains(OWNER) && message.contains("kratos"), "{message}");
    let repairs = generation(&scene).await - before - replaced;
    assert!((2..=4).contains(&repairs), "repaired {repairs} times over {replaced} replacements");
}

#[tokio::test]
async fn a_policy_that_is_edited_every_second_rolls_now_and_then() {
    let scene = Scene::start("storm-edits").await;
    let mut pending = kratos("kratos");
    pending["spec"]["replicas"] = json!(1);
    scene.create(pending).await;
    scene.create(policy("mfa", &["kratos"])).await;
    let before = generation(&scene).await;
    let (mut edits, begun) = (0, Instant::now());
    storm(&scene, async |number| {
        scene
            .edit(
                "MfaPolicy",
                "mfa",
                json!({"spec": {"privilegedSessionMaxAge": format!("{}m", number + 1)}}),
            )
            .await;
        edits = number + 1;
        true
    })
    .await;
    let rolls = generation(&scene).await - before;
    // Three in a row, ten seconds apart, then one a minute.
    let most = 5 + i64::try_from(begun.elapsed().saturating_sub(STORM).as_secs() / 60).expect("few minutes");
    assert!((1..=most).contains(&rolls), "{edits} edits rolled it {rolls} times in {:?}", begun.elapsed());
    let name = "SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED_SESSION_MAX_AGE";
    scene
        .until("the last edit is in force in the end", Duration::from_secs(90), async || {
            let found =
                env(&scene.deployment("kratos").await, "kratos").get(name).cloned().unwrap_or_default();
            if found == format!("{edits}m") { Ok(()) } else { Err(found) }
        })
        .await;
}

#[tokio::test]
async fn a_target_that_comes_and_goes_is_followed() {
    let scene = Scene::start("storm-flapping").await;
    scene.create(policy("mfa", &["kratos"])).await;
    storm(&scene, async |number| {
        match number % 2 {
            0 => drop(scene.create(kratos("kratos")).await),
            _ => scene.delete("Deployment", "kratos").await,
        }
        true
    })
    .await;
    if scene.find("Deployment", "kratos").await.is_none() {
        scene.until_condition("mfa", "Accepted", "False", "TargetNotFound").await;
        scene.create(kratos("kratos")).await;
    }
    scene.until_ready("mfa").await;
}

/// A policy over a workload of its own, whose pod answers, is heard while others keep silent.
async fn somebody_else_is_heard(scene: &Scene, number: usize) {
    let (name, port) = (format!("heard-{number}"), free_port());
    scene.create(serving_at(&name, port)).await;
    scene.create(policy(&name, &[&name])).await;
    scene.until_condition(&name, "RolledOut", "True", "NoPods").await;
    let own = StandIn::saying(port, ok(&"0123456789abcdef".repeat(4)));
    start_pods(scene, &name, &[own.address]).await;
    scene.until_condition(&name, "Effective", "True", "HashesAgree").await;
}

/// More policies in one namespace than looks that may ask at once; each look asks the pod that reads the
/// file.
#[tokio::test]
async fn silent_pods_leave_room_for_others() {
    const POLICIES: usize = 24;
    /// Of one namespace: half of all.
    const ASK_AT_ONCE: usize = 8;
    let mut scene = Scene::start("silent").await;
    let mut others = Scene::start("beside-silent").await;
    // One operator serves both.
    others.operator.stop();
    rights::grant(&others.client, &others.namespace, &rights::user(&scene.namespace)).await;
    scene.operator.serve_also(&others.namespace);
    let port = free_port();
    let silent = Silent::at(free_address(), port);
    let names: Vec<_> = (0..POLICIES).map(|index| format!("silent-{index}")).collect();
    for name in &names {
        let mut workload = kratos_reading(name, &format!("{name}-mfa"));
        let ports = json!([{"name": "http-admin", "containerPort": port}]);
        workload["spec"]["template"]["spec"]["containers"][0]["ports"] = ports;
        scene.create(workload).await;
        scene.create(policy_with(name, &[name], json!({"delivery": {"type": "ConfigFile"}}))).await;
    }
    for name in &names {
        scene.until_condition(name, "RolledOut", "True", "NoPods").await;
        start_pods(&scene, name, &[silent.address]).await;
    }
    for number in 0..3 {
        for name in &names {
            scene
                .edit(
                    "MfaPolicy",
                    name,
                    json!({"spec": {"privilegedSessionMaxAge": format!("{}m", number + 5)}}),
                )
                .await;
        }
        somebody_else_is_served(&scene, number).await;
        somebody_else_is_heard(&others, number).await;
    }
    for name in &names {
        scene.until_condition_within(CALM, name, "Effective", "False", "Unreachable").await;
    }
    let open = silent.open();
    assert!(
        open.ever >= POLICIES && open.at_most <= ASK_AT_ONCE,
        "{} were asked at once, {} in all",
        open.at_most,
        open.ever
    );
}
