//! The chart by Helm 3 and Helm 4, for some namespaces and for all, and what an operator leaves when it goes.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::json;

use crate::cluster::{self, OPERATOR};
use crate::kratos::{AT_AAL1, STEP_UP};

/// Where the operator of the tests lives: on a cluster that has one already, Helm refuses a second.
pub const SYSTEM: &str = "e2e-system";

const NAMESPACE: &str = "e2e-handover";
const ELSEWHERE: &str = "e2e-elsewhere";

/// Both keys at their strict value.
pub fn strict() -> serde_json::Value {
    json!({"requiredAAL": {"settings": "highest_available", "whoami": "highest_available"}})
}

/// Removes what an earlier run left in a cluster that is still up.
pub fn begin(namespace: &str) {
    cluster::kubectl(&["delete", "namespace", namespace, "--ignore-not-found", "--timeout=120s"]);
}

/// Lets the pods of a test go that passed: every Kratos watches its files, and a machine allows few such watches.
pub fn end(namespace: &str) {
    cluster::kubectl(&["delete", "namespace", namespace, "--wait=false"]);
}

fn pods() -> &'static OnceLock<BTreeSet<String>> {
    static PODS: OnceLock<BTreeSet<String>> = OnceLock::new();
    &PODS
}

/// The operator of the tests: one, for every namespace, installed by Helm 4.
pub fn operator() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| cluster::operator("helm", SYSTEM, &[]));
}

pub fn by_helm3() {
    for namespace in [NAMESPACE, ELSEWHERE] {
        begin(namespace);
    }
    let _ = cluster::attempt("helm3", &["uninstall", OPERATOR, "--namespace", SYSTEM, "--wait"], None);
    cluster::kratos("helm3", NAMESPACE, 2, &[]);
    cluster::kubectl(&["create", "namespace", ELSEWHERE]);
    let person = cluster::service(NAMESPACE, "kratos-admin").create_person();
    let public = cluster::service(NAMESPACE, "kratos-public");
    let authenticator = public.enrol(&public.sign_in(&person));
    let session = public.sign_in(&person);
    assert_eq!(public.whoami(&session).verdict(), AT_AAL1);

    cluster::operator("helm3", SYSTEM, &["--set", &format!("namespaces={{{NAMESPACE}}}")]);
    let account = format!("--as=system:serviceaccount:{SYSTEM}:{OPERATOR}");
    let may = |verb: &str, resource: &str, namespace: &str| {
        cluster::attempt("kubectl", &["auth", "can-i", verb, resource, "-n", namespace, &account], None).is_ok()
    };
    assert!(may("patch", "deployments.apps", NAMESPACE), "the Role of the served namespace");
    assert!(!may("patch", "deployments.apps", ELSEWHERE), "a right in a namespace that is not served");
    assert!(!may("get", "secrets", NAMESPACE), "a right to read Secrets");
    cluster::apply(&cluster::policy(ELSEWHERE, "kratos", "kratos", &strict()));
    cluster::apply(&cluster::policy(NAMESPACE, "kratos", "kratos", &strict()));
    cluster::await_ready(NAMESPACE, "kratos");
    for door in cluster::doors(NAMESPACE, "kratos") {
        assert_eq!(door.whoami(&session).verdict(), STEP_UP, "{}", door.name);
    }
    public.step_up(&session, &authenticator);
    let elsewhere = cluster::get(ELSEWHERE, "mfapolicy/kratos")["status"].clone();
    assert!(elsewhere["conditions"].is_null(), "a policy of a namespace that is not served is judged: {elsewhere}");

    let before = cluster::uids(NAMESPACE, "kratos");
    cluster::run("helm3", &["uninstall", OPERATOR, "--namespace", SYSTEM, "--wait"]);
    assert!(!cluster::get(NAMESPACE, "mfapolicy/kratos").is_null(), "uninstalling the operator deleted the policy");
    let session = public.sign_in(&person);
    for door in cluster::doors(NAMESPACE, "kratos") {
        assert_eq!(door.whoami(&session).verdict(), STEP_UP, "{} after the operator is gone", door.name);
    }
    assert_eq!(cluster::uids(NAMESPACE, "kratos"), before, "uninstalling the operator rolled Kratos");
    pods().get_or_init(|| before);
}

/// What the operator of Helm 3 left is taken on by that of Helm 4.
pub fn handover() {
    let Some(before) = pods().get() else { panic!("the test with Helm 3 has to run first, and pass") };
    operator();
    cluster::await_ready(NAMESPACE, "kratos");
    // It serves all namespaces: the other policy gets its status, too.
    cluster::await_condition(ELSEWHERE, "kratos", ("Accepted", "False", "TargetNotFound"));
    assert_eq!(&cluster::uids(NAMESPACE, "kratos"), before, "the next operator rolled Kratos");
    end(NAMESPACE);
    end(ELSEWHERE);
}
