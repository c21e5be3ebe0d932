//! What pods that were started with variables are asked, what is told of their answers, and that rest stays
//! rest.

use std::time::Duration;

use serde_json::{Value, json};

use crate::objects::{kratos, policy, policy_with};
use crate::scene::{AFTER_THE_PAUSE, SOON, Scene, text};
use crate::stand_in::{StandIn, free_address, free_port, ok, serving_at, start_pods};
use crate::steady::settle;

const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A Deployment at this port and a policy for it, in force before the first pod.
async fn in_force(scene: &Scene, port: u16, verification: Value) -> String {
    scene.create(serving_at("kratos", port)).await;
    scene.create(policy_with("mfa", &["kratos"], json!({ "verification": verification }))).await;
    scene.until_condition("mfa", "RolledOut", "True", "NoPods").await;
    text(&scene.get("MfaPolicy", "mfa").await["status"]["revision"])
}

async fn until_proven(scene: &Scene, status: &str, reason: &str) -> String {
    scene.until_condition("mfa", "Effective", status, reason).await
}

/// Nothing is written, and no pod listed.
async fn rests(scene: &Scene, span: Duration) {
    settle(scene).await;
    let mark = scene.audit_mark();
    tokio::time::sleep(span).await;
    // Something that no pod is concerned by makes it look.
    let nudge = json!({"metadata": {"labels": {"nudge": mark.to_string()}}});
    scene.edit("MfaPolicy", "mfa", nudge).await;
    scene.edit("ConfigMap", "mfa-mfa", json!({"data": {"another": mark.to_string()}})).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let writes = scene.writes_since(mark);
    assert!(writes.is_empty(), "it wrote {writes:?}");
    assert_eq!(scene.lists_since(mark, "pods"), 0, "it listed pods");
}

async fn restarts_into_the_same(scene: &mut Scene) {
    settle(scene).await;
    let before = scene.get("MfaPolicy", "mfa").await["status"].clone();
    let mark = scene.audit_mark();
    scene.operator.restart();
    tokio::time::sleep(Duration::from_secs(8)).await;
    let writes = scene.writes_since(mark);
    let after = scene.get("MfaPolicy", "mfa").await["status"].clone();
    assert!(writes.is_empty(), "after a restart it wrote {writes:?}: {before:#} became {after:#}");
}

#[tokio::test]
async fn the_revision_confirms_and_a_pod_that_appears_later_is_asked_too() {
    let mut scene = Scene::start("confirmed").await;
    let port = free_port();
    let revision = in_force(&scene, port, json!({})).await;
    until_proven(&scene, "Unknown", "NoPods").await;
    scene.until_ready("mfa").await;
    rests(&scene, Duration::ZERO).await;

    let mark = scene.audit_mark();
    let first = [StandIn::saying(port, ok(&revision)), StandIn::saying(port, ok(&revision))];
    start_pods(&scene, "kratos", &[first[0].address, first[1].address]).await;
    until_proven(&scene, "True", "Confirmed").await;
    assert!(scene.lists_since(mark, "pods") > 0, "the audit log tells of lists");
    rests(&scene, Duration::from_secs(5)).await;
    let before = first.each_ref().map(StandIn::asked);
    assert!(before.iter().all(|asked| *asked > 0), "{before:?}");

    let later = StandIn::saying(port, ok(&revision));
    start_pods(&scene, "kratos", &[later.address]).await;
    scene
        .until("the later pod is asked", SOON, async || {
            if later.asked() > 0 { Ok(()) } else { Err("it is not".into()) }
        })
        .await;
    until_proven(&scene, "True", "Confirmed").await;
    assert_eq!(first.each_ref().map(StandIn::asked), before, "who has answered is spared");
    restarts_into_the_same(&mut scene).await;

    let stranger = StandIn::saying(port, ok("mfa-ffffffffff"));
    let pods = start_pods(&scene, "kratos", &[stranger.address]).await;
    until_proven(&scene, "Unknown", "Progressing").await;
    let message =
        scene.until_condition_within(AFTER_THE_PAUSE, "mfa", "Effective", "False", "Mismatch").await;
    assert!(message.contains(&pods[0]), "{message}");
    scene.until_condition("mfa", "Ready", "False", "Mismatch").await;
    scene.until_condition("mfa", "Stalled", "True", "Mismatch").await;
    restarts_into_the_same(&mut scene).await;
    stranger.say(ok(&revision));
    scene.until_condition_within(AFTER_THE_PAUSE, "mfa", "Ready", "True", "Ready").await;
}

/// With the port by its number.
#[tokio::test]
async fn a_policy_that_requires_the_proof_waits_for_it() {
    let mut scene = Scene::start("required").await;
    let port = free_port();
    scene.create(kratos("kratos")).await;
    let verification = json!({"mode": "Required", "port": port.to_string(), "timeout": "500ms"});
    scene.create(policy_with("mfa", &["kratos"], json!({ "verification": verification }))).await;
    scene.until_condition("mfa", "Ready", "False", "NoPods").await;
    scene.until_condition("mfa", "Reconciling", "True", "NoPods").await;
    scene.until_condition("mfa", "RolledOut", "True", "NoPods").await;

    let address = free_address();
    let pods = start_pods(&scene, "kratos", &[address]).await;
    let message = until_proven(&scene, "False", "Unreachable").await;
    assert!(message.contains(&pods[0]), "{message}");
    scene.until_condition("mfa", "Ready", "False", "Unreachable").await;
    scene.until_condition("mfa", "Reconciling", "True", "Unreachable").await;

    let first = StandIn::at(address, port, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec());
    scene.until_condition_within(AFTER_THE_PAUSE, "mfa", "Ready", "False", "NotSupported").await;
    scene.until_condition("mfa", "Reconciling", "True", "NotSupported").await;
    let generation = scene.deployment("kratos").await["metadata"]["generation"].clone();
    // Another question is asked at once, and rolls nothing.
    first.say(ok(HASH));
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"verification": {"timeout": "2s"}}})).await;
    until_proven(&scene, "True", "HashesAgree").await;
    scene.until_ready("mfa").await;
    assert_eq!(scene.deployment("kratos").await["metadata"]["generation"], generation);

    let second = StandIn::saying(port, ok(HASH));
    start_pods(&scene, "kratos", &[second.address]).await;
    scene
        .until("the second pod is asked", SOON, async || {
            if second.asked() > 0 { Ok(()) } else { Err("it is not".into()) }
        })
        .await;
    until_proven(&scene, "True", "HashesAgree").await;
    rests(&scene, Duration::from_secs(3)).await;
    restarts_into_the_same(&mut scene).await;
    until_proven(&scene, "True", "HashesAgree").await;
}

#[tokio::test]
async fn who_is_not_to_be_asked_is_not() {
    let scene = Scene::start("unasked").await;
    let port = free_port();
    let mut on_the_node = serving_at("kratos", port);
    on_the_node["spec"]["template"]["spec"]["hostNetwork"] = json!(true);
    scene.create(on_the_node).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_condition("mfa", "RolledOut", "True", "NoPods").await;
    let trap = StandIn::saying(port, ok(HASH));
    start_pods(&scene, "kratos", &[trap.address]).await;
    let message = until_proven(&scene, "Unknown", "NotSupported").await;
    assert!(message.contains("network of its node"), "{message}");
    scene.until_ready("mfa").await;

    // A port that the container does not have.
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"verification": {"port": "admin"}}})).await;
    until_proven(&scene, "Unknown", "NotSupported").await;

    let off = StandIn::saying(port, ok(HASH));
    scene.create(serving_at("off", port)).await;
    scene.create(policy_with("off", &["off"], json!({"verification": {"mode": "Off"}}))).await;
    scene.until_condition("off", "RolledOut", "True", "NoPods").await;
    start_pods(&scene, "off", &[off.address]).await;
    scene.until_condition("off", "RolledOut", "True", "RolledOut").await;
    scene.until_condition("off", "Effective", "Unknown", "Off").await;
    scene.until_condition("off", "Ready", "True", "Ready").await;
    assert_eq!((trap.asked(), off.asked()), (0, 0));
}

/// Whatever listens at a pod's address: it leaks nothing, leads nowhere and holds up nobody.
#[tokio::test]
async fn a_hostile_pod_gets_nothing_and_gives_nothing() {
    let scene = Scene::start("hostile").await;
    let port = free_port();
    in_force(&scene, port, json!({"timeout": "500ms"})).await;
    let elsewhere = StandIn::saying(port, ok(HASH));
    let secret = "{\"dsn\": \"postgres://kratos:hunter2@db\"}";
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{}:{port}/hunter2\r\nX-hunter2: hunter2\r\nContent-Length: {}\r\n\r\n{secret}",
        elsewhere.address,
        secret.len()
    );
    let endless =
        format!("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n{}", "hunter2 ".repeat(1 << 17));
    let hostile = [
        ("a secret", ok(secret), "Unknown", "NotSupported"),
        ("a redirect", redirect.into_bytes(), "Unknown", "NotSupported"),
        ("too much", endless.into_bytes(), "Unknown", "NotSupported"),
        ("another protocol", b"hunter2 hunter2\r\n".to_vec(), "False", "Unreachable"),
        (
            "a head that does not end",
            b"HTTP/1.1 200 OK\r\nX-Hunter2: hunter2".to_vec(),
            "False",
            "Unreachable",
        ),
    ];
    let pod = StandIn::saying(port, hostile[0].1.clone());
    start_pods(&scene, "kratos", &[pod.address]).await;
    for (index, (what, answer, status, reason)) in hostile.into_iter().enumerate() {
        pod.say(answer);
        // Another question is asked at once.
        scene
            .edit(
                "MfaPolicy",
                "mfa",
                json!({"spec": {"verification": {"timeout": format!("{}ms", 600 + index)}}}),
            )
            .await;
        let asked = pod.asked();
        scene
            .until(
                what,
                SOON,
                async || if pod.asked() > asked { Ok(()) } else { Err("it is not asked".into()) },
            )
            .await;
        until_proven(&scene, status, reason).await;
        scene.until_condition("mfa", "Ready", "True", "Ready").await;
    }
    assert_eq!(elsewhere.asked(), 0, "a redirect was followed");
    let status = scene.get("MfaPolicy", "mfa").await["status"].to_string();
    let events = format!("{:?}", scene.list("Event").await);
    for (what, told) in [("status", status), ("events", events), ("log", scene.operator.log())] {
        assert!(!told.to_lowercase().contains("hunter2"), "the {what} repeats what a stranger said: {told}");
    }
}
