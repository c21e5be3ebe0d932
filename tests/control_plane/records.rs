//! What the operator remembers holds whatever a policy may say, and is of use when it is needed.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::objects::{env, env_removal, kratos, policy_with};
use crate::scene::{SOON, Scene, text};
use crate::stand_in::start_pods;

const ISSUER: &str = "SELFSERVICE_METHODS_TOTP_CONFIG_ISSUER";

/// The API server writes some characters otherwise than others do, and compares what it wrote with what it
/// was sent.
const ISSUERS: [&str; 10] = [
    "Smith & Sons",
    "<b>",
    "a > b",
    "& < >",
    r"\u0026",
    "line\u{2028}separator",
    "paragraph\u{2029}separator",
    "\"quoted\" 'too' \\ /",
    "$(DSN) $$",
    "Grüße, 世界 🔐",
];

fn of_issuer(name: &str, issuer: &str) -> Value {
    policy_with(name, &[name], json!({"methods": {"totp": {"enabled": true, "issuer": issuer}}}))
}

async fn has_issuer(scene: &Scene, name: &str, issuer: &str) -> Result<(), String> {
    let found = env(&scene.deployment(name).await, "kratos").get(ISSUER).cloned();
    if found == Some(issuer.replace('$', "$$")) { Ok(()) } else { Err(format!("{found:?}")) }
}

#[tokio::test]
async fn any_text_is_recorded_noted_and_read() {
    let mut scene = Scene::start("texts").await;
    let named = || ISSUERS.iter().enumerate().map(|(number, issuer)| (format!("kratos-{number}"), *issuer));
    for (name, issuer) in named() {
        scene.create(kratos(&name)).await;
        scene.create(of_issuer(&name, issuer)).await;
    }
    for (name, issuer) in named() {
        scene.until_ready(&name).await;
        let record = scene.newest_record(&name).await.expect("a record");
        assert_eq!(record["data"]["overlay"]["selfservice"]["methods"]["totp"]["config"]["issuer"], issuer);
    }
    // Only what is remembered tells a variable that is gone from one that was never there.
    scene.operator.stop();
    for (name, _) in named() {
        scene.edit("Deployment", &name, env_removal(ISSUER)).await;
    }
    scene.operator.start_again();
    for (name, issuer) in named() {
        scene
            .until(&format!("{issuer:?} is put back"), SOON, async || has_issuer(&scene, &name, issuer).await)
            .await;
        scene.until_event("DriftRepaired", &[&name, ISSUER]).await;
    }
}

/// No kubelet runs here: the test says of each pod what a kubelet would.
#[tokio::test]
async fn a_failed_change_goes_back_to_such_a_text() {
    let scene = Scene::start("texts-back").await;
    let issuer = "Smith & Sons <b>";
    let address = "127.0.0.1".parse().expect("an address");
    scene.create(kratos("kratos")).await;
    scene.create(of_issuer("kratos", issuer)).await;
    scene.until_ready("kratos").await;
    let old = start_pods(&scene, "kratos", &[address]).await;
    scene
        .until("a pod of this revision is known to be good", SOON, async || {
            let status = scene.get("MfaPolicy", "kratos").await["status"]["targets"][0].clone();
            if status["lastGoodRevision"].is_string() { Ok(()) } else { Err(status.to_string()) }
        })
        .await;

    let fatal = json!({"methods": {"code": {"mfaEnabled": true}}, "acknowledge": ["CodeCountsForEveryone"]});
    scene.edit("MfaPolicy", "kratos", json!({ "spec": fatal })).await;
    let new = scene
        .until("a new pod is there", SOON, async || {
            let pods = scene.list("Pod").await;
            let names = pods.iter().map(|pod| text(&pod["metadata"]["name"]));
            names.into_iter().find(|name| *name != old[0]).ok_or("only the old one".into())
        })
        .await;
    // Crashes count from when an old pod was seen to run well beside them.
    for crashes in 1..=SOON.as_secs() {
        crashed(&scene, &new, crashes).await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        if has_issuer(&scene, "kratos", issuer).await.is_ok() && is_undone(&scene).await {
            break;
        }
    }
    let message = scene.until_condition("kratos", "Ready", "False", "RolledBack").await;
    assert!(message.contains(&new), "{message}");
    has_issuer(&scene, "kratos", issuer).await.expect("it has what the record says");
    assert!(is_undone(&scene).await);
}

async fn is_undone(scene: &Scene) -> bool {
    !env(&scene.deployment("kratos").await, "kratos").contains_key("SELFSERVICE_METHODS_CODE_MFA_ENABLED")
}

async fn crashed(scene: &Scene, pod: &str, times: u64) {
    let ended = json!({"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": Timestamp::now().strftime("%FT%TZ").to_string()}});
    let container = json!({
        "name": "kratos", "ready": false, "restartCount": times, "image": "i", "imageID": "i",
        "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended,
    });
    let conditions =
        json!([{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}]);
    let status = json!({"phase": "Running", "conditions": conditions, "containerStatuses": [container]});
    // Once it went back, the pod is gone.
    if scene.find("Pod", pod).await.is_some() {
        scene.edit_status("Pod", pod, status).await;
    }
}
