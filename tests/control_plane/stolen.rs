//! Every kind of write with the operator's token that is none of its business. The account has every right in
//! the whole cluster here, so that it is the confinement that refuses and not a missing right.

use std::collections::BTreeSet;

use kube::core::response::Status;
use serde_json::{Value, json};

use crate::confinement::confined;
use crate::objects::{GOVERNED, LABEL, SETTINGS, WHOAMI, daemon, kratos, policy, stateful};
use crate::stage::{POD, Stage, pod};

const OUTSIDE: &str = "the operator has no business with";
const OWN_LEASE: &str = "of Leases the operator writes its own alone";
const HELD: &str = "its Lease the operator holds as the pod whose token it has";
const VALUES: &str = "a value that a policy may have, literally";
const PODS: &str = "of pods the operator deletes those alone";
const MAPS: &str = "of ConfigMaps the operator writes and deletes those alone";
const RECORDS: &str = "of ControllerRevisions the operator writes";
const DATA: &str = "into a ControllerRevision the operator writes what a policy may set";
const EVENTS: &str = "of Events the operator tells its own alone";

/// A request, and words of its refusal.
struct Row {
    what: String,
    method: &'static str,
    path: String,
    body: Value,
    words: &'static str,
}

fn row(
    what: impl Into<String>,
    method: &'static str,
    path: impl Into<String>,
    body: Value,
    words: &'static str,
) -> Row {
    Row { what: what.into(), method, path: path.into(), body, words }
}

/// With every right everywhere, over one server of each kind.
pub async fn everywhere(name: &str) -> Stage {
    let stage = confined(name).await;
    let group = "rbac.authorization.k8s.io";
    let everything = json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding",
        "metadata": {"name": format!("{}-everything", stage.namespace), "labels": {"app.kubernetes.io/instance": stage.namespace}},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": stage.namespace, "namespace": stage.namespace}],
    });
    crate::stage::apply(stage.admin.client(), &stage.namespace, everything).await;
    for workload in [kratos("kratos"), stateful("kratos"), daemon("kratos")] {
        stage.admin.create(workload).await.expect("the admin may");
    }
    stage.admin.create(policy("mfa", &["kratos"])).await.expect("the admin may");
    stage
}

pub fn lease(stage: &Stage, spec: Value) -> Value {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": stage.namespace}, "spec": spec})
}

pub fn held(holder: &str, seconds: u32) -> Value {
    json!({"holderIdentity": holder, "leaseDurationSeconds": seconds})
}

pub fn by_pod() -> String {
    format!("{POD}_0123456789abcdef")
}

/// What belongs to nobody's workload, by the group that serves it and its plural name, in a namespace.
const OF_A_NAMESPACE: [(&str, &str, &str); 22] = [
    ("api/v1", "secrets", "Secret"),
    ("api/v1", "serviceaccounts", "ServiceAccount"),
    ("api/v1", "services", "Service"),
    ("api/v1", "endpoints", "Endpoints"),
    ("api/v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
    ("api/v1", "replicationcontrollers", "ReplicationController"),
    ("api/v1", "limitranges", "LimitRange"),
    ("api/v1", "resourcequotas", "ResourceQuota"),
    ("api/v1", "podtemplates", "PodTemplate"),
    ("apis/apps/v1", "replicasets", "ReplicaSet"),
    ("apis/batch/v1", "jobs", "Job"),
    ("apis/batch/v1", "cronjobs", "CronJob"),
    ("apis/autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    ("apis/policy/v1", "poddisruptionbudgets", "PodDisruptionBudget"),
    ("apis/networking.k8s.io/v1", "networkpolicies", "NetworkPolicy"),
    ("apis/networking.k8s.io/v1", "ingresses", "Ingress"),
    ("apis/discovery.k8s.io/v1", "endpointslices", "EndpointSlice"),
    ("apis/rbac.authorization.k8s.io/v1", "roles", "Role"),
    ("apis/rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding"),
    ("apis/mfa-operator.dev/v1alpha1", "mfapolicies", "MfaPolicy"),
    ("apis/apps/v1", "deployments", "Deployment"),
    ("apis/apps/v1", "daemonsets", "DaemonSet"),
];

fn valid(stage: &Stage, kind: &str) -> Value {
    let metadata = json!({"name": "new"});
    let spec = |spec: Value| json!({"metadata": metadata, "spec": spec});
    let template = || json!({"metadata": {"labels": {"app": "new"}}, "spec": pod("x", "default")["spec"]});
    let selector = json!({"matchLabels": {"app": "new"}});
    let job = json!({"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}});
    let group = "rbac.authorization.k8s.io";
    match kind {
        "Secret" => json!({
            "metadata": {"name": "new", "annotations": {"kubernetes.io/service-account.name": stage.namespace}},
            "type": "kubernetes.io/service-account-token",
        }),
        "Service" => spec(json!({"ports": [{"port": 4433}], "selector": {"app": "new"}})),
        "PersistentVolumeClaim" => {
            spec(json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}))
        }
        "ReplicationController" => spec(json!({"selector": {"app": "new"}, "template": template()})),
        "LimitRange" => spec(json!({"limits": []})),
        "PodTemplate" => json!({"metadata": metadata, "template": template()}),
        "ReplicaSet" => spec(json!({"selector": selector, "template": template()})),
        "Job" => spec(job),
        "CronJob" => spec(json!({"schedule": "* * * * *", "jobTemplate": {"spec": job}})),
        "HorizontalPodAutoscaler" => spec(
            json!({"maxReplicas": 9, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "kratos"}}),
        ),
        "PodDisruptionBudget" => spec(json!({"maxUnavailable": 0, "selector": selector})),
        "NetworkPolicy" => spec(json!({"podSelector": {}})),
        "Ingress" => spec(json!({"defaultBackend": {"service": {"name": "new", "port": {"number": 80}}}})),
        "EndpointSlice" => json!({"metadata": metadata, "addressType": "IPv4", "endpoints": []}),
        "RoleBinding" => json!({
            "metadata": metadata, "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "admin"},
            "subjects": [{"apiGroup": group, "kind": "User", "name": "mallory"}],
        }),
        "MfaPolicy" => policy("new", &["kratos"]),
        "Deployment" => kratos("new"),
        "DaemonSet" => daemon("new"),
        _ => json!({"metadata": metadata}),
    }
}

/// What is not named in the confinement at all.
fn outside(stage: &Stage) -> Vec<Row> {
    let namespace = &stage.namespace;
    let mut rows = Vec::new();
    for (group, plural, kind) in OF_A_NAMESPACE {
        let mut object = valid(stage, kind);
        object["apiVersion"] = json!(group.trim_start_matches("apis/").trim_start_matches("api/"));
        object["kind"] = json!(kind);
        rows.push(row(
            format!("creates a {kind}"),
            "POST",
            format!("/{group}/namespaces/{namespace}/{plural}"),
            object,
            OUTSIDE,
        ));
    }
    let core = |path: &str| format!("/api/v1/namespaces/{namespace}/{path}");
    let apps = |path: &str| format!("/apis/apps/v1/namespaces/{namespace}/{path}");
    let cluster = |path: &str| format!("/apis/{path}");
    let labelled = || json!({"metadata": {"labels": {"a": "b"}}});
    let token = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    rows.extend([
        row("mints a token", "POST", core(&format!("serviceaccounts/{namespace}/token")), token.clone(), OUTSIDE),
        row("mints a token of another account", "POST", core("serviceaccounts/default/token"), token, OUTSIDE),
        row("labels its account", "PATCH", core(&format!("serviceaccounts/{namespace}")), labelled(), OUTSIDE),
        row("deletes an account", "DELETE", core("serviceaccounts/default"), Value::Null, OUTSIDE),
        row("creates a pod", "POST", core("pods"), pod("new", namespace), OUTSIDE),
        row("labels a pod", "PATCH", core(&format!("pods/{POD}")), labelled(), OUTSIDE),
        row("says that a pod is ready", "PATCH", core(&format!("pods/{POD}/status")), json!({"status": {"phase": "Running"}}), OUTSIDE),
        row("runs a command in a pod", "POST", core(&format!("pods/{POD}/exec?command=id&stdout=true")), Value::Null, OUTSIDE),
        row("attaches to a pod", "POST", core(&format!("pods/{POD}/attach?stdout=true")), Value::Null, OUTSIDE),
        row("opens a port of a pod", "POST", core(&format!("pods/{POD}/portforward?ports=80")), Value::Null, OUTSIDE),
        row("speaks to a pod", "POST", core(&format!("pods/{POD}/proxy/")), Value::Null, OUTSIDE),
        row("speaks to a Service", "POST", core("services/new/proxy/"), Value::Null, OUTSIDE),
        row(
            "evicts a pod",
            "POST",
            core(&format!("pods/{POD}/eviction")),
            json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": POD}}),
            OUTSIDE,
        ),
        row(
            "places a pod",
            "POST",
            core(&format!("pods/{POD}/binding")),
            json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": POD}, "target": {"kind": "Node", "name": "x"}}),
            OUTSIDE,
        ),
        row(
            "enters a pod",
            "PATCH",
            core(&format!("pods/{POD}/ephemeralcontainers")),
            json!({"spec": {"ephemeralContainers": [{"name": "c", "image": "d", "targetContainerName": "a"}]}}),
            OUTSIDE,
        ),
        row(
            "tells an Event of the old kind",
            "POST",
            core("events"),
            json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "new"}, "involvedObject": {"namespace": namespace}}),
            OUTSIDE,
        ),
    ]);
    for plural in ["deployments", "statefulsets", "daemonsets"] {
        let status = json!({"status": {"observedGeneration": 9}});
        rows.push(row(
            format!("says how {plural} are"),
            "PATCH",
            apps(&format!("{plural}/kratos/status")),
            status,
            OUTSIDE,
        ));
        rows.push(row(
            format!("deletes {plural}"),
            "DELETE",
            apps(&format!("{plural}/kratos")),
            Value::Null,
            OUTSIDE,
        ));
        rows.push(row(format!("deletes all {plural}"), "DELETE", apps(plural), Value::Null, OUTSIDE));
        if plural != "daemonsets" {
            let scale = json!({"spec": {"replicas": 0}});
            rows.push(row(
                format!("scales {plural}"),
                "PATCH",
                apps(&format!("{plural}/kratos/scale")),
                scale,
                OUTSIDE,
            ));
        }
    }
    let policies = format!("/apis/mfa-operator.dev/v1alpha1/namespaces/{namespace}/mfapolicies");
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": namespace}});
    let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": namespace}, "value": 1});
    rows.extend([
        row("edits a policy", "PATCH", format!("{policies}/mfa"), json!({"spec": {"suspend": true}}), OUTSIDE),
        row("labels a policy", "PATCH", format!("{policies}/mfa"), labelled(), OUTSIDE),
        row("deletes a policy", "DELETE", format!("{policies}/mfa"), Value::Null, OUTSIDE),
        row("deletes all policies", "DELETE", policies, Value::Null, OUTSIDE),
        row("labels a namespace", "PATCH", format!("/api/v1/namespaces/{namespace}"), labelled(), OUTSIDE),
        row("deletes a namespace", "DELETE", format!("/api/v1/namespaces/{namespace}"), Value::Null, OUTSIDE),
        row(
            "creates a namespace",
            "POST",
            "/api/v1/namespaces",
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("{namespace}-new")}}),
            OUTSIDE,
        ),
        row("creates a node", "POST", "/api/v1/nodes", json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "new"}}), OUTSIDE),
        row("creates a role", "POST", cluster("rbac.authorization.k8s.io/v1/clusterroles"), role, OUTSIDE),
        row("makes a class of pods", "POST", cluster("scheduling.k8s.io/v1/priorityclasses"), class, OUTSIDE),
        row(
            "changes the definition",
            "PATCH",
            cluster("apiextensions.k8s.io/v1/customresourcedefinitions/mfapolicies.mfa-operator.dev"),
            labelled(),
            OUTSIDE,
        ),
    ]);
    rows
}

fn leases(stage: &Stage) -> Vec<Row> {
    let of = |namespace: &str| format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
    let all = of(&stage.namespace);
    let own = format!("{all}/{}", stage.namespace);
    let named = |name: &str| {
        let mut lease = lease(stage, held(&by_pod(), 15));
        lease["metadata"]["name"] = json!(name);
        lease
    };
    let with = |spec: Value| json!({ "spec": spec });
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"}]);
    vec![
        row("makes a Lease of another name", "POST", &*all, named("other"), OWN_LEASE),
        row("makes one beside a node", "POST", of("kube-node-lease"), named(&stage.namespace), OWN_LEASE),
        row("stops the scheduler", "POST", of("kube-system"), named("kube-scheduler"), OWN_LEASE),
        row("leads as somebody else", "PATCH", &*own, with(held("other-0_0123456789abcdef", 15)), HELD),
        row(
            "leads as a pod like it",
            "PATCH",
            &*own,
            with(held(&format!("{POD}1_0123456789abcdef"), 15)),
            HELD,
        ),
        row("leads without a number", "PATCH", &*own, with(held(POD, 15)), HELD),
        row(
            "leads with more behind it",
            "PATCH",
            &*own,
            with(held(&format!("{}-other", by_pod()), 15)),
            HELD,
        ),
        row("leads for long", "PATCH", &*own, with(held(&by_pod(), 31)), HELD),
        row("leads for an hour", "PATCH", &*own, with(held(&by_pod(), 3_600)), HELD),
        row("has nobody lead for an hour", "PATCH", &*own, with(held("", 3_600)), HELD),
        row(
            "keeps it from going",
            "PATCH",
            &*own,
            json!({"metadata": {"finalizers": ["example.com/stay"]}}),
            HELD,
        ),
        row("gives it an owner", "PATCH", &*own, json!({"metadata": {"ownerReferences": owner}}), HELD),
        row("labels it", "PATCH", &*own, json!({"metadata": {"labels": {"a": "b"}}}), HELD),
        row("deletes it", "DELETE", &*own, Value::Null, OUTSIDE),
        row("deletes all", "DELETE", &*all, Value::Null, OUTSIDE),
    ]
}

/// Of each variable a value that no policy gives it.
fn values(stage: &Stage) -> Vec<Row> {
    let issuer = "SELFSERVICE_METHODS_TOTP_CONFIG_ISSUER";
    let origins = "SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_ORIGINS";
    let long = "x".repeat(101);
    let many = ["https://a.example"; 17].join(",");
    let far = format!("https://{}.example", "a".repeat(5_000));
    [
        (WHOAMI, "aal2"),
        (WHOAMI, ""),
        (WHOAMI, "aal1\n"),
        (SETTINGS, "$(DSN)"),
        (SETTINGS, "highest_available "),
        ("REVISION", "mfa-"),
        ("REVISION", "mfa-0123456789a"),
        ("REVISION", "v25.4"),
        ("SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED_SESSION_MAX_AGE", "1d"),
        ("SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED_SESSION_MAX_AGE", "-1h"),
        ("SELFSERVICE_METHODS_CODE_MFA_ENABLED", "yes"),
        ("SELFSERVICE_METHODS_LOOKUP_SECRET_ENABLED", "1"),
        ("SELFSERVICE_METHODS_TOTP_ENABLED", "{}"),
        (issuer, &long),
        (issuer, "a\u{7}b"),
        (issuer, "$(SECRETS_COOKIE)"),
        ("SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_DISPLAY_NAME", "a $5 note"),
        ("SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_ID", "https://example.com"),
        ("SELFSERVICE_METHODS_WEBAUTHN_ENABLED", "TRUE"),
        (origins, &many),
        (origins, &far),
        (origins, "https://a.example,"),
        (origins, "[\"https://a.example\"]"),
    ]
    .into_iter()
    .map(|(name, value)| {
        let path = format!("/apis/apps/v1/namespaces/{}/deployments/kratos", stage.namespace);
        let mut container =
            json!({"name": "kratos", "image": "oryd/kratos:v1.3.1", "args": ["serve", "all", "--config", "/etc/config/kratos.yaml"]});
        container["env"] = json!([{"name": "DSN", "value": crate::objects::SECRET}, {"name": name, "value": value}]);
        let body = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
        row(format!("{name} is {:?}", value.chars().take(40).collect::<String>()), "PATCH", path, body, VALUES)
    })
    .collect()
}

pub fn map(name: &str, data: Value) -> Value {
    let metadata = json!({"name": name, "labels": {LABEL: "mfa"}, "annotations": {GOVERNED: "{}"}});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
}

pub fn record(name: &str, policy: &Value, data: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 1, "data": data,
        "metadata": {"name": name, "labels": {LABEL: "mfa"}, "ownerReferences": [{
            "apiVersion": "mfa-operator.dev/v1alpha1", "kind": "MfaPolicy", "name": "mfa", "uid": policy["metadata"]["uid"],
            "controller": true, "blockOwnerDeletion": false,
        }]},
    })
}

pub const RECORD: &str = "mfa-mfa-0123456789-01234567";

/// As the operator would write it.
pub fn data() -> Value {
    let target = json!({"kind": "Deployment", "name": "kratos", "container": "kratos"});
    let rp = json!({"id": "example.com", "display_name": "Smith's", "origins": ["https://example.com"]});
    let methods = json!({"totp": {"enabled": true, "config": {"issuer": "$5"}}, "webauthn": {"enabled": true, "config": {"rp": rp}}});
    let overlay = json!({
        "selfservice": {"flows": {"settings": {"required_aal": "aal1", "privileged_session_max_age": "1h"}}, "methods": methods},
        "session": {"whoami": {"required_aal": "highest_available"}},
    });
    json!({"overlay": overlay, "delivery": "Environment", "configMapName": "mfa-mfa", "targets": [target]})
}

fn of_its_own(stage: &Stage, policy: &Value) -> Vec<Row> {
    let maps = format!("/api/v1/namespaces/{}/configmaps", stage.namespace);
    let records = format!("/apis/apps/v1/namespaces/{}/controllerrevisions", stage.namespace);
    let file = || json!({"kratos.yaml": "{}\n"});
    let mut rows: Vec<_> = ["kube-root-ca.crt-2", "istio", "grafana-dashboards", "mfa-mfa.x", "mfa"]
        .into_iter()
        .map(|name| row(format!("makes a ConfigMap {name}"), "POST", &*maps, map(name, file()), MAPS))
        .collect();
    for name in [
        "mfa",
        "istio-revision",
        "mfa-mfa-0123456789",
        "mfa-mfa-0123456789-0123456",
        "mfa-mfa-012345678x-01234567",
    ] {
        rows.push(row(
            format!("makes a record {name}"),
            "POST",
            &*records,
            record(name, policy, data()),
            RECORDS,
        ));
    }
    let mut of_another = record(RECORD, policy, data());
    of_another["metadata"]["ownerReferences"][0]["name"] = json!("other");
    let mut of_a_stranger = record(RECORD, policy, data());
    of_a_stranger["metadata"]["ownerReferences"][0]["apiVersion"] = json!("example.com/v1");
    rows.push(row("makes a record of another policy", "POST", &*records, of_another, RECORDS));
    rows.push(row("makes a record of another kind of policy", "POST", &*records, of_a_stranger, RECORDS));
    let with = |pointer: &str, value: Value| {
        let mut data = data();
        let (above, key) = pointer.rsplit_once('/').expect("a pointer");
        data.pointer_mut(above).expect("it is there")[key] = value;
        data
    };
    let mut partial = data();
    partial.as_object_mut().expect("a map").remove("targets");
    let target = json!({"kind": "Deployment", "name": "x", "container": "x"});
    for (what, data) in [
        ("nothing", json!({})),
        ("less", partial),
        ("another key", with("/spec", json!({"template": {}}))),
        ("another key below", with("/overlay/dsn", json!("memory"))),
        ("a key of another parent", with("/overlay/session/whoami/enabled", json!(true))),
        ("another level", with("/overlay/session/whoami/required_aal", json!("aal2"))),
        ("text in the place of a map", with("/overlay/session", json!("x".repeat(500_000)))),
        ("much text", with("/overlay/selfservice/methods/totp/config/issuer", json!("x".repeat(101)))),
        ("a number", with("/overlay/selfservice/methods/totp/enabled", json!(1))),
        (
            "many origins",
            with("/overlay/selfservice/methods/webauthn/config/rp/origins", json!(vec!["https://a"; 17])),
        ),
        ("another delivery", with("/delivery", json!("Webhook"))),
        ("a long name", with("/configMapName", json!("x".repeat(254)))),
        ("many targets", with("/targets", json!(vec![target; 9]))),
        ("a target of another kind", with("/targets/0/kind", json!("CronJob"))),
        ("more of a target", with("/targets/0/command", json!("sh"))),
    ] {
        rows.push(row(
            format!("a record holds {what}"),
            "POST",
            &*records,
            record(RECORD, policy, data),
            DATA,
        ));
    }
    let events = format!("/apis/events.k8s.io/v1/namespaces/{}/events", stage.namespace);
    let event = |controller: &str, metadata: Value| {
        let mut event = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": metadata, "eventTime": "2026-01-01T00:00:00.000000Z",
            "reportingController": controller, "reportingInstance": "x", "action": "Reconcile", "reason": "Ready", "type": "Normal",
            "regarding": {"kind": "MfaPolicy", "namespace": stage.namespace, "name": "mfa"},
        });
        event["metadata"]["name"] = json!("told");
        event
    };
    rows.extend([
        row("tells an Event as the kubelet", "POST", &*events, event("kubelet", json!({})), EVENTS),
        row(
            "tells an Event with a label",
            "POST",
            &*events,
            event("mfa-operator", json!({"labels": {"a": "b"}})),
            EVENTS,
        ),
        row("deletes all Events", "DELETE", &*events, Value::Null, OUTSIDE),
        row(
            "labels an Event",
            "PATCH",
            format!("{events}/told"),
            json!({"metadata": {"labels": {"a": "b"}}}),
            OUTSIDE,
        ),
    ]);
    rows
}

pub fn is_confined(what: &str, answer: Result<(), Box<Status>>, words: &str) -> Result<(), String> {
    match answer {
        Err(status)
            if status.code == 403
                && status.message.contains("-confinement' with binding")
                && status.message.contains(words) =>
        {
            Ok(())
        }
        Err(status) => Err(format!("{what}: {}: {}", status.code, status.message)),
        Ok(()) => Err(format!("{what}: it passes")),
    }
}

#[tokio::test]
async fn whatever_is_not_named_is_refused() {
    let stage = everywhere("stolen").await;
    let policy = stage.admin.get("MfaPolicy", "mfa").await;
    // The operator leads, tells and remembers.
    stage.operator.create(lease(&stage, held(&by_pod(), 15))).await.expect("its own Lease");
    stage
        .operator
        .patch("Lease", &stage.namespace, json!({"spec": held("", 30)}))
        .await
        .expect("it gives it away");
    stage
        .operator
        .patch("Lease", &stage.namespace, json!({"spec": held(&by_pod(), 30)}))
        .await
        .expect("it takes it");
    let events = format!("/apis/events.k8s.io/v1/namespaces/{}/events", stage.namespace);
    let told = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "told"}, "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "mfa-operator", "reportingInstance": "x", "action": "Reconcile", "reason": "Ready", "type": "Normal",
        "regarding": {"kind": "MfaPolicy", "namespace": stage.namespace, "name": "mfa"},
    });
    stage.operator.send("POST", &events, &told).await.expect("its own Event");
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}},
    });
    stage
        .operator
        .send("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review)
        .await
        .expect("it may ask what it may");

    let rows: Vec<_> = [outside(&stage), leases(&stage), values(&stage), of_its_own(&stage, &policy)]
        .into_iter()
        .flatten()
        .collect();
    let distinct: BTreeSet<_> = rows.iter().map(|row| &row.what).collect();
    assert!(
        distinct.len() == rows.len() && rows.len() >= 60,
        "{} of {} are distinct",
        distinct.len(),
        rows.len()
    );
    let before = stage.admin.get("Deployment", "kratos").await["metadata"]["resourceVersion"].clone();
    let mut wrong = Vec::new();
    for Row { what, method, path, body, words } in &rows {
        wrong.extend(is_confined(what, stage.operator.send(method, path, body).await, words).err());
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    println!("{} writes refused", rows.len());
    assert_eq!(stage.admin.get("Deployment", "kratos").await["metadata"]["resourceVersion"], before);
    stage.operator.create(record(RECORD, &policy, data())).await.expect("what the operator remembers");
}

#[tokio::test]
async fn a_stolen_token_deletes_no_pod_but_a_stuck_one() {
    let stage = confined("pods").await;
    let level = json!({"name": WHOAMI, "value": "highest_available"});
    let running = |mut workload: Value, variable: Option<&Value>, grace: u32| {
        workload["spec"]["replicas"] = json!(1);
        let pod = &mut workload["spec"]["template"]["spec"];
        pod["terminationGracePeriodSeconds"] = json!(grace);
        pod["containers"][0]["env"].as_array_mut().expect("a list").extend(variable.cloned());
        workload
    };
    for workload in [
        running(stateful("kratos"), Some(&level), 30),
        running(stateful("foreign"), None, 30),
        running(stateful("pending"), Some(&level), 30),
        running(stateful("hasty"), Some(&level), 0),
        running(kratos("deployed"), Some(&level), 30),
    ] {
        stage.admin.create(workload).await.expect("the admin may");
    }
    let mut other = pod("of-others", &stage.namespace);
    other["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps.example.com/v1", "kind": "StatefulSet", "name": "x", "uid": "x", "controller": true}]);
    other["spec"]["containers"][0]["env"] = json!([level]);
    stage.admin.create(other).await.expect("the admin may");
    let mut deployed = String::new();
    stage
        .until("the pods are there", async || {
            let pods = stage.admin.list("Pod").await;
            let names: BTreeSet<_> = pods.iter().filter_map(|pod| pod["metadata"]["name"].as_str()).collect();
            deployed = names
                .iter()
                .find(|name| name.starts_with("deployed-"))
                .map_or_else(String::new, |name| (*name).into());
            let all =
                ["kratos-0", "foreign-0", "hasty-0", "pending-0"].iter().all(|name| names.contains(name))
                    && !deployed.is_empty();
            if all { Ok(()) } else { Err(format!("there are {names:?}")) }
        })
        .await;
    // To a node that there is not. A pod that is nowhere has nothing to end, and the API server lets it go at
    // once.
    for pod in ["kratos-0", "hasty-0"] {
        let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": {"kind": "Node", "name": "nowhere"}});
        let path = format!("/api/v1/namespaces/{}/pods/{pod}/binding", stage.namespace);
        stage.admin.send("POST", &path, &binding).await.expect("the admin may");
    }
    let ready = |status: &str| json!({"conditions": [{"type": "Ready", "status": status}]});
    stage.admin.patch_status("Pod", "kratos-0", ready("True")).await.expect("as the kubelet does");
    for (what, name) in [
        ("one that serves", "kratos-0"),
        ("one without a level of ours", "foreign-0"),
        ("one that would have no time to end", "hasty-0"),
        ("one of a Deployment", &*deployed),
        ("one of another kind of StatefulSet", "of-others"),
        ("one of nobody", POD),
    ] {
        is_confined(what, stage.operator.delete("Pod", name).await, PODS).expect("it is refused");
    }
    stage.admin.patch_status("Pod", "kratos-0", ready("False")).await.expect("as the kubelet does");
    is_confined("by force", stage.operator.delete_by_force("Pod", "kratos-0").await, PODS)
        .expect("it is refused");
    is_confined("all", stage.operator.delete_all("Pod").await, PODS).expect("it is refused");
    stage.operator.delete("Pod", "kratos-0").await.expect("it is stuck");
    stage.operator.delete("Pod", "pending-0").await.expect("it is nowhere");
}
