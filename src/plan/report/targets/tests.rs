//! What is told of pods that a selector finds beside those of the target.

use std::sync::Arc;

use crate::model::{Key, Selected, UnknownPods, Unreadable, Workload};
use crate::plan::input::Observed;
use crate::plan::plan;
use crate::plan::report::report;
use crate::plan::report::results::WriteResults;
use crate::plan::steps::Step;
use crate::plan::testing::fixtures::{edit, observed, targets, workload};
use crate::plan::testing::simulation::settle;

fn in_force() -> Observed {
    let mut observed = observed(targets(2));
    edit(
        &mut observed,
        serde_json::json!({"requiredAAL": {"settings": "highest_available", "whoami": "highest_available"}}),
    );
    settle(&mut observed, |_| true);
    observed
}

#[test]
fn pods_that_cannot_be_read_leave_the_levels_open() {
    let one = Arc::new(Unreadable {
        kind: "Pod",
        key: Key::new("identity", "kratos-1"),
        uid: "pod".into(),
        version: "9".into(),
        label: None,
        field: "spec".into(),
    });
    let cases = [
        (UnknownPods::One(one), "Unreadable", "field spec"),
        (UnknownPods::Forbidden, "Waiting", "grant"),
        (UnknownPods::TooMany, "Waiting", "labels that no other pods have"),
        (UnknownPods::MoreThanItsOwn, "Waiting", "get on replicasets"),
        (UnknownPods::Failed("etcd is slow".into()), "Waiting", "etcd is slow"),
    ];
    for (why, reason, to_do) in cases {
        let mut observed = in_force();
        observed.targets[0].selected = Selected::Unlisted(why);
        let plan = plan(&observed);
        assert!(
            !matches!(plan.targets[0].step, Step::Refused { .. }),
            "the workload itself is written all the same"
        );
        let (status, _) =
            report(&observed, observed.policy.as_ref().expect("a policy"), &plan, &WriteResults::default());
        assert_eq!((status.required_aal.map(|aal| aal.whoami), status.pods), (Some("Unknown".into()), None));
        let told = |type_: &str| {
            status.conditions.iter().find(|condition| condition.type_ == type_).expect("it is told")
        };
        for (type_, reason) in [("RolledOut", reason), ("Effective", "Unreachable"), ("Ready", reason)] {
            let told = told(type_);
            assert_eq!((&*told.status, &*told.reason), ("False", reason), "{type_}");
            assert!(
                told.message.starts_with("Deployment kratos-0: ") && told.message.contains(to_do),
                "{}",
                told.message
            );
        }
    }
}

#[test]
fn a_roll_under_way_says_why_its_pods_are_unknown() {
    let mut observed = in_force();
    observed.targets[0].selected = Selected::Unlisted(UnknownPods::Forbidden);
    let levels = serde_json::json!({"settings": "highest_available", "whoami": "highest_available"});
    edit(&mut observed, serde_json::json!({"requiredAAL": levels, "privilegedSessionMaxAge": "5m"}));
    let plan = plan(&observed);
    let (status, _) =
        report(&observed, observed.policy.as_ref().expect("a policy"), &plan, &WriteResults::default());
    let told = status.conditions.iter().find(|condition| condition.type_ == "RolledOut").expect("it is told");
    assert_eq!(told.reason, "Progressing");
    assert!(
        told.message.contains("available; Deployment kratos-0: the operator may not list pods"),
        "{}",
        told.message
    );
}

#[test]
fn what_was_not_looked_for_is_not_claimed() {
    let mut observed = in_force();
    observed.targets[0].selected = Selected::Unknown;
    let plan = plan(&observed);
    let (status, _) =
        report(&observed, observed.policy.as_ref().expect("a policy"), &plan, &WriteResults::default());
    assert_eq!(status.required_aal.map(|aal| aal.whoami), Some("Unknown".into()));
}

#[test]
fn what_is_known_by_name_is_claimed_and_told() {
    let mut observed = in_force();
    let told = |observed: &Observed| {
        report(
            observed,
            observed.policy.as_ref().expect("a policy"),
            &plan(observed),
            &WriteResults::default(),
        )
        .0
    };
    let advised = |observed: &Observed| {
        told(observed).advisories.into_iter().find(|advisory| advisory.type_ == "OwnersNotRead")
    };
    assert_eq!(advised(&observed), None);

    observed.targets[1].selected = Selected::OwnByName;
    let advice = advised(&observed).expect("it is given").message;
    assert!(advice.starts_with("Deployment kratos-1: ") && advice.contains("get on replicasets"), "{advice}");
    assert_eq!(told(&observed).required_aal.map(|aal| aal.whoami), Some("highest_available".into()));
}

#[test]
fn more_by_name_than_the_workload_has_are_not_its_own() {
    let more = |pods, workload: &Workload| match Selected::by_name(workload, pods) {
        Selected::OwnByName => false,
        selected => {
            assert_eq!(selected, Selected::Unlisted(UnknownPods::MoreThanItsOwn));
            true
        }
    };
    let settled = workload(2);
    assert!(!more(0, &settled) && !more(2, &settled) && more(3, &settled));
    let none = workload(0);
    assert!(!more(0, &none) && more(1, &none));
    let mut rolls = workload(2);
    (rolls.status.updated, rolls.status.total) = (1, 2);
    assert!(!more(3, &rolls) && more(4, &rolls), "one more by its surge");
    rolls.status.total = 5;
    assert!(!more(5, &rolls) && more(6, &rolls), "it is scaled down");
    let mut grows = workload(2);
    (grows.replicas, grows.generation) = (6, 3);
    assert!(!more(7, &grows) && more(8, &grows), "the count is about to follow");
}
