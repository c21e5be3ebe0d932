//! The bodies of our writes. Workloads are applied in part: identity, own fields, nothing else.

use serde_json::{Value, json};
use smol_str::SmolStr;

use crate::api;
use crate::model::{Data, Key, OwnershipNote, PolicyObject, Workload};
use crate::plan::desired::Desired;

/// A value that the kubelet hands to the process as it is: `$(NAME)` would otherwise be replaced
/// by another variable of the container, a secret for example.
#[must_use]
pub fn escape_dollar(value: &str) -> String {
    value.replace('$', "$$")
}

/// What the process sees of a value that we wrote.
#[must_use]
pub fn unescape_dollar(value: &str) -> String {
    value.replace("$$", "$")
}

/// Our fields on a workload. `uid` and `resourceVersion` make it conflict rather than create or
/// overwrite what changed meanwhile.
#[must_use]
pub fn workload(
    workload: &Workload,
    policy: &str,
    governed: &str,
    container: &str,
    desired: &Desired,
) -> Value {
    let env = desired
        .variables()
        .iter()
        .map(|variable| json!({"name": variable.name, "value": escape_dollar(&variable.value)}))
        .collect();
    governed_by(workload, policy, governed, vec![(container, env)])
}

/// A strategic merge patch that removes these variables, by container and name.
#[must_use]
pub fn without(workload: &Workload, variables: &[&(SmolStr, SmolStr)]) -> Value {
    let mut body = identity(workload);
    let removal = |(container, name): &&(SmolStr, SmolStr)| json!({"name": container, "env": [{"name": name, "$patch": "delete"}]});
    body["spec"]["template"]["spec"]["containers"] = variables.iter().map(removal).collect();
    body
}

/// Our fields on a workload as they are, under another annotation.
#[must_use]
pub fn annotated(workload: &Workload, policy: &str, governed: &str) -> Value {
    let mut containers = Vec::new();
    for container in &workload.containers {
        let env = container.env.iter().filter(|entry| workload.owns(&container.name, &entry.name));
        let env = env
            .filter_map(|entry| Some(json!({"name": entry.name, "value": entry.value.as_deref()?})))
            .collect();
        containers.push((&*container.name, env));
    }
    governed_by(workload, policy, governed, containers)
}

/// Label and annotation, with the variables of each container.
fn governed_by(
    workload: &Workload,
    policy: &str,
    governed: &str,
    containers: Vec<(&str, Vec<Value>)>,
) -> Value {
    let mut body = identity(workload);
    body["metadata"]["labels"] = json!({ api::POLICY_LABEL: policy });
    body["metadata"]["annotations"] = json!({ api::GOVERNED_ANNOTATION: governed });
    let containers: Vec<_> = containers
        .into_iter()
        .filter(|(_, env)| !env.is_empty())
        .map(|(name, env)| json!({"name": name, "env": env}))
        .collect();
    if !containers.is_empty() {
        body["spec"]["template"]["spec"]["containers"] = json!(containers);
    }
    body
}

/// None of our fields: applying it drops them all.
#[must_use]
pub fn identity(workload: &Workload) -> Value {
    json!({
        "apiVersion": format!("{}/v1", api::APPS),
        "kind": workload.kind.as_str(),
        "metadata": {
            "namespace": workload.key.namespace,
            "name": workload.key.name,
            "uid": workload.uid,
            "resourceVersion": workload.resource_version,
        },
    })
}

/// A new config map with the rendered file.
#[must_use]
pub fn config_map(key: &Key, name: &str, governed: &OwnershipNote, file: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "namespace": key.namespace,
            "name": name,
            "labels": { api::POLICY_LABEL: key.name },
            "annotations": { api::GOVERNED_ANNOTATION: governed.write() },
        },
        "data": { api::CONFIG_KEY: file },
    })
}

/// A new record, owned by the policy so that it goes with it.
#[must_use]
pub fn record(policy: &PolicyObject, data: &Data, digest: &str, revision: i64, applied: &str) -> Value {
    json!({
        "apiVersion": format!("{}/v1", api::APPS),
        "kind": "ControllerRevision",
        "metadata": {
            "namespace": policy.key.namespace,
            "name": crate::model::record_name(&policy.key.name, &policy.uid, digest),
            "labels": { api::POLICY_LABEL: policy.key.name },
            "annotations": { api::APPLIED_ANNOTATION: applied },
            "ownerReferences": [{
                "apiVersion": format!("{}/{}", api::GROUP, api::VERSION),
                "kind": api::KIND,
                "name": policy.key.name,
                "uid": policy.uid,
                "controller": true,
                "blockOwnerDeletion": false,
            }],
        },
        "revision": revision,
        "data": data,
    })
}

/// The body of a create as the API server writes JSON itself. It compares the data of a ControllerRevision
/// byte by byte with its own writing of them: one that holds a character which Go escapes could never be
/// noted on again.
///
/// # Errors
/// When it is no JSON.
pub fn as_stored(body: &Value) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_string(body)?;
    // They stand in strings alone.
    for (character, escaped) in [
        ("&", r"\u0026"),
        ("<", r"\u003c"),
        (">", r"\u003e"),
        ("\u{2028}", r"\u2028"),
        ("\u{2029}", r"\u2029"),
    ] {
        text = text.replace(character, escaped);
    }
    Ok(text.into_bytes())
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_go_escapes_is_escaped_and_means_the_same() {
        let body = serde_json::json!({"a&b": "<b>\u{2028}\u{2029}\\u0026 \"'/\u{7f}é"});
        let stored = String::from_utf8(crate::plan::manifest::as_stored(&body).expect("JSON")).expect("text");
        assert_eq!(stored, r#"{"a\u0026b":"\u003cb\u003e\u2028\u2029\\u0026 \"'/"#.to_owned() + "\u{7f}é\"}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&stored).expect("JSON"), body);
    }

    #[test]
    fn no_reference_to_another_variable_survives() {
        assert_eq!(crate::plan::manifest::escape_dollar("$(DSN) costs $5, $$"), "$$(DSN) costs $$5, $$$$");
    }
}
