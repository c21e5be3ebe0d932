//! What pods are made from beside our fields: whether an old pod and a new one differ in nothing but
//! the policy, and whether somebody changed what a failed revision failed with.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value, json};
use smol_str::SmolStr;

use crate::controller::decode::container::known_name;
use crate::document::hex_digest;
use crate::model::Millis;
use crate::plan::Content;

/// By which a Deployment tells its ReplicaSets apart.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// A restart on purpose changes nothing that a pod is made from.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";

/// Which object Reloader restarted the pods for last.
const RELOADED: &str = "reloader.stakater.com/last-reloaded-from";

const DIGITS: usize = 16;

/// Digest of a pod template: of all that its pods are made from, but for our variables and what only restarts
/// them.
pub fn of_template(mut template: Value) -> SmolStr {
    let labels = entries(&template["metadata"]["labels"], |key, _| key != TEMPLATE_HASH);
    let annotations = entries(&template["metadata"]["annotations"], |key, value| {
        key != RESTARTED && !(key == RELOADED && is_for_a_config_map(value))
    });
    let mut spec = template.get_mut("spec").map(Value::take).unwrap_or_default();
    for list in ["initContainers", "containers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        containers.filter_map(|container| container.get_mut("env")?.as_array_mut()).for_each(|env| {
            env.retain(|entry| {
                !entry["name"]
                    .as_str()
                    .is_some_and(|name| known_name(name).is_some() || is_digest_of_a_config_map(name))
            });
        });
    }
    hex_digest(&json!([labels, annotations, without_nothing(spec)]).to_string(), DIGITS).into()
}

fn entries(map: &Value, counts: impl Fn(&str, &Value) -> bool) -> Map<String, Value> {
    let all = map.as_object().into_iter().flatten();
    all.filter(|(key, value)| counts(key, value)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Set by Reloader, which restarts pods by it. What the server reads of config maps is compared by itself,
/// and what of them is ours is the policy.
fn is_digest_of_a_config_map(variable: &str) -> bool {
    variable.starts_with("STAKATER_") && variable.ends_with("_CONFIGMAP")
}

/// Tells whether Reloader wrote this annotation for a ConfigMap.
fn is_for_a_config_map(reloaded: &Value) -> bool {
    let source: Value =
        reloaded.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    source["type"] == "CONFIGMAP"
}

/// An empty list stands for none.
fn without_nothing(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, value)| (key, without_nothing(value)));
            Value::Object(
                fields
                    .filter(|(_, value)| {
                        !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty())
                    })
                    .collect(),
            )
        }
        Value::Array(items) => items.into_iter().map(without_nothing).collect(),
        value => value,
    }
}

/// A container, as it is told from others.
pub fn of_container(name: &str, image: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (name, image).hash(&mut hasher);
    hasher.finish()
}

/// Config maps by their names, each with the keys that are taken of it; none stands for all.
pub type ConfigMaps = BTreeMap<SmolStr, Option<BTreeSet<SmolStr>>>;

/// The config maps that the server of a pod template is made from. What other containers read makes no
/// difference to whether this one starts.
pub fn config_maps(template: &Value, server: &str) -> ConfigMaps {
    let each = |parent: &Value, list: &str| parent[list].as_array().cloned().unwrap_or_default();
    let spec = &template["spec"];
    let container = each(spec, "containers")
        .into_iter()
        .find(|container| container["name"] == server)
        .unwrap_or_default();
    let mounts = each(&container, "volumeMounts");
    let mut found = Vec::new();
    for volume in each(spec, "volumes")
        .into_iter()
        .filter(|volume| mounts.iter().any(|mount| mount["name"] == volume["name"]))
    {
        found.push(volume["configMap"].clone());
        found.extend(
            each(&volume["projected"], "sources").into_iter().map(|source| source["configMap"].clone()),
        );
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
        let keys = reference["items"]
            .as_array()
            .filter(|items| !items.is_empty())
            .map(|items| items.iter().filter_map(key).collect());
        all.entry(name.into())
            .and_modify(|known: &mut Option<BTreeSet<_>>| {
                *known = known.take().zip(keys.clone()).map(|(known, keys)| &known | &keys);
            })
            .or_insert(keys);
    }
    all
}

/// Digest of what is taken of a config map.
pub fn of_files(texts: &BTreeMap<SmolStr, String>, keys: Option<&BTreeSet<SmolStr>>) -> SmolStr {
    let taken = texts.iter().filter(|(key, _)| keys.is_none_or(|keys| keys.contains(*key)));
    let digests: BTreeMap<_, _> = taken.map(|(key, text)| (key, hex_digest(text, DIGITS))).collect();
    hex_digest(&json!(digests).to_string(), DIGITS).into()
}

/// The content of a pod template, by its digest and those of the config maps that its server is made from.
pub fn of_all(template: &str, config_maps: &BTreeMap<SmolStr, SmolStr>, changed: Millis) -> Content {
    Content { digest: hex_digest(&json!([template, config_maps]).to_string(), DIGITS).into(), changed }
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

    fn template() -> Value {
        json!({"metadata": {"labels": {"app": "kratos", "pod-template-hash": "5d4f"}, "annotations": {"checksum/config": "1"}}, "spec": spec()})
    }

    #[test]
    fn our_fields_and_what_only_restarts_pods_make_no_difference() {
        let edits: [fn(&mut Value); 6] = [
            |template| template["metadata"]["labels"]["pod-template-hash"] = json!("6e5a"),
            |template| {
                template["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = json!("now")
            },
            |template| {
                let source = json!({"type": "CONFIGMAP", "name": "kratos-mfa", "hash": "x"}).to_string();
                template["metadata"]["annotations"]["reloader.stakater.com/last-reloaded-from"] =
                    json!(source);
            },
            |template| template["spec"]["containers"][0]["env"][1]["value"] = json!("mfa-ffffffffff"),
            |template| {
                let env = template["spec"]["containers"][0]["env"].as_array_mut().expect("a list");
                env.push(json!({"name": "STAKATER_KRATOS_MFA_CONFIGMAP", "value": "x"}));
            },
            |template| template["spec"]["initContainers"] = json!([]),
        ];
        for (index, edit) in edits.iter().enumerate() {
            let mut changed = template();
            edit(&mut changed);
            assert_eq!(of_template(changed), of_template(template()), "edit {index}");
        }
        let with = |env: Value| {
            let mut changed = template();
            changed["spec"]["containers"][0]["env"] = env;
            changed
        };
        let mut without = template();
        without["spec"]["containers"][0].as_object_mut().expect("a container").remove("env");
        assert_eq!(of_template(with(json!([{"name": "REVISION", "value": "x"}]))), of_template(without));
    }

    #[test]
    fn whatever_else_changes_in_it_makes_one() {
        let edits: [fn(&mut Value); 10] = [
            |template| template["metadata"]["labels"]["version"] = json!("2"),
            |template| template["metadata"]["annotations"]["checksum/config"] = json!("2"),
            |template| {
                let source = json!({"type": "SECRET", "name": "kratos", "hash": "x"}).to_string();
                template["metadata"]["annotations"]["reloader.stakater.com/last-reloaded-from"] =
                    json!(source);
            },
            |template| template["spec"]["containers"][0]["image"] = json!("kratos:2"),
            |template| template["spec"]["containers"][0]["env"][0]["value"] = json!("postgres"),
            |template| {
                let env = template["spec"]["containers"][0]["env"].as_array_mut().expect("a list");
                env.push(json!({"name": "STAKATER_KRATOS_SECRET", "value": "x"}));
            },
            |template| template["spec"]["containers"][0]["args"] = json!(["serve"]),
            |template| template["spec"]["volumes"][0]["configMap"]["name"] = json!("other"),
            |template| template["spec"]["initContainers"] = json!([{"name": "migrate", "image": "kratos:1"}]),
            |template| template["spec"]["terminationGracePeriodSeconds"] = json!(5),
        ];
        for (index, edit) in edits.iter().enumerate() {
            let mut changed = template();
            edit(&mut changed);
            assert_ne!(of_template(changed), of_template(template()), "edit {index}");
        }
    }

    #[test]
    fn the_content_changes_with_the_template_and_the_files_of_its_server() {
        let texts = |file: &str| {
            BTreeMap::from([("kratos.yaml".into(), file.into()), ("other".into(), String::new())])
        };
        let of = |file: &str| {
            let files = BTreeMap::from([("kratos".into(), of_files(&texts(file), None))]);
            of_all(&of_template(template()), &files, 0).digest
        };
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
        let other = BTreeSet::from(["other".into()]);
        assert_eq!(
            of_files(&texts("a"), Some(&other)),
            of_files(&texts("b"), Some(&other)),
            "of what is not taken nothing counts"
        );
        let mut edited = template();
        edited["metadata"]["annotations"] = json!({});
        let files = BTreeMap::from([("kratos".into(), of_files(&texts("a"), None))]);
        assert_ne!(of_all(&of_template(edited), &files, 0).digest, of("a"));
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
        assert_eq!(
            config_maps(&template, "kratos"),
            expected.map(|(name, keys)| (SmolStr::from(name), keys)).into()
        );
        assert_eq!(config_maps(&spec(), "kratos"), BTreeMap::new(), "not a template");
    }
}
