//! The objects that tests begin with, and what they look for in them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::scene::text;

/// Stands in for what must never be told: it is in the environment of every test's container.
pub const SECRET: &str = "postgres://kratos:hunter2@db/kratos";

pub const WHOAMI: &str = "SESSION_WHOAMI_REQUIRED_AAL";
pub const SETTINGS: &str = "SELFSERVICE_FLOWS_SETTINGS_REQUIRED_AAL";
pub const LABEL: &str = "mfa-operator.dev/policy";
pub const GOVERNED: &str = "mfa-operator.dev/governed";

/// Kratos in the shape of Ory's chart, without pods.
pub fn kratos(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{
                    "name": "kratos",
                    "image": "oryd/kratos:v1.3.1",
                    "args": ["serve", "all", "--config", "/etc/config/kratos.yaml"],
                    "env": [{"name": "DSN", "value": SECRET}],
                }]},
            },
        },
    })
}

/// The same as a StatefulSet.
pub fn stateful(name: &str) -> Value {
    let mut workload = kratos(name);
    workload["kind"] = json!("StatefulSet");
    workload["spec"]["serviceName"] = json!(name);
    workload
}

/// The same as a DaemonSet.
pub fn daemon(name: &str) -> Value {
    let mut workload = kratos(name);
    workload["kind"] = json!("DaemonSet");
    workload["spec"].as_object_mut().expect("a map").remove("replicas");
    workload
}

/// The same with one more variable.
pub fn kratos_with(name: &str, variable: Value) -> Value {
    let mut deployment = kratos(name);
    let env = &mut deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    env.as_array_mut().expect("a list").push(variable);
    deployment
}

/// The same with its pod template mounting a config map.
pub fn kratos_mounting(name: &str, config_map: &str) -> Value {
    let mut deployment = kratos(name);
    let pod = &mut deployment["spec"]["template"]["spec"];
    pod["volumes"] = json!([{"name": "mfa", "configMap": {"name": config_map}}]);
    pod["containers"][0]["volumeMounts"] = json!([{"name": "mfa", "mountPath": "/etc/mfa"}]);
    deployment
}

/// The same with the file of this config map as its last `--config`.
pub fn kratos_reading(name: &str, config_map: &str) -> Value {
    let mut deployment = kratos_mounting(name, config_map);
    let args = &mut deployment["spec"]["template"]["spec"]["containers"][0]["args"];
    args.as_array_mut().expect("a list").extend([json!("--config"), json!("/etc/mfa/kratos.yaml")]);
    deployment
}

/// Both keys at `highest_available`, over these targets.
pub fn policy(name: &str, targets: &[&str]) -> Value {
    json!({
        "apiVersion": "mfa-operator.dev/v1alpha1",
        "kind": "MfaPolicy",
        "metadata": {"name": name},
        "spec": {
            "targetRefs": targets.iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
            "requiredAAL": {"settings": "highest_available", "whoami": "highest_available"},
        },
    })
}

/// The same with other fields of the spec laid over it.
pub fn policy_with(name: &str, targets: &[&str], spec: Value) -> Value {
    let mut policy = policy(name, targets);
    let Value::Object(fields) = spec else { panic!("a spec is a map") };
    for (field, value) in fields {
        policy["spec"][field] = value;
    }
    policy
}

/// A patch that sets variables of the container `kratos`.
pub fn env_patch(variables: &[(&str, &str)]) -> Value {
    let env: Vec<_> = variables.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({"spec": {"template": {"spec": {"containers": [{"name": "kratos", "env": env}]}}}})
}

/// A patch that removes a variable of the container `kratos`.
pub fn env_removal(name: &str) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [{"name": "kratos", "env": [{"name": name, "$patch": "delete"}]}]}}}})
}

/// Names and literal values of a container's variables.
pub fn env(deployment: &Value, container: &str) -> BTreeMap<String, String> {
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array().expect("containers");
    let found = containers
        .iter()
        .find(|own| own["name"] == container)
        .unwrap_or_else(|| panic!("no container {container}"));
    let entries = found["env"].as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().map(|entry| (text(&entry["name"]), text(&entry["value"]))).collect()
}

/// Whether the template carries both keys at `highest_available` and a revision.
pub fn enforces(deployment: &Value) -> Result<(), String> {
    let env = env(deployment, "kratos");
    let whole = [WHOAMI, SETTINGS]
        .iter()
        .all(|name| env.get(*name).is_some_and(|value| value == "highest_available"))
        && env.get("REVISION").is_some_and(|value| value.starts_with("mfa-"));
    if whole { Ok(()) } else { Err(format!("its variables are {env:?}")) }
}

/// Whether nothing of any policy is left on it.
pub fn is_bare(deployment: &Value) -> Result<(), String> {
    let env = env(deployment, "kratos");
    let own: Vec<_> = env.keys().filter(|name| *name != "DSN").cloned().collect();
    let label = &deployment["metadata"]["labels"][LABEL];
    let annotation = &deployment["metadata"]["annotations"][GOVERNED];
    if own.is_empty() && label.is_null() && annotation.is_null() {
        Ok(())
    } else {
        Err(format!("it still has {own:?}, label {label}, annotation {annotation}"))
    }
}

pub fn generation(object: &Value) -> i64 {
    object["metadata"]["generation"].as_i64().expect("a generation")
}

pub fn template(deployment: &Value) -> Value {
    deployment["spec"]["template"].clone()
}

pub fn label(object: &Value) -> String {
    text(&object["metadata"]["labels"][LABEL])
}

/// What the annotation remembers.
pub fn governed(object: &Value) -> Value {
    serde_json::from_str(&text(&object["metadata"]["annotations"][GOVERNED])).unwrap_or_default()
}
