//! A variable of another spelling beats the policy on some pods: shown by what equal pods answer, told by the
//! policy, and over when it is gone.

use serde_json::json;

use crate::cluster::{self, Pod};
use crate::kratos::{AT_AAL1, STEP_UP, Session};
use crate::levels::{self, NAMESPACE};

const NAME: &str = "overridden";
const ALIAS: &str = "session_whoami_required_aal";
const PODS: u32 = 4;
/// In one of eight rounds all four pods happen to agree; in so many it is one of two million.
const ROUNDS: u32 = 7;

pub fn chance_decides_which_variable_counts() {
    levels::scene();
    let levels = json!({"requiredAAL": {"settings": "highest_available", "whoami": "highest_available"}});
    cluster::apply(&cluster::policy(NAMESPACE, NAME, NAME, &levels));
    cluster::copy_of_kratos(NAMESPACE, NAME, PODS, |deployment| {
        let env = &mut deployment["spec"]["template"]["spec"]["containers"][0]["env"];
        env.as_array_mut().expect("a list").push(json!({"name": ALIAS, "value": "aal1"}));
    });
    let told = ("Overridden", "True", "Overridden");
    cluster::await_told(
        NAMESPACE,
        NAME,
        told,
        &[&format!("env {ALIAS}"), "session.whoami.required_aal", "remove it"],
    );
    cluster::await_condition(NAMESPACE, NAME, ("Ready", "False", "Overridden"));

    let pods = settled();
    let person = cluster::service(NAMESPACE, "kratos-admin").create_person();
    let door = pods[0].door();
    door.enrol(&door.sign_in(&person));
    let session = door.sign_in(&person);
    let disagree = |pods: &[Pod]| {
        let answers = answers(pods, &session);
        assert!(answers.iter().all(|answer| [AT_AAL1, STEP_UP].contains(&answer.as_str())), "{answers:?}");
        answers.iter().any(|answer| answer != &answers[0])
    };
    let seen = disagree(&pods)
        || (1..ROUNDS).any(|_| {
            cluster::kubectl(&["-n", NAMESPACE, "rollout", "restart", &format!("deployment/{NAME}")]);
            disagree(&settled())
        });
    assert!(seen, "in {ROUNDS} rounds all {PODS} pods agreed each time");
    cluster::await_condition(NAMESPACE, NAME, ("Ready", "False", "Overridden"));

    cluster::kubectl(&["-n", NAMESPACE, "set", "env", &format!("deployment/{NAME}"), &format!("{ALIAS}-")]);
    cluster::await_ready(NAMESPACE, NAME);
    assert_eq!(cluster::condition(NAMESPACE, NAME, "Overridden"), None);
    assert_eq!(
        answers(&settled(), &session),
        [STEP_UP; PODS as usize],
        "without it all pods enforce the policy"
    );
    cluster::end_copy(NAMESPACE, NAME);
}

/// The pods when all of them are of the newest template.
fn settled() -> Vec<Pod> {
    cluster::kubectl(&[
        "-n",
        NAMESPACE,
        "rollout",
        "status",
        &format!("deployment/{NAME}"),
        "--timeout=180s",
    ]);
    cluster::await_pods(NAMESPACE, NAME, NAME)
}

/// What whoami of each pod says to somebody with a second factor who signed in by the password alone.
fn answers(pods: &[Pod], session: &Session) -> Vec<String> {
    pods.iter().map(|pod| pod.door().whoami(session).verdict()).collect()
}
