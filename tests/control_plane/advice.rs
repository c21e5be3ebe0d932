//! What the targets themselves have: what is refused for it, and what is advised.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};

use crate::objects::{enforces, is_bare, kratos, kratos_with, policy, policy_with, template};
use crate::scene::{SOON, Scene, text};
use crate::steady::settle;

/// What is refused for a file is looked at again every half minute.
const CORRECTED: Duration = Duration::from_secs(75);

const PASSWORDLESS: &str = "SELFSERVICE_METHODS_CODE_PASSWORDLESS_ENABLED";

fn base(name: &str, config: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"kratos.yaml": config.to_string()}})
}

/// Kratos as Ory's chart wires it to its own file.
fn on(name: &str, config_map: &str) -> Value {
    let mut deployment = kratos(name);
    let pod = &mut deployment["spec"]["template"]["spec"];
    pod["volumes"] = json!([{"name": "config", "configMap": {"name": config_map}}]);
    pod["containers"][0]["volumeMounts"] = json!([{"name": "config", "mountPath": "/etc/config"}]);
    deployment
}

async fn advisories(scene: &Scene) -> Vec<(String, String)> {
    let status = scene.get("MfaPolicy", "mfa").await["status"].clone();
    let told = status["advisories"].as_array().cloned().unwrap_or_default();
    told.iter().map(|advisory| (text(&advisory["type"]), text(&advisory["message"]))).collect()
}

async fn until_advised(scene: &Scene, expected: &[&str]) -> Vec<(String, String)> {
    scene
        .until(&format!("{expected:?} are advised"), SOON, async || {
            let told = advisories(scene).await;
            if told.iter().map(|(name, _)| name).eq(expected) {
                Ok(told)
            } else {
                Err(format!("there are {told:?}"))
            }
        })
        .await
}

#[tokio::test]
async fn a_bypass_that_the_servers_own_file_completes_is_refused_until_it_is_corrected() {
    let scene = Scene::start("bypass").await;
    let levels = |settings: &str| json!({"dsn": "postgres://hunter2@db", "selfservice": {"flows": {"settings": {"required_aal": settings}}}});
    scene.create(base("config", levels("aal1"))).await;
    scene.create(on("kratos", "config")).await;
    scene
        .create(policy_with("mfa", &["kratos"], json!({"requiredAAL": {"whoami": "highest_available"}})))
        .await;
    let message = scene.until_condition("mfa", "Accepted", "False", "InvalidSpec").await;
    assert!(
        message.contains("Deployment kratos")
            && message.contains("SettingsBypass")
            && !message.contains("hunter2"),
        "{message}"
    );
    scene.until_condition("mfa", "Stalled", "True", "InvalidSpec").await;
    is_bare(&scene.deployment("kratos").await).expect("nothing is written");
    assert!(scene.find("ConfigMap", "mfa-mfa").await.is_none());

    scene
        .edit(
            "ConfigMap",
            "config",
            json!({"data": {"kratos.yaml": levels("highest_available").to_string()}}),
        )
        .await;
    scene.until_condition_within(CORRECTED, "mfa", "Accepted", "True", "Accepted").await;
}

#[tokio::test]
async fn what_kratos_would_refuse_undoes_nothing_and_a_secret_is_not_guessed() {
    let scene = Scene::start("merged").await;
    scene.create(kratos_with("kratos", json!({"name": PASSWORDLESS, "value": "true"}))).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready_without_pods("mfa").await;
    let before = scene.deployment("kratos").await;
    let code = json!({"spec": {"methods": {"code": {"mfaEnabled": true}}, "acknowledge": ["CodeCountsForEveryone"]}});
    scene.edit("MfaPolicy", "mfa", code).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "InvalidSpec").await;
    assert!(message.contains("passwordless_enabled") && message.contains("Deployment kratos"), "{message}");
    let after = scene.deployment("kratos").await;
    assert_eq!(template(&after), template(&before));
    enforces(&after).expect("what was accepted last stays");

    let secret = json!({"name": PASSWORDLESS, "value": null, "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}});
    let edit = json!({"spec": {"template": {"spec": {"containers": [{"name": "kratos", "env": [secret]}]}}}});
    scene.edit("Deployment", "kratos", edit).await;
    scene.until_condition("mfa", "Accepted", "True", "Accepted").await;
}

#[tokio::test]
async fn a_code_needs_a_word_until_a_pod_says_that_its_version_is_new_enough() {
    let scene = Scene::start("version").await;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    let mut server = kratos("kratos");
    server["spec"]["replicas"] = json!(1);
    server["spec"]["template"]["spec"]["containers"][0]["ports"] =
        json!([{"name": "http-admin", "containerPort": port}]);
    scene.create(server).await;
    scene.create(policy_with("mfa", &["kratos"], json!({"methods": {"code": {"mfaEnabled": true}}}))).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "InvalidSpec").await;
    assert!(message.contains("CodeCountsForEveryone") && message.contains("not known"), "{message}");

    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 1024]);
            let body = r#"{"version":"v26.2.0"}"#;
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    let pod = scene
        .until("its pod is there", SOON, async || {
            scene.list("Pod").await.first().cloned().ok_or("none".into())
        })
        .await;
    let conditions = json!([{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}]);
    let status = json!({"phase": "Running", "conditions": conditions, "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]});
    scene.edit_status("Pod", &text(&pod["metadata"]["name"]), status).await;
    scene.until_condition_within(CORRECTED, "mfa", "Accepted", "True", "Accepted").await;
    assert_eq!(scene.get("MfaPolicy", "mfa").await["status"]["targets"][0]["serverVersion"], "v26.2.0");
}

#[tokio::test]
async fn advice_is_given_once_and_ends_by_its_name() {
    let mut scene = Scene::start("advice").await;
    scene.create(base("config", json!({"feature_flags": {"cacheable_sessions": true}}))).await;
    let mut server = on("kratos", "config");
    server["spec"]["strategy"] = json!({"type": "Recreate"});
    scene.create(server).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready_without_pods("mfa").await;
    let told = until_advised(&scene, &["NoSecondFactor", "NoDrainDelay", "SessionCache"]).await;
    assert!(told[0].1.contains("Deployment kratos"), "{told:?}");

    // It neither comes and goes nor costs a write, also after a restart.
    settle(&scene).await;
    let mark = scene.audit_mark();
    scene.operator.restart();
    scene.edit("Deployment", "kratos", json!({"metadata": {"labels": {"nudge": "1"}}})).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let writes = scene.writes_since(mark);
    assert!(writes.is_empty(), "{writes:?}");

    // What is remembered is not read again before a change is written.
    let mark = scene.audit_mark();
    let words = json!({"spec": {"acknowledge": ["NoSecondFactor", "SessionCache", "OfAnotherTime"], "privilegedSessionMaxAge": "5m"}});
    scene.edit("MfaPolicy", "mfa", words).await;
    until_advised(&scene, &["NoDrainDelay"]).await;
    assert_eq!(scene.reads_since(mark, "configmaps"), 0);
    scene.until_ready_without_pods("mfa").await;
}

#[tokio::test]
async fn a_server_that_no_policy_names_is_told_until_one_does() {
    let scene = Scene::start("untargeted").await;
    scene.create(kratos("kratos")).await;
    let taken = json!({"acknowledge": ["NoDrainDelay"]});
    scene.create(policy_with("mfa", &["kratos"], taken.clone())).await;
    scene.until_ready_without_pods("mfa").await;
    until_advised(&scene, &[]).await;

    let mut courier = kratos("courier");
    courier["spec"]["replicas"] = json!(1);
    courier["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["courier", "watch"]);
    scene.create(courier).await;
    let mut other = kratos("other");
    other["spec"]["replicas"] = json!(1);
    scene.create(other).await;
    let told = until_advised(&scene, &["UntargetedServer"]).await;
    assert!(told[0].1.starts_with("Deployment other: "), "{told:?}");

    scene.create(policy_with("second", &["other"], taken)).await;
    until_advised(&scene, &[]).await;

    // What the image of Kratos runs by itself is `serve`.
    let mut bare = kratos("bare");
    bare["spec"]["replicas"] = json!(1);
    let container = bare["spec"]["template"]["spec"]["containers"][0].as_object_mut().expect("a map");
    container.retain(|field, _| field != "args" && field != "command");
    scene.create(bare).await;
    let told = until_advised(&scene, &["UntargetedServer"]).await;
    assert!(told[0].1.starts_with("Deployment bare: "), "{told:?}");
}
