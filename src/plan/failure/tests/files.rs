//! What becomes of the file that targets share, and what is told of it.

use std::sync::Arc;

use super::*;
use crate::model::Answer;
use crate::plan::config_map::content;
use crate::plan::desired::Desired;
use crate::plan::input::TargetView;
use crate::plan::outcome::Plan;
use crate::plan::steps::{ConfigMapStep, WrittenFrom};
use crate::plan::testing::fixtures;
use crate::plan::testing::simulation::{self, Fare, wired};
use crate::policy::Delivery;
use crate::server::kratos::{Rendered, render};

fn by_file(mut spec: Value) -> Value {
    spec["delivery"] = json!({"type": "ConfigFile"});
    spec
}

fn all_wired(mut targets: Vec<TargetView>) -> Vec<TargetView> {
    for view in &mut targets {
        let wired = wired((**view.workload.as_ref().expect("a workload")).clone(), "mfa-mfa");
        view.workload = Some(Arc::new(wired));
    }
    targets
}

#[test]
fn a_target_that_is_added_and_fails_takes_the_file_from_none_that_was_good() {
    let mut all = all_wired(targets(2));
    let second = all.pop().expect("two");
    let mut observed = observed(vec![second]);
    edit(&mut observed, by_file(lax()));
    settle(&mut observed, ALL_LIVE);
    // Another one comes before it, and what is asked for now fails there.
    observed.targets.insert(0, all.pop().expect("one"));
    edit(&mut observed, by_file(strict()));
    settle(&mut observed, STRICT_FAILS);
    // Nothing was good on both: it is left as it is, and the one that was good keeps what it has.
    assert_eq!(told(&observed).0, Reason::Crashing);
    let decided = plan(&observed);
    assert!(matches!(decided.failure, Failure::None) && decided.failure.rolled_back().is_none());
    let file = &decided.targets[1].goal.desired.rendered;
    assert_eq!(file.overlay.required_levels().1, Some(Level::HighestAvailable), "and no empty file");
    assert_eq!(observed.config_maps[0].content.as_deref(), Some(&*content(file)));
}

/// Whether or not it is known that they have to answer something else.
#[test]
fn a_file_that_no_pod_has_read_is_not_good_yet() {
    for base in [Some(Vec::new().into()), None] {
        let mut observed = observed(all_wired(targets(1)));
        observed.targets[0].base = base;
        edit(&mut observed, by_file(lax()));
        settle(&mut observed, ALL_LIVE);
        let answers = |observed: &mut Observed, hash: &str| {
            let pods = observed.targets[0].pods.iter_mut().flatten();
            pods.for_each(|pod| pod.answer = Some(Answer::Hash(hash.into())));
        };
        let look = |observed: &mut Observed| {
            let decided = plan(observed);
            simulation::act(observed, &decided);
            let newest = &observed.records[0];
            newest.applied[0].good.iter().any(|good| **good == *newest.digest())
        };
        answers(&mut observed, "a");
        edit(
            &mut observed,
            by_file(json!({"requiredAAL": {"whoami": "aal1"}, "privilegedSessionMaxAge": "5m"})),
        );
        for _ in 0..3 {
            assert!(!look(&mut observed), "its pods answer what they did before");
        }
        answers(&mut observed, "b");
        assert!((0..3).any(|_| look(&mut observed)), "they have read it");
    }
}

#[test]
fn a_file_that_is_refused_after_another_was_is_told_like_it() {
    let mut observed = observed(all_wired(targets(1)));
    observed.targets[0].base = Some(Vec::new().into());
    edit(&mut observed, by_file(lax()));
    settle(&mut observed, ALL_LIVE);
    observed.targets[0].pods.iter_mut().flatten().for_each(|pod| pod.answer = Some(Answer::Hash("a".into())));
    let file = |observed: &Observed| observed.config_maps[0].content.clone();
    let good = file(&observed);
    // What the pods answer stays: they refuse one file after the other.
    for age in ["5m", "6m", "7m"] {
        let mut spec = with(strict(), "requiredAAL", json!({"whoami": "aal1"}));
        spec["privilegedSessionMaxAge"] = json!(age);
        edit(&mut observed, by_file(spec));
        for _ in 0..6 {
            let decided = plan(&observed);
            simulation::act(&mut observed, &decided);
            observed.now += 60_000;
        }
        let (reason, message, _) = told(&observed);
        assert_eq!(reason, Reason::RolledBack, "{age}: {message}");
        assert!(message.contains("the new file was not taken"), "{age}: {message}");
        assert_eq!(file(&observed), good, "{age}");
    }
}

/// Pods that do not take it refuse it for something else, and would not start without it either.
#[test]
fn a_file_that_no_server_could_refuse_stays_and_is_told() {
    let mut observed = observed(all_wired(targets(1)));
    observed.targets[0].base = Some(Vec::new().into());
    edit(&mut observed, by_file(lax()));
    settle(&mut observed, ALL_LIVE);
    observed.targets[0].pods.iter_mut().flatten().for_each(|pod| pod.answer = Some(Answer::Hash("a".into())));
    edit(&mut observed, by_file(with(lax(), "privilegedSessionMaxAge", json!("5m"))));
    for _ in 0..6 {
        let decided = plan(&observed);
        simulation::act(&mut observed, &decided);
        observed.now += 60_000;
    }
    let (_, message, status) = told(&observed);
    assert!(message.contains("has not taken the file"), "{message}");
    assert_eq!((status.failed_revision, status.targets[0].revision.clone()), (None, status.revision));
}

#[test]
fn where_one_that_runs_well_shares_the_file_nothing_goes_back() {
    let mut observed = observed(all_wired(targets(2)));
    edit(&mut observed, by_file(lax()));
    settle(&mut observed, ALL_LIVE);
    edit(&mut observed, by_file(strict()));
    let fare = |index: usize, _: &Desired| if index == 0 { Fare::Lives } else { Fare::Fails };
    for _ in 0..12 {
        let decided = plan(&observed);
        simulation::act(&mut observed, &decided);
        simulation::run_each(&mut observed, fare);
        observed.now += 20_000;
    }
    let (reason, message, status) = told(&observed);
    assert_eq!(reason, Reason::Crashing, "{message}");
    assert!(message.contains("Deployment kratos-0 shares the file and runs well on it"), "{message}");
    let levels: Vec<_> = status
        .targets
        .iter()
        .map(|target| target.required_aal.as_ref().expect("levels").whoami.clone())
        .collect();
    assert_eq!(
        levels,
        ["highest_available", "aal1"],
        "the old pods of the second have their level as a variable"
    );
}

#[test]
fn those_that_share_a_file_go_back_together() {
    let mut observed = observed(all_wired(targets(2)));
    edit(&mut observed, by_file(strict()));
    settle(&mut observed, STRICT_FAILS);
    let (reason, message, status) = told(&observed);
    assert_eq!(reason, Reason::RolledBack, "{message}");
    let empty = Rendered::nothing("mfa", Delivery::ConfigFile);
    assert_eq!(status.revision, Some(empty.revision.clone()), "the file is empty");
    assert!(empty.file.ends_with("\n{}\n"), "{}", empty.file);
    edit(&mut observed, by_file(lax()));
    settle(&mut observed, STRICT_FAILS);
    assert_eq!(told(&observed).0, Reason::Ready);
    let good = told(&observed).2.revision;
    edit(&mut observed, by_file(with(strict(), "privilegedSessionMaxAge", json!("5m"))));
    settle(&mut observed, STRICT_FAILS);
    assert_eq!((told(&observed).0, told(&observed).2.revision), (Reason::RolledBack, good));
}

pub fn is_drift(plan: &Plan) -> bool {
    let written = match &plan.config_map {
        Some(ConfigMapStep::Create { from } | ConfigMapStep::Repair { from, .. }) => *from,
        _ => return false,
    };
    written == WrittenFrom::Drift
}

#[test]
fn a_file_that_goes_back_by_our_own_hand_has_not_drifted() {
    let mut observed = observed(targets(2));
    edit(&mut observed, lax());
    settle(&mut observed, ALL_LIVE);
    // An edit that is taken back while the first target rolls, and one that no target has by then.
    for rounds in [1, 0] {
        edit(&mut observed, strict());
        for _ in 0..rounds {
            let decided = plan(&observed);
            simulation::act(&mut observed, &decided);
        }
        edit(&mut observed, lax());
        let decided = plan(&observed);
        assert!(!is_drift(&decided), "{:?}", decided.config_map);
        settle(&mut observed, ALL_LIVE);
    }
    // What somebody else writes has.
    observed.config_maps[0].content = Some("another".into());
    assert!(is_drift(&plan(&observed)));
    let strict = render(
        &observed.key.name,
        fixtures::record("kratos", 9, "highest_available").data.overlay.clone(),
        Delivery::Environment,
    );
    observed.config_maps[0].content = Some(content(&strict).into());
    assert!(is_drift(&plan(&observed)), "no target has that earlier revision any more");
}
