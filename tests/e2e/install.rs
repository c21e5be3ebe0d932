//! The chart by Helm 3 and Helm 4, for some namespaces and for all, and what an operator leaves when it goes.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::json;

use crate::cluster::{self, OPERATOR};
use crate::kratos::{AT_AAL1, STEP_UP};
use crate::readme;

/// Where the operator of the tests lives: on a cluster that has one already, Helm refuses a second.
pub const SYSTEM: &str = "e2e-system";

const NAMESPACE: &str = "e2e-handover";
const ELSEWHERE: &str = "e2e-elsewhere";
/// Goes when no operator is there to help.
pub const LEAVING: &str = "e2e-leaving";

/// The chart that is upgraded from; `testdata/README.md` says how it is made.
const PREVIOUS: &str = "tests/e2e/testdata/mfa-operator-0.1.0.tgz";

/// Both keys at their strict value.
pub fn strict() -> serde_json::Value {
    json!({"requiredAAL": {"settings": "highest_available", "whoami": "highest_available"}})
}

/// Removes what an earlier run left in a cluster that is still up.
pub fn begin(namespace: &str) {
    cluster::kubectl(&["delete", "namespace", namespace, "--ignore-not-found", "--timeout=420s"]);
}

/// Lets the pods of a test go that passed: every Kratos watches its files, and a machine allows few such
/// watches.
pub fn end(namespace: &str) {
    cluster::kubectl(&["delete", "namespace", namespace, "--wait=false"]);
}

fn pods() -> &'static OnceLock<BTreeSet<String>> {
    static PODS: OnceLock<BTreeSet<String>> = OnceLock::new();
    &PODS
}

/// The operator of the tests: one, for every namespace, installed by Helm 4 as the README says.
pub fn operator() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(readme::install_operator);
}

/// With a policy in force: the chart before this one, an upgrade, a rollback and the end, by Helm 3 for one
/// namespace and by Helm 4 for all. None of it rolls Kratos or takes back what it demands.
pub fn come_and_gone() {
    for namespace in [NAMESPACE, ELSEWHERE, LEAVING] {
        begin(namespace);
    }
    let _ = cluster::attempt("helm3", &["uninstall", OPERATOR, "--namespace", SYSTEM, "--wait"], None);
    cluster::kratos("helm3", NAMESPACE, 2, &[]);
    for namespace in [ELSEWHERE, LEAVING] {
        cluster::kubectl(&["create", "namespace", namespace]);
    }
    let person = cluster::service(NAMESPACE, "kratos-admin").create_person();
    let public = cluster::service(NAMESPACE, "kratos-public");
    let authenticator = public.enrol(&public.sign_in(&person));
    let session = public.sign_in(&person);
    assert_eq!(public.whoami(&session).verdict(), AT_AAL1);

    let served = format!("watchNamespaces={{{NAMESPACE}}}");
    cluster::operator_of(PREVIOUS, "helm3", SYSTEM, &["--set", &format!("namespaces={{{NAMESPACE}}}")]);
    cluster::apply(&cluster::policy(ELSEWHERE, "kratos", "kratos", &strict()));
    cluster::apply(&cluster::policy(NAMESPACE, "kratos", "kratos", &strict()));
    cluster::await_ready(NAMESPACE, "kratos");
    for door in cluster::doors(NAMESPACE, "kratos") {
        assert_eq!(door.whoami(&session).verdict(), STEP_UP, "{}", door.name);
    }
    public.step_up(&session, &authenticator);
    let before = cluster::uids(NAMESPACE, "kratos");

    let guarded = ["confinement", "weakening", "history"]
        .map(|policy| format!("admission.{policy}.enabled=true"))
        .join(",");
    cluster::operator("helm3", SYSTEM, &["--set", &served, "--set", &guarded]);
    assert_rights();
    cluster::await_ready(NAMESPACE, "kratos");
    assert_tested("helm3", NAMESPACE);
    let elsewhere = cluster::get(ELSEWHERE, "mfapolicy/kratos")["status"].clone();
    assert!(
        elsewhere["conditions"].is_null(),
        "a policy of a namespace that is not served is judged: {elsewhere}"
    );
    back_and_gone("helm3", &before);

    cluster::operator_of(PREVIOUS, "helm", SYSTEM, &[]);
    cluster::operator("helm", SYSTEM, &[]);
    cluster::apply(&asleep(LEAVING));
    cluster::apply(&cluster::policy(LEAVING, "kratos", "kratos", &strict()));
    cluster::await_ready(LEAVING, "kratos");
    assert_tested("helm", SYSTEM);
    back_and_gone("helm", &before);
    cluster::kubectl(&["delete", "namespace", LEAVING, "--timeout=60s"]);

    assert!(
        !cluster::get(NAMESPACE, "mfapolicy/kratos").is_null(),
        "uninstalling the operator deleted the policy"
    );
    let session = public.sign_in(&person);
    for door in cluster::doors(NAMESPACE, "kratos") {
        assert_eq!(door.whoami(&session).verdict(), STEP_UP, "{} after the operator is gone", door.name);
    }
    pods().get_or_init(|| before);
}

/// In namespaced mode it may do in the served namespace what it has to, and nothing elsewhere.
fn assert_rights() {
    let account = format!("--as=system:serviceaccount:{SYSTEM}:{OPERATOR}");
    let may = |verb: &str, resource: &str, namespace: &str| {
        cluster::attempt("kubectl", &["auth", "can-i", verb, resource, "-n", namespace, &account], None)
            .is_ok()
    };
    assert!(may("patch", "deployments.apps", NAMESPACE), "the Role of the served namespace");
    assert!(!may("patch", "deployments.apps", ELSEWHERE), "a right in a namespace that is not served");
    assert!(!may("get", "secrets", NAMESPACE), "a right to read Secrets");
    assert!(
        may("update", &format!("leases.coordination.k8s.io/{OPERATOR}"), SYSTEM),
        "the right to its Lease"
    );
    assert!(!may("update", "leases.coordination.k8s.io/other", SYSTEM), "a right to another's Lease");
}

/// `helm test` passes, in this namespace, and leaves nothing.
fn assert_tested(helm: &str, namespace: &str) {
    let told = cluster::run(helm, &["test", OPERATOR, "--namespace", SYSTEM, "--timeout", "420s"]);
    assert!(told.contains("Succeeded"), "{told}");
    let name = format!("{OPERATOR}-test");
    for (namespace, kind) in [
        (SYSTEM, "pod"),
        (SYSTEM, "serviceaccount"),
        (namespace, "role"),
        (namespace, "rolebinding"),
        (namespace, "deployment"),
        (namespace, "mfapolicy"),
    ] {
        assert!(
            cluster::get(namespace, &format!("{kind}/{name}")).is_null(),
            "{helm} test leaves the {kind} {name} in {namespace}"
        );
    }
}

/// Back to the chart before, and away.
fn back_and_gone(helm: &str, before: &BTreeSet<String>) {
    cluster::run(helm, &["rollback", OPERATOR, "1", "--namespace", SYSTEM, "--wait", "--timeout", "420s"]);
    cluster::await_ready(NAMESPACE, "kratos");
    cluster::run(helm, &["uninstall", OPERATOR, "--namespace", SYSTEM, "--wait"]);
    assert_eq!(
        &cluster::uids(NAMESPACE, "kratos"),
        before,
        "an upgrade, a rollback or the end of the operator rolled Kratos"
    );
}

/// A Kratos that is scaled to nothing.
fn asleep(namespace: &str) -> serde_json::Value {
    let labels = json!({"app": "kratos"});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "kratos", "namespace": namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "kratos", "image": "oryd/kratos:v1.3.1"}]}},
        },
    })
}

/// What an operator left is taken on by the next.
pub fn handover() {
    let Some(before) = pods().get() else {
        panic!("the test of what comes and goes has to run first, and pass")
    };
    operator();
    cluster::await_ready(NAMESPACE, "kratos");
    // It serves all namespaces: the other policy gets its status, too.
    cluster::await_condition(ELSEWHERE, "kratos", ("Accepted", "False", "TargetNotFound"));
    assert_eq!(&cluster::uids(NAMESPACE, "kratos"), before, "the next operator rolled Kratos");
    end(NAMESPACE);
    end(ELSEWHERE);
}
