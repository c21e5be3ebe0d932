//! One apply is enough, and it rolls exactly when it must.

use serde_json::json;

use crate::cluster::{self, OPERATOR};
use crate::install::{self, SYSTEM, strict};
use crate::kratos::{AT_AAL1, AT_AAL2, PASSES, STEP_UP};

const NAMESPACE: &str = "e2e-rolls";

pub fn one_apply() {
    install::operator();
    install::begin(NAMESPACE);
    cluster::kratos("helm", NAMESPACE, 2, &[]);
    let public = cluster::service(NAMESPACE, "kratos-public");
    let person = cluster::service(NAMESPACE, "kratos-admin").create_person();
    let authenticator = public.enrol(&public.sign_in(&person));
    let session = public.sign_in(&person);
    for door in cluster::doors(NAMESPACE, "kratos") {
        assert_eq!(door.whoami(&session).verdict(), AT_AAL1, "{}", door.name);
        assert_eq!(door.settings(&session).verdict(), PASSES, "{}", door.name);
    }
    let mut policy = cluster::policy(NAMESPACE, "kratos", "kratos", &strict());
    let courier = cluster::get(NAMESPACE, "pod/kratos-courier-0")["metadata"]["uid"].clone();
    let before = cluster::uids(NAMESPACE, "kratos");
    cluster::apply(&policy);
    cluster::await_ready(NAMESPACE, "kratos");
    let governed = cluster::uids(NAMESPACE, "kratos");
    assert!(governed.is_disjoint(&before), "a pod from before the policy still runs");
    let enforced = |moment: &str| {
        let doors = cluster::doors(NAMESPACE, "kratos");
        for door in &doors {
            assert_eq!(door.whoami(&session).verdict(), STEP_UP, "{moment}: whoami at {}", door.name);
            assert_eq!(door.settings(&session).verdict(), STEP_UP, "{moment}: settings at {}", door.name);
        }
        doors.len() - 1
    };
    assert_eq!(enforced("after the policy"), 2);
    let status = cluster::get(NAMESPACE, "mfapolicy/kratos")["status"].clone();
    assert_eq!(
        status["requiredAAL"],
        json!({"settings": "highest_available", "whoami": "highest_available"})
    );
    assert_eq!(status["pods"], "2/2");
    shown_by_the_plugin(&status["revision"]);
    assert_eq!(
        cluster::get(NAMESPACE, "pod/kratos-courier-0")["metadata"]["uid"],
        courier,
        "the courier is no target"
    );

    let answers = if cluster::service(NAMESPACE, "kratos-admin").answers_the_revision() {
        "Confirmed"
    } else {
        "HashesAgree"
    };
    let proven = || cluster::await_condition(NAMESPACE, "kratos", ("Effective", "True", answers));
    proven();

    let unchanged = |what: &str| {
        std::thread::sleep(cluster::REACTION);
        cluster::await_ready(NAMESPACE, "kratos");
        proven();
        assert_eq!(cluster::uids(NAMESPACE, "kratos"), governed, "{what} rolled Kratos");
    };
    cluster::apply(&policy);
    unchanged("applying the same again");
    cluster::kubectl_line(&format!("-n {NAMESPACE} label mfapolicy/kratos team=security"));
    policy["metadata"]["annotations"] = json!({"note": "for the audit"});
    policy["spec"]["rollout"] = json!({"revisionHistoryLimit": 7});
    policy["spec"]["verification"] = json!({"mode": "Required", "port": "4434"});
    cluster::apply(&policy);
    unchanged("a label, an annotation, another history limit and a proof that is required");
    cluster::kubectl_line(&format!("-n {SYSTEM} delete pod -l app.kubernetes.io/name=mfa-operator --wait"));
    operator_is_back();
    unchanged("a restart of the operator");
    cluster::operator("helm", SYSTEM, &["--set", "logLevel=debug"]);
    operator_is_back();
    unchanged("an upgrade of the operator");

    cluster::kubectl_line(&format!("-n {NAMESPACE} scale deployment/kratos --replicas=3"));
    cluster::kubectl_line(&format!("-n {NAMESPACE} rollout status deployment/kratos --timeout=420s"));
    assert_eq!(enforced("after scaling up"), 3);
    proven();
    let pods = cluster::pods(NAMESPACE, "kratos");
    let nodes: std::collections::BTreeSet<_> = pods.iter().map(|pod| &pod.node).collect();
    assert!(nodes.len() > 1, "one node has all pods: {nodes:?}");
    assert!(governed.iter().all(|uid| pods.iter().any(|pod| &pod.uid == uid)), "scaling up rolled Kratos");
    public.step_up(&session, &authenticator);
    for door in cluster::doors(NAMESPACE, "kratos") {
        assert_eq!(door.whoami(&session).verdict(), AT_AAL2, "after the step-up at {}", door.name);
    }
    install::end(NAMESPACE);
}

/// `kubectl mfa` names the pods that run, where, and what they were started with.
fn shown_by_the_plugin(revision: &serde_json::Value) {
    let shown = cluster::run(
        env!("CARGO_BIN_EXE_mfa-operator"),
        &["mfa", "-n", NAMESPACE, "status", "kratos", "-o", "json"],
    );
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let told = shown["policies"][0]["targets"][0]["pods"].as_array().expect("pods may be read");
    let mut told: Vec<_> = told.iter().filter(|pod| pod["terminating"] == false).collect();
    told.sort_by_key(|pod| pod["name"].to_string());
    let mut pods = cluster::pods(NAMESPACE, "kratos");
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(told.len(), pods.len(), "{told:?}");
    for (told, pod) in told.iter().zip(&pods) {
        assert_eq!(
            (&told["name"], &told["node"], &told["ready"]),
            (&json!(pod.name), &json!(pod.node), &json!(true))
        );
        assert_eq!(&told["revision"], revision);
    }
}

fn operator_is_back() {
    cluster::kubectl_line(&format!("-n {SYSTEM} rollout status deployment/{OPERATOR} --timeout=420s"));
}
