//! What the operator's account may not do by its roles, what its pod may not do on a node, and whose account
//! it is.

use serde_json::{Value, json};

use crate::scene::identity;
use crate::stage::{self, Stage};

/// What decides what others may write. No admission policy is asked about a write of these.
const RULES: [&str; 6] = [
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "validatingwebhookconfigurations",
    "mutatingwebhookconfigurations",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
];

async fn with_the_rights_of_the_chart(name: &str) -> Stage {
    Stage::set_by(name, &["admission.confinement.enabled=false"]).await
}

/// A request passes the roles or not before anything else is looked at.
async fn is_forbidden(stage: &Stage, method: &str, path: &str) {
    let answer =
        stage.operator.send(method, path, &if method == "GET" { Value::Null } else { json!({}) }).await;
    let status = answer.expect_err(&format!("{method} {path} passes"));
    assert!(
        status.code == 403 && status.message.contains(" cannot "),
        "{method} {path}: {}: {}",
        status.code,
        status.message
    );
}

#[tokio::test]
async fn its_roles_give_it_no_secret_and_no_rule() {
    let stage = with_the_rights_of_the_chart("account-roles").await;
    let core = |path: &str| format!("/api/v1/namespaces/{}/{path}", stage.namespace);
    // That a role is there is seen by what it does give.
    stage.operator.send("GET", &core("configmaps"), &Value::Null).await.expect("it reads ConfigMaps");
    for path in [core("secrets"), core("secrets/kratos"), core("secrets?watch=1"), "/api/v1/secrets".into()] {
        is_forbidden(&stage, "GET", &path).await;
    }
    for rule in RULES {
        let all = format!("/apis/admissionregistration.k8s.io/v1/{rule}");
        for (method, path) in [
            ("POST", all.clone()),
            ("PATCH", format!("{all}/x")),
            ("PUT", format!("{all}/x")),
            ("DELETE", format!("{all}/x")),
        ] {
            is_forbidden(&stage, method, &path).await;
        }
    }
    let binding = format!(
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/{}-history",
        stage.namespace
    );
    is_forbidden(&stage, "DELETE", &binding).await;
}

/// Of the Pod Security Standards the API server itself judges by.
#[tokio::test]
async fn its_pod_meets_the_strictest_standard() {
    let stage = with_the_rights_of_the_chart("account-pod").await;
    let namespace = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    stage.admin.patch("Namespace", &stage.namespace, namespace).await.expect("the admin may");
    let chart = stage::rendered(&stage.namespace, &[format!("fullnameOverride={}", stage.namespace)]);
    let deployment = chart.iter().find(|object| object["kind"] == "Deployment").expect("the chart has one");
    let pod = |name: &str| {
        let mut pod = deployment["spec"]["template"].clone();
        pod["apiVersion"] = json!("v1");
        pod["kind"] = json!("Pod");
        pod["metadata"]["name"] = json!(name);
        pod
    };
    let context = &pod("operator")["spec"]["containers"][0]["securityContext"];
    assert_eq!(context["readOnlyRootFilesystem"], true, "the standard does not ask for that");
    stage.admin.create(pod("operator")).await.expect("it meets the standard");
    let loosened: [(&str, &str, Value); 3] = [
        ("root", "/spec/securityContext/runAsUser", json!(0)),
        ("more", "/spec/containers/0/securityContext/allowPrivilegeEscalation", json!(true)),
        ("calls", "/spec/securityContext/seccompProfile/type", json!("Unconfined")),
    ];
    for (name, field, value) in loosened {
        let mut pod = pod(name);
        *pod.pointer_mut(field).unwrap_or_else(|| panic!("the chart sets {field}")) = value;
        let status = stage.admin.create(pod).await.expect_err(field);
        assert!(
            status.code == 403 && status.message.contains("violates PodSecurity"),
            "{field}: {}",
            status.message
        );
    }
}

/// Each release has its confinement, which allows it one Lease: both have to allow a write of the one
/// account.
#[tokio::test]
async fn two_releases_of_one_account_keep_each_other_from_leading() {
    let stage = Stage::set("account-shared", "confinement").await;
    let lease = |name: &str| {
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name},
            "spec": {"holderIdentity": format!("{}_0123456789abcdef", stage::POD), "leaseDurationSeconds": 15},
        })
    };
    let first = &stage.namespace;
    stage.until_refused(async || stage.operator.create(lease("of-others")).await).await;
    stage.operator.create(lease(first)).await.expect("one release alone leads by its own Lease");
    stage.admin.delete("Lease", first).await.expect("the admin may");

    let second = format!("{first}-b");
    let settings = [
        format!("watchNamespaces={{{first}}}"),
        format!("fullnameOverride={second}"),
        format!("serviceAccount.name={first}"),
        "serviceAccount.create=false".into(),
        "admission.confinement.enabled=true".into(),
        "admission.weakening.enabled=false".into(),
        "admission.history.enabled=false".into(),
    ];
    for mut object in stage::rendered(first, &settings) {
        if identity(&object).0.contains("ValidatingAdmission") {
            // So that they go with the stage.
            object["metadata"]["labels"]["app.kubernetes.io/instance"] = json!(first);
            stage::apply(stage.admin.client(), first, object).await;
        }
    }
    for name in [first.as_str(), second.as_str()] {
        let status = stage
            .until_refused(async || {
                let answer = stage.operator.create(lease(name)).await;
                if answer.is_ok() {
                    stage.admin.delete("Lease", name).await.expect("the admin may");
                }
                answer
            })
            .await;
        assert!(
            status.message.contains("of Leases the operator writes its own alone"),
            "{name}: {}",
            status.message
        );
    }
}
