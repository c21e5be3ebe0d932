//! A roll that fails: what old pods say of themselves, from behind whatever stands in front of them, and from
//! which template a pod was made, whatever admission made of the pod. No kubelet runs here: its words are
//! written by hand.

use std::net::Ipv4Addr;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::config_file::{by_file, file};
use crate::objects::{env_patch, kratos_reading, policy_with};
use crate::scene::{SOON, Scene, text};
use crate::stand_in::{Silent, StandIn, free_address, free_port, ok, serving_at, start_pods};

/// The operator's own patience with one that is silent, and then some.
const HEARD: Duration = Duration::from_secs(90);

/// A Deployment of this name with one pod that is ready at this address, before any policy.
async fn serving(scene: &Scene, name: &str, port: u16, address: Ipv4Addr) {
    scene.create(serving_at(name, port)).await;
    start_pods(scene, name, &[address]).await;
}

/// What a Kratos may not survive, whatever its own files say.
fn code() -> Value {
    json!({"methods": {"code": {"mfaEnabled": true}}, "acknowledge": ["CodeCountsForEveryone"]})
}

/// The pod of this Deployment that has this variable.
async fn pod_with(scene: &Scene, name: &str, variable: &str) -> String {
    let of_policy = |pod: &Value| {
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        let mut env = containers.flat_map(|container| container["env"].as_array().into_iter().flatten());
        pod["metadata"]["labels"]["app"] == name && env.any(|entry| entry["name"] == variable)
    };
    let find = async || {
        let pods = scene.list("Pod").await;
        pods.iter()
            .find(|pod| of_policy(pod))
            .map(|pod| text(&pod["metadata"]["name"]))
            .ok_or_else(|| format!("{pods:?}"))
    };
    scene.until("a pod of the policy is there", SOON, find).await
}

/// What its kubelet says of a pod whose server crashed so often.
async fn say_crashed(scene: &Scene, pod: &str, crashes: i32) {
    let ended = Timestamp::now()
        .checked_add(k8s_openapi::jiff::SignedDuration::from_secs(2))
        .expect("a time")
        .to_string();
    let container = json!({
        "name": "kratos", "ready": false, "restartCount": crashes - 1, "image": "i", "imageID": "i",
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": ended}},
    });
    let conditions =
        json!([{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}]);
    scene
        .edit_status(
            "Pod",
            pod,
            json!({"phase": "Running", "conditions": conditions, "containerStatuses": [container]}),
        )
        .await;
}

/// Crashes the new pod once, and when that is told, a second time. The policy has the name of its target.
async fn crash(scene: &Scene, name: &str) {
    crash_that_with(scene, name, "REVISION").await;
}

async fn crash_that_with(scene: &Scene, name: &str, variable: &str) {
    let pod = pod_with(scene, name, variable).await;
    say_crashed(scene, &pod, 1).await;
    scene.until_condition_within(HEARD, name, "RolledOut", "False", "Crashing").await;
    say_crashed(scene, &pod, 2).await;
}

fn status(line: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

/// What a change of the policy alone comes to, where an old pod says this.
async fn judged_before(scene: &Scene, name: &str, answer: Vec<u8>, reason: &str) -> String {
    let port = free_port();
    let pod = StandIn::saying(port, answer);
    serving(scene, name, port, pod.address).await;
    scene.create(policy_with(name, &[name], code())).await;
    crash(scene, name).await;
    let message = scene.until_condition_within(HEARD, name, "Ready", "False", reason).await;
    assert!(pod.asked() > 0, "nobody asked the old pod");
    message
}

#[tokio::test]
async fn behind_a_mesh_or_a_proxy_a_failing_change_is_taken_back() {
    let scene = &Scene::start("fails-fronted").await;
    let tls = vec![0x15, 3, 1, 0, 2, 2, 70];
    let answers = [
        ("closed", Vec::new()),
        ("tls", tls),
        ("bad-request", status("400 Bad Request")),
        ("unauthorized", status("401 Unauthorized")),
        ("forbidden", status("403 Forbidden")),
        ("not-found", status("404 Not Found")),
        ("well", ok("{\"status\":\"ok\"}")),
    ];
    let judged = answers.map(|(name, answer)| async move {
        let told = judged_before(scene, name, answer, "RolledBack").await;
        assert!(told.contains("CrashLoopBackOff"), "{name}: {told}");
    });
    futures::future::join_all(judged).await;
}

#[tokio::test]
async fn an_old_pod_that_says_it_is_not_ready_keeps_the_change() {
    let scene = Scene::start("fails-503").await;
    let told = judged_before(&scene, "unwell", status("503 Service Unavailable"), "Waiting").await;
    assert!(told.contains("not well by its own word") && told.contains("database"), "{told}");
}

/// As a Kratos does whose database hangs.
#[tokio::test]
async fn an_old_pod_that_takes_the_question_and_is_silent_keeps_the_change() {
    let scene = Scene::start("fails-silent").await;
    let port = free_port();
    let pod = Silent::at(free_address(), port);
    serving(&scene, "kratos", port, pod.address).await;
    let mut policy = policy_with("kratos", &["kratos"], code());
    // It is asked for nothing else.
    policy["spec"]["verification"] = json!({"mode": "Off"});
    scene.create(policy).await;
    crash(&scene, "kratos").await;
    let told = scene.until_condition_within(HEARD, "kratos", "Ready", "False", "Waiting").await;
    assert!(told.contains("not well by its own word"), "{told}");
    assert!(pod.open().ever > 0, "nobody asked the old pod");
}

/// Something that changes pods as they are created, so that no two of one template are the same: their
/// variables, their requests, their annotations, an agent, the registry of their image.
async fn engine(scene: &Scene) {
    let name = scene.namespace.clone();
    let rules =
        json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]);
    let added = "Object{metadata: Object.metadata{annotations: {'engine.example/of': object.metadata.ownerReferences[0].name}}, \
        spec: Object.spec{ \
          initContainers: [Object.spec.initContainers{name: 'agent', image: 'registry.example.com/agent:' + object.metadata.ownerReferences[0].name}], \
          containers: [Object.spec.containers{name: 'kratos', image: 'registry.example.com/docker.io/' + object.spec.containers[0].image, \
            env: [Object.spec.containers.env{name: 'OTEL_RESOURCE_ATTRIBUTES', value: 'k8s.replicaset.name=' + object.metadata.ownerReferences[0].name}]}]}}";
    let registration = "admissionregistration.k8s.io/v1";
    let policy = json!({
        "apiVersion": registration, "kind": "MutatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail", "reinvocationPolicy": "Never", "matchConstraints": {"resourceRules": rules},
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": added}}],
        },
    });
    let here =
        json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": scene.namespace}}});
    let binding = json!({
        "apiVersion": registration, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {"policyName": name, "matchResources": here},
    });
    for object in [policy, binding] {
        crate::stage::apply(&scene.client, &scene.namespace, object).await;
    }
    let probe = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"generateName": "probe-", "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "none", "uid": "none"}]},
        "spec": {"containers": [{"name": "kratos", "image": "kratos:1"}]},
    });
    let works = async || {
        let made = scene.create(probe.clone()).await;
        if made["spec"]["initContainers"][0]["name"] == "agent" { Ok(()) } else { Err(made.to_string()) }
    };
    scene.until("the engine works", SOON, works).await;
}

/// What would be asked at every pod of the other tests.
async fn end_engine(scene: &Scene) {
    scene.delete("MutatingAdmissionPolicyBinding", &scene.namespace).await;
    scene.delete("MutatingAdmissionPolicy", &scene.namespace).await;
}

#[tokio::test]
async fn what_admission_makes_of_pods_is_no_change_of_their_template() {
    let scene = Scene::start("fails-mutated").await;
    engine(&scene).await;
    let port = free_port();
    let pod = StandIn::saying(port, ok("{\"version\":\"v26.2.0\"}"));
    serving(&scene, "kratos", port, pod.address).await;
    // It would be refused were its version not known: it is asked for though no pod has the image that the
    // template names.
    scene
        .create(policy_with("kratos", &["kratos"], json!({"methods": {"code": {"mfaEnabled": true}}})))
        .await;
    scene.until_condition("kratos", "Accepted", "True", "Accepted").await;
    crash(&scene, "kratos").await;
    scene.until_condition_within(HEARD, "kratos", "Ready", "False", "RolledBack").await;
    end_engine(&scene).await;
}

#[tokio::test]
async fn a_template_that_somebody_else_changes_as_well_keeps_the_change() {
    let scene = Scene::start("fails-both").await;
    let port = free_port();
    let pod = StandIn::saying(port, ok("{\"status\":\"ok\"}"));
    serving(&scene, "kratos", port, pod.address).await;
    scene.edit("Deployment", "kratos", json!({"spec": {"paused": true}})).await;
    scene.create(policy_with("kratos", &["kratos"], code())).await;
    scene.until_condition("kratos", "RolledOut", "False", "TargetPaused").await;
    let args =
        json!({"containers": [{"name": "kratos", "args": ["serve", "all", "--config", "/etc/other.yaml"]}]});
    scene.edit("Deployment", "kratos", json!({"spec": {"paused": false, "template": {"spec": args}}})).await;
    crash(&scene, "kratos").await;
    let told = scene.until_condition_within(HEARD, "kratos", "Ready", "False", "Waiting").await;
    assert!(told.contains("something else in its pod template changed"), "{told}");
}

/// Reloader restarts pods for a file that they were to read by themselves, and says so in a variable of its
/// own.
#[tokio::test]
async fn a_file_that_pods_are_restarted_for_is_judged_by_those_that_are_left() {
    const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let scene = Scene::start("fails-reloaded").await;
    let port = free_port();
    let base = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "base"}, "data": {"kratos.yaml": "{}"}});
    scene.create(base).await;
    let mut deployment = kratos_reading("kratos", "kratos-mfa");
    let pod = &mut deployment["spec"]["template"]["spec"];
    pod["volumes"]
        .as_array_mut()
        .expect("a list")
        .push(json!({"name": "base", "configMap": {"name": "base"}}));
    let container = &mut pod["containers"][0];
    container["volumeMounts"]
        .as_array_mut()
        .expect("a list")
        .push(json!({"name": "base", "mountPath": "/etc/config"}));
    container["ports"] = json!([{"name": "http-admin", "containerPort": port}]);
    scene.create(deployment).await;
    scene.create(by_file("kratos", &["kratos"], json!({}))).await;
    scene.until_ready_without_pods("kratos").await;
    let old = StandIn::saying(port, ok(HASH));
    start_pods(&scene, "kratos", &[old.address]).await;
    scene.until_condition("kratos", "Effective", "True", "HashesAgree").await;
    scene.until_ready("kratos").await;
    let before = file(&scene, "kratos-mfa").await;

    scene.edit("MfaPolicy", "kratos", json!({ "spec": code() })).await;
    let written = async || {
        let now = file(&scene, "kratos-mfa").await;
        if now == before { Err(now) } else { Ok(()) }
    };
    scene.until("the file is written", SOON, written).await;
    scene
        .edit_as(
            "reloader",
            "Deployment",
            "kratos",
            env_patch(&[("STAKATER_KRATOS_MFA_CONFIGMAP", "a-digest")]),
        )
        .await;
    crash_that_with(&scene, "kratos", "STAKATER_KRATOS_MFA_CONFIGMAP").await;
    scene.until_condition_within(HEARD, "kratos", "Ready", "False", "RolledBack").await;
    assert_eq!(file(&scene, "kratos-mfa").await, before);
}
