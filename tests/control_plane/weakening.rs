//! Who may only make policies stricter, and that everything else is refused in words that say what is
//! missing.

use std::collections::BTreeSet;

use kube::core::response::Status;
use serde_json::{Value, json};

use crate::objects::{policy, policy_with};
use crate::stage::{Person, Stage};
use crate::support::control_plane::definition;
use crate::support::order::{self, Cluster};

/// Somebody who has the role of an editor, and somebody who has the role of a weakener.
pub async fn authors(name: &str) -> (Stage, Person, Person) {
    let stage = Stage::set(name, "weakening").await;
    let editor = stage.person("editor", &format!("{}-policy-editor", stage.namespace)).await;
    let weakener = stage.person("weakener", &format!("{}-policy-weakener", stage.namespace)).await;
    let mut probes = 0;
    stage
        .until_refused(async || {
            probes += 1;
            editor
                .create(policy_with(
                    &format!("probe-{probes}"),
                    &["x"],
                    json!({"requiredAAL": {"whoami": "aal1"}}),
                ))
                .await
        })
        .await;
    stage.admin.delete_all("MfaPolicy").await.expect("the admin may");
    (stage, editor, weakener)
}

fn names_the_verb(what: &str, stage: &Stage, answer: Result<Value, Box<Status>>, field: &str) {
    let status = answer.expect_err(what);
    assert_eq!(status.code, 403, "{what}: {}", status.message);
    for word in ["the verb weaken", &format!("ClusterRole {}-policy-weakener", stage.namespace), field] {
        assert!(status.message.contains(word), "{what}: {word} is missing in: {}", status.message);
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Is {
    Stricter,
    Weaker,
}
use Is::{Stricter, Weaker};

/// A change of one field: what the policy has beside its targets and levels, and the patch.
struct Row {
    field: String,
    before: Value,
    patch: Value,
    is: Is,
}

fn row(field: &str, before: Value, patch: Value, is: Is) -> Row {
    Row { field: field.to_owned(), before, patch, is }
}

impl From<Cluster> for Is {
    fn from(asks: Cluster) -> Self {
        match asks {
            Cluster::Free => Stricter,
            Cluster::Verb => Weaker,
        }
    }
}

/// What the order weighs, too.
fn settings() -> Vec<Row> {
    let edited = |row: order::Row| {
        let (before, mut after) = (row.spec(&row.old), row.spec(&row.new));
        // The definition asks for the word, and the verb is asked for all the same.
        if let [word, ..] = row.operator.says()
            && word.contains(':')
        {
            after["acknowledge"] = json!([word]);
        }
        Row { patch: patch(&before, &after), before, is: row.edited.into(), field: row.field }
    };
    order::rows().into_iter().map(edited).collect()
}

/// The merge patch from one to the other.
fn patch(before: &Value, after: &Value) -> Value {
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return after.clone() };
    let gone = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let kept = after
        .iter()
        .map(|(key, value)| (key.clone(), before.get(key).map_or(value.clone(), |old| patch(old, value))));
    gone.chain(kept).collect()
}

/// At least one row for each field of the spec that is no setting of the server.
fn edits() -> Vec<Row> {
    let levels =
        |settings: Value, whoami: Value| json!({"requiredAAL": {"settings": settings, "whoami": whoami}});
    let (high, low, none) = (|| json!("highest_available"), || json!("aal1"), || Value::Null);
    vec![
        row(
            "targetRefs",
            json!({}),
            json!({"targetRefs": [{"name": "kratos"}, {"name": "other"}]}),
            Stricter,
        ),
        row(
            "targetRefs",
            json!({}),
            json!({"targetRefs": [{"name": "kratos"}, {"kind": "DaemonSet", "name": "kratos"}, {"name": "other"}]}),
            Stricter,
        ),
        row("targetRefs", json!({}), json!({"targetRefs": [{"name": "other"}]}), Weaker),
        // To a workload that comes along the policy is a new one.
        row(
            "targetRefs",
            json!({"requiredAAL": {"settings": "aal1", "whoami": "aal1"}}),
            json!({"targetRefs": [{"name": "kratos"}, {"name": "other"}]}),
            Weaker,
        ),
        row(
            "targetRefs",
            json!({"methods": {"totp": {"enabled": false}}}),
            json!({"targetRefs": [{"name": "kratos"}, {"name": "other"}]}),
            Weaker,
        ),
        row(
            "targetRefs",
            json!({"privilegedSessionMaxAge": "2h"}),
            json!({"targetRefs": [{"name": "kratos"}, {"name": "other"}]}),
            Weaker,
        ),
        // The one behind would wait for ever for one that there is not.
        row(
            "targetRefs",
            json!({}),
            json!({"targetRefs": [{"name": "nowhere"}, {"name": "kratos"}]}),
            Weaker,
        ),
        row(
            "targetRefs",
            json!({"targetRefs": [{"name": "a"}, {"name": "b"}]}),
            json!({"targetRefs": [{"name": "a"}]}),
            Weaker,
        ),
        row(
            "targetRefs",
            json!({"targetRefs": [{"name": "a"}, {"name": "b"}]}),
            json!({"targetRefs": [{"name": "b"}, {"name": "a"}]}),
            Weaker,
        ),
        row(
            "targetRefs",
            json!({}),
            json!({"targetRefs": [{"kind": "StatefulSet", "name": "kratos"}]}),
            Weaker,
        ),
        row(
            "targetRefs.container",
            json!({}),
            json!({"targetRefs": [{"name": "kratos", "container": "neighbour"}]}),
            Weaker,
        ),
        row("delivery.type", json!({}), json!({"delivery": {"type": "Environment"}}), Stricter),
        row("delivery.type", json!({}), json!({"delivery": {"type": "ConfigFile"}}), Weaker),
        row("delivery.configMapName", json!({}), json!({"delivery": {"configMapName": "other-mfa"}}), Weaker),
        row("rollout.progressTimeout", json!({}), json!({"rollout": {"progressTimeout": "10m"}}), Stricter),
        row("rollout.progressTimeout", json!({}), json!({"rollout": {"progressTimeout": "1s"}}), Weaker),
        row("rollout.onFailure", json!({}), json!({"rollout": {"onFailure": "Hold"}}), Weaker),
        row(
            "rollout.onFailure",
            json!({"rollout": {"onFailure": "Hold"}}),
            json!({"rollout": {"onFailure": "Rollback"}}),
            Weaker,
        ),
        row(
            "rollout.revisionHistoryLimit",
            json!({}),
            json!({"rollout": {"revisionHistoryLimit": 50}}),
            Weaker,
        ),
        row("verification.mode", json!({}), json!({"verification": {"mode": "Required"}}), Stricter),
        row(
            "verification.mode",
            json!({"verification": {"mode": "Off"}}),
            json!({"verification": {"mode": "IfSupported"}}),
            Stricter,
        ),
        row(
            "verification.mode",
            json!({"verification": {"mode": "Off"}}),
            json!({"verification": none()}),
            Stricter,
        ),
        row(
            "verification.mode",
            json!({"verification": {"mode": "Required"}}),
            json!({"verification": {"mode": "IfSupported"}}),
            Weaker,
        ),
        row(
            "verification.mode",
            json!({"verification": {"mode": "Required"}}),
            json!({"verification": none()}),
            Weaker,
        ),
        row("verification.mode", json!({}), json!({"verification": {"mode": "Off"}}), Weaker),
        row("verification.port", json!({}), json!({"verification": {"port": "1"}}), Weaker),
        row(
            "verification.timeout",
            json!({}),
            json!({"verification": {"mode": "Required", "timeout": "1s"}}),
            Weaker,
        ),
        row("fieldConflicts", json!({}), json!({"fieldConflicts": "TakeOver"}), Weaker),
        row(
            "fieldConflicts",
            json!({"fieldConflicts": "TakeOver"}),
            json!({"fieldConflicts": "Refuse"}),
            Weaker,
        ),
        row("acknowledge", json!({}), json!({"acknowledge": ["NoDrainDelay"]}), Weaker),
        row("acknowledge", json!({"acknowledge": ["NoDrainDelay"]}), json!({"acknowledge": none()}), Weaker),
        row("acknowledge", json!({}), json!({"acknowledge": []}), Stricter),
        row("deletionPolicy", json!({}), json!({"deletionPolicy": "Retain"}), Weaker),
        row(
            "deletionPolicy",
            json!({"deletionPolicy": "Retain"}),
            json!({"deletionPolicy": "Revert"}),
            Weaker,
        ),
        row("suspend", json!({"suspend": true}), json!({"suspend": false}), Stricter),
        row("suspend", json!({}), json!({"suspend": true}), Weaker),
        // Two at once: the harmless one does not cover the other.
        row(
            "suspend",
            levels(high(), low()),
            json!({"suspend": true, "requiredAAL": {"whoami": "highest_available"}}),
            Weaker,
        ),
    ]
}

/// Values of one field in a policy that is new.
fn creations() -> Vec<(String, Value, Is)> {
    let settings =
        order::rows().into_iter().map(|row| (row.field.clone(), row.spec(&row.new), row.created.into()));
    let others = others().into_iter().map(|(field, spec, is)| (field.to_owned(), spec, is));
    settings.chain(others).collect()
}

fn others() -> Vec<(&'static str, Value, Is)> {
    vec![
        (
            "targetRefs",
            json!({"targetRefs": [{"kind": "DaemonSet", "name": "a", "container": "b"}]}),
            Stricter,
        ),
        ("delivery", json!({"delivery": {"type": "ConfigFile", "configMapName": "a-mfa"}}), Stricter),
        (
            "rollout",
            json!({"rollout": {"progressTimeout": "1m", "onFailure": "Hold", "revisionHistoryLimit": 0}}),
            Stricter,
        ),
        ("verification", json!({"verification": {"mode": "Off", "port": "1", "timeout": "1s"}}), Stricter),
        ("fieldConflicts", json!({"fieldConflicts": "TakeOver"}), Weaker),
        ("acknowledge", json!({"acknowledge": ["SettingsBypass"]}), Weaker),
        ("deletionPolicy", json!({"deletionPolicy": "Retain"}), Stricter),
        ("suspend", json!({"suspend": true}), Stricter),
    ]
}

/// A field of a method is told by the method.
fn method_of(field: &str) -> &str {
    let method = field.strip_prefix("methods.").and_then(|below| below.split('.').next());
    method.map_or(field, |method| &field[.."methods.".len() + method.len()])
}

#[tokio::test]
async fn an_edit_is_stricter_or_needs_the_verb() {
    let (stage, editor, weakener) = authors("edits").await;
    for (number, Row { field, before, patch, is }) in edits().into_iter().chain(settings()).enumerate() {
        let (name, what) = (format!("p{number}"), format!("{field}: {before} becomes {patch}"));
        stage
            .admin
            .create(policy_with(&name, &["kratos"], before))
            .await
            .unwrap_or_else(|status| panic!("{what}: {}", status.message));
        let patch = json!({ "spec": patch });
        let answer = editor.patch("MfaPolicy", &name, patch.clone()).await;
        if is == Stricter {
            answer.unwrap_or_else(|status| panic!("{what}: {}", status.message));
            continue;
        }
        // Methods are named whole.
        let whole = ["targetRefs", "delivery", "rollout", "verification"]
            .into_iter()
            .find(|whole| field.starts_with(whole));
        names_the_verb(&what, &stage, answer, &format!("spec.{}", whole.unwrap_or(method_of(&field))));
        weakener
            .patch("MfaPolicy", &name, patch)
            .await
            .unwrap_or_else(|status| panic!("{what}: {}", status.message));
    }
}

#[tokio::test]
async fn a_new_policy_demands_the_highest_or_needs_the_verb() {
    let (stage, editor, weakener) = authors("creations").await;
    for (number, (field, spec, is)) in creations().into_iter().enumerate() {
        let (new, what) =
            (policy_with(&format!("p{number}"), &["kratos"], spec.clone()), format!("{field}: {spec}"));
        let answer = editor.create(new.clone()).await;
        match is {
            Stricter => drop(answer.unwrap_or_else(|status| panic!("{what}: {}", status.message))),
            Weaker => {
                // A row of one level has the other one, too.
                let told = if field.starts_with("requiredAAL.") { "requiredAAL" } else { method_of(&field) };
                names_the_verb(&what, &stage, answer, &format!("spec.{told}"));
                weakener.create(new).await.unwrap_or_else(|status| panic!("{what}: {}", status.message));
            }
        }
    }
}

/// So that a new field is weighed, too.
#[test]
fn each_field_of_the_spec_is_weighed() {
    let definition = serde_json::to_value(definition()).expect("it is JSON");
    let schema =
        definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").expect("a schema");
    let mut fields = BTreeSet::new();
    collect(schema, "", &mut fields);
    let rows = || edits().into_iter().chain(settings());
    let named: BTreeSet<String> = rows().map(|row| row.field).collect();
    assert_eq!(named, fields, "each field needs a row in edits() or in order.yaml, and each row a field");
    let weakened: BTreeSet<String> = rows().filter(|row| row.is == Weaker).map(|row| row.field).collect();
    let free =
        |field: &String| ["methods.totp.issuer", "methods.webauthn.rp.displayName"].contains(&field.as_str());
    assert_eq!(
        weakened,
        fields.iter().filter(|field| !free(field)).cloned().collect(),
        "each field has a change that weakens"
    );
    let first = |field: &str| field.split('.').next().unwrap_or_default().to_owned();
    let created: BTreeSet<_> = creations().iter().map(|(field, ..)| first(field)).collect();
    assert_eq!(
        created,
        fields.iter().map(|field| first(field)).collect(),
        "each field needs a row in others() or in order.yaml"
    );
}

/// The fields that have a value of their own. Those that tell one item of a list from another change the
/// list.
fn collect(schema: &Value, path: &str, fields: &mut BTreeSet<String>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let item = schema.get("items").filter(|item| item.get("properties").is_some());
    let keys = schema["x-kubernetes-list-map-keys"].as_array().cloned().unwrap_or_default();
    match item.or(Some(schema)).and_then(|object| object["properties"].as_object()) {
        Some(properties) => {
            for (name, schema) in properties.iter().filter(|(name, _)| !keys.contains(&json!(name))) {
                collect(schema, &below(name), fields);
            }
            fields.extend(item.map(|_| path.to_owned()));
        }
        None => drop(fields.insert(path.to_owned())),
    }
}

#[tokio::test]
async fn neither_a_deletion_nor_a_second_policy_is_a_way_around() {
    let (stage, editor, weakener) = authors("around").await;
    let weaker = |name: &str| {
        policy_with(name, &["kratos"], json!({"requiredAAL": {"settings": "aal1", "whoami": "aal1"}}))
    };
    let retain = json!({"spec": {"deletionPolicy": "Retain"}});
    editor.create(policy("mfa", &["kratos"])).await.expect("a strict one");

    // Leave it in force, delete it, and come back weaker.
    names_the_verb(
        "Retain",
        &stage,
        editor.patch("MfaPolicy", "mfa", retain.clone()).await,
        "spec.deletionPolicy",
    );
    names_the_verb(
        "delete",
        &stage,
        editor.delete("MfaPolicy", "mfa").await.map(|()| Value::Null),
        "deleting a policy",
    );
    let group = "rbac.authorization.k8s.io";
    let sweep = json!([{"apiGroups": ["mfa-operator.dev"], "resources": ["mfapolicies"], "verbs": ["deletecollection"]}]);
    let role = json!({"apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": {"name": "sweep"}, "rules": sweep});
    stage.admin.create(role).await.expect("the admin may");
    stage
        .admin
        .create(json!({
            "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": "sweep"},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "sweep"},
            "subjects": [{"kind": "ServiceAccount", "name": "editor", "namespace": stage.namespace}],
        }))
        .await
        .expect("the admin may");
    let swept =
        stage.until_refused(async || editor.delete_all("MfaPolicy").await.map(|()| Value::Null)).await;
    names_the_verb("delete all", &stage, Err(swept), "deleting a policy");
    names_the_verb("create anew", &stage, editor.create(weaker("anew")).await, "spec.requiredAAL.whoami");
    // A second one that waits for the first to go.
    names_the_verb("wait", &stage, editor.create(weaker("waiting")).await, "spec.requiredAAL.settings");
    // Its owner would take it along.
    let owner = json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "none"}]}});
    names_the_verb(
        "an owner",
        &stage,
        editor.patch("MfaPolicy", "mfa", owner).await,
        "metadata.ownerReferences",
    );
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}});
    let uid = stage.admin.create(map).await.expect("the admin may")["metadata"]["uid"].clone();
    let mut owned = policy("owned", &["kratos"]);
    owned["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}]);
    weakener.create(owned).await.expect("a weakener may");
    let renamed = json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": uid}]}});
    names_the_verb(
        "an owner's name",
        &stage,
        editor.patch("MfaPolicy", "owned", renamed).await,
        "metadata.ownerReferences",
    );
    editor
        .patch("MfaPolicy", "owned", json!({"metadata": {"ownerReferences": []}}))
        .await
        .expect("nobody takes it along then");
    stage.admin.get("MfaPolicy", "mfa").await;

    // What is no part of the spec is nobody's concern.
    let metadata =
        json!({"metadata": {"labels": {"team": "a"}, "annotations": {"mfa-operator.dev/retry": "1"}}});
    editor.patch("MfaPolicy", "mfa", metadata).await.expect("it demands the same");

    weakener.create(weaker("waiting")).await.expect("a weakener may wait");
    weakener.patch("MfaPolicy", "mfa", retain).await.expect("a weakener may leave it in force");
    weakener.delete("MfaPolicy", "mfa").await.expect("a weakener may delete");
    weakener.create(weaker("mfa")).await.expect("a weakener may come back weaker");
}

#[tokio::test]
async fn a_policy_goes_with_its_namespace() {
    let (stage, editor, _) = authors("weakening-leaving").await;
    for name in ["one", "two"] {
        editor.create(policy(name, &["kratos"])).await.expect("a strict one");
    }
    stage.admin.delete("Namespace", &stage.namespace).await.expect("the admin may");
    stage.until_gone("Namespace", &stage.namespace).await;
}

#[tokio::test]
async fn a_policy_goes_with_an_owner_that_a_weakener_gave_it() {
    let (stage, _, weakener) = authors("owned").await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}});
    let uid = stage.admin.create(map).await.expect("the admin may")["metadata"]["uid"].clone();
    let mut owned = policy("mfa", &["kratos"]);
    owned["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}]);
    weakener.create(owned).await.expect("a weakener may");
    stage.admin.delete("ConfigMap", "owner").await.expect("the admin may");
    stage.until_gone("MfaPolicy", "mfa").await;
}
