//! `mfa-operator self-test`, which `helm test` runs: under the rights that the chart gives it, against a real
//! operator.

use std::process::Command;

use serde_json::{Value, json};

use crate::objects::kratos;
use crate::rights::defined_rules;
use crate::scene::Scene;
use crate::support::control_plane::{control_plane, create_namespace};

const NAME: &str = "release-test";
const TESTER: &str = "tester";

#[tokio::test]
async fn it_passes_and_leaves_nothing() {
    let scene = Scene::start("self-test").await;
    grant(&scene);
    // The second begins while the operator still waits whether the first policy comes again.
    for timeout in ["60", "29"] {
        let told =
            run(&scene.namespace, TESTER, &["--timeout", timeout]).expect("an operator serves the namespace");
        assert!(told.contains("passed: the operator serves"), "{told}");
        assert_nothing_is_left(&scene).await;
    }
}

#[tokio::test]
async fn it_says_what_is_missing() {
    let scene = Scene::start("self-test-refused").await;
    grant(&scene);
    let why = run(&scene.namespace, TESTER, &["--timeout", "60", "--server-image", "nginx"])
        .expect_err("an image that is no server's");
    assert!(why.contains("NotKratos"), "{why}");
    assert_nothing_is_left(&scene).await;

    let unserved = create_namespace(&scene.client, "unserved").await;
    let why = run(&unserved, "", &["--timeout", "1"]).expect_err("nobody serves it");
    assert!(why.contains("no operator looked at the policy"), "{why}");
    let why = run(&unserved, TESTER, &["--timeout", "1"]).expect_err("it has no rights there");
    assert!(why.contains("cannot be read") && why.contains(TESTER), "{why}");
}

#[tokio::test]
async fn it_leaves_alone_what_no_test_made() {
    let scene = Scene::start("self-test-taken").await;
    let before = scene.create(kratos(NAME)).await;
    let why = run(&scene.namespace, "", &["--timeout", "1"]).expect_err("its name is taken");
    assert!(why.contains("left alone"), "{why}");
    assert_eq!(scene.deployment(NAME).await["metadata"]["uid"], before["metadata"]["uid"]);
}

async fn assert_nothing_is_left(scene: &Scene) {
    assert_eq!(scene.find("MfaPolicy", NAME).await, None);
    assert_eq!(scene.find("Deployment", NAME).await, None);
}

/// What the chart's Role grants, to a user.
fn grant(scene: &Scene) {
    let group = "rbac.authorization.k8s.io";
    let objects: Vec<Value> = vec![
        json!({
            "apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": {"name": NAME},
            "rules": defined_rules("mfa-operator.testRules", NAME),
        }),
        json!({
            "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": NAME},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": NAME},
            "subjects": [{"apiGroup": group, "kind": "User", "name": TESTER}],
        }),
    ];
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    scene.try_kubectl(&["apply", "-f", "-"], &list).expect("the rights are granted");
    // A busy API server takes a moment to learn of them.
    let granted = || {
        scene.try_kubectl(
            &["auth", "can-i", "get", &format!("mfapolicies.mfa-operator.dev/{NAME}"), "--as", TESTER],
            "",
        )
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while let Err(answer) = granted() {
        assert!(std::time::Instant::now() < deadline, "the rights are not in force: {answer}");
    }
}

/// What it says where it passes, else what it complains about. An empty user has every right.
fn run(namespace: &str, user: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mfa-operator"));
    command.args(["self-test", "--namespace", namespace, "--name", NAME]).args(arguments);
    command.env("KUBECONFIG", control_plane().folder().join("kubeconfig"));
    if !user.is_empty() {
        command.env("KUBE_RS_DEBUG_IMPERSONATE_USER", user);
    }
    let output = command.output().expect("the operator's binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
