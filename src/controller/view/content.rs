//! What pods are made from beside our fields: whether an old pod and a new one differ in nothing but
//! the policy, and whether somebody changed what a failed revision failed with.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use smol_str::SmolStr;

use super::container::known_name;
use crate::document::hex_digest;
use crate::plan::{Content, Millis};

/// Of a volume that the API server adds to each pod under a name of its own.
const TOKEN_VOLUME: &str = "kube-api-access-";
/// A restart on purpose changes nothing that a pod is made from.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";
const DIGITS: usize = 16;

/// Digest of what decides whether the containers of a pod start: their own fields, volumes and
/// identity. What the scheduler or a controller adds to each pod is not among it, nor are our variables.
pub(super) fn of_pod_spec(spec: &Value) -> SmolStr {
    let all = |name: &str, item: fn(&Value) -> Value| -> Value {
        spec[name].as_array().into_iter().flatten().filter(|found| !is_token(found)).map(item).collect()
    };
    const WHOLE: [&str; 12] = [
        "serviceAccountName",
        "securityContext",
        "hostNetwork",
        "hostPID",
        "hostIPC",
        "nodeSelector",
        "dnsPolicy",
        "dnsConfig",
        "hostAliases",
        "runtimeClassName",
        "shareProcessNamespace",
        "automountServiceAccountToken",
    ];
    let whole: Map<_, _> = WHOLE.into_iter().map(|name| (name.to_owned(), spec[name].clone())).collect();
    let parts = json!({
        "containers": all("containers", container),
        "initContainers": all("initContainers", container),
        "volumes": all("volumes", volume),
        "whole": whole,
    });
    hex_digest(&parts.to_string(), DIGITS).into()
}

fn container(container: &Value) -> Value {
    let mut container = container.clone();
    if let Some(env) = container["env"].as_array_mut() {
        env.retain(|entry| entry["name"].as_str().and_then(known_name).is_none());
    }
    if container["env"].as_array().is_some_and(Vec::is_empty) {
        container.as_object_mut().map(|fields| fields.remove("env"));
    }
    if let Some(mounts) = container["volumeMounts"].as_array_mut() {
        mounts.retain(|mount| !is_token(mount));
    }
    without_nothing(container)
}

/// Each pod of a StatefulSet has a claim of its own.
fn volume(volume: &Value) -> Value {
    let mut volume = volume.clone();
    if volume["persistentVolumeClaim"].is_object() {
        volume["persistentVolumeClaim"] = Value::Null;
    }
    without_nothing(volume)
}

/// What was looked up and is not there stands as null.
fn without_nothing(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            Value::Object(fields.into_iter().filter(|(_, value)| !empty(value)).collect::<Map<_, _>>())
        }
        value => value,
    }
}

fn is_token(named: &Value) -> bool {
    named["name"].as_str().is_some_and(|name| name.starts_with(TOKEN_VOLUME))
}

/// Annotations with a digest of each value.
pub(super) fn annotations(all: &Value) -> Vec<(SmolStr, SmolStr)> {
    let all = all.as_object().into_iter().flatten().filter(|(key, _)| *key != RESTARTED);
    all.map(|(key, value)| (key.as_str().into(), hex_digest(value.as_str().unwrap_or_default(), DIGITS).into())).collect()
}

/// The config maps that the server of a pod template is made from, each with what it takes of it; none stands for all
/// of it. What other containers read makes no difference to whether this one starts.
pub(in crate::controller) fn config_maps(template: &Value, server: &str) -> BTreeMap<SmolStr, Option<BTreeSet<SmolStr>>> {
    let each = |parent: &Value, list: &str| parent[list].as_array().cloned().unwrap_or_default();
    let spec = &template["spec"];
    let container = each(spec, "containers").into_iter().find(|container| container["name"] == server).unwrap_or_default();
    let mounts = each(&container, "volumeMounts");
    let mut found = Vec::new();
    for volume in each(spec, "volumes").into_iter().filter(|volume| mounts.iter().any(|mount| mount["name"] == volume["name"])) {
        found.push(volume["configMap"].clone());
        found.extend(each(&volume["projected"], "sources").into_iter().map(|source| source["configMap"].clone()));
    }
    found.extend(each(&container, "envFrom").into_iter().map(|source| source["configMapRef"].clone()));
    let of_variable = |entry: Value| {
        let reference = &entry["valueFrom"]["configMapKeyRef"];
        json!({"name": reference["name"], "items": [{"key": reference["key"]}]})
    };
    found.extend(each(&container, "env").into_iter().map(of_variable));
    let mut all = BTreeMap::new();
    for reference in &found {
        let Some(name) = reference["name"].as_str() else { continue };
        let key = |item: &Value| item["key"].as_str().map(SmolStr::from);
        let keys = reference["items"].as_array().filter(|items| !items.is_empty()).map(|items| items.iter().filter_map(key).collect());
        all.entry(name.into())
            .and_modify(|known: &mut Option<BTreeSet<_>>| {
                *known = known.take().zip(keys.clone()).map(|(known, keys)| &known | &keys);
            })
            .or_insert(keys);
    }
    all
}

/// The content of a pod template, together with that of the config maps that its server is made from.
pub(in crate::controller) fn of_template(template: &Value, config_maps: &Value, changed: Millis) -> Content {
    let annotations = annotations(&template["metadata"]["annotations"]);
    let parts = json!([of_pod_spec(&template["spec"]), annotations, config_maps]);
    Content { digest: hex_digest(&parts.to_string(), DIGITS).into(), annotations, changed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Value {
        json!({
            "containers": [{
                "name": "kratos", "image": "kratos:1",
                "env": [{"name": "DSN", "value": "memory"}, {"name": "REVISION", "value": "mfa-0123456789"}],
                "volumeMounts": [{"name": "config", "mountPath": "/etc/config"}],
            }],
            "volumes": [{"name": "config", "configMap": {"name": "kratos"}}],
        })
    }

    #[test]
    fn what_a_pod_is_given_by_itself_and_by_us_makes_no_difference() {
        let mut pod = spec();
        pod["nodeName"] = json!("node-1");
        pod["containers"][0]["env"] = json!([{"name": "DSN", "value": "memory"}]);
        pod["containers"][0]["volumeMounts"].as_array_mut().expect("mounts").push(json!({"name": "kube-api-access-x", "mountPath": "/x"}));
        pod["volumes"].as_array_mut().expect("volumes").push(json!({"name": "kube-api-access-x", "projected": {}}));
        assert_eq!(of_pod_spec(&pod), of_pod_spec(&spec()));
        let mut bare = spec();
        bare["containers"][0]["env"] = json!([{"name": "REVISION", "value": "x"}]);
        let mut without = spec();
        without["containers"][0].as_object_mut().expect("a container").remove("env");
        assert_eq!(of_pod_spec(&bare), of_pod_spec(&without));
    }

    #[test]
    fn whatever_else_decides_whether_it_starts_makes_one() {
        let edits: [fn(&mut Value); 5] = [
            |spec| spec["containers"][0]["image"] = json!("kratos:2"),
            |spec| spec["containers"][0]["env"][0]["value"] = json!("postgres"),
            |spec| spec["containers"][0]["args"] = json!(["serve"]),
            |spec| spec["volumes"][0]["configMap"]["name"] = json!("other"),
            |spec| spec["initContainers"] = json!([{"name": "migrate", "image": "kratos:1"}]),
        ];
        for (index, edit) in edits.iter().enumerate() {
            let mut changed = spec();
            edit(&mut changed);
            assert_ne!(of_pod_spec(&changed), of_pod_spec(&spec()), "edit {index}");
        }
    }

    #[test]
    fn a_template_changes_with_its_annotations_and_the_files_of_its_server() {
        let template = |annotations: Value| json!({"metadata": {"annotations": annotations}, "spec": spec()});
        let of = |annotations: Value, file: &str| of_template(&template(annotations), &json!({"kratos": file}), 0).digest;
        let own = json!({"kubectl.kubernetes.io/restartedAt": "now"});
        assert_eq!(of(own, "a"), of(json!({}), "a"));
        assert_ne!(of(json!({"checksum/config": "1"}), "a"), of(json!({"checksum/config": "2"}), "a"));
        assert_ne!(of(json!({}), "a"), of(json!({}), "b"));
    }

    #[test]
    fn every_config_map_that_the_server_is_made_from_is_found() {
        let template = json!({"spec": {
            "volumes": [
                {"name": "config", "configMap": {"name": "files"}},
                {"name": "unused", "configMap": {"name": "unused"}},
                {"name": "schema", "configMap": {"name": "schemas", "items": [{"key": "person", "path": "person.json"}]}},
                {"name": "all", "projected": {"sources": [{"configMap": {"name": "projected"}}, {"secret": {"name": "dsn"}}]}},
            ],
            "containers": [{"name": "sidecar", "envFrom": [{"configMapRef": {"name": "others"}}]}, {
                "name": "kratos",
                "volumeMounts": [{"name": "config"}, {"name": "schema"}, {"name": "all"}],
                "envFrom": [{"configMapRef": {"name": "variables"}}, {"secretRef": {"name": "dsn"}}],
                "env": [
                    {"name": "LOG_LEVEL", "valueFrom": {"configMapKeyRef": {"name": "levels", "key": "log"}}},
                    {"name": "TRACE", "valueFrom": {"configMapKeyRef": {"name": "levels", "key": "trace"}}},
                    {"name": "FILE", "valueFrom": {"configMapKeyRef": {"name": "files", "key": "one"}}},
                    {"name": "DSN", "valueFrom": {"secretKeyRef": {"name": "dsn", "key": "dsn"}}},
                ],
            }],
            "initContainers": [{"name": "migrate", "envFrom": [{"configMapRef": {"name": "migration"}}]}],
        }});
        let keys = |keys: &[&str]| Some(keys.iter().map(|key| SmolStr::from(*key)).collect::<BTreeSet<_>>());
        let expected = [
            ("files", None),
            ("levels", keys(&["log", "trace"])),
            ("projected", None),
            ("schemas", keys(&["person"])),
            ("variables", None),
        ];
        assert_eq!(config_maps(&template, "kratos"), expected.map(|(name, keys)| (SmolStr::from(name), keys)).into());
        assert_eq!(config_maps(&spec(), "kratos"), BTreeMap::new(), "not a template");
    }
}
