//! What the operator finds out about its own confinement and about the other admission policies, and what
//! every operator tells of pods, whoever leads and whatever a status says.

use serde_json::json;

use crate::metrics::{until_value, value};
use crate::objects::{WHOAMI, enforces, env_patch, kratos, policy};
use crate::rights;
use crate::scene::{SOON, Scene};
use crate::stage::{POD, Stage};
use crate::support::control_plane::control_plane;
use crate::support::operator::{Operator, Options};

const ALL: [&str; 3] = ["confinement", "weakening", "history"];

/// The operator of the stage as its pod would run it: with the token of that pod, under the chart's rules as
/// they are.
fn as_its_pod(stage: &Stage, token: &str) -> Options {
    let direct = std::fs::read_to_string(control_plane().folder().join("kubeconfig")).expect("a kubeconfig");
    let (before, _) = direct.split_once("users: ").expect("it names a user");
    let (_, after) = direct.split_once("contexts: ").expect("it has a context");
    let user =
        after.split("user: ").nth(1).and_then(|rest| rest.split('}').next()).expect("its context has a user");
    let kubeconfig =
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.kubeconfig", stage.namespace));
    let text = format!("{before}users: [{{name: {user}, user: {{token: {token}}}}}]\ncontexts: {after}");
    std::fs::write(&kubeconfig, text).expect("it can be written");
    let own = format!("{0}/{0}", stage.namespace);
    let arguments = [format!("--self={own}"), format!("--lease={own}"), format!("--instance={POD}")].into();
    Options { user: String::new(), arguments, ..rights::options(&stage.namespace, &kubeconfig) }
}

async fn until_told(stage: &Stage, operator: &Operator, lines: &[String]) {
    stage
        .until("the metrics say so", async || {
            let page = operator.answer("/metrics", "*/*").unwrap_or_default();
            let missing: Vec<_> =
                lines.iter().filter(|line| !page.lines().any(|found| found == **line)).collect();
            if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} in\n{page}")) }
        })
        .await;
}

fn protection(policy: &str, state: &str) -> String {
    format!("mfa_operator_protection{{policy=\"{policy}\",state=\"{state}\"}} 1")
}

async fn set(name: &str, policies: &[&str]) -> Stage {
    let values: Vec<_> = policies.iter().map(|policy| format!("admission.{policy}.enabled=true")).collect();
    Stage::set_by(name, &values.iter().map(String::as_str).collect::<Vec<_>>()).await
}

/// With nothing left out of the chart's rules: every write of an operator passes, and it knows that it is
/// confined.
#[tokio::test]
async fn an_operator_works_under_all_rules_and_knows_them() {
    let stage = set("guarded-all", &ALL).await;
    let map = || json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "probe-"}});
    stage.until_refused(async || stage.operator.create(map()).await).await;
    let mut operator = Operator::start(as_its_pod(&stage, &stage.token().await));
    until_told(&stage, &operator, &ALL.map(|policy| protection(policy, "InForce"))).await;
    assert!(
        operator.log().contains("what the cluster holds by the admission policies of the chart"),
        "{}",
        operator.log()
    );
    stage.admin.create(kratos("kratos")).await.expect("the admin may");
    stage.admin.create(policy("mfa", &["kratos"])).await.expect("the admin may");
    stage
        .until("the policy is in force", async || {
            enforces(&stage.admin.get("Deployment", "kratos").await)?;
            let status = stage.admin.get("MfaPolicy", "mfa").await["status"].clone();
            if status["requiredAAL"]["whoami"] == "highest_available" {
                Ok(())
            } else {
                Err(status.to_string())
            }
        })
        .await;
    let lease = stage.admin.get("Lease", &stage.namespace).await;
    assert!(
        lease["spec"]["holderIdentity"].as_str().is_some_and(|holder| holder.starts_with(&format!("{POD}_"))),
        "{lease}"
    );
    let none: Vec<_> = ["deployments", "configmaps", "controllerrevisions", "leases", "mfapolicies/status"]
        .map(|resource| format!("mfa_operator_writes_confined_total{{resource=\"{resource}\"}} 0"))
        .into();
    // Nor does what it tries without effect count.
    until_told(&stage, &operator, &none).await;

    stage
        .admin
        .delete("ValidatingAdmissionPolicyBinding", &format!("{}-weakening", stage.namespace))
        .await
        .expect("the admin may");
    // Nor does a binding refuse anything whose policy is gone.
    stage
        .admin
        .delete("ValidatingAdmissionPolicy", &format!("{}-history", stage.namespace))
        .await
        .expect("the admin may");
    operator.restart();
    let left = [
        protection("weakening", "Absent"),
        protection("history", "Absent"),
        protection("confinement", "InForce"),
    ];
    until_told(&stage, &operator, &left).await;
    assert!(
        operator.log().contains("the cluster does not hold to all admission policies of the chart"),
        "{}",
        operator.log()
    );
}

/// It is there under the right name, and refuses nothing of what its name says.
#[tokio::test]
async fn a_binding_of_another_policy_protects_nothing() {
    let stage = set("guarded-otherwise", &ALL).await;
    let named = |policy: &str| format!("{}-{policy}", stage.namespace);
    let other = json!({"spec": {"policyName": named("history")}});
    stage
        .admin
        .patch("ValidatingAdmissionPolicyBinding", &named("weakening"), other)
        .await
        .expect("the admin may");
    let mut operator = Operator::start(as_its_pod(&stage, &stage.token().await));
    until_told(&stage, &operator, &[protection("weakening", "Absent"), protection("history", "InForce")])
        .await;
    // Nor does one whose parameters are missing, which may let all pass.
    let missing = json!({"spec": {"paramRef": {"name": "nowhere", "parameterNotFoundAction": "Allow"}}});
    stage
        .admin
        .patch("ValidatingAdmissionPolicyBinding", &named("history"), missing)
        .await
        .expect("the admin may");
    operator.restart();
    until_told(&stage, &operator, &[protection("weakening", "Absent"), protection("history", "Absent")])
        .await;
}

/// Absence is told, and so is what cannot be known.
#[tokio::test]
async fn an_operator_without_rules_says_so() {
    let stage = set("unguarded-all", &[]).await;
    let mut operator = Operator::start(as_its_pod(&stage, &stage.token().await));
    until_told(&stage, &operator, &ALL.map(|policy| protection(policy, "Absent"))).await;
    assert!(
        operator.log().contains("the cluster does not hold to all admission policies of the chart"),
        "{}",
        operator.log()
    );
    stage.admin.delete("ClusterRoleBinding", &stage.namespace).await.expect("the admin may");
    operator.restart();
    until_told(&stage, &operator, &[protection("confinement", "Absent"), protection("history", "Unknown")])
        .await;
}

/// A write that the confinement refuses to the operator itself is told apart from every other refusal.
#[tokio::test]
async fn what_the_confinement_refuses_to_the_operator_is_counted() {
    let scene = Scene::start("metrics-confined").await;
    scene.create(kratos("kratos")).await;
    let mutating =
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": scene.namespace}});
    let mut engine = mutating.clone();
    engine["kind"] = json!("MutatingAdmissionPolicy");
    engine["spec"] = json!({
        "failurePolicy": "Fail", "reinvocationPolicy": "Never",
        "matchConstraints": {"resourceRules": [
            {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]},
        ]},
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {
            "expression": "Object{metadata: Object.metadata{labels: {'team': 'identity'}}}",
        }}],
    });
    let mut binding = mutating;
    binding["kind"] = json!("MutatingAdmissionPolicyBinding");
    let here =
        json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": scene.namespace}}});
    binding["spec"] = json!({"policyName": scene.namespace, "matchResources": here});
    for object in [engine, binding] {
        crate::stage::apply(&scene.client, &scene.namespace, object).await;
    }
    let mut number = 0;
    scene
        .until("the engine works", SOON, async || {
            number += 1;
            let edit = json!({"metadata": {"annotations": {"edit": number.to_string()}}});
            let edited = scene.edit("Deployment", "kratos", edit).await;
            if edited["metadata"]["labels"]["team"] == "identity" { Ok(()) } else { Err(edited.to_string()) }
        })
        .await;
    scene.edit("Deployment", "kratos", json!({"metadata": {"labels": {"team": null}}})).await;
    // It adds the label to that, too: one that does not have it is made while the engine is away.
    scene.create(kratos("second")).await;
    scene.create(policy("mfa", &["second"])).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "WriteRefused").await;
    assert!(message.contains("-confinement'"), "{message}");
    scene.until_condition("mfa", "Ready", "False", "WriteRefused").await;
    // It tries again and again, and each refusal counts.
    let counted = async || match value(&scene, "mfa_operator_writes_confined_total{resource=\"deployments\"}")
    {
        some if some >= 1.0 => Ok(()),
        other => Err(format!("it is {other}")),
    };
    scene.until("the refusal is counted", SOON, counted).await;
    for kind in ["mutatingadmissionpolicybinding", "mutatingadmissionpolicy"] {
        scene.kubectl(&["delete", kind, &scene.namespace]);
    }
}

/// What an admission policy cannot judge within the API server's limit is refused, to the operator as well:
/// it says so.
#[tokio::test]
async fn what_costs_too_much_to_be_judged_is_told() {
    let scene = Scene::start("too-costly").await;
    let mut crowded = kratos("kratos");
    crowded["metadata"]["labels"]["crowded"] = json!("yes");
    scene.create(crowded).await;
    let hundred = format!("[{}]", (0..100).map(|number| number.to_string()).collect::<Vec<_>>().join(","));
    let costly = format!("{hundred}.all(a, {hundred}.all(b, {hundred}.all(c, a + b + c >= 0)))");
    let expression = format!("object.metadata.?labels.?crowded.orValue('') == '' || {costly}");
    scene.refuse_unless(&expression, "too costly", json!({"labels": {"crowded": "yes"}})).await;
    scene.create(policy("mfa", &["kratos"])).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "WriteRefused").await;
    assert!(
        message.contains("a rule could not be evaluated: ") && message.contains("cost limit exceeded"),
        "{message}"
    );
    scene.until_condition("mfa", "Ready", "False", "WriteRefused").await;
    scene.let_pass().await;
}

/// Somebody with the operator's token holds the Lease, lowers a level and leaves the status as it is. Whoever
/// stands by sees it in the template.
#[tokio::test]
async fn one_that_stands_by_tells_what_pods_demand_and_believes_no_status() {
    let mut scene = Scene::start("lease-stolen").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene
        .until("the levels are in the template", SOON, async || enforces(&scene.deployment("kratos").await))
        .await;
    scene.operator.stop();
    // Its first pod is of this template.
    scene.edit("Deployment", "kratos", json!({"spec": {"replicas": 1}})).await;
    scene
        .until("it has a pod", SOON, async || {
            let status = scene.deployment("kratos").await["status"].clone();
            if status["updatedReplicas"] == 1 { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "mfa-operator"},
        "spec": {"holderIdentity": "mallory", "leaseDurationSeconds": 3_600},
    });
    scene.create(lease).await;
    let ready = json!({"type": "Ready", "status": "True", "reason": "Ready", "message": "x", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let claimed = json!({"conditions": [ready], "requiredAAL": {"settings": "highest_available", "whoami": "highest_available"}});
    let claim = kube::api::Patch::Merge(json!({ "status": claimed }));
    scene
        .api("MfaPolicy")
        .patch_status("mfa", &kube::api::PatchParams::default(), &claim)
        .await
        .expect("a forged status");

    rights::may_lead(&scene.client, &scene.namespace, &rights::user(&scene.namespace)).await;
    let mut options = rights::options(&scene.namespace, &scene.kubeconfig);
    options.arguments.push(format!("--lease={}/mfa-operator", scene.namespace));
    scene.operator = Operator::start(options);
    let weaker = format!("mfa_policy_weaker{{policy_namespace=\"{}\",name=\"mfa\"}}", scene.namespace);
    let unready = format!(
        "mfa_policy_not_ready{{policy_namespace=\"{}\",name=\"mfa\",reason=\"Unknown\"}}",
        scene.namespace
    );
    until_value(&scene, "mfa_operator_policies{reason=\"Ready\"}", SOON, 1.0).await;
    until_value(&scene, &weaker, SOON, 0.0).await;

    scene.edit("Deployment", "kratos", env_patch(&[(WHOAMI, "aal1")])).await;
    until_value(&scene, &weaker, SOON, 1.0).await;
    until_value(&scene, &unready, SOON, 1.0).await;
    until_value(&scene, "mfa_operator_policies{reason=\"Ready\"}", SOON, 0.0).await;
    until_value(&scene, "mfa_operator_leader", SOON, 0.0).await;
    let page = scene.operator.answer("/metrics", "*/*").expect("it answers");
    let told = |line: &str| line.starts_with("mfa_policy_info") && line.contains("whoami=\"aal1\"");
    assert!(page.lines().any(told), "{page}");
    // What was said of it stays where nobody writes.
    assert_eq!(scene.get("MfaPolicy", "mfa").await["status"]["conditions"][0]["status"], "True");
}
