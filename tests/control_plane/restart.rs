//! The operator comes and goes, and so does the API server; nothing is lost by it.

use std::time::Duration;

use serde_json::json;

use crate::objects::{WHOAMI, enforces, env, kratos, policy};
use crate::scene::{SOON, Scene};
use crate::steady::settle;
use crate::support::control_plane::{control_plane, install_definition};
use crate::wire::Wire;

/// Pauses between attempts grow while nothing answers.
const AFTER_AN_OUTAGE: Duration = Duration::from_secs(60);

async fn wired(name: &str) -> (Wire, Scene) {
    let plane = control_plane();
    install_definition(&plane.client().await).await;
    let wire = Wire::to(plane);
    let scene = Scene::launch_through(plane, name, wire.kubeconfig()).await;
    (wire, scene)
}

#[tokio::test]
async fn it_waits_for_an_api_server_that_comes_later() {
    let (wire, scene) = wired("later").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene
        .until("the operator lives", SOON, async || match scene.operator.probe("/livez") {
            Some(200) => Ok(()),
            other => Err(format!("/livez answers {other:?}")),
        })
        .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(
        scene.operator.probe("/livez"),
        Some(200),
        "an API server that is away ends no operator:\n{}",
        scene.operator.log()
    );
    assert_eq!(scene.operator.probe("/readyz"), Some(503), "without its first lists it is not ready");
    assert!(
        scene.operator.log().contains("WARN"),
        "the log must say what is wrong:\n{}",
        scene.operator.log()
    );

    wire.mend();
    scene.until_condition_within(AFTER_AN_OUTAGE, "mfa", "Ready", "True", "Ready").await;
    assert_eq!(scene.operator.probe("/readyz"), Some(200));
}

#[tokio::test]
async fn it_catches_up_after_an_outage() {
    let (wire, scene) = wired("outage").await;
    wire.mend();
    scene.create(kratos("kratos")).await;
    scene.create(kratos("second")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.create(policy("goes", &["second"])).await;
    scene.until_condition_within(AFTER_AN_OUTAGE, "mfa", "Ready", "True", "Ready").await;
    scene.until_ready("goes").await;

    wire.cut();
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"privilegedSessionMaxAge": "5m"}})).await;
    scene.delete("MfaPolicy", "goes").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    wire.mend();
    scene.until_condition_within(AFTER_AN_OUTAGE, "mfa", "Ready", "True", "Ready").await;
    let name = "SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED_SESSION_MAX_AGE";
    assert_eq!(env(&scene.deployment("kratos").await, "kratos").get(name).map(String::as_str), Some("5m"));
    scene
        .until("a deletion during the outage is noticed", AFTER_AN_OUTAGE * 2, async || {
            match env(&scene.deployment("second").await, "kratos").len() {
                1 => Ok(()),
                other => Err(format!("it has {other} variables")),
            }
        })
        .await;
}

/// An outage that lasts longer than the pause is no sign that the policy is gone.
#[tokio::test]
async fn an_outage_undoes_nothing() {
    let (wire, scene) = wired("outage-long").await;
    wire.mend();
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_condition_within(AFTER_AN_OUTAGE, "mfa", "Ready", "True", "Ready").await;
    // What an outage holds up is told afterwards: that is no write of its own.
    settle(&scene).await;
    wire.cut();
    tokio::time::sleep(Duration::from_secs(35)).await;
    let mark = scene.audit_mark();
    wire.mend();
    scene
        .throughout("it stays in force", Duration::from_secs(15), async || {
            enforces(&scene.deployment("kratos").await)
        })
        .await;
    let writes = scene.writes_since(mark);
    assert!(writes.is_empty(), "nothing changed, yet the operator wrote: {writes:?}");
}

#[tokio::test]
async fn an_ordered_roll_goes_on_after_a_restart() {
    let mut scene = Scene::start("restart-roll").await;
    let mut first = kratos("first");
    first["spec"]["replicas"] = json!(1);
    scene.create(first).await;
    scene.create(kratos("second")).await;
    scene.create(policy("mfa", &["first", "second"])).await;
    scene.until_condition("mfa", "RolledOut", "False", "Waiting").await;
    scene.operator.restart();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(
        !env(&scene.deployment("second").await, "kratos").contains_key(WHOAMI),
        "the second still waits for the first"
    );
    scene.edit("Deployment", "first", json!({"spec": {"replicas": 0}})).await;
    scene.until_ready("mfa").await;
    enforces(&scene.deployment("second").await).expect("then the second gets it");
}

/// A namespace that was deleted takes the rights in it along.
#[tokio::test]
async fn a_namespace_that_is_gone_stops_no_other() {
    let mut scene = Scene::start("beside-gone").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    scene.operator.serve_also("was-deleted");
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"privilegedSessionMaxAge": "5m"}})).await;
    scene.until_ready("mfa").await;
    let log = scene.operator.log();
    assert!(
        log.lines().any(|line| line.contains("WARN") && line.contains("was-deleted")),
        "the log must name it:\n{log}"
    );
}
