//! One apply governs a Deployment, and takes nothing that belongs to somebody else.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::core::Request;
use serde_json::{Value, json};

use crate::objects::{GOVERNED, LABEL, SECRET, SETTINGS, WHOAMI};
use crate::objects::{
    enforces, env, env_patch, env_removal, generation, governed, kratos, kratos_with, label, policy,
    policy_with,
};
use crate::scene::{OWNER, SOON, Scene, condition, text};

#[tokio::test]
async fn one_apply_governs_the_deployment() {
    let scene = Scene::start("apply").await;
    let before = scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    let policy = scene.until_ready("mfa").await;
    let revision = text(&policy["status"]["revision"]);

    let after = scene.deployment("kratos").await;
    let expected = [
        ("DSN", SECRET),
        ("REVISION", &revision),
        (SETTINGS, "highest_available"),
        (WHOAMI, "highest_available"),
    ];
    assert_eq!(
        env(&after, "kratos"),
        expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    );
    assert_eq!(generation(&after), generation(&before) + 1, "one update does it");
    assert_eq!(label(&after), "mfa");
    let definition = scene.get("CustomResourceDefinition", "mfapolicies.mfa-operator.dev").await;
    let memory = json!({
        "deletionPolicy": "Revert",
        "policy": policy["metadata"]["uid"],
        "crd": definition["metadata"]["uid"],
        "workload": before["metadata"]["uid"],
    });
    assert_eq!(governed(&after), memory);
    assert_eq!(
        after["spec"]["template"]["metadata"], before["spec"]["template"]["metadata"],
        "the template's own metadata is not ours"
    );

    let map = scene.get("ConfigMap", "mfa-mfa").await;
    assert_eq!(label(&map), "mfa");
    assert!(
        map["metadata"]["ownerReferences"].is_null(),
        "deleting the policy must not take the file from a pod that mounts it"
    );
    let file: Value = serde_yaml::from_str(&text(&map["data"]["kratos.yaml"])).expect("it is YAML");
    let levels = json!({
        "selfservice": {"flows": {"settings": {"required_aal": "highest_available"}}},
        "session": {"whoami": {"required_aal": "highest_available"}},
    });
    assert_eq!(file, levels);

    let record = scene.newest_record("mfa").await.expect("a record");
    let owner = &record["metadata"]["ownerReferences"][0];
    assert_eq!(owner["uid"], policy["metadata"]["uid"]);
    assert_eq!((&owner["controller"], &owner["blockOwnerDeletion"]), (&json!(true), &json!(false)));

    let status = &policy["status"];
    assert_eq!(status["observedGeneration"], policy["metadata"]["generation"]);
    assert_eq!(
        status["requiredAAL"],
        json!({"settings": "highest_available", "whoami": "highest_available"})
    );
    assert_eq!(status["pods"], "0/0");
    let target = &status["targets"][0];
    assert_eq!((&target["name"], &target["container"]), (&json!("kratos"), &json!("kratos")));
    assert_eq!((&target["uid"], &target["revision"]), (&before["metadata"]["uid"], &json!(revision)));
    for (type_, reason) in [("Accepted", "Accepted"), ("RolledOut", "NoPods"), ("Ready", "Ready")] {
        let found = condition(&policy, type_).unwrap_or_else(|| panic!("{type_} is missing"));
        assert_eq!((&found["status"], &found["reason"]), (&json!("True"), &json!(reason)), "{type_}");
    }
    assert!(
        condition(&policy, "Reconciling").is_none() && condition(&policy, "Stalled").is_none(),
        "present only while true"
    );
    scene.until_event("RolloutStarted", &["kratos", &revision]).await;
    assert!(!scene.operator.log().contains("hunter2"), "the log holds a value of the container");
}

#[tokio::test]
async fn kubectl_get_shows_levels_readiness_and_pods() {
    let scene = Scene::start("columns").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    let revision = text(&scene.until_ready("mfa").await["status"]["revision"]);

    let path = format!("/apis/mfa-operator.dev/v1alpha1/namespaces/{}/mfapolicies", scene.namespace);
    let mut request = Request::new(path).get("mfa", &kube::api::GetParams::default()).expect("a request");
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io".parse().expect("a header");
    request.headers_mut().insert("accept", table);
    let table: Value = scene.client.request(request).await.expect("a table");

    let columns: Vec<_> = table["columnDefinitions"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| text(&column["name"]))
        .collect();
    assert_eq!(
        columns,
        ["Name", "Settings", "Whoami", "Ready", "Reason", "Pods", "Age", "Targets", "Revision"]
    );
    let mut cells = table["rows"][0]["cells"].as_array().expect("cells").clone();
    cells.remove(6); // the age
    assert_eq!(
        json!(cells),
        json!(["mfa", "highest_available", "highest_available", "True", "Ready", "0/0", "kratos", revision])
    );
}

#[tokio::test]
async fn a_value_of_another_applier_is_left_alone_until_it_goes() {
    let scene = Scene::start("conflict-applied").await;
    let mut owned = kratos_with("kratos", json!({"name": WHOAMI, "value": "aal1"}));
    scene.apply("helm", owned.clone()).await.expect("applied");
    scene.create(policy("mfa", &["kratos"])).await;

    let message = scene.until_condition("mfa", "Accepted", "False", "FieldConflict").await;
    for word in ["helm", WHOAMI, "TakeOver"] {
        assert!(message.contains(word), "{word} is missing in: {message}");
    }
    scene.until_condition("mfa", "Stalled", "True", "FieldConflict").await;
    let deployment = scene.deployment("kratos").await;
    assert_eq!(env(&deployment, "kratos").get(WHOAMI).map(String::as_str), Some("aal1"));
    assert!(label(&deployment).is_empty(), "a Deployment that the policy could not have is not governed");

    owned["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "DSN", "value": SECRET}]);
    scene.apply("helm", owned).await.expect("applied");
    scene.until_ready("mfa").await;
    enforces(&scene.deployment("kratos").await).expect("the policy is in force once the owner lets go");
}

#[tokio::test]
async fn a_value_of_an_updater_is_left_alone_until_it_goes() {
    let scene = Scene::start("conflict-updated").await;
    scene.create(kratos_with("kratos", json!({"name": SETTINGS, "value": "aal1"}))).await;
    scene.create(policy("mfa", &["kratos"])).await;

    let message = scene.until_condition("mfa", "Accepted", "False", "FieldConflict").await;
    assert!(message.contains(OWNER) && message.contains(SETTINGS), "{message}");
    let status = scene.get("MfaPolicy", "mfa").await["status"].to_string();
    assert!(
        !status.contains("hunter2") && !scene.operator.log().contains("hunter2"),
        "a value of the container is told"
    );

    scene.edit("Deployment", "kratos", env_removal(SETTINGS)).await;
    scene.until_ready("mfa").await;
}

#[tokio::test]
async fn an_equal_value_is_no_conflict() {
    let scene = Scene::start("equal").await;
    scene.create(kratos_with("kratos", json!({"name": WHOAMI, "value": "highest_available"}))).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    enforces(&scene.deployment("kratos").await).expect("it is in force");
}

#[tokio::test]
async fn take_over_takes_the_value_and_names_its_owner() {
    let scene = Scene::start("take-over").await;
    scene
        .apply("helm", kratos_with("kratos", json!({"name": WHOAMI, "value": "aal1"})))
        .await
        .expect("applied");
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_condition("mfa", "Accepted", "False", "FieldConflict").await;

    scene.edit("MfaPolicy", "mfa", json!({"spec": {"fieldConflicts": "TakeOver"}})).await;
    scene.until_ready("mfa").await;
    enforces(&scene.deployment("kratos").await).expect("it is in force");
    scene.until_event("RolloutStarted", &["helm"]).await;
}

#[tokio::test]
async fn an_entry_with_value_from_is_a_conflict_that_names_the_edit() {
    let scene = Scene::start("value-from").await;
    let from = json!({"name": WHOAMI, "valueFrom": {"configMapKeyRef": {"name": "levels", "key": "whoami"}}});
    scene.create(kratos_with("kratos", from)).await;
    scene.create(policy_with("mfa", &["kratos"], json!({"fieldConflicts": "TakeOver"}))).await;

    let message = scene.until_condition("mfa", "Accepted", "False", "FieldConflict").await;
    assert!(
        message.contains(WHOAMI) && message.contains("valueFrom") && message.contains("remove"),
        "{message}"
    );
    scene.edit("Deployment", "kratos", env_removal(WHOAMI)).await;
    scene.until_ready("mfa").await;
}

#[tokio::test]
async fn an_entry_that_gains_value_from_later_is_told_and_repaired_once_it_is_gone() {
    let scene = Scene::start("value-from-later").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;

    let from = json!({"name": WHOAMI, "value": "", "valueFrom": {"configMapKeyRef": {"name": "levels", "key": "whoami"}}});
    scene
        .edit(
            "Deployment",
            "kratos",
            json!({"spec": {"template": {"spec": {"containers": [{"name": "kratos", "env": [from]}]}}}}),
        )
        .await;
    scene.until_condition("mfa", "Accepted", "False", "FieldConflict").await;
    scene.edit("Deployment", "kratos", env_removal(WHOAMI)).await;
    scene.until_ready("mfa").await;
    enforces(&scene.deployment("kratos").await).expect("it is in force again");
}

#[tokio::test]
async fn a_variable_that_stands_there_twice_is_a_conflict() {
    let scene = Scene::start("twice").await;
    let mut twice = kratos_with("kratos", json!({"name": WHOAMI, "value": "aal1"}));
    let env = &mut twice["spec"]["template"]["spec"]["containers"][0]["env"];
    env.as_array_mut().expect("a list").push(json!({"name": WHOAMI, "value": "highest_available"}));
    scene.create(twice).await;
    scene.create(policy_with("mfa", &["kratos"], json!({"fieldConflicts": "TakeOver"}))).await;

    let message = scene.until_condition("mfa", "Accepted", "False", "FieldConflict").await;
    assert!(message.contains(WHOAMI) && message.contains("2 times"), "{message}");
    scene.replace(kratos("kratos")).await;
    scene.until_ready("mfa").await;
}

#[tokio::test]
async fn what_admission_refuses_is_told_in_its_words_and_tried_again() {
    let scene = Scene::start("refused").await;
    scene.create(kratos("kratos")).await;
    let unlabelled = format!("!has(object.metadata.labels) || !('{LABEL}' in object.metadata.labels)");
    scene
        .refuse_unless(
            &unlabelled,
            "deployments are frozen until Monday",
            json!({"labels": {LABEL: "probe"}}),
        )
        .await;

    scene.create(policy("mfa", &["kratos"])).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "WriteRefused").await;
    assert!(message.contains("deployments are frozen until Monday"), "{message}");
    scene.until_condition("mfa", "Reconciling", "True", "WriteRefused").await;
    assert!(scene.deployment("kratos").await["metadata"]["annotations"][GOVERNED].is_null());

    scene.let_pass().await;
    scene.until_condition_within(SOON * 3, "mfa", "Ready", "True", "Ready").await;
}

#[tokio::test]
async fn an_owner_may_change_everything_else_meanwhile() {
    let scene = Scene::start("neighbours").await;
    scene.apply("helm", kratos("kratos")).await.expect("applied");
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;

    let mut upgraded = kratos_with("kratos", json!({"name": "LOG_LEVEL", "value": "debug"}));
    upgraded["spec"]["template"]["spec"]["containers"][0]["image"] = json!("oryd/kratos:v1.3.2");
    scene.apply("helm", upgraded).await.expect("the owner conflicts with nobody");
    let after = scene.deployment("kratos").await;
    enforces(&after).expect("the policy stays through an upgrade");
    assert_eq!(env(&after, "kratos").get("LOG_LEVEL").map(String::as_str), Some("debug"));
    let mark = scene.audit_mark();
    scene.edit("Deployment", "kratos", env_patch(&[("LOG_LEVEL", "info")])).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let on_workloads: Vec<_> =
        scene.writes_since(mark).into_iter().filter(|write| write.resource == "deployments").collect();
    assert!(on_workloads.is_empty(), "nothing of ours changed, yet the operator wrote: {on_workloads:?}");
}

/// A webhook that does not answer makes the API server answer an error of its own.
#[tokio::test]
async fn a_webhook_that_does_not_answer_is_told_as_a_refusal() {
    let scene = Scene::start("webhook").await;
    scene.create(kratos("kratos")).await;
    let name = scene.namespace.clone();
    scene
        .create(json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [{
                "name": "guard.example.com",
                "clientConfig": {"url": "https://127.0.0.1:9/"},
                "rules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]}],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 1,
            }],
        }))
        .await;
    scene.until_refused(json!({})).await;
    scene.create(policy("mfa", &["kratos"])).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "WriteRefused").await;
    assert!(message.contains("guard.example.com"), "{message}");
    scene.delete("ValidatingWebhookConfiguration", &name).await;
    scene.until_condition_within(Duration::from_secs(60), "mfa", "Ready", "True", "Ready").await;
}

#[tokio::test]
async fn a_status_that_somebody_else_writes_is_corrected() {
    let scene = Scene::start("status").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    let before = scene.until_ready("mfa").await["status"].clone();
    let lie = json!({"status": {"requiredAAL": {"settings": "aal1", "whoami": "aal1"}, "pods": "9/9"}});
    let params = PatchParams { field_manager: Some("liar".into()), ..PatchParams::default() };
    scene
        .api("MfaPolicy")
        .patch_status("mfa", &params, &Patch::Merge(lie))
        .await
        .expect("whoever may write the status writes it");
    scene
        .until("the status is the operator's again", SOON, async || {
            let now = scene.get("MfaPolicy", "mfa").await["status"].clone();
            if now == before { Ok(()) } else { Err(now.to_string()) }
        })
        .await;
}
