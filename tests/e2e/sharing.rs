//! Several policies over one workload: one governs it, and when that goes the next takes over in one roll.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::levels::{self, NAMESPACE};
use crate::visitor::Visitor;
use crate::{cluster, install};

const WORKLOAD: &str = "shared";
const AGE: &str = "SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED_SESSION_MAX_AGE";

/// The same levels, and an age that tells whose settings are in force.
fn policy(name: &str, age: &str) -> Value {
    let mut spec = install::strict();
    spec["privilegedSessionMaxAge"] = json!(age);
    cluster::policy(NAMESPACE, name, WORKLOAD, &spec)
}

fn claimed(policy: &str, by: &str) {
    cluster::await_told(
        NAMESPACE,
        policy,
        ("Ready", "False", "TargetClaimed"),
        &[&format!("the policy {by}:")],
    );
}

pub fn handed_on() {
    levels::scene();
    cluster::copy_of_kratos(NAMESPACE, WORKLOAD, 2, |_| {});
    cluster::await_wanted(NAMESPACE, WORKLOAD);
    let visitor = Visitor::of(NAMESPACE);
    let deployment = || cluster::get(NAMESPACE, &format!("deployment/{WORKLOAD}"));
    let generation = || deployment()["metadata"]["generation"].as_i64().unwrap_or_default();
    let ages = || {
        cluster::pods(NAMESPACE, WORKLOAD)
            .iter()
            .map(|pod| pod.variable(AGE).map(str::to_owned))
            .collect::<Vec<_>>()
    };

    cluster::apply(&policy("shared-1", "10m"));
    cluster::await_ready(NAMESPACE, "shared-1");
    for (number, age) in [(2, "20m"), (3, "30m")] {
        cluster::apply(&policy(&format!("shared-{number}"), age));
        claimed(&format!("shared-{number}"), "shared-1");
        // Creation times have whole seconds.
        std::thread::sleep(Duration::from_millis(1_100));
    }
    let (before, pods) = (generation(), cluster::uids(NAMESPACE, WORKLOAD));
    // One that waits may say what it likes.
    cluster::apply(&policy("shared-3", "35m"));
    claimed("shared-3", "shared-1");

    let public = cluster::service(NAMESPACE, &format!("{WORKLOAD}-public"));
    let gone = Instant::now();
    cluster::kubectl(&["-n", NAMESPACE, "delete", "mfapolicy", "shared-1"]);
    loop {
        let seen = (generation(), cluster::uids(NAMESPACE, WORKLOAD));
        // On a busy machine looking takes its time, too.
        if gone.elapsed() > Duration::from_secs(25) {
            break;
        }
        assert_eq!(seen, (before, pods.clone()), "changed after {:?}", gone.elapsed());
        visitor.must_step_up("while nobody governs", std::slice::from_ref(&public));
        std::thread::sleep(Duration::from_secs(1));
    }
    cluster::until("the next one is in force", cluster::LONG, || {
        visitor.must_step_up("while the next one takes over", std::slice::from_ref(&public));
        match cluster::condition(NAMESPACE, "shared-2", "Ready") {
            Some((ready, _)) if ready == "True" => Ok(()),
            other => Err(format!("{:?} after it is gone, Ready is {other:?}", gone.elapsed())),
        }
    });
    assert_eq!(ages(), [Some("20m".to_owned()), Some("20m".to_owned())], "the settings of the next one");
    assert_eq!(generation(), before + 1, "one roll, with no revert between");
    visitor.must_step_up("under the next one", &cluster::doors(NAMESPACE, WORKLOAD));
    claimed("shared-3", "shared-2");

    std::thread::sleep(cluster::REACTION);
    assert_eq!(generation(), before + 1, "the one that waits changed the workload");
    // The whole lot goes at once, so that nobody takes over.
    cluster::kubectl(&["-n", NAMESPACE, "delete", "mfapolicy", "shared-2", "shared-3", "--wait=false"]);
    cluster::end_copy(NAMESPACE, WORKLOAD);
}
