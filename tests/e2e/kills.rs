//! The operator killed at moments of rollouts and of rollbacks that nobody chose: whoever comes next goes on
//! from there.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::{self, LONG, OPERATOR};
use crate::install::SYSTEM;
use crate::levels::{self, NAMESPACE};
use crate::operator::{Operator, Options};
use crate::visitor::Visitor;

/// Kills in each rollout and in each rollback.
const KILLS: usize = 3;
/// A rollout takes about so long, and a rollback.
const ROLLOUT: u64 = 6_000;
const ROLLBACK: u64 = 25_000;

pub fn carried_on(rounds: u8) {
    let name = "killed";
    levels::scene();
    cluster::copy_of_kratos(NAMESPACE, name, 2, |workload| {
        cluster::take_code_as_first_factor(workload);
    });
    cluster::await_wanted(NAMESPACE, name);
    let visitor = Visitor::of(NAMESPACE);
    // Its pod would be restarted with growing pauses: a process of its own is back at once, with the same
    // rights.
    cluster::kubectl(&["-n", SYSTEM, "scale", "deployment", OPERATOR, "--replicas=0"]);
    cluster::kubectl(&[
        "-n",
        SYSTEM,
        "rollout",
        "status",
        &format!("deployment/{OPERATOR}"),
        "--timeout=60s",
    ]);
    // It has the account's name and no pod's token: the rule on that is as if it had one, meanwhile.
    let rule = of_any_pod("'mfa-operator'");
    let outcome = std::panic::catch_unwind(|| walk(name, rounds, &visitor));
    of_any_pod(&rule);
    cluster::kubectl(&["-n", SYSTEM, "scale", "deployment", OPERATOR, "--replicas=1"]);
    cluster::kubectl(&[
        "-n",
        SYSTEM,
        "rollout",
        "status",
        &format!("deployment/{OPERATOR}"),
        "--timeout=60s",
    ]);
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    cluster::end_copy(NAMESPACE, name);
}

/// Has the confinement find out by this expression which pod's token it is; returns by what it did before.
fn of_any_pod(expression: &str) -> String {
    let policy = format!("validatingadmissionpolicy/{OPERATOR}-confinement");
    let found = cluster::get(SYSTEM, &policy);
    let variables = found["spec"]["variables"].as_array().expect("it has variables");
    let index = variables.iter().position(|variable| variable["name"] == "pod").expect("it asks for the pod");
    let patch = json!([{"op": "replace", "path": format!("/spec/variables/{index}/expression"), "value": expression}]);
    cluster::kubectl(&["patch", &policy, "--type=json", "--patch", &patch.to_string()]);
    variables[index]["expression"].as_str().expect("an expression").to_owned()
}

fn walk(name: &str, rounds: u8, visitor: &Visitor) {
    let mut operator = Operator::start(Options {
        kubeconfig: std::env::var_os("KUBECONFIG").expect("the cluster's").into(),
        namespaces: vec![NAMESPACE.into()],
        user: format!("system:serviceaccount:{SYSTEM}:{OPERATOR}"),
        log_format: "text",
        log: "info,mfa_operator=debug",
        arguments: Vec::new(),
    });
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..rounds {
        let good = json!({
            "requiredAAL": {"settings": "highest_available", "whoami": "highest_available"},
            "privilegedSessionMaxAge": format!("{}m", 10 + round),
            "acknowledge": ["MethodSwitchedOff:code"],
        });
        apply(name, &good);
        killed(&mut operator, &mut dice, ROLLOUT);
        cluster::await_ready(NAMESPACE, name);
        let revision = settled(name);
        visitor.must_step_up("after a rollout", &cluster::doors(NAMESPACE, name));

        let fatal = cluster::code_as_second_factor(good);
        apply(name, &fatal);
        killed(&mut operator, &mut dice, ROLLBACK);
        cluster::await_condition(NAMESPACE, name, ("RolledOut", "False", "RolledBack"));
        assert_eq!(settled(name), revision, "round {round}: back at what was in force");
        visitor.must_step_up("after a rollback", &cluster::doors(NAMESPACE, name));
    }
    println!("{} kills survived", usize::from(rounds) * 2 * KILLS);
}

/// The same throws in each run (Marsaglia's xorshift).
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn apply(name: &str, spec: &Value) {
    cluster::apply(&cluster::policy(NAMESPACE, name, name, spec));
}

/// Within this span, at moments of the dice.
fn killed(operator: &mut Operator, dice: &mut Dice, span: u64) {
    let mut moments: Vec<_> = (0..KILLS).map(|_| Duration::from_millis(dice.throw() % span)).collect();
    moments.sort();
    let begun = Instant::now();
    for moment in moments {
        std::thread::sleep((begun + moment).saturating_duration_since(Instant::now()));
        operator.kill();
        operator.start_again();
    }
}

/// The revision that every pod has, once all are there and nothing rolls any more.
fn settled(name: &str) -> String {
    cluster::until("every pod has the revision in force", LONG, || {
        let wanted = cluster::get(NAMESPACE, &format!("mfapolicy/{name}"))["status"]["revision"]
            .as_str()
            .map(str::to_owned);
        let pods = cluster::pods(NAMESPACE, name);
        let all = pods.len() == 2
            && pods.iter().all(|pod| pod.ready && pod.variable("REVISION") == wanted.as_deref());
        if let Some(revision) = wanted.clone().filter(|_| all) {
            Ok(revision)
        } else {
            Err(format!("{wanted:?}, {pods:?}"))
        }
    })
}
