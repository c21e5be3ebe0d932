//! The audit policy of docs/audit.md, loaded by an API server: it says who changed what, and little else.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::objects::{LABEL, SECRET, WHOAMI, env_patch, kratos, policy};
use crate::scene::{resource, text};
use crate::stage::{self, POD, Person};
use crate::support::control_plane::{ControlPlane, create_namespace, install_definition};

const PAGE: &str = include_str!("../../docs/audit.md");
/// The namespace and the account of the operator on that page.
const OPERATOR: &str = "mfa-operator";

/// An API server that keeps its audit log by the page.
static AUDITED: LazyLock<ControlPlane> = LazyLock::new(|| {
    let (_, rest) = PAGE
        .split_once("<!-- not applied: the audit policy of an API server, a file -->\n```yaml\n")
        .expect("the page has a policy");
    let (snippet, _) = rest.split_once("```").expect("it ends");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), snippet).expect("it can be written");
    let path = file.path().to_str().expect("a path");
    ControlPlane::start_with(&[("CONTROL_PLANE_AUDIT_POLICY", path), ("CONTROL_PLANE_CONTROLLERS", "off")])
});

async fn client_of(plane: &ControlPlane, user: &str) -> Client {
    let kubeconfig = Kubeconfig::read_from(plane.folder().join("kubeconfig")).expect("it is ready");
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("it names one cluster");
    config.auth_info.impersonate = Some(user.into());
    config.auth_info.impersonate_groups = Some(vec!["system:masters".into()]);
    Client::try_from(config).expect("it holds its certificates")
}

/// Whoever has the token of the operator's pod, and every right.
async fn operator(plane: &ControlPlane) -> Person {
    let admin = plane.client().await;
    let group = "rbac.authorization.k8s.io";
    let named = json!({"name": OPERATOR});
    let mut pod = stage::pod(POD, OPERATOR);
    pod["metadata"]["namespace"] = json!(OPERATOR);
    for object in [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": named}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named}),
        json!({
            "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "stolen"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": OPERATOR, "namespace": OPERATOR}],
        }),
        pod,
    ] {
        stage::apply(&admin, OPERATOR, object).await;
    }
    Person::with_the_token_of(plane, OPERATOR, OPERATOR, Some(POD)).await
}

fn who(entry: &Value) -> String {
    entry["impersonatedUser"]["username"]
        .as_str()
        .map_or_else(|| text(&entry["user"]["username"]), Into::into)
}

fn entries(plane: &ControlPlane) -> Vec<Value> {
    let log = std::fs::read_to_string(plane.folder().join("audit.log")).expect("there is an audit log");
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn the_audit_log_says_who_weakened_a_policy() {
    let plane = &*AUDITED;
    let admin = plane.client().await;
    install_definition(&admin).await;
    let namespace = create_namespace(&admin, "audited").await;
    let mallory = client_of(plane, "mallory").await;
    let api = |client: &Client, kind: &str| {
        Api::<DynamicObject>::namespaced_with(client.clone(), &namespace, &resource(kind))
    };
    let object = |value: Value| serde_json::from_value::<DynamicObject>(value).expect("it is an object");

    api(&admin, "Deployment")
        .create(&PostParams::default(), &object(kratos("kratos")))
        .await
        .expect("created");
    api(&admin, "MfaPolicy")
        .create(&PostParams::default(), &object(policy("mfa", &["kratos"])))
        .await
        .expect("created");
    let weaker = Patch::Merge(json!({"spec": {"requiredAAL": {"whoami": "aal1"}}}));
    api(&mallory, "MfaPolicy").patch("mfa", &PatchParams::default(), &weaker).await.expect("patched");
    let status = Patch::Merge(json!({"status": {"revision": "mfa-0123456789"}}));
    let operator = operator(plane).await;
    api(operator.client(), "MfaPolicy")
        .patch_status("mfa", &PatchParams::default(), &status)
        .await
        .expect("patched");
    api(&mallory, "Deployment")
        .patch("kratos", &PatchParams::default(), &Patch::Strategic(env_patch(&[(WHOAMI, "aal1")])))
        .await
        .expect("patched");
    let record = json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 1, "data": {},
        "metadata": {"name": "forged", "labels": {"mfa-operator.dev/policy": "mfa"}},
    });
    api(&mallory, "ControllerRevision")
        .create(&PostParams::default(), &object(record))
        .await
        .expect("created");
    let last = api(&mallory, "MfaPolicy").delete("mfa", &Default::default()).await;
    last.expect("deleted");

    // It is written in the background.
    let deadline = Instant::now() + Duration::from_secs(20);
    let all = loop {
        let all = entries(plane);
        if all
            .iter()
            .any(|entry| entry["verb"] == "delete" && entry["objectRef"]["resource"] == "mfapolicies")
        {
            break all;
        }
        assert!(Instant::now() < deadline, "the deletion is not recorded");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let of = |kind: &str| {
        all.iter()
            .filter(|entry| {
                entry["objectRef"]["resource"] == kind && entry["objectRef"]["namespace"] == *namespace
            })
            .collect::<Vec<_>>()
    };
    let level = |entry: &Value| text(&entry["responseObject"]["spec"]["requiredAAL"]["whoami"]);
    let policies = of("mfapolicies");
    let told: Vec<_> = policies
        .iter()
        .map(|entry| {
            (
                who(entry),
                text(&entry["verb"]),
                level(entry),
                entry["responseObject"]["metadata"]["generation"].clone(),
            )
        })
        .collect();
    let [created, patched, deleted] = &told[..] else {
        panic!("three writes, no read and no status: {told:#?}")
    };
    assert_eq!((&*created.1, &*created.2, &created.3), ("create", "highest_available", &json!(1)));
    assert_eq!(
        (&*patched.0, &*patched.1, &*patched.2, &patched.3),
        ("mallory", "patch", "aal1", &json!(2)),
        "from the level before to this one"
    );
    assert_eq!((&*deleted.0, &*deleted.1), ("mallory", "delete"));
    assert_eq!(policies[1]["requestObject"]["spec"]["requiredAAL"]["whoami"], "aal1", "what was sent");

    let [created, workload] = &of("deployments")[..] else {
        panic!("the creation and the patch are recorded")
    };
    assert!(created["requestObject"].is_null(), "of a creation it says who, and not what");
    assert_eq!((&*who(workload), workload["responseObject"].is_null()), ("mallory", true));
    assert!(workload["requestObject"].to_string().contains(WHOAMI));
    assert!(!all.iter().any(|entry| entry.to_string().contains(SECRET)), "what was not sent is not there");
    let [forged] = &of("controllerrevisions")[..] else { panic!("the forged record is recorded") };
    assert_eq!(forged["responseObject"]["metadata"]["labels"]["mfa-operator.dev/policy"], "mfa");
}

/// A request of an attack, and what its entry says of the object: plural name with the subresource, and
/// namespace.
struct Attack {
    what: &'static str,
    method: &'static str,
    path: String,
    body: Value,
    on: (&'static str, &'static str),
}

/// What somebody does who has rights of their own.
fn by_a_person() -> Vec<Attack> {
    let attack = |what, method, path: &str, body, on| Attack { what, method, path: path.into(), body, on };
    let identity = |group: &str, path: &str| format!("/{group}/namespaces/identity/{path}");
    let system = |path: &str| format!("/api/v1/namespaces/{OPERATOR}/{path}");
    let policies = |path: &str| identity("apis/mfa-operator.dev/v1alpha1", path);
    let apps = |path: &str| identity("apis/apps/v1", path);
    let core = |path: &str| identity("api/v1", path);
    let meta = || json!({"metadata": {"annotations": {"a": "b"}}});
    let named =
        |kind: &str, name: &str| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}});
    let mut weaker = policy("weaker", &["kratos"]);
    weaker["spec"]["requiredAAL"]["whoami"] = json!("aal1");
    let record = json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 1, "data": {},
        "metadata": {"name": "forged", "labels": {LABEL: "mfa"}},
    });
    let mut forged = named("ConfigMap", "forged-mfa");
    forged["metadata"]["labels"] = json!({LABEL: "mfa"});
    let token = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": POD}},
    });
    let mut lasting = named("Secret", "lasting");
    lasting["type"] = json!("kubernetes.io/service-account-token");
    lasting["metadata"]["annotations"] = json!({"kubernetes.io/service-account.name": OPERATOR});
    let mut lease = named("Lease", OPERATOR);
    lease["apiVersion"] = json!("coordination.k8s.io/v1");
    lease["spec"] = json!({"holderIdentity": "mallory", "leaseDurationSeconds": 3_600});
    let admission = "/apis/admissionregistration.k8s.io/v1";
    let crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/mfapolicies.mfa-operator.dev";
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "weakener"}});
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "kratos-0"}});
    let file = json!({"data": {"kratos.yaml": "{}"}});
    vec![
        attack(
            "lowers a level",
            "PATCH",
            &policies("mfapolicies/mfa"),
            json!({"spec": {"suspend": true}}),
            ("mfapolicies", "identity"),
        ),
        attack(
            "creates a weaker policy",
            "POST",
            &policies("mfapolicies"),
            weaker,
            ("mfapolicies", "identity"),
        ),
        attack(
            "forges a status",
            "PATCH",
            &policies("mfapolicies/mfa/status"),
            json!({"status": {}}),
            ("mfapolicies/status", "identity"),
        ),
        attack(
            "deletes a policy",
            "DELETE",
            &policies("mfapolicies/mfa"),
            Value::Null,
            ("mfapolicies", "identity"),
        ),
        attack("edits a workload", "PATCH", &apps("deployments/kratos"), meta(), ("deployments", "identity")),
        attack(
            "stops a workload",
            "PATCH",
            &apps("deployments/kratos/scale"),
            json!({"spec": {"replicas": 0}}),
            ("deployments/scale", "identity"),
        ),
        attack(
            "runs another server",
            "POST",
            &apps("deployments"),
            kratos("another"),
            ("deployments", "identity"),
        ),
        attack(
            "deletes a workload",
            "DELETE",
            &apps("deployments/another"),
            Value::Null,
            ("deployments", "identity"),
        ),
        attack(
            "runs a pod that answers",
            "POST",
            &core("pods"),
            stage::pod("answers", "kratos"),
            ("pods", "identity"),
        ),
        attack(
            "is in a pod",
            "POST",
            &core("pods/kratos-0/exec?command=sh"),
            Value::Null,
            ("pods/exec", "identity"),
        ),
        attack(
            "enters a pod",
            "PATCH",
            &core("pods/kratos-0/ephemeralcontainers"),
            json!({}),
            ("pods/ephemeralcontainers", "identity"),
        ),
        attack("deletes a pod", "DELETE", &core("pods/kratos-0"), Value::Null, ("pods", "identity")),
        attack(
            "evicts a pod",
            "POST",
            &core("pods/kratos-0/eviction"),
            eviction,
            ("pods/eviction", "identity"),
        ),
        attack(
            "forges a record",
            "POST",
            &apps("controllerrevisions"),
            record,
            ("controllerrevisions", "identity"),
        ),
        attack("forges a file", "POST", &core("configmaps"), forged, ("configmaps", "identity")),
        attack(
            "changes the server's own file",
            "PATCH",
            &core("configmaps/kratos-config"),
            file,
            ("configmaps", "identity"),
        ),
        attack(
            "changes the server's secret",
            "DELETE",
            &core("secrets/kratos"),
            Value::Null,
            ("secrets", "identity"),
        ),
        attack(
            "deletes the namespace",
            "DELETE",
            "/api/v1/namespaces/nowhere",
            Value::Null,
            ("namespaces", "nowhere"),
        ),
        attack(
            "runs a pod as the operator",
            "POST",
            &system("pods"),
            stage::pod("other", OPERATOR),
            ("pods", OPERATOR),
        ),
        attack(
            "is in the operator's pod",
            "GET",
            &system(&format!("pods/{POD}/exec?command=sh")),
            Value::Null,
            ("pods/exec", OPERATOR),
        ),
        attack(
            "mints a token",
            "POST",
            &system(&format!("serviceaccounts/{OPERATOR}/token")),
            token,
            ("serviceaccounts/token", OPERATOR),
        ),
        attack("makes a lasting token", "POST", &system("secrets"), lasting, ("secrets", OPERATOR)),
        attack(
            "reads a lasting token",
            "GET",
            &system("secrets/lasting"),
            Value::Null,
            ("secrets", OPERATOR),
        ),
        attack(
            "holds the Lease",
            "POST",
            &format!("/apis/coordination.k8s.io/v1/namespaces/{OPERATOR}/leases"),
            lease,
            ("leases", OPERATOR),
        ),
        attack(
            "takes a binding away",
            "DELETE",
            &format!("{admission}/validatingadmissionpolicybindings/{OPERATOR}-history"),
            Value::Null,
            ("validatingadmissionpolicybindings", ""),
        ),
        attack(
            "takes an admission policy away",
            "DELETE",
            &format!("{admission}/validatingadmissionpolicies/{OPERATOR}-weakening"),
            Value::Null,
            ("validatingadmissionpolicies", ""),
        ),
        attack("changes the definition", "PATCH", crd, meta(), ("customresourcedefinitions", "")),
        attack(
            "gives a role",
            "POST",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            role,
            ("clusterroles", ""),
        ),
    ]
}

/// What somebody does who has the operator's token.
fn by_a_thief() -> Vec<Attack> {
    let attack = |what, method, path: &str, body, on| Attack { what, method, path: path.into(), body, on };
    let apps = |path: &str| format!("/apis/apps/v1/namespaces/identity/{path}");
    let core = |path: &str| format!("/api/v1/namespaces/identity/{path}");
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{OPERATOR}/leases");
    let image = json!({"spec": {"template": {"spec": {"hostNetwork": true}}}});
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "other"},
        "spec": {"holderIdentity": "mallory", "leaseDurationSeconds": 3_600},
    });
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs"}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "theirs"}, "spec": {"ports": [{"port": 1}]}});
    let account = format!("/api/v1/namespaces/{OPERATOR}/serviceaccounts/{OPERATOR}/token");
    let token = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let status = json!({"status": {"observedGeneration": 9}});
    vec![
        attack(
            "changes a workload",
            "PATCH",
            &apps("deployments/kratos"),
            image,
            ("deployments", "identity"),
        ),
        attack(
            "scales a workload",
            "PATCH",
            &apps("deployments/kratos/scale"),
            json!({"spec": {"replicas": 0}}),
            ("deployments/scale", "identity"),
        ),
        attack(
            "says how a workload is",
            "PATCH",
            &apps("deployments/kratos/status"),
            status,
            ("deployments/status", "identity"),
        ),
        attack("makes a ConfigMap", "POST", &core("configmaps"), map, ("configmaps", "identity")),
        attack("makes a Secret", "POST", &core("secrets"), secret, ("secrets", "identity")),
        attack("makes a Service", "POST", &core("services"), service, ("services", "identity")),
        attack("deletes a pod", "DELETE", &core("pods/kratos-0"), Value::Null, ("pods", "identity")),
        attack(
            "runs a command",
            "POST",
            &core("pods/kratos-0/exec?command=sh"),
            Value::Null,
            ("pods/exec", "identity"),
        ),
        attack("holds another Lease", "POST", &leases, lease, ("leases", OPERATOR)),
        attack("mints a token", "POST", &account, token, ("serviceaccounts/token", OPERATOR)),
        attack(
            "makes a node",
            "POST",
            "/api/v1/nodes",
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"}}),
            ("nodes", ""),
        ),
    ]
}

/// Refused or not: in a cluster that holds to the chart's admission policies.
#[tokio::test]
async fn each_attack_leaves_an_entry() {
    let plane = &*AUDITED;
    let admin = plane.client().await;
    install_definition(&admin).await;
    let thief = operator(plane).await;
    let settings =
        ["confinement", "weakening", "history"].map(|policy| format!("admission.{policy}.enabled=true"));
    for object in
        stage::rendered(OPERATOR, &[["watchNamespaces={identity}".into()].as_slice(), &settings].concat())
    {
        if text(&object["kind"]).contains("ValidatingAdmission") {
            stage::apply(&admin, OPERATOR, object).await;
        }
    }
    let named = |kind: &str, name: &str| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "identity"}});
    stage::apply(
        &admin,
        "",
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "identity"}}),
    )
    .await;
    stage::apply(&admin, "", named("ServiceAccount", "kratos")).await;
    stage::apply(&admin, "", named("ConfigMap", "kratos-config")).await;
    let admin = Person::of(admin, "identity");
    for object in [kratos("kratos"), policy("mfa", &["kratos"]), stage::pod("kratos-0", "kratos")] {
        admin.create(object).await.expect("created");
    }
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "probe-"}});
    let refused = async || thief.send("POST", "/api/v1/namespaces/default/configmaps", &map).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !refused().await.is_err_and(|status| status.message.contains("-confinement'")) {
        assert!(Instant::now() < deadline, "the confinement does not hold");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let mallory = Person::of(client_of(plane, "mallory").await, "identity");
    let account = format!("system:serviceaccount:{OPERATOR}:{OPERATOR}");
    let (people, thieves) = (by_a_person(), by_a_thief());
    let mut expected = Vec::new();
    for (person, user, attacks) in [(&thief, &*account, &thieves), (&mallory, "mallory", &people)] {
        for Attack { what, method, path, body, on } in attacks {
            let code = person.send(method, path, body).await.err().map(|status| status.code);
            if user == account {
                assert_eq!(code, Some(403), "{what}: a thief is refused");
            }
            expected.push((*what, user.to_owned(), *on, code));
        }
    }
    let is =
        |entry: &Value,
         (_, user, (resource, namespace), code): &(&str, String, (&str, &str), Option<u16>)| {
            let object = &entry["objectRef"];
            let below = object["subresource"].as_str().map(|name| format!("/{name}")).unwrap_or_default();
            let told = entry["responseStatus"]["code"].as_u64();
            who(entry) == *user
                && format!("{}{below}", text(&object["resource"])) == *resource
                && text(&object["namespace"]) == *namespace
                && code.is_none_or(|code| told == Some(u64::from(code)))
        };
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let all = entries(plane);
        let missing: Vec<_> =
            expected.iter().filter(|attack| !all.iter().any(|entry| is(entry, attack))).collect();
        if missing.is_empty() {
            let why = |entry: &&Value| {
                !entry["annotations"]["validation.policy.admission.k8s.io/validation_failure"].is_null()
            };
            let refused =
                all.iter().filter(|entry| who(entry) == account && entry["responseStatus"]["code"] == 403);
            assert!(refused.filter(why).count() >= thieves.len(), "an entry says which rule refused it");
            assert!(
                !all.iter().any(|entry| entry.to_string().contains("\"token\":\"ey")),
                "no token is written down"
            );
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{} of {} left no entry: {missing:#?}",
            missing.len(),
            expected.len()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
