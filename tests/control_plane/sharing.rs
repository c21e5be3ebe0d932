//! Three policies for one workload, in every order in which they and the workload can come: exactly one
//! governs.

use std::time::Duration;

use serde_json::json;

use crate::objects::{enforces, env, generation, kratos, label, policy_with};
use crate::scene::{AFTER_THE_PAUSE, SOON, Scene};

const MAX_AGE: &str = "SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED_SESSION_MAX_AGE";

/// Everything happens to all orders at once, because the pause after a deletion is long.
struct Contest {
    workload: String,
    /// Names, oldest first. Their alphabetical order is another one in most contests.
    policies: Vec<String>,
    /// The same with the workload among them.
    order: Vec<String>,
}

const POLICIES: [&str; 3] = ["a", "b", "c"];

fn contests() -> Vec<Contest> {
    let mut orders: Vec<Vec<&str>> = vec![vec![]];
    for name in ["workload", "a", "b", "c"] {
        let inserted =
            |order: &Vec<&'static str>, place| [&order[..place], &[name], &order[place..]].concat();
        orders = orders
            .iter()
            .flat_map(|order| (0..=order.len()).map(move |place| inserted(order, place)))
            .collect();
    }
    let contest = |order: Vec<&str>| {
        let named = |name: &&str| format!("{}-{name}", order.concat().replace("workload", "w"));
        let policies = order.iter().filter(|name| POLICIES.contains(name)).map(named).collect();
        Contest { workload: named(&"workload"), policies, order: order.iter().map(named).collect() }
    };
    orders.into_iter().map(contest).collect()
}

impl Contest {
    /// The policy of this age governs, those after it wait and name it, and since it was created the
    /// workload changed this often.
    async fn is_held_by(&self, scene: &Scene, age: usize, settings: &str, changes: i64) {
        let governor = &self.policies[age];
        scene.until_condition_within(AFTER_THE_PAUSE, governor, "Ready", "True", "Ready").await;
        for waiting in &self.policies[age + 1..] {
            scene
                .until("those that wait name who governs", SOON, async || {
                    let message = scene.until_condition(waiting, "Accepted", "False", "TargetClaimed").await;
                    if message.contains(&format!("the policy {governor}:")) { Ok(()) } else { Err(message) }
                })
                .await;
        }
        let deployment = scene.deployment(&self.workload).await;
        enforces(&deployment).unwrap_or_else(|gap| panic!("{}: {gap}", self.workload));
        let held =
            (label(&deployment), env(&deployment, "kratos").remove(MAX_AGE), generation(&deployment) - 1);
        assert_eq!(
            held,
            (governor.clone(), Some(settings.into()), changes),
            "{} by its label, settings and changes",
            self.workload
        );
    }
}

#[tokio::test]
async fn of_three_in_any_order_the_first_governs_then_the_second() {
    let scene = Scene::start("three").await;
    let contests = contests();
    assert_eq!(contests.len(), 24);
    for round in 0..4 {
        for contest in &contests {
            let name = &contest.order[round];
            if *name == contest.workload {
                scene.create(kratos(name)).await;
            } else {
                scene
                    .create(policy_with(name, &[&contest.workload], json!({"privilegedSessionMaxAge": "5m"})))
                    .await;
            }
        }
        // Creation times have whole seconds.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
    for contest in &contests {
        contest.is_held_by(&scene, 0, "5m", 1).await;
    }
    // Only the edit of the one that governs reaches the workload.
    for contest in &contests {
        for (name, age) in contest.policies.iter().zip(["6m", "7m", "8m"]) {
            scene.edit("MfaPolicy", name, json!({"spec": {"privilegedSessionMaxAge": age}})).await;
        }
    }
    for contest in &contests {
        contest.is_held_by(&scene, 0, "6m", 2).await;
    }
    for contest in &contests {
        scene.delete("MfaPolicy", &contest.policies[0]).await;
    }
    for contest in &contests {
        // No revert between: that would be a change more.
        contest.is_held_by(&scene, 1, "7m", 3).await;
    }
    assert!(scene.events("Reverted").await.is_empty(), "they were handed on, not reverted");
}
