//! Faults that take the whole cluster with them, so that no other test runs beside these: a node that takes
//! no pods, one that is cut off or lost in the middle of a roll, a database that hangs.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::cluster;
use crate::install::strict;
use crate::levels::{self, NAMESPACE};
use crate::visitor::Visitor;
use crate::waiting::never_undone;

/// A copy of Kratos whose roll takes a while, and a policy over it with little patience.
fn scene(name: &str) -> (Visitor, serde_json::Value) {
    levels::scene();
    cluster::copy_of_kratos(NAMESPACE, name, 2, |deployment| {
        deployment["spec"]["minReadySeconds"] = json!(8);
        // A node that comes back is not waited for.
        deployment["spec"]["strategy"] = json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    });
    cluster::await_wanted(NAMESPACE, name);
    let mut policy = cluster::policy(NAMESPACE, name, name, &strict());
    policy["spec"]["rollout"] = json!({"progressTimeout": "20s"});
    (Visitor::of(NAMESPACE), policy)
}

/// Once the first pod of the roll is there.
fn in_the_middle(name: &str) {
    cluster::until("the roll is under way", cluster::LONG, || {
        let pods = cluster::pods(NAMESPACE, name);
        if pods.iter().any(|pod| pod.variable("REVISION").is_some()) {
            Ok(())
        } else {
            Err(format!("{pods:?}"))
        }
    });
}

/// For some time, whatever is told is no rollback.
fn is_left_alone(name: &str, span: Duration) {
    let end = std::time::Instant::now() + span;
    while std::time::Instant::now() < end {
        let reason = cluster::condition(NAMESPACE, name, "RolledOut").map(|(_, reason)| reason);
        assert!(!matches!(reason.as_deref(), Some("RolledBack" | "Crashing")), "{reason:?}");
        std::thread::sleep(Duration::from_secs(1));
    }
    never_undone(name);
}

fn goes_on(name: &str, visitor: &Visitor) {
    cluster::await_ready(NAMESPACE, name);
    visitor.must_step_up("when it is over", &cluster::doors(NAMESPACE, name));
    never_undone(name);
    cluster::end_copy(NAMESPACE, name);
}

pub fn cordoned() {
    let name = "cordoned";
    let (visitor, policy) = scene(name);
    let nodes: Vec<String> =
        cluster::kubectl(&["get", "nodes", "-o", "name"]).lines().map(str::to_owned).collect();
    nodes.iter().for_each(|node| drop(cluster::kubectl(&["cordon", node])));
    cluster::apply(&policy);
    let told = std::panic::catch_unwind(|| {
        cluster::await_told(NAMESPACE, name, ("RolledOut", "False", "Waiting"), &["not scheduled"]);
        is_left_alone(name, Duration::from_secs(25));
    });
    nodes.iter().for_each(|node| drop(cluster::kubectl(&["uncordon", node])));
    told.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    goes_on(name, &visitor);
}

pub fn cut_off() {
    let name = "cut-off";
    let (visitor, policy) = scene(name);
    cluster::apply(&policy);
    in_the_middle(name);
    by_hand("cut node-1");
    let told = std::panic::catch_unwind(|| is_left_alone(name, Duration::from_secs(50)));
    by_hand("heal node-1");
    told.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    cluster::until("the node is back", cluster::LONG, || {
        let nodes = cluster::kubectl(&["get", "nodes", "--no-headers"]);
        if nodes.contains("NotReady") { Err(nodes) } else { Ok(()) }
    });
    goes_on(name, &visitor);
}

/// Has something done to a node that can only be done from outside of the cluster.
fn by_hand(what: &str) {
    let hand = std::env::var("MFA_OPERATOR_HAND").expect("scripts/in-cluster gives a hand");
    std::fs::write(&hand, format!("{what}\n")).expect("the pipe takes it");
    let answer = std::fs::read_to_string(format!("{hand}.done")).expect("the pipe answers");
    assert_eq!(answer.trim(), "done", "{what}");
}

/// Its pods and what ran in them are gone with it.
pub fn lost() {
    let name = "lost";
    let (visitor, policy) = scene(name);
    cluster::apply(&policy);
    in_the_middle(name);
    by_hand("lose node-1");
    let told = std::panic::catch_unwind(|| is_left_alone(name, Duration::from_secs(50)));
    by_hand("join node-1");
    told.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    goes_on(name, &visitor);
}

/// Every process of the database.
fn database(signal: &str) {
    let status = Command::new("pkill").args([signal, "-u", "postgres"]).status().expect("pkill runs");
    assert!(status.success(), "no process of the database was there");
}

pub fn database_away() {
    let name = "no-database";
    let (visitor, policy) = scene(name);
    database("-STOP");
    let told = std::panic::catch_unwind(|| {
        cluster::apply(&policy);
        cluster::await_told(
            NAMESPACE,
            name,
            ("RolledOut", "False", "Waiting"),
            &["its database may be away"],
        );
        is_left_alone(name, Duration::from_secs(25));
    });
    database("-CONT");
    told.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    goes_on(name, &visitor);
}
