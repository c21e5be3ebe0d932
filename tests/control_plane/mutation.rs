//! A policy engine that adds a label and an annotation to whatever is written. The confinement judges what
//! came of a write, so it takes them for the operator's, and has to be told of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::confinement::granted;
use crate::objects::{GOVERNED, LABEL, WHOAMI, env_patch, kratos, policy};
use crate::stage::{Stage, apply};
use crate::stolen::{RECORD, data};

const CONFINED: &str = "admission.confinement.enabled=true";

async fn engine(stage: &Stage) {
    let name = format!("{}-engine", stage.namespace);
    // The stage takes away what carries this label.
    let metadata = json!({"name": name, "labels": {"app.kubernetes.io/instance": stage.namespace}});
    let all = json!([
        {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments", "controllerrevisions"]},
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]},
    ]);
    let added = "Object{metadata: Object.metadata{labels: {'team': 'identity'}, annotations: {'engine.example/seen': 'yes'}}}";
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": metadata,
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {"resourceRules": all},
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": added}}],
        },
    });
    let here =
        json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.namespace}}});
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding", "metadata": metadata,
        "spec": {"policyName": name, "matchResources": here},
    });
    for object in [policy, binding] {
        apply(stage.admin.client(), &stage.namespace, object).await;
    }
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "engine-"}});
    let works = async || {
        let made = stage.admin.create(map.clone()).await.expect("the admin may");
        if made["metadata"]["labels"]["team"] == "identity" { Ok(()) } else { Err(made.to_string()) }
    };
    stage.until("the engine works", works).await;
}

/// What the operator writes of each kind, and what refuses it.
async fn writes(stage: &Stage) -> Vec<(&'static str, Result<Value, String>)> {
    let found = stage.admin.get("Deployment", "kratos").await;
    let mut workload = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "kratos", "uid": found["metadata"]["uid"]}});
    workload["metadata"]["labels"] = json!({LABEL: "mfa"});
    workload["metadata"]["annotations"] = json!({GOVERNED: "{}"});
    let env = json!([{"name": WHOAMI, "value": "highest_available"}]);
    workload["spec"]["template"]["spec"]["containers"] = json!([{"name": "kratos", "env": env}]);
    let policy = stage.admin.get("MfaPolicy", "mfa").await;
    let owner = json!([{
        "apiVersion": "mfa-operator.dev/v1alpha1", "kind": "MfaPolicy", "name": "mfa", "uid": policy["metadata"]["uid"], "controller": true,
    }]);
    let metadata = json!({"name": "ours-mfa", "labels": {LABEL: "mfa"}, "annotations": {GOVERNED: "{}"}});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"kratos.yaml": "{}\n"}});
    let metadata = json!({"name": RECORD, "labels": {LABEL: "mfa"}, "ownerReferences": owner});
    let record = json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": metadata, "revision": 1, "data": data()});
    let mut answers = Vec::new();
    for (kind, object) in [("Deployment", workload), ("ConfigMap", map), ("ControllerRevision", record)] {
        answers.push((kind, stage.operator.apply(object).await.map_err(|status| status.message)));
    }
    answers
}

async fn set(name: &str, values: &[&str]) -> Stage {
    let stage = granted(Stage::set_by(name, values).await).await;
    stage.admin.create(kratos("kratos")).await.expect("the admin may");
    stage.admin.create(policy("mfa", &["kratos"])).await.expect("the admin may");
    engine(&stage).await;
    stage
}

#[tokio::test]
async fn what_an_engine_adds_is_refused_until_it_is_named() {
    let stage = set("mutated", &[CONFINED]).await;
    for (kind, answer) in writes(&stage).await {
        let words = answer.expect_err(kind);
        assert!(words.contains("-confinement' with binding"), "{kind}: {words}");
    }
    let also = [
        "admission.confinement.alsoLabels={team}",
        "admission.confinement.alsoAnnotations={engine.example/}",
    ];
    let stage = set("mutated-named", &[CONFINED, also[0], also[1]]).await;
    for (kind, answer) in writes(&stage).await {
        let written = answer.unwrap_or_else(|words| panic!("{kind}: {words}"));
        assert_eq!(written["metadata"]["labels"]["team"], "identity", "{kind}");
    }
    // As the operator goes on to write them.
    let note = json!({"metadata": {"labels": {"team": "other"}, "annotations": {"mfa-operator.dev/applied": "[]", "engine.example/at": "1"}}});
    for (kind, change) in [
        ("Deployment", env_patch(&[(WHOAMI, "aal1")])),
        ("ConfigMap", json!({"data": {"kratos.yaml": "session:\n  whoami:\n    required_aal: \"aal1\"\n"}})),
        ("ControllerRevision", note),
    ] {
        let name = BTreeMap::from([
            ("Deployment", "kratos"),
            ("ConfigMap", "ours-mfa"),
            ("ControllerRevision", RECORD),
        ])[kind];
        stage
            .operator
            .patch(kind, name, change)
            .await
            .unwrap_or_else(|status| panic!("{kind}: {}", status.message));
    }
    let template = |metadata: Value| json!({"spec": {"template": {"metadata": metadata}}});
    for (what, change) in [
        (
            "calls it an identity server",
            json!({"metadata": {"annotations": {"mfa-operator.dev/allow": "true"}}}),
        ),
        ("adds another label", json!({"metadata": {"labels": {"teams": "identity"}}})),
        (
            "adds an annotation of another domain",
            json!({"metadata": {"annotations": {"engine.example.com/seen": "yes"}}}),
        ),
        ("adds the annotation as a label", json!({"metadata": {"labels": {"engine.example/seen": "yes"}}})),
        ("changes the template's labels", template(json!({"labels": {"team": "identity"}}))),
        (
            "changes the template's annotations",
            template(json!({"annotations": {"engine.example/seen": "yes"}})),
        ),
    ] {
        let status = stage.operator.patch("Deployment", "kratos", change).await.expect_err(what);
        assert!(status.message.contains("-confinement' with binding"), "{what}: {}", status.message);
    }
}
