//! Delivery by a file: what counts as wired, what is written, and what rolls. That running pods read
//! the file anew is for the end-to-end tests: there are no pods here.

use serde_json::{Value, json};

use crate::objects::{
    SECRET, SETTINGS, WHOAMI, daemon, enforces, env, generation, kratos, kratos_reading, policy_with,
    stateful,
};
use crate::scene::{AFTER_THE_PAUSE, SOON, Scene, text};

pub const STRICT: &str = "highest_available";

pub fn by_file(name: &str, targets: &[&str], spec: Value) -> Value {
    let mut policy = policy_with(name, targets, spec);
    policy["spec"]["delivery"]["type"] = json!("ConfigFile");
    policy
}

pub async fn file(scene: &Scene, config_map: &str) -> String {
    text(&scene.get("ConfigMap", config_map).await["data"]["kratos.yaml"])
}

/// Whether the levels at `highest_available` are all that the container is given beside the file.
pub fn has_the_levels(workload: &Value) -> Result<(), String> {
    let found = env(workload, "kratos");
    let expected = [("DSN", SECRET), (SETTINGS, STRICT), (WHOAMI, STRICT)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    if found == expected.into() { Ok(()) } else { Err(format!("its variables are {found:?}")) }
}

#[tokio::test]
async fn what_is_not_wired_is_told_with_the_values_to_add_and_goes_on_by_itself() {
    let scene = Scene::start("wiring").await;
    scene.create(kratos("kratos")).await;
    scene.create(by_file("mfa", &["kratos"], json!({}))).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "NotWired").await;
    scene.until_condition("mfa", "Reconciling", "True", "NotWired").await;
    // The values are JSON, and merged into those of the chart they make a workload that is wired.
    let values: Value =
        serde_json::from_str(&message[message.find('{').expect("values")..]).expect("the values are JSON");
    let values = &values["deployment"];
    assert!(file(&scene, "mfa-mfa").await.contains(STRICT), "the file is there before it is mounted");
    assert_eq!(env(&scene.deployment("kratos").await, "kratos").len(), 1, "the workload is left alone");
    let mut args = json!(["serve", "all", "--config", "/etc/config/kratos.yaml"]);
    args.as_array_mut()
        .expect("a list")
        .extend(values["extraArgs"].as_array().expect("arguments").iter().cloned());
    let container = json!({"name": "kratos", "args": args, "volumeMounts": values["extraVolumeMounts"]});
    let pod = json!({"volumes": values["extraVolumes"], "containers": [container]});
    scene.edit("Deployment", "kratos", json!({"spec": {"template": {"spec": pod}}})).await;
    scene.until_ready_without_pods("mfa").await;
    has_the_levels(&scene.deployment("kratos").await).expect("the levels alone");
}

/// Every form of command line and mount that Kratos and Kubernetes take.
#[tokio::test]
async fn wiring_is_recognised_in_every_form() {
    let scene = Scene::start("forms").await;
    let volume = |source: Value| json!([{"name": "base", "emptyDir": {}}, source]);
    let map = || volume(json!({"name": "mfa", "configMap": {"name": "levels-mfa"}}));
    let own_map =
        |name: &str| volume(json!({"name": "mfa", "configMap": {"name": format!("levels-{name}-mfa")}}));
    let folder =
        || json!([{"name": "base", "mountPath": "/etc/config"}, {"name": "mfa", "mountPath": "/etc/mfa"}]);
    let path = "/etc/mfa/kratos.yaml";
    let base = "/etc/config/kratos.yaml";
    let args = |words: &[&str]| json!({"args": words});
    let wired = [
        ("repeated", args(&["serve", "all", "--config", base, "--config", path]), map(), folder()),
        (
            "equals",
            args(&["serve", "all", "--config=/etc/config/kratos.yaml", "--config=/etc/mfa/kratos.yaml"]),
            map(),
            folder(),
        ),
        (
            "list",
            args(&["serve", "all", "--config", "/etc/config/kratos.yaml,/etc/mfa/kratos.yaml"]),
            map(),
            folder(),
        ),
        ("short", args(&["serve", "all", "-c", base, "-c", path]), map(), folder()),
        (
            "command",
            json!({"command": ["kratos", "serve", "all", "-c", base, "-c", path], "args": null}),
            map(),
            folder(),
        ),
        (
            "both",
            json!({"command": ["kratos", "-c", base], "args": ["serve", "all", "-c", path]}),
            map(),
            folder(),
        ),
        (
            "projected",
            args(&["serve", "all", "-c", path]),
            volume(json!({"name": "mfa", "projected": {"sources": [{"configMap": {"name": "levels-mfa"}}]}})),
            folder(),
        ),
        (
            "renamed",
            args(&["serve", "all", "-c", "/etc/mfa/levels.yaml"]),
            volume(
                json!({"name": "mfa", "configMap": {"name": "levels-mfa", "items": [{"key": "kratos.yaml", "path": "levels.yaml"}]}}),
            ),
            folder(),
        ),
    ];
    let single = |field: &str| {
        let mut mount = json!({"name": "mfa", "mountPath": path});
        mount[field] = json!("kratos.yaml");
        json!([{"name": "base", "mountPath": "/etc/config"}, mount])
    };
    let not_wired = [
        // Neither changes in a running pod.
        ("sub-path", args(&["serve", "all", "-c", path]), own_map("sub-path"), single("subPath")),
        (
            "sub-path-expr",
            args(&["serve", "all", "-c", path]),
            own_map("sub-path-expr"),
            single("subPathExpr"),
        ),
        ("no-argument", args(&["serve", "all", "--config", base]), map(), folder()),
        (
            "not-mounted",
            args(&["serve", "all", "-c", path]),
            map(),
            json!([{"name": "base", "mountPath": "/etc/config"}]),
        ),
        (
            "other-map",
            args(&["serve", "all", "-c", path]),
            volume(json!({"name": "mfa", "configMap": {"name": "other"}})),
            folder(),
        ),
    ];
    let deployment = |name: &str, command: &Value, volumes: &Value, mounts: &Value| {
        let mut deployment = kratos(name);
        let pod = &mut deployment["spec"]["template"]["spec"];
        pod["volumes"] = volumes.clone();
        pod["containers"][0]["volumeMounts"] = mounts.clone();
        for (field, value) in command.as_object().expect("fields") {
            pod["containers"][0][field] = value.clone();
        }
        deployment
    };
    let names: Vec<_> = wired.iter().map(|form| form.0).collect();
    for (name, command, volumes, mounts) in wired.iter().chain(&not_wired) {
        scene.create(deployment(name, command, volumes, mounts)).await;
    }
    scene.create(by_file("wired", &names, json!({"delivery": {"configMapName": "levels-mfa"}}))).await;
    scene.until_ready_without_pods("wired").await;
    for name in names {
        has_the_levels(&scene.deployment(name).await).unwrap_or_else(|found| panic!("{name}: {found}"));
    }
    for (name, ..) in &not_wired {
        // The file is read only where it says so.
        scene
            .create(by_file(
                name,
                &[*name],
                json!({"delivery": {"configMapName": format!("levels-{name}-mfa")}}),
            ))
            .await;
        let message = scene.until_condition(name, "Accepted", "False", "NotWired").await;
        assert!(
            message.contains(&format!("levels-{name}-mfa")) && message.contains("folder"),
            "{name}: {message}"
        );
        assert_eq!(env(&scene.deployment(name).await, "kratos").len(), 1, "{name}: no variable is written");
    }
}

#[tokio::test]
async fn a_change_of_a_level_rolls_and_no_other_change_does() {
    let scene = Scene::start("file-rolls").await;
    scene.create(kratos_reading("kratos", "mfa-mfa")).await;
    scene.create(by_file("mfa", &["kratos"], json!({}))).await;
    scene.until_ready_without_pods("mfa").await;
    let before = generation(&scene.deployment("kratos").await);
    scene
        .edit(
            "MfaPolicy",
            "mfa",
            json!({"spec": {"methods": {"totp": {"enabled": true, "issuer": "Example"}}}}),
        )
        .await;
    scene
        .until("the file says so", SOON, async || {
            let file = file(&scene, "mfa-mfa").await;
            if file.contains("Example") { Ok(()) } else { Err(file) }
        })
        .await;
    scene.until_ready_without_pods("mfa").await;
    assert_eq!(generation(&scene.deployment("kratos").await), before, "the workload is as it was");
    for (rolls, whoami) in [(1, "aal1"), (2, STRICT)] {
        scene
            .edit(
                "MfaPolicy",
                "mfa",
                json!({"spec": {"requiredAAL": {"settings": STRICT, "whoami": whoami}}}),
            )
            .await;
        scene
            .until("the level is another", SOON, async || {
                let now = env(&scene.deployment("kratos").await, "kratos").get(WHOAMI).cloned();
                if now.as_deref() == Some(whoami) { Ok(()) } else { Err(format!("{now:?}")) }
            })
            .await;
        scene.until_ready_without_pods("mfa").await;
        assert_eq!(generation(&scene.deployment("kratos").await), before + rolls, "one roll each");
    }
    let status = scene.until_ready_without_pods("mfa").await["status"].clone();
    assert_eq!(status["requiredAAL"], json!({"settings": STRICT, "whoami": STRICT}));
    assert_eq!(status["targets"][0]["revision"], status["revision"]);
}

#[tokio::test]
async fn a_level_that_is_stated_no_more_is_the_servers_own_again() {
    let scene = Scene::start("file-unstated").await;
    scene.create(kratos_reading("kratos", "mfa-mfa")).await;
    scene.create(by_file("mfa", &["kratos"], json!({}))).await;
    scene.until_ready_without_pods("mfa").await;
    let until_settings = async |wanted: Option<&str>| {
        scene
            .until(&format!("{SETTINGS} is {wanted:?}"), AFTER_THE_PAUSE, async || {
                let now = env(&scene.deployment("kratos").await, "kratos");
                if now.get(SETTINGS).map(String::as_str) == wanted { Ok(()) } else { Err(format!("{now:?}")) }
            })
            .await;
    };
    // Its own file cannot be read here, so what is in force has to be stated weaker before it is left to the
    // server.
    scene
        .edit("MfaPolicy", "mfa", json!({"spec": {"requiredAAL": {"settings": "aal1", "whoami": "aal1"}}}))
        .await;
    until_settings(Some("aal1")).await;
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"requiredAAL": {"settings": null}}})).await;
    until_settings(None).await;
    scene
        .edit("MfaPolicy", "mfa", json!({"spec": {"requiredAAL": {"settings": STRICT, "whoami": STRICT}}}))
        .await;
    until_settings(Some(STRICT)).await;
    has_the_levels(&scene.deployment("kratos").await).expect("both are there again");
}

/// What stands on a workload stays where its wiring is lost, and what the policy asks for since waits.
#[tokio::test]
async fn a_single_file_mounted_later_keeps_the_levels_that_stand() {
    let scene = Scene::start("sub-path").await;
    scene.create(kratos_reading("kratos", "mfa-mfa")).await;
    scene.create(by_file("mfa", &["kratos"], json!({}))).await;
    scene.until_ready_without_pods("mfa").await;
    let single = json!([{"name": "mfa", "mountPath": "/etc/mfa/kratos.yaml", "subPath": "kratos.yaml"}, {"mountPath": "/etc/mfa", "$patch": "delete"}]);
    let containers = json!([{"name": "kratos", "volumeMounts": single}]);
    scene
        .edit("Deployment", "kratos", json!({"spec": {"template": {"spec": {"containers": containers}}}}))
        .await;
    let message = scene.until_condition("mfa", "Accepted", "False", "NotWired").await;
    assert!(message.contains("subPath") && message.contains("mount the folder"), "{message}");
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"requiredAAL": {"whoami": "aal1"}}})).await;
    scene
        .until("the file says so", SOON, async || {
            let file = file(&scene, "mfa-mfa").await;
            if file.contains("aal1") { Ok(()) } else { Err(file) }
        })
        .await;
    has_the_levels(&scene.deployment("kratos").await).expect("no variable is written");
    let status = scene.get("MfaPolicy", "mfa").await["status"].clone();
    assert_eq!(
        status["requiredAAL"],
        json!({"settings": STRICT, "whoami": STRICT}),
        "what pods are started with"
    );
}

#[tokio::test]
async fn the_delivery_changes_in_one_roll_and_never_leaves_the_workload_bare() {
    let scene = Scene::start("switch").await;
    scene.create(kratos_reading("kratos", "mfa-mfa")).await;
    scene.create(policy_with("mfa", &["kratos"], json!({}))).await;
    scene.until_ready_without_pods("mfa").await;
    enforces(&scene.deployment("kratos").await).expect("by variables");
    let deliver = |type_: &str| json!({"spec": {"delivery": {"type": type_}}});
    for (type_, by_file) in [("ConfigFile", true), ("Environment", false)] {
        let before = generation(&scene.deployment("kratos").await);
        scene.edit("MfaPolicy", "mfa", deliver(type_)).await;
        let mut seen = Vec::new();
        scene
            .until(&format!("{type_} is delivered"), SOON, async || {
                let workload = scene.deployment("kratos").await;
                seen.push(generation(&workload));
                let env = env(&workload, "kratos");
                assert!(
                    [WHOAMI, SETTINGS].iter().all(|name| env.get(*name).is_some_and(|value| value == STRICT)),
                    "{env:?}"
                );
                if env.contains_key("REVISION") != by_file { Ok(()) } else { Err(format!("{env:?}")) }
            })
            .await;
        scene.until_ready_without_pods("mfa").await;
        assert_eq!(generation(&scene.deployment("kratos").await), before + 1, "one roll");
    }
}

#[tokio::test]
async fn every_kind_is_told_by_its_own_name() {
    let scene = Scene::start("file-kinds").await;
    for (kind, workload) in [("StatefulSet", stateful("stateful")), ("DaemonSet", daemon("daemon"))] {
        let name = text(&workload["metadata"]["name"]);
        scene.create(workload).await;
        scene.create(by_file(&name, &[], json!({"targetRefs": [{"kind": kind, "name": name}]}))).await;
        let message = scene.until_condition(&name, "Accepted", "False", "NotWired").await;
        assert!(
            message.contains(&format!("{kind} {name}")) && !message.contains("extraVolumes"),
            "{message}"
        );
    }
}
