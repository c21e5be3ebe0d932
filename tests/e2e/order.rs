//! Several targets of one policy: they roll in their order, and what holds one up holds up only those after
//! it.

use serde_json::{Value, json};

use crate::kratos::CODE_IS_FIRST_FACTOR;
use crate::levels::{self, NAMESPACE};
use crate::visitor::Visitor;
use crate::{cluster, install};

fn policy(name: &str, targets: &[String]) -> Value {
    let targets: Vec<_> = targets.iter().map(|target| json!({"name": target})).collect();
    // On a server that takes a code as first factor this one crashes, and holds those after it.
    let mut spec = cluster::code_as_second_factor(install::strict());
    spec["rollout"] = json!({"onFailure": "Hold"});
    cluster::policy_over(NAMESPACE, name, &json!(targets), &spec)
}

fn has_policy(deployment: &Value) -> bool {
    deployment["spec"]["template"]["spec"]["containers"][0]["env"].to_string().contains("REVISION")
}

/// The second one is touched when the first is done, and not before.
pub fn one_after_the_other() {
    levels::scene();
    let targets = ["order-1", "order-2"].map(String::from);
    for target in &targets {
        cluster::copy_of_kratos(NAMESPACE, target, 2, |deployment| {
            deployment["spec"]["minReadySeconds"] = json!(3)
        });
    }
    targets.iter().for_each(|target| drop(cluster::await_wanted(NAMESPACE, target)));
    let visitor = Visitor::of(NAMESPACE);
    cluster::apply(&policy("order", &targets));
    let (mut seen, mut was_done) = (0, false);
    cluster::until("the policy is ready", cluster::LONG, || {
        // The later one first: what it shows was so when the earlier one is read, which never goes back.
        let [second, first] =
            [1, 0].map(|index: usize| cluster::get(NAMESPACE, &format!("deployment/{}", targets[index])));
        let status = &first["status"];
        let done = has_policy(&first)
            && status["observedGeneration"] == first["metadata"]["generation"]
            && ["replicas", "updatedReplicas", "availableReplicas"].iter().all(|count| status[count] == 2);
        // A pod that misses a probe later takes nothing of that back.
        was_done |= done;
        assert!(was_done || !has_policy(&second), "the second rolls while the first is not done: {status}");
        seen += usize::from(has_policy(&first) && !was_done);
        match cluster::condition(NAMESPACE, "order", "Ready") {
            Some((ready, _)) if ready == "True" => Ok(()),
            other => Err(format!("Ready is {other:?}")),
        }
    });
    assert!(seen > 0, "the roll of the first one was never seen");
    for target in &targets {
        visitor.must_step_up("after both rolls", &cluster::doors(NAMESPACE, target));
        cluster::end_copy(NAMESPACE, target);
    }
    cluster::kubectl(&["-n", NAMESPACE, "delete", "mfapolicy", "order", "--wait=false"]);
}

/// What holds up the target in the middle.
pub struct Obstacle {
    pub name: &'static str,
    told: (&'static str, &'static str, &'static str),
    raise: fn(&str),
    clear: fn(&str),
}

pub const OBSTACLES: [Obstacle; 3] = [
    Obstacle {
        name: "missing",
        told: ("Accepted", "False", "TargetNotFound"),
        raise: |_| {},
        clear: |target| cluster::copy_of_kratos(NAMESPACE, target, 1, |_| {}),
    },
    Obstacle {
        name: "paused",
        told: ("RolledOut", "False", "TargetPaused"),
        raise: |target| {
            cluster::copy_of_kratos(NAMESPACE, target, 1, |deployment| {
                deployment["spec"]["paused"] = json!(true)
            })
        },
        clear: |target| {
            drop(cluster::kubectl(&["-n", NAMESPACE, "rollout", "resume", &format!("deployment/{target}")]))
        },
    },
    Obstacle {
        name: "failing",
        told: ("RolledOut", "False", "Crashing"),
        raise: |target| cluster::copy_of_kratos(NAMESPACE, target, 1, cluster::take_code_as_first_factor),
        clear: |target| {
            drop(cluster::kubectl(&[
                "-n",
                NAMESPACE,
                "set",
                "env",
                &format!("deployment/{target}"),
                &format!("{CODE_IS_FIRST_FACTOR}-"),
            ]))
        },
    },
];

pub fn held_up(obstacle: &Obstacle) {
    levels::scene();
    let name = obstacle.name;
    let targets = [1, 2, 3].map(|number| format!("{name}-{number}"));
    let [before, held, after] = &targets;
    for target in [before, after] {
        cluster::copy_of_kratos(NAMESPACE, target, 1, |_| {});
    }
    (obstacle.raise)(held);
    for target in [before, after] {
        cluster::await_wanted(NAMESPACE, target);
    }
    let visitor = Visitor::of(NAMESPACE);
    cluster::apply(&policy(name, &targets));
    cluster::await_told(NAMESPACE, name, obstacle.told, &[held]);
    let enforcing = cluster::await_pods(NAMESPACE, before, name).into_iter().map(|pod| pod.uid).collect();
    std::thread::sleep(cluster::REACTION);
    cluster::await_condition(NAMESPACE, name, obstacle.told);
    visitor.must_step_up("before the one that is held up", &cluster::doors(NAMESPACE, before));
    visitor.passes("after the one that is held up", &cluster::doors(NAMESPACE, after));

    (obstacle.clear)(held);
    cluster::await_ready(NAMESPACE, name);
    for target in &targets {
        visitor.must_step_up("when nothing is in the way any more", &cluster::doors(NAMESPACE, target));
    }
    assert_eq!(cluster::uids(NAMESPACE, before), enforcing, "the first one rolled again");
    targets.iter().for_each(|target| cluster::end_copy(NAMESPACE, target));
    cluster::kubectl(&["-n", NAMESPACE, "delete", "mfapolicy", name, "--wait=false"]);
}
