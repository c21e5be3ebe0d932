//! What targets keep while another one goes back, and what is told once.

use std::sync::Arc;

use super::*;
use crate::plan::desired::Desired;
use crate::plan::input::TargetView;
use crate::plan::testing::simulation::{self, Fare};

/// The first target runs well on what is asked, the second does not.
fn one_of_two() -> Observed {
    let mut observed = observed(targets(2));
    edit(&mut observed, lax());
    settle(&mut observed, ALL_LIVE);
    edit(&mut observed, strict());
    looks(&mut observed, |index, desired| {
        if index == 0 || whoami(desired) == Some(Level::Aal1) { Fare::Lives } else { Fare::Fails }
    });
    assert_eq!(levels(&observed), ["highest_available", "aal1"]);
    observed
}

fn looks(observed: &mut Observed, fare: impl Fn(usize, &Desired) -> Fare) {
    for _ in 0..16 {
        let decided = plan(observed);
        simulation::act(observed, &decided);
        simulation::run_each(observed, &fare);
        observed.now += 20_000;
    }
}

fn levels(observed: &Observed) -> Vec<String> {
    told(observed)
        .2
        .targets
        .iter()
        .map(|target| target.required_aal.as_ref().expect("levels").whoami.clone())
        .collect()
}

#[test]
fn one_that_came_anew_gets_what_it_kept() {
    let mut observed = one_of_two();
    let anew = targets(2).remove(0);
    let workload = Workload { uid: "anew".into(), ..(**anew.workload.as_ref().expect("a workload")).clone() };
    observed.targets[0] = TargetView { workload: Some(Arc::new(workload)), ..anew };
    looks(&mut observed, |_, _| Fare::Lives);
    assert_eq!(
        (told(&observed).0, levels(&observed)),
        (Reason::RolledBack, vec!["highest_available".into(), "aal1".to_owned()])
    );
}

#[test]
fn a_refused_edit_takes_it_from_none() {
    let mut observed = one_of_two();
    let before = revisions(&observed);
    edit(&mut observed, json!({"requiredAAL": {"whoami": "aal2"}}));
    assert!(observed.policy.as_ref().is_some_and(|policy| policy.spec.is_err()));
    looks(&mut observed, |_, _| Fare::Lives);
    assert_eq!(revisions(&observed), before);
    // What it keeps is in force: to switch it off needs its word.
    edit(&mut observed, json!({"requiredAAL": {"whoami": "aal1"}}));
    let told = observed.standing.rejections.iter().map(ToString::to_string).collect::<String>();
    assert!(told.contains("MethodSwitchedOff:code"), "{told}");
}

#[test]
fn what_a_target_keeps_it_goes_back_to() {
    let mut observed = one_of_two();
    let before = revisions(&observed);
    // The next one fails on both: each has what was good there.
    edit(
        &mut observed,
        with(
            strict(),
            "methods",
            json!({"code": {"mfaEnabled": true}, "webauthn": {"enabled": true, "rp": {"id": "example.com", "displayName": "Example"}}}),
        ),
    );
    let is_before = |desired: &Desired| before.iter().flatten().any(|own| *own == desired.rendered.revision);
    looks(&mut observed, |_, desired| if is_before(desired) { Fare::Lives } else { Fare::Fails });
    assert_eq!((told(&observed).0, revisions(&observed)), (Reason::RolledBack, before.clone()));
}

/// What was good last is weaker than what serves: that is left as it is.
#[test]
fn what_no_pod_that_serves_has_does_not_come_back() {
    let mut observed = observed(targets(1));
    edit(&mut observed, lax());
    settle(&mut observed, ALL_LIVE);
    edit(
        &mut observed,
        json!({"requiredAAL": {"whoami": "highest_available"}, "acknowledge": ["MethodSwitchedOff:code"]}),
    );
    // It never comes to its end, and its pods are the only ones.
    looks(&mut observed, |_, _| Fare::Alone);
    edit(&mut observed, strict());
    looks(&mut observed, |_, desired| {
        if desired.rendered.overlay.risky() == Default::default() { Fare::Alone } else { Fare::Fails }
    });
    let (reason, message, _) = told(&observed);
    assert_eq!(reason, Reason::Crashing, "{message}");
    assert!(message.contains("something else than what was good last"), "{message}");
}

/// A retry while the way back is refused by the cluster: one thing at a time is noted and counted.
#[test]
fn a_verdict_is_lifted_or_fallen_anew_and_never_both() {
    let mut observed = observed(targets(1));
    edit(&mut observed, lax());
    settle(&mut observed, ALL_LIVE);
    edit(&mut observed, strict());
    let refuse = |observed: &mut Observed| {
        let decided = plan(observed);
        let mut refused = plan(observed);
        refused.targets.iter_mut().for_each(|target| target.step = held());
        simulation::act(observed, if decided.failure.rolled_back().is_some() { &refused } else { &decided });
        simulation::run(observed, STRICT_FAILS);
        observed.now += 20_000;
        Some(decided.failure).filter(|failure| !matches!(failure, Failure::None | Failure::RolledBack(_)))
    };
    let rulings: Vec<_> = (0..6).filter_map(|_| refuse(&mut observed)).collect();
    assert!(
        matches!(rulings.as_slice(), [Failure::Detected(verdict)] if verdict.attempts == 1),
        "{rulings:?}"
    );
    Arc::make_mut(observed.policy.as_mut().expect("a policy")).retry = "again".into();
    let rulings: Vec<_> = (0..6).filter_map(|_| refuse(&mut observed)).collect();
    assert!(
        matches!(rulings.as_slice(), [Failure::Retrying(_), Failure::Detected(verdict)] if verdict.attempts == 2),
        "{rulings:?}"
    );
}

fn held() -> Step {
    Step::Held { reason: Reason::Progressing, message: String::new(), until: None }
}
