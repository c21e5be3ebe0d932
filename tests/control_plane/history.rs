//! What the operator remembers of a policy, and the file that it delivers, are out of reach for everybody
//! else, and in nobody's way.

use kube::core::response::Status;
use serde_json::{Value, json};

use crate::objects::{GOVERNED, LABEL, policy, stateful};
use crate::scene::SOON;
use crate::stage::{Person, Stage};

fn record(name: &str, labels: Value, policy: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 1, "data": {},
        "metadata": {"name": name, "labels": labels, "ownerReferences": [{
            "apiVersion": "mfa-operator.dev/v1alpha1", "kind": "MfaPolicy", "name": policy["metadata"]["name"],
            "uid": policy["metadata"]["uid"], "controller": true, "blockOwnerDeletion": false,
        }]},
    })
}

fn file(name: &str, labels: Value) -> Value {
    let metadata = json!({"name": name, "labels": labels, "annotations": {GOVERNED: "{}"}});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"kratos.yaml": "{}\n"}})
}

/// With a record and a file of the operator's, and somebody who may do everything in the namespace.
async fn remembered(name: &str) -> (Stage, Person, Value) {
    let stage = Stage::set(name, "history").await;
    let owner = stage.person("owner", "cluster-admin").await;
    let policy = stage.admin.create(policy("mfa", &["kratos"])).await.expect("the admin may");
    let probe = || {
        let mut probe = record("probe", json!({LABEL: "mfa"}), &policy);
        probe["metadata"]["name"] = json!(format!("probe-{}", std::process::id()));
        probe
    };
    stage
        .until_refused(async || {
            let answer = owner.create(probe()).await;
            if answer.is_ok() {
                let _ = owner
                    .delete("ControllerRevision", probe()["metadata"]["name"].as_str().expect("a name"))
                    .await;
            }
            answer
        })
        .await;
    stage
        .operator
        .create(record("ours", json!({LABEL: "mfa"}), &policy))
        .await
        .expect("the operator writes its own");
    stage.operator.create(file("mfa-mfa", json!({LABEL: "mfa"}))).await.expect("the operator writes its own");
    (stage, owner, policy)
}

#[tokio::test]
async fn nobody_else_writes_what_the_operator_remembers() {
    let (stage, owner, policy) = remembered("history").await;
    owner.create(record("theirs", json!({}), &policy)).await.expect("one without our label is anybody's");
    let kind = "ControllerRevision";
    // The admin of the whole cluster is somebody else, too.
    for person in [&owner, &stage.admin] {
        for (what, answer) in [
            ("creates", person.create(record("forged", json!({LABEL: "mfa"}), &policy)).await.map(drop)),
            ("changes", person.patch(kind, "ours", json!({"revision": 9})).await.map(drop)),
            (
                "annotates",
                person
                    .patch(
                        kind,
                        "ours",
                        json!({"metadata": {"annotations": {"mfa-operator.dev/applied": "[]"}}}),
                    )
                    .await
                    .map(drop),
            ),
            (
                "takes the label",
                person.patch(kind, "ours", json!({"metadata": {"labels": {LABEL: null}}})).await.map(drop),
            ),
            (
                "puts the label",
                person.patch(kind, "theirs", json!({"metadata": {"labels": {LABEL: "mfa"}}})).await.map(drop),
            ),
            ("deletes", person.delete(kind, "ours").await),
            ("deletes all", person.delete_all(kind).await),
        ] {
            let status = answer.expect_err(what);
            assert!(is_guarded(&status), "{what}: {}", status.message);
        }
    }
    let ours = stage.admin.get(kind, "ours").await;
    assert_eq!((&ours["revision"], &ours["metadata"]["labels"][LABEL]), (&json!(1), &json!("mfa")));
    stage.operator.patch(kind, "ours", json!({"revision": 2})).await.expect("the operator may");
    stage.operator.delete(kind, "ours").await.expect("the operator may");
}

fn is_guarded(status: &Status) -> bool {
    status.code == 403 && status.message.contains("it alone writes them: change the policy instead")
}

/// A level that stands in the file is in force wherever the server reads it.
#[tokio::test]
async fn nobody_else_writes_the_file_of_a_policy() {
    let (stage, owner, _) = remembered("guarded").await;
    let (kind, name) = ("ConfigMap", "mfa-mfa");
    let weaker = json!({"kratos.yaml": "session:\n  whoami:\n    required_aal: \"aal1\"\n"});
    let before = stage.admin.get(kind, name).await;
    let with = |field: &str, value: Value| {
        let mut changed = before.clone();
        changed[field] = value;
        changed
    };
    let stripped = json!({"labels": {LABEL: null}, "annotations": {GOVERNED: null}});
    let owners = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": "x"}]);
    owner.create(file("theirs", json!({}))).await.expect("one without our label is anybody's");
    // The admin of the whole cluster is somebody else, too.
    for person in [&owner, &stage.admin] {
        let mut bare = with("data", weaker.clone());
        bare["metadata"]["labels"] = json!({});
        let mut applied = file(name, json!({LABEL: "mfa"}));
        applied["data"] = weaker.clone();
        for (what, answer) in [
            ("rewrites", person.patch(kind, name, json!({"data": weaker})).await.map(drop)),
            ("applies", person.seize(applied).await.map(drop)),
            ("replaces", person.replace(with("data", weaker.clone())).await.map(drop)),
            ("replaces without the label", person.replace(bare).await.map(drop)),
            ("strips", person.patch(kind, name, json!({"metadata": stripped})).await.map(drop)),
            (
                "strips and rewrites",
                person.patch(kind, name, json!({"metadata": stripped, "data": weaker})).await.map(drop),
            ),
            (
                "forgets",
                person
                    .patch(kind, name, json!({"metadata": {"annotations": {GOVERNED: null}}}))
                    .await
                    .map(drop),
            ),
            (
                "gives it to another policy",
                person.patch(kind, name, json!({"metadata": {"labels": {LABEL: "other"}}})).await.map(drop),
            ),
            ("freezes", person.replace(with("immutable", json!(true))).await.map(drop)),
            (
                "keeps from going",
                person
                    .patch(kind, name, json!({"metadata": {"finalizers": ["example.com/stay"]}}))
                    .await
                    .map(drop),
            ),
            (
                "gives it an owner",
                person.patch(kind, name, json!({"metadata": {"ownerReferences": owners}})).await.map(drop),
            ),
            ("deletes", person.delete(kind, name).await),
            ("deletes all", person.delete_all(kind).await),
            (
                "puts the label",
                person.patch(kind, "theirs", json!({"metadata": {"labels": {LABEL: "mfa"}}})).await.map(drop),
            ),
            ("creates", person.create(file("forged-mfa", json!({LABEL: "mfa"}))).await.map(drop)),
        ] {
            let status = answer.expect_err(what);
            assert!(is_guarded(&status), "{what}: {}", status.message);
        }
    }
    assert_eq!(
        stage.admin.get(kind, name).await["metadata"]["resourceVersion"],
        before["metadata"]["resourceVersion"]
    );
    stage.operator.patch(kind, name, json!({"data": weaker})).await.expect("the operator may");
    stage.operator.delete(kind, name).await.expect("the operator may");
    // As a backup brings it.
    let status = stage.admin.create(file(name, json!({LABEL: "mfa"}))).await.expect_err("a restored copy");
    assert!(is_guarded(&status), "{}", status.message);
    stage.operator.create(file(name, json!({LABEL: "mfa"}))).await.expect("the operator makes it anew");
}

/// Those of somebody else pay nothing, and controllers that have no accounts of their own go on with their
/// work.
#[tokio::test]
async fn what_carries_no_label_and_who_cleans_up_are_let_through() {
    let (stage, owner, _) = remembered("unguarded").await;
    owner.create(file("theirs", json!({"app": "x"}))).await.expect("the owner may");
    owner.patch("ConfigMap", "theirs", json!({"data": {"kratos.yaml": "x"}})).await.expect("the owner may");
    owner.delete("ConfigMap", "theirs").await.expect("the owner may");
    let controllers = stage.acting_as("system:kube-controller-manager").await;
    controllers
        .patch("ConfigMap", "mfa-mfa", json!({"metadata": {"labels": {"a": "b"}}}))
        .await
        .expect("it may be any controller");
    for (kind, name) in [("ConfigMap", "mfa-mfa"), ("ControllerRevision", "ours")] {
        stage
            .acting_as("system:serviceaccount:kube-system:generic-garbage-collector")
            .await
            .delete(kind, name)
            .await
            .expect("it may");
    }
}

#[tokio::test]
async fn it_goes_with_its_policy() {
    let (stage, _, _) = remembered("collected").await;
    stage.admin.delete("MfaPolicy", "mfa").await.expect("the admin may");
    stage.until_gone("ControllerRevision", "ours").await;
}

/// The collector has to take the reference off, or the policy would never go.
#[tokio::test]
async fn a_policy_can_leave_it_behind() {
    let (stage, owner, _) = remembered("orphaned").await;
    owner.delete_leaving_dependents("MfaPolicy", "mfa").await.expect("the owner may");
    stage.until_gone("MfaPolicy", "mfa").await;
    let left = stage.admin.get("ControllerRevision", "ours").await;
    assert!(left["metadata"]["ownerReferences"].is_null(), "{left}");
}

#[tokio::test]
async fn it_goes_with_its_namespace() {
    let (stage, _, _) = remembered("history-leaving").await;
    stage.admin.delete("Namespace", &stage.namespace).await.expect("the admin may");
    stage.until_gone("Namespace", &stage.namespace).await;
}

/// A StatefulSet's own revisions carry the labels of its pods, whatever they are.
#[tokio::test]
async fn a_workload_whose_pods_carry_our_label_still_rolls() {
    let (stage, owner, _) = remembered("labelled").await;
    let mut workload = stateful("kratos");
    workload["spec"]["template"]["metadata"]["labels"][LABEL] = json!("mfa");
    owner.create(workload).await.expect("the owner may");
    let deadline = std::time::Instant::now() + SOON;
    loop {
        let records = stage.admin.list("ControllerRevision").await;
        if records.iter().any(|record| record["metadata"]["ownerReferences"][0]["kind"] == "StatefulSet") {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "the StatefulSet has no revision");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    owner.delete("StatefulSet", "kratos").await.expect("the owner may");
    stage.until_gone("StatefulSet", "kratos").await;
}
