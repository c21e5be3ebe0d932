//! The chart as Helm renders it, and that what is said of its values is said everywhere. scripts/test-chart
//! runs this before a real API server judges the same manifests.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test reads files and runs programs"
)]

mod documented;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use documented::schema_of;
use serde::Deserialize as _;
use serde_json::{Value, json};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/mfa-operator");
/// The chart that people upgrade from.
const PREVIOUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/testdata/mfa-operator-0.1.0.tgz");
/// The name of every object of the release.
const NAME: &str = "operator-mfa-operator";

#[test]
fn every_value_is_documented_checked_and_used() {
    let values = documented::read(&read("values.yaml")).expect("values.yaml is in order");
    let mut schema: Value = serde_json::from_str(&read("values.schema.json")).expect("the schema is JSON");
    let templates: String =
        files(&Path::new(CHART).join("templates")).iter().map(|path| text(path)).collect();
    for value in values.iter().filter(|value| value.default.is_some()) {
        let name = value.name();
        // A group may say it, where nothing else is in it.
        let says = |path: &[String]| values.iter().any(|other| other.path == path && !other.words.is_empty());
        let group = &value.path[..value.path.len() - 1];
        let alone = values.iter().filter(|other| other.path.starts_with(group)).count() == 2;
        assert!(says(&value.path) || alone && says(group), "values.yaml: write above {name} what it means");
        assert!(schema_of(&mut schema, &value.path).is_some(), "values.schema.json: {name} is missing");
        let key = value.path.last().expect("a path has an end");
        assert!(templates.contains(&format!(".{key}")), "no template uses {name}");
    }
    let known: BTreeSet<_> = values.iter().map(documented::Documented::name).collect();
    let groups: BTreeSet<_> =
        values.iter().filter(|value| value.default.is_none()).map(documented::Documented::name).collect();
    for name in properties(&schema, "", &groups) {
        assert!(
            known.contains(&name) || name == "global",
            "values.yaml: {name} is missing, or not written as a block"
        );
    }
}

/// Names of values by the schema, as deep as values.yaml has groups.
fn properties(schema: &Value, prefix: &str, groups: &BTreeSet<String>) -> Vec<String> {
    let mut names = Vec::new();
    for (key, own) in schema["properties"].as_object().into_iter().flatten() {
        let name = format!("{prefix}{key}");
        if groups.contains(&name) {
            names.extend(properties(own, &format!("{name}."), groups));
        }
        names.push(name);
    }
    names
}

#[test]
fn the_schema_lets_no_unknown_name_pass() {
    fn walk(place: &str, schema: &Value) {
        let Some(fields) = schema.as_object() else { return };
        if schema["type"] == "object" && !place.ends_with("/global") {
            assert!(
                fields.contains_key("additionalProperties"),
                "values.schema.json{place}: say additionalProperties"
            );
        }
        for (key, inner) in fields {
            match inner {
                Value::Array(list) => list
                    .iter()
                    .enumerate()
                    .for_each(|(index, inner)| walk(&format!("{place}/{key}/{index}"), inner)),
                inner => walk(&format!("{place}/{key}"), inner),
            }
        }
    }
    let also = |list: &str, name: &str| json!({"admission": {"confinement": {list: ["team", name]}}});
    walk("", &serde_json::from_str(&read("values.schema.json")).expect("the schema is JSON"));
    for (wrong, word) in [
        (json!({"replica": 3}), "replica"),
        (json!({"rbac": {"deleteStuckPod": false}}), "deleteStuckPod"),
        (json!({"resources": {"limit": {"memory": "1Gi"}}}), "limit"),
        (json!({"resources": {"limits": {"memory": "1GB"}}}), "memory"),
        (
            json!({"affinity": {"podAntiAffinity": {"requiredDuringScheduling": []}}}),
            "requiredDuringScheduling",
        ),
        (json!({"tolerations": [{"efect": "NoSchedule"}]}), "efect"),
        (json!({"image": {"digest": "sha256:1"}}), "digest"),
        (json!({"watchNamespaces": ["Identity"]}), "watchNamespaces"),
        (json!({"namespaces": ["identity"]}), "namespaces"),
        (json!({"extraEnv": [{"name": "MFA_OPERATOR_LEASE", "value": ""}]}), "extraEnv"),
        (json!({"networkPolicy": {"metricsFrom": [{"podSelectr": {}}]}}), "podSelectr"),
        (json!({"serviceAccount": {"create": false}}), "serviceAccount.name"),
        (in_namespaces(&["a"], json!({"namespace": "b"})), "tests.namespace"),
        (json!({"admission": {"confinement": {"alsoLabels": ["team lead"]}}}), "alsoLabels"),
        (json!({"admission": {"confinement": {"alsoAnnotations": ["/"]}}}), "alsoAnnotations"),
        (also("alsoAnnotations", "mfa-operator.dev/allow"), "take out mfa-operator.dev/allow"),
        (also("alsoAnnotations", "mfa-operator.dev/"), "take out mfa-operator.dev/"),
        (also("alsoLabels", "mfa-operator.dev/policy"), "take out mfa-operator.dev/policy"),
        (
            json!({"service": {"enabled": false}, "monitoring": {"serviceMonitor": {"enabled": true}}}),
            "monitoring.serviceMonitor.enabled needs service.enabled",
        ),
    ] {
        let why = rendered(&wrong).expect_err(&format!("{wrong} is taken"));
        assert!(why.contains(word), "{wrong}: {why}");
    }
}

#[test]
fn the_output_depends_on_the_values_alone() {
    assert_eq!(rendered(&json!({})), rendered(&json!({})));
    for path in files(&Path::new(CHART).join("templates")) {
        let text = text(&path);
        for word in [
            "lookup",
            "rand",
            "now",
            "uuidv4",
            "genCA",
            "genSelfSignedCert",
            "genSignedCert",
            "genPrivateKey",
            "htpasswd",
            "bcrypt",
            "date",
        ] {
            let found = text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()).any(|action| {
                action
                    .split(|character: char| !character.is_alphanumeric())
                    .any(|part| part == word || part.starts_with("rand"))
            });
            assert!(!found, "{}: {word} makes another output each time", path.display());
        }
    }
}

#[test]
fn some_namespaces_and_no_right_elsewhere() {
    let objects = render(&in_namespaces(&["a", "b"], json!({})));
    let own = find(&objects, "ClusterRole", NAME);
    let definition = json!([{
        "apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"],
        "resourceNames": ["mfapolicies.mfa-operator.dev"], "verbs": ["get"],
    }, {
        "apiGroups": ["admissionregistration.k8s.io"], "resources": ["validatingadmissionpolicies", "validatingadmissionpolicybindings"],
        "resourceNames": [format!("{NAME}-weakening"), format!("{NAME}-history")], "verbs": ["get"],
    }]);
    assert_eq!(own["rules"], definition);
    let everywhere = render(&json!({}));
    let rules = find(&everywhere, "ClusterRole", NAME)["rules"].as_array().expect("rules")[2..].to_vec();
    for kind in ["Role", "RoleBinding"] {
        let places: Vec<_> = objects
            .iter()
            .filter(|object| object["kind"] == kind && object["metadata"]["name"] == NAME)
            .collect();
        assert_eq!(
            places.iter().map(|object| &object["metadata"]["namespace"]).collect::<Vec<_>>(),
            ["a", "b"],
            "{kind}"
        );
        for role in places.iter().filter(|_| kind == "Role") {
            assert_eq!(role["rules"], json!(rules), "it may do there what it else may do everywhere");
        }
        assert!(
            !everywhere.iter().any(|object| object["kind"] == kind && object["metadata"]["name"] == NAME),
            "{kind}"
        );
    }
    let bound: Vec<_> = objects.iter().filter(|object| object["kind"] == "ClusterRoleBinding").collect();
    assert_eq!(bound.len(), 1);
    assert_eq!(bound[0]["roleRef"]["name"], NAME);
    assert_eq!(variable(&objects, "MFA_OPERATOR_NAMESPACES"), "a,b");
}

/// With it go all policies.
#[test]
fn nobody_prunes_the_definition() {
    let objects = render(&json!({}));
    let kept = &find(&objects, "CustomResourceDefinition", "mfapolicies.mfa-operator.dev")["metadata"]["annotations"];
    assert_eq!(kept["helm.sh/resource-policy"], "keep");
    assert_eq!(kept["argocd.argoproj.io/sync-options"], "Prune=false");
}

#[test]
fn replicas_agree_by_a_lease_and_outlive_a_drain() {
    let objects = render(&json!({}));
    let (namespace, lease) = ("mfa-system", NAME);
    assert_eq!(find(&objects, "Deployment", NAME)["spec"]["replicas"], 2);
    assert_eq!(variable(&objects, "MFA_OPERATOR_LEASE"), format!("{namespace}/{lease}"));
    let role = find(&objects, "Role", "operator-mfa-operator-leader");
    assert_eq!(role["metadata"]["namespace"], namespace);
    let group = json!(["coordination.k8s.io"]);
    assert_eq!(
        role["rules"],
        json!([
            {"apiGroups": group, "resources": ["leases"], "verbs": ["create"]},
            {"apiGroups": group, "resources": ["leases"], "resourceNames": [lease], "verbs": ["get", "update"]},
        ])
    );
    let pod = &find(&objects, "Deployment", NAME)["spec"]["template"];
    for selector in [
        &find(&objects, "PodDisruptionBudget", NAME)["spec"]["selector"]["matchLabels"],
        &find(&objects, "Service", NAME)["spec"]["selector"],
        &pod["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ] {
        assert!(selects(selector, &pod["metadata"]["labels"]), "{selector}");
        let test = find(&objects, "Pod", "operator-mfa-operator-test");
        assert!(!selects(selector, &test["metadata"]["labels"]), "{selector} selects the pod of helm test");
    }
    for values in [json!({"replicas": 1}), json!({"podDisruptionBudget": {"enabled": false}})] {
        assert!(!render(&values).iter().any(|object| object["kind"] == "PodDisruptionBudget"), "{values}");
    }
}

#[test]
fn no_right_is_wide_and_that_to_delete_pods_can_go() {
    for values in ci() {
        let stuck = values["rbac"]["deleteStuckPods"] != false;
        let objects = render(&values);
        let mut deletes = false;
        for object in objects.iter().filter(|object| object["rules"].is_array()) {
            for rule in object["rules"].as_array().expect("a list") {
                let words = rule.to_string();
                assert!(
                    !words.contains('*') && !words.contains("secrets"),
                    "{}: {words}",
                    object["metadata"]["name"]
                );
                deletes |= words.contains("\"pods\"") && words.contains("\"delete\"");
            }
        }
        assert_eq!(deletes, stuck, "{values}");
    }
}

#[test]
fn helm_test_may_touch_its_own_objects_only() {
    let objects = render(&json!({}));
    let test = "operator-mfa-operator-test";
    for rule in find(&objects, "Role", test)["rules"].as_array().expect("rules") {
        assert!(rule["verbs"] == json!(["create"]) || rule["resourceNames"] == json!([test]), "{rule}");
    }
    for object in objects.iter().filter(|object| object["metadata"]["name"] == test) {
        let hook = &object["metadata"]["annotations"];
        assert_eq!(hook["helm.sh/hook"], "test", "{}", object["kind"]);
        assert_eq!(
            hook["helm.sh/hook-delete-policy"], "before-hook-creation,hook-succeeded",
            "{}",
            object["kind"]
        );
    }
    assert!(
        !render(&json!({"tests": {"enabled": false}}))
            .iter()
            .any(|object| object["metadata"]["name"] == test)
    );
}

#[test]
fn labels_of_all_objects_and_a_selector_that_never_changes() {
    for values in ci() {
        for object in render(&values) {
            let labels = &object["metadata"]["labels"];
            assert_eq!(labels["app.kubernetes.io/managed-by"], "Helm", "{}", object["kind"]);
            for (key, value) in values["commonLabels"].as_object().into_iter().flatten() {
                assert_eq!(&labels[key], value, "{} {}", object["kind"], object["metadata"]["name"]);
            }
        }
    }
    let selector = |objects: &[Value]| find(objects, "Deployment", NAME)["spec"]["selector"].clone();
    let crafted = render(
        &json!({"commonLabels": {"app.kubernetes.io/name": "other"}, "podLabels": {"app.kubernetes.io/instance": "other"}}),
    );
    let before = parse(&helm(PREVIOUS, &json!({})).expect("the chart before renders"));
    assert_eq!(
        selector(&crafted),
        selector(&before),
        "an upgrade would be refused: the selector of a Deployment cannot change"
    );
    let labels = &find(&crafted, "Deployment", NAME)["spec"]["template"]["metadata"]["labels"];
    assert!(selects(&selector(&crafted)["matchLabels"], labels), "{labels}");
}

/// Two clusters in one Prometheus have namespaces, jobs and policies of the same names.
#[test]
fn the_dashboard_shows_one_source_and_one_cluster_at_a_time() {
    let dashboard: Value = serde_json::from_str(&read("files/dashboard.json")).expect("it is JSON");
    let variables: Vec<_> =
        dashboard["templating"]["list"].as_array().expect("a list").iter().map(|one| &one["name"]).collect();
    assert_eq!(variables, ["datasource", "cluster"]);
    for panel in dashboard["panels"].as_array().expect("panels") {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        for target in panel["targets"].as_array().expect("queries") {
            let query = target["expr"].as_str().expect("a query");
            let metrics = query.matches("mfa_").count() + query.matches("process_").count();
            assert_eq!(query.matches("{cluster=\"$cluster\"").count(), metrics, "{query}");
        }
    }
}

/// A pod has addresses of IPv4, of IPv6, or of both, and is probed at any of them. Who scrapes gets no port
/// of the probes.
#[test]
fn it_listens_at_every_address_where_it_is_asked() {
    let values =
        json!({"networkPolicy": {"enabled": true}, "monitoring": {"serviceMonitor": {"enabled": true}}});
    let objects = render(&values);
    let container = &find(&objects, "Deployment", NAME)["spec"]["template"]["spec"]["containers"][0];
    for (port, name, listen) in
        [(0, "metrics", "MFA_OPERATOR_LISTEN"), (1, "probes", "MFA_OPERATOR_LISTEN_PROBES")]
    {
        let port = &container["ports"][port];
        assert_eq!(port["name"], name);
        assert_eq!(variable(&objects, listen), format!("[::]:{}", port["containerPort"]));
    }
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], "probes", "{probe}");
    }
    let service = &find(&objects, "Service", NAME)["spec"]["ports"];
    assert_eq!((&service[0]["targetPort"], service.as_array().map(Vec::len)), (&json!("metrics"), Some(1)));
    assert_eq!(find(&objects, "ServiceMonitor", NAME)["spec"]["endpoints"][0]["port"], service[0]["name"]);
    let ingress = &find(&objects, "NetworkPolicy", NAME)["spec"]["ingress"];
    assert_eq!(
        (&ingress[0]["ports"][0]["port"], ingress.as_array().map(Vec::len)),
        (&json!("metrics"), Some(1))
    );
}

#[test]
fn metrics_are_for_the_peers_that_are_named() {
    let from = |peers: &Value| {
        let objects = render(&json!({"networkPolicy": {"enabled": true, "metricsFrom": peers}}));
        let ingress = find(&objects, "NetworkPolicy", NAME)["spec"]["ingress"].clone();
        assert_eq!(ingress.as_array().map(Vec::len), Some(1), "another rule would let others in: {ingress}");
        ingress[0]["from"].clone()
    };
    let peers =
        json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]);
    assert_eq!(from(&peers), peers);
    assert_eq!(from(&json!([])), Value::Null, "everyone may");
}

#[test]
fn a_digest_wins_over_a_tag() {
    let digest = format!("sha256:{}", "0".repeat(64));
    for (image, expected) in [
        (json!({}), "docker.io/mfa-operator/mfa-operator:0.1.0".to_owned()),
        (json!({"tag": "1"}), "docker.io/mfa-operator/mfa-operator:1".to_owned()),
        (json!({"tag": "1", "digest": digest, "repository": "r:5000/x"}), format!("r:5000/x@{digest}")),
    ] {
        let objects = render(&json!({ "image": image }));
        assert_eq!(
            find(&objects, "Deployment", NAME)["spec"]["template"]["spec"]["containers"][0]["image"],
            expected
        );
        assert_eq!(
            find(&objects, "Pod", "operator-mfa-operator-test")["spec"]["containers"][0]["image"],
            expected
        );
    }
}

/// Nobody shall believe an admission policy to be there that is not.
#[test]
fn some_namespaces_and_every_admission_policy_is_spoken_of() {
    let policies = ["confinement", "weakening", "history"];
    let installed = |values: &Value, policy: &str| {
        let name = format!("{NAME}-{policy}");
        render(values).iter().any(|object| {
            object["kind"] == "ValidatingAdmissionPolicyBinding" && object["metadata"]["name"] == name
        })
    };
    for policy in policies {
        assert!(installed(&json!({}), policy), "{policy}: by default");
        let said = |enabled: Value| {
            let mut values = in_namespaces(&["a"], json!({}));
            values["admission"][policy]["enabled"] = enabled;
            values
        };
        let why = rendered(&said(Value::Null)).expect_err(policy);
        for word in
            [&format!("admission.{policy}.enabled"), "watchNamespaces", "true: it does", "false: it does not"]
        {
            assert!(why.contains(word), "{word} is missing in: {why}");
        }
        assert!(installed(&said(json!(true)), policy) && !installed(&said(json!(false)), policy), "{policy}");
    }
    let mut all = in_namespaces(&["a"], json!({}));
    all["admission"] = policies
        .into_iter()
        .map(|policy| (policy.to_owned(), json!({"enabled": true})))
        .collect::<serde_json::Map<_, _>>()
        .into();
    for object in render(&all).iter().filter(|object| object["kind"] == "ValidatingAdmissionPolicyBinding") {
        let spec = &object["spec"];
        assert_eq!(spec["validationActions"], json!(["Deny", "Audit"]));
        let everywhere = object["metadata"]["name"] == format!("{NAME}-confinement");
        assert_eq!(spec["matchResources"].is_null(), everywhere, "{spec}");
    }
}

/// Its duration is bounded by what the operator is told of it.
#[test]
fn the_lease_is_confined_to_twice_its_duration() {
    let limits = |seconds: &str| {
        let values = json!({"extraEnv": [{"name": "MFA_OPERATOR_LEASE_DURATION", "value": seconds}]});
        rendered(&values)
            .map(|objects| objects.contains(&format!("leaseDurationSeconds.orValue(0) <= {}", 60)))
    };
    assert!(rendered(&json!({})).expect("it renders").contains("leaseDurationSeconds.orValue(0) <= 30"));
    assert!(limits("30s").expect("it renders"));
    assert!(limits("1m").expect_err("no seconds").contains("MFA_OPERATOR_LEASE_DURATION in seconds"));
}

/// The values of each file in `ci/`.
fn ci() -> Vec<Value> {
    files(&Path::new(CHART).join("ci"))
        .iter()
        .map(|path| serde_yaml::from_str(&text(path)).expect("it is YAML"))
        .collect()
}

/// These namespaces alone, without the admission policies.
fn in_namespaces(names: &[&str], tests: Value) -> Value {
    let off = json!({"enabled": false});
    json!({"watchNamespaces": names, "tests": tests, "admission": {"confinement": off, "weakening": off, "history": off}})
}

fn selects(selector: &Value, labels: &Value) -> bool {
    let pairs: BTreeMap<_, _> = selector.as_object().expect("a selector").iter().collect();
    !pairs.is_empty() && pairs.into_iter().all(|(key, value)| &labels[key] == value)
}

fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// A variable of the operator.
fn variable(objects: &[Value], name: &str) -> String {
    let container = &find(objects, "Deployment", NAME)["spec"]["template"]["spec"]["containers"][0];
    let found = container["env"].as_array().expect("a list").iter().find(|variable| variable["name"] == name);
    found
        .and_then(|variable| variable["value"].as_str())
        .unwrap_or_else(|| panic!("there is no {name}"))
        .into()
}

fn render(values: &Value) -> Vec<Value> {
    parse(&rendered(values).unwrap_or_else(|complaint| panic!("{values}: {complaint}")))
}

fn rendered(values: &Value) -> Result<String, String> {
    helm(CHART, values)
}

fn parse(manifests: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(manifests)
        .map(|document| Value::deserialize(document).expect("it is YAML"));
    documents.filter(|document| !document.is_null()).collect()
}

/// What Helm 4 renders; that Helm 3 renders the same is for scripts/test-chart to say.
fn helm(chart: &str, values: &Value) -> Result<String, String> {
    static HELM: LazyLock<PathBuf> = LazyLock::new(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/build");
        let path =
            Command::new(script).args(["--path", "helm"]).output().expect("the test bed has its parts");
        Path::new(String::from_utf8(path.stdout).expect("a path is text").trim()).join("helm")
    });
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), values.to_string()).expect("a file can be written");
    let mut command = Command::new(&*HELM);
    command
        .args([
            "template",
            "operator",
            chart,
            "--namespace",
            "mfa-system",
            "--kube-version",
            "1.36.0",
            "--values",
        ])
        .arg(file.path());
    let output = command.output().expect("Helm runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("Helm writes text");
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

fn read(name: &str) -> String {
    text(&Path::new(CHART).join(name))
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of a folder and of those in it, by their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<_> = entries.map(|entry| entry.expect("it is readable").path()).collect();
    found.sort();
    found.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
