//! Failures on a cluster of plain values, and what becomes of them.

mod files;
mod innocent;
mod kept;
mod retry;
mod stuck;

use std::sync::Arc;

use serde_json::{Value, json};
use smol_str::SmolStr;

use super::*;
use crate::api::{self, Reason};
use crate::model::{Millis, Workload};
use crate::plan::desired::Desired;
use crate::plan::failure::verdict::LONGEST_PAUSE;
use crate::plan::input::TargetView;
use crate::plan::plan;
use crate::plan::report::report;
use crate::plan::report::results::WriteResults;
use crate::plan::testing::fixtures::{self, edit, observed, stand, targets};
use crate::plan::testing::simulation::{Fate, settle};
use crate::policy::{Level, Rejection};

const HOUR: Millis = 3_600_000;

fn told(observed: &Observed) -> (Reason, String, api::MfaPolicyStatus) {
    let plan = plan(observed);
    let policy = observed.policy.clone().expect("a policy");
    let (status, _) = report(observed, &policy, &plan, &WriteResults::default());
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").expect("Ready");
    let reason = [
        Reason::Ready,
        Reason::RolledBack,
        Reason::Crashing,
        Reason::Waiting,
        Reason::Progressing,
        Reason::Suspended,
    ]
    .into_iter()
    .find(|reason| reason.as_str() == ready.reason);
    (reason.unwrap_or(Reason::Accepted), ready.message.clone(), status)
}

fn revisions(observed: &Observed) -> Vec<Option<String>> {
    told(observed).2.targets.into_iter().map(|target| target.revision).collect()
}

fn whoami(desired: &Desired) -> Option<Level> {
    desired.rendered.overlay.required_levels().1
}

const STRICT_FAILS: Fate = |desired| whoami(desired) != Some(Level::HighestAvailable);

const ALL_LIVE: Fate = |_| true;

fn lax() -> Value {
    json!({"requiredAAL": {"whoami": "aal1"}, "acknowledge": ["MethodSwitchedOff:code"]})
}

/// A higher level, together with what a server may not survive.
fn strict() -> Value {
    json!({"requiredAAL": {"whoami": "highest_available"}, "methods": {"code": {"mfaEnabled": true}}})
}

fn with(mut spec: Value, field: &str, value: Value) -> Value {
    spec[field] = value;
    spec
}

#[test]
fn what_fails_goes_back_to_the_last_good_revision_on_every_target() {
    let mut observed = observed(targets(3));
    edit(&mut observed, lax());
    settle(&mut observed, STRICT_FAILS);
    let good: Vec<_> = observed.targets.clone();
    let revisions_before = revisions(&observed);
    assert_eq!(told(&observed).0, Reason::Ready);
    edit(&mut observed, strict());
    // It fails on the second target only: the first has it by then.
    settle(&mut observed, |_| true);
    assert_eq!(told(&observed).0, Reason::Ready);
    edit(&mut observed, lax());
    settle(&mut observed, ALL_LIVE);
    edit(&mut observed, with(strict(), "privilegedSessionMaxAge", json!("5m")));
    settle(&mut observed, STRICT_FAILS);
    let (reason, message, status) = told(&observed);
    assert_eq!(reason, Reason::RolledBack, "{message}");
    assert!(message.contains("container kratos of pod new: CrashLoopBackOff, exit code 1"), "{message}");
    assert!(message.contains("mfa-operator.dev/retry"), "{message}");
    assert_eq!(revisions(&observed), revisions_before);
    assert_eq!(status.revision, revisions_before[0]);
    assert!(status.failed_revision.is_some() && status.failed_revision != status.revision);
    for (now, before) in observed.targets.iter().zip(good) {
        let fields = |view: &TargetView| {
            let workload = view.workload.clone().expect("a workload");
            (
                workload.containers.clone(),
                workload.own.env.clone(),
                workload.policy_label.clone(),
                workload.governed.clone(),
            )
        };
        assert_eq!(fields(now), fields(&before), "the end state is the last good state");
    }
    assert!(
        !plan(&observed).steps().any(|step| matches!(step, Step::Write { .. })),
        "a plan after it writes nothing"
    );
}

#[test]
fn a_forged_verdict_stands_no_longer_than_a_real_one() {
    let mut observed = observed(targets(1));
    edit(&mut observed, strict());
    settle(&mut observed, STRICT_FAILS);
    let digest = plan(&observed).digest;
    let real = noted(&observed, &digest).expect("it failed").clone();
    assert!(real.weaker && plan(&observed).failure.rolled_back().is_some());
    let mut stands = |since: Millis, attempts: u32| {
        let forged =
            FailedRevision { weaker: false, content: SmolStr::default(), since, attempts, ..real.clone() };
        let index = observed.records.iter().position(|record| record.digest() == digest).expect("its record");
        Arc::make_mut(&mut observed.records[index]).verdict = Some(forged);
        plan(&observed).failure.rolled_back().is_some()
    };
    assert!(!stands(0, 1), "that what is in force is weaker is seen, not read: it is tried again");
    assert!(!stands(real.since + 1_000 * HOUR, 1), "none is of the future");
    assert!(!stands(real.since - LONGEST_PAUSE, u32::MAX), "a day is the longest");
}

#[test]
fn one_that_runs_well_keeps_it_the_one_that_fails_goes_back_and_those_it_never_reached_stay() {
    let mut observed = observed(targets(3));
    edit(&mut observed, lax());
    settle(&mut observed, ALL_LIVE);
    edit(&mut observed, strict());
    // The first target takes it, the second fails.
    let mut order = Vec::new();
    for _ in 0..60 {
        let decided = plan(&observed);
        let writes: Vec<_> = decided
            .steps()
            .enumerate()
            .filter(|(_, step)| matches!(step, Step::Write { .. }))
            .map(|(index, _)| index)
            .collect();
        assert!(!files::is_drift(&decided), "nobody but us changed the file: {:?}", decided.config_map);
        order.extend(writes.into_iter().map(|index| (index, decided.failure.rolled_back().is_some())));
        crate::plan::testing::simulation::act(&mut observed, &decided);
        let first_has_it =
            observed.targets[0].workload.as_ref().is_some_and(|workload| crate::model::is_done(workload));
        crate::plan::testing::simulation::run(
            &mut observed,
            if first_has_it && order.len() > 1 { STRICT_FAILS } else { ALL_LIVE },
        );
        observed.now += 20_000;
    }
    assert_eq!(
        order,
        [(0, false), (1, false), (1, true)],
        "the first keeps it, and the third was never touched"
    );
    let (reason, message, status) = told(&observed);
    assert_eq!(reason, Reason::RolledBack);
    assert!(message.contains("Deployment kratos-0 runs well on it, and keeps it"), "{message}");
    let levels: Vec<_> = status
        .targets
        .iter()
        .map(|target| target.required_aal.as_ref().expect("levels").whoami.clone())
        .collect();
    assert_eq!(levels, ["highest_available", "aal1", "aal1"]);
}

#[test]
fn the_first_revision_of_all_goes_back_to_no_policy() {
    let mut observed = observed(targets(1));
    edit(&mut observed, strict());
    settle(&mut observed, STRICT_FAILS);
    let (reason, message, status) = told(&observed);
    assert_eq!(reason, Reason::RolledBack, "{message}");
    assert!(message.contains("the server's own configuration"), "{message}");
    assert_eq!(status.revision, None);
    let workload = observed.targets[0].workload.clone().expect("a workload");
    assert!(workload.own.env.is_empty() && workload.containers[0].env.is_empty());
    assert!(workload.own.policy_label, "it stays governed");
    assert!(
        !status.conditions.iter().any(|condition| condition.type_ == "Effective"),
        "there is nothing to prove"
    );
}

#[test]
fn what_stood_there_before_and_cannot_be_read_back_is_not_undone() {
    let mut observed = observed(targets(1));
    let mut workload = (*observed.targets[0].workload.clone().expect("a workload")).clone();
    workload.own.env = vec![("kratos".into(), "SELFSERVICE_METHODS_TOTP_ENABLED".into())].into();
    workload.containers = vec![fixtures::container(&[("SELFSERVICE_METHODS_TOTP_ENABLED", "false")])].into();
    observed.targets[0].workload = Some(Arc::new(workload));
    edit(&mut observed, strict());
    settle(&mut observed, STRICT_FAILS);
    let (reason, message, _) = told(&observed);
    assert_eq!(reason, Reason::Crashing, "{message}");
    assert!(message.contains("what stood there before is not known"), "{message}");
}

#[test]
fn hold_leaves_it_and_says_so() {
    let mut observed = observed(targets(1));
    let held = |mut spec: Value| {
        spec["rollout"] = json!({"onFailure": "Hold"});
        spec
    };
    edit(&mut observed, held(lax()));
    settle(&mut observed, STRICT_FAILS);
    edit(&mut observed, held(strict()));
    settle(&mut observed, STRICT_FAILS);
    let (reason, message, _) = told(&observed);
    assert_eq!(reason, Reason::Crashing);
    assert!(message.contains("onFailure is Hold"), "{message}");
    edit(&mut observed, strict());
    settle(&mut observed, STRICT_FAILS);
    assert_eq!(told(&observed).0, Reason::RolledBack, "the edit has it judged");
}

#[test]
fn a_refused_edit_keeps_no_failing_roll_from_going_back() {
    let mut observed = observed(targets(1));
    edit(&mut observed, lax());
    settle(&mut observed, ALL_LIVE);
    edit(&mut observed, strict());
    let decided = plan(&observed);
    crate::plan::testing::simulation::act(&mut observed, &decided);
    // What is asked for next is refused for what the target has: the failing one stays in force, and fails.
    Arc::make_mut(observed.policy.as_mut().expect("a policy")).generation += 1;
    stand(&mut observed);
    observed.standing.rejections =
        vec![Rejection { field: "spec.methods".into(), message: "Kratos refuses it".into() }];
    for _ in 0..10 {
        crate::plan::testing::simulation::run(&mut observed, STRICT_FAILS);
        observed.now += 20_000;
        let decided = plan(&observed);
        if matches!(decided.failure, Failure::Detected(_)) {
            return;
        }
        crate::plan::testing::simulation::act(&mut observed, &decided);
    }
    panic!("it is never judged: {}", told(&observed).1);
}

#[test]
fn nothing_is_weaker_than_aal1() {
    let mut observed = observed(targets(1));
    edit(&mut observed, with(strict(), "requiredAAL", json!({"whoami": "aal1"})));
    settle(&mut observed, |desired| whoami(desired).is_none());
    assert_eq!(told(&observed).0, Reason::RolledBack);
    assert_eq!(
        plan(&observed).failure.rolled_back().map(|verdict| verdict.weaker),
        Some(false),
        "no policy demands no less"
    );
}

#[test]
fn what_a_target_would_go_back_to_is_never_pruned() {
    let mut observed = observed(targets(1));
    let none_kept = |mut spec: Value| {
        spec["rollout"] = json!({"revisionHistoryLimit": 0});
        spec
    };
    edit(&mut observed, none_kept(lax()));
    settle(&mut observed, ALL_LIVE);
    edit(&mut observed, none_kept(strict()));
    settle(&mut observed, ALL_LIVE);
    assert_eq!(observed.records.len(), 2);
    assert_eq!(plan(&observed).prune, Vec::<SmolStr>::new());
}

#[test]
fn a_refused_edit_in_the_middle_brings_nothing_back_that_failed() {
    let mut observed = observed(targets(2));
    edit(&mut observed, lax());
    settle(&mut observed, STRICT_FAILS);
    let good = revisions(&observed);
    edit(&mut observed, strict());
    settle(&mut observed, STRICT_FAILS);
    edit(&mut observed, json!({"requiredAAL": {"whoami": "aal2"}}));
    assert!(observed.policy.as_ref().is_some_and(|policy| policy.spec.is_err()));
    settle(&mut observed, STRICT_FAILS);
    assert_eq!(revisions(&observed), good);
}

#[test]
fn every_change_of_the_level_is_kept_with_its_cause() {
    let mut observed = observed(targets(1));
    let mut seen = Vec::new();
    let mut look = |observed: &mut Observed, spec: Option<Value>, fate: Fate| {
        if let Some(spec) = spec {
            edit(observed, spec);
        }
        settle(observed, fate);
        let status = told(observed).2;
        let mut policy = (**observed.policy.as_ref().expect("a policy")).clone();
        policy.status.transitions =
            status.transitions.iter().filter_map(crate::plan::report::transitions::read).collect();
        observed.policy = Some(Arc::new(policy));
        seen = status
            .transitions
            .iter()
            .map(|last| (last.from.whoami.clone(), last.to.whoami.clone(), last.cause.clone()))
            .collect();
    };
    look(&mut observed, Some(lax()), ALL_LIVE);
    look(&mut observed, Some(strict()), ALL_LIVE);
    look(&mut observed, Some(lax()), ALL_LIVE);
    look(&mut observed, None, ALL_LIVE);
    let of = |from: &str, to: &str| (from.to_owned(), to.to_owned(), "Policy".to_owned());
    assert_eq!(
        seen,
        [of("Unknown", "aal1"), of("aal1", "highest_available"), of("highest_available", "aal1")]
    );
}

#[test]
fn a_target_that_cannot_be_had_holds_up_no_way_back() {
    let mut observed = observed(targets(2));
    edit(&mut observed, lax());
    settle(&mut observed, STRICT_FAILS);
    let good = revisions(&observed);
    observed.targets[1].workload = None;
    edit(&mut observed, strict());
    settle(&mut observed, STRICT_FAILS);
    assert!(told(&observed).2.failed_revision.is_some());
    assert_eq!(revisions(&observed)[0], good[0], "the first one went back");
}

#[test]
fn one_that_came_anew_while_a_verdict_stands_gets_what_the_others_have() {
    let mut observed = observed(targets(1));
    edit(&mut observed, lax());
    settle(&mut observed, STRICT_FAILS);
    let good = revisions(&observed);
    edit(&mut observed, strict());
    settle(&mut observed, STRICT_FAILS);
    observed.targets[0] = TargetView { history: Default::default(), ..targets(1).remove(0) };
    let anew = Workload {
        uid: "anew".into(),
        ..(**observed.targets[0].workload.as_ref().expect("a workload")).clone()
    };
    observed.targets[0].workload = Some(Arc::new(anew));
    settle(&mut observed, STRICT_FAILS);
    assert_eq!(revisions(&observed), good);
}

#[test]
fn what_its_owner_keeps_back_is_never_judged() {
    let held: [fn(&mut Workload); 3] = [
        |workload| workload.paused = true,
        |workload| workload.update = crate::model::UpdateStrategy::OnDelete,
        |workload| workload.update = crate::model::UpdateStrategy::Partition(1),
    ];
    for hold in held {
        let mut observed = observed(targets(1));
        edit(&mut observed, lax());
        settle(&mut observed, STRICT_FAILS);
        let mut workload = (**observed.targets[0].workload.as_ref().expect("a workload")).clone();
        hold(&mut workload);
        observed.targets[0].workload = Some(Arc::new(workload));
        edit(&mut observed, strict());
        settle(&mut observed, STRICT_FAILS);
        assert!(plan(&observed).failure.rolled_back().is_none());
        assert_ne!(told(&observed).0, Reason::RolledBack);
    }
}

#[test]
fn what_is_tried_again_counts_as_in_force_while_a_mistake_is_made() {
    let mut observed = observed(targets(1));
    edit(&mut observed, lax());
    settle(&mut observed, STRICT_FAILS);
    edit(&mut observed, strict());
    settle(&mut observed, STRICT_FAILS);
    Arc::make_mut(observed.policy.as_mut().expect("a policy")).retry = "again".into();
    // It is tried again, and somebody mistypes the next edit before it is seen done.
    let decided = plan(&observed);
    assert!(matches!(decided.failure, Failure::Retrying(_)));
    crate::plan::testing::simulation::act(&mut observed, &decided);
    let tried = revisions(&observed);
    edit(&mut observed, json!({"requiredAAL": {"whoami": "aal2"}}));
    settle(&mut observed, ALL_LIVE);
    assert_eq!(revisions(&observed), tried, "nothing that is in force is undone");
}

#[test]
fn a_suspended_policy_notes_nothing_of_a_verdict() {
    let mut observed = observed(targets(1));
    edit(&mut observed, lax());
    settle(&mut observed, STRICT_FAILS);
    edit(&mut observed, strict());
    settle(&mut observed, STRICT_FAILS);
    let policy = Arc::make_mut(observed.policy.as_mut().expect("a policy"));
    (policy.suspend, policy.generation) = (true, policy.generation + 1);
    let decided = plan(&observed);
    assert!(matches!(decided.failure, Failure::None));
}

#[test]
fn what_stood_there_is_noted_before_it_is_written_over() {
    let mut observed = observed(targets(1));
    edit(&mut observed, strict());
    let noted = crate::plan::history::applied::applied_before(&observed, &plan(&observed));
    assert_eq!(
        noted.iter().map(|entry| (entry.before, entry.record.as_str())).collect::<Vec<_>>(),
        [(crate::model::Before::Nothing, "")]
    );
}

#[test]
fn a_target_that_is_refused_is_told_by_what_it_runs() {
    let mut observed = observed(targets(1));
    edit(&mut observed, strict());
    settle(&mut observed, ALL_LIVE);
    let before = told(&observed).2;
    let mut workload = (**observed.targets[0].workload.as_ref().expect("a workload")).clone();
    workload.containers[0].image = "registry.example.com/mirror/identity:1".into();
    observed.targets[0].workload = Some(Arc::new(workload));
    let after = told(&observed).2;
    let accepted = after.conditions.iter().find(|condition| condition.type_ == "Accepted").expect("Accepted");
    assert_eq!(accepted.reason, "NotKratos");
    assert_eq!(
        (after.required_aal, after.transitions),
        (before.required_aal, before.transitions),
        "its pods are the same"
    );
    observed.targets[0].holder = Some("another".into());
    assert_eq!(
        told(&observed).2.required_aal.expect("a level").whoami,
        "Unknown",
        "of another policy's target that one tells"
    );
}
