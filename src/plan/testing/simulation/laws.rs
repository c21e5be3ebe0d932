//! What holds after any edits, whichever of them the pods survive.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::FailedRevision;
use crate::plan::desired::in_force::Standing;
use crate::plan::input::TargetView;
use crate::plan::report::running_levels::running_levels;
use crate::plan::testing::fixtures::{edit, observed, targets};
use crate::policy::{Delivery, Level};
use crate::server::kratos::{Overlay, REVISION};

#[derive(Clone, Debug)]
struct Edit {
    whoami: &'static str,
    minutes: u8,
    /// Off where it is false: it keeps no server from starting.
    totp: bool,
    risk: Risk,
    by_file: bool,
}

/// What a server may fail to start over, and with keys does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Risk {
    None,
    Code,
    Keys,
}

const SOUND: Fate = |desired| !names(&desired.rendered.overlay).contains("webauthn");

fn edits(most: usize) -> impl Strategy<Value = Vec<Edit>> {
    let risk = prop_oneof![Just(Risk::None), Just(Risk::Code), Just(Risk::Keys)];
    let one = (
        prop_oneof![Just("aal1"), Just("highest_available")],
        1..5_u8,
        any::<bool>(),
        risk,
        prop::bool::weighted(0.2),
    );
    let edit = |(whoami, minutes, totp, risk, by_file)| Edit { whoami, minutes, totp, risk, by_file };
    prop::collection::vec(one.prop_map(edit), 1..most)
}

fn spec(edit: &Edit) -> Value {
    let delivery = if edit.by_file { "ConfigFile" } else { "Environment" };
    let mut methods = json!({"totp": {"enabled": edit.totp}});
    match edit.risk {
        Risk::None => {}
        Risk::Code => methods["code"] = json!({"mfaEnabled": true}),
        Risk::Keys => {
            methods["webauthn"] =
                json!({"enabled": true, "rp": {"id": "example.com", "displayName": "Example"}})
        }
    }
    json!({
        "requiredAAL": {"whoami": edit.whoami},
        "privilegedSessionMaxAge": format!("{}m", edit.minutes),
        "methods": methods,
        "delivery": {"type": delivery},
        "acknowledge": ["MethodSwitchedOff:code", "MethodSwitchedOff:totp", "MethodSwitchedOff:webauthn", "RelyingPartyChanged:none"],
    })
}

fn wired_targets(number: usize) -> Observed {
    let mut observed = observed(targets(number));
    for view in &mut observed.targets {
        let wired = wired((**view.workload.as_ref().expect("a workload")).clone(), "mfa-mfa");
        view.workload = Some(Arc::new(wired));
    }
    observed
}

fn verdict(observed: &Observed) -> Option<FailedRevision> {
    plan(observed).failure.rolled_back().cloned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn it_comes_to_rest_and_what_is_in_force_survives(number in 1..4_usize, edits in edits(6)) {
        let mut observed = wired_targets(number);
        let mut last_good: Vec<Option<String>> = vec![None; number];
        for one in &edits {
            // What running pods make of a file is not simulated: every one of theirs survives.
            let one = &Edit { risk: if one.by_file { Risk::Code } else { one.risk }, ..one.clone() };
            edit(&mut observed, spec(one));
            let at_rest = settle(&mut observed, SOUND);
            // A plan after apply is empty.
            let writes = at_rest.steps().any(|step| matches!(step, Step::Write { .. }));
            prop_assert!(!writes && matches!(at_rest.failure, Failure::None | Failure::RolledBack(_)) && at_rest.record.is_none() && at_rest.config_map.is_none(), "{at_rest:#?}");
            let fails = one.risk == Risk::Keys;
            prop_assert!(verdict(&observed).is_none() || fails);
            for (index, Planned { view, goal, .. }) in at_rest.over(&observed.targets).enumerate() {
                let workload = view.workload.as_ref().expect("a workload");
                prop_assert!(crate::model::is_done(workload), "a pod does not run");
                let asked = *goal.digest() == *at_rest.digest;
                if asked {
                    last_good[index] = Some(goal.desired.rendered.revision.clone());
                } else if !one.by_file && goal.desired.rendered.delivery == Delivery::Environment {
                    // A rollback's end state is the last good state.
                    let now = (!goal.digest().is_empty()).then(|| goal.desired.rendered.revision.clone());
                    prop_assert_eq!(now, last_good[index].clone());
                }
            }
            // What is noted is enough to go on from.
            let again = Observed { standing: Standing::default(), ..observed.clone() };
            let workloads: Vec<_> = again.targets.iter().filter_map(|view| view.workload.clone()).collect();
            let policy = again.policy.clone().expect("a policy");
            let standing = Standing::of(&policy, &again.records, workloads.iter().map(|workload| &**workload));
            let restarted = Observed { standing, ..again };
            prop_assert!(!plan(&restarted).steps().any(|step| matches!(step, Step::Write { .. })), "a restart writes");
        }
    }

    /// Whoever makes new pods fail, on whichever targets and for however long, lowers nothing and takes no
    /// factor away: only the spec does.
    #[test]
    fn nothing_but_the_spec_lowers_a_level_or_takes_a_factor_away(number in 1..4_usize, moves in prop::collection::vec(moves(), 1..12)) {
        let mut observed = wired_targets(number);
        edit(&mut observed, json!({"requiredAAL": {"whoami": "aal1"}}));
        settle(&mut observed, |_| true);
        let mut asked = (Some(Level::Aal1), BTreeSet::new());
        // What was asked for when a template was written last: its pods may come about later.
        let mut written = vec![asked.clone(); number];
        for one in &moves {
            match &one.edit {
                Some(edited) => {
                    edit(&mut observed, spec(edited));
                    prop_assert!(observed.standing.rejections.is_empty(), "{:?}", observed.standing.rejections);
                    asked = (Level::from_word(edited.whoami), offered_by(&observed.policy.as_ref().expect("a policy").spec));
                }
                None => observed.now += one.pause,
            }
            for _ in 0..one.looks {
                let before: Vec<_> = observed.targets.iter().map(in_force).collect();
                let decided = plan(&observed);
                act(&mut observed, &decided);
                let writes = decided.steps().zip(&mut written).filter(|(step, _)| matches!(step, Step::Write { .. }));
                writes.for_each(|(_, written)| written.clone_from(&asked));
                run_each(&mut observed, |index, _| one.fares[index % one.fares.len()]);
                observed.now += 20_000;
                for ((view, before), written) in observed.targets.iter().zip(before).zip(&written) {
                    let (Some((level, offered)), Some((now, offered_now))) = (before, in_force(view)) else { continue };
                    let least = level.min(asked.0).min(written.0);
                    prop_assert!(now >= least, "{view}: {level:?} became {now:?}, asked is {:?}: {decided:#?}", asked.0);
                    // What pods make of a file is not simulated.
                    let (Some(offered), Some(offered_now)) = (offered, offered_now) else { continue };
                    let kept = &(&offered & &asked.1) & &written.1;
                    prop_assert!(offered_now.is_superset(&kept), "{view} lost one of {kept:?}: {decided:#?}");
                }
            }
        }
        // When nobody makes them fail any more, nothing weaker than what is asked for is left.
        observed.now += 100_000_000;
        settle(&mut observed, |_| true);
        for view in &observed.targets {
            prop_assert!(in_force(view).is_some_and(|(level, _)| level >= asked.0), "{:#?}", plan(&observed));
        }
    }
}

/// One thing that happens, and how pods of what is rolled out fare from then on, on each target.
#[derive(Clone, Debug)]
struct Move {
    edit: Option<Edit>,
    pause: i64,
    looks: usize,
    fares: Vec<Fare>,
}

fn moves() -> impl Strategy<Value = Move> {
    let fare = prop_oneof![3 => Just(Fare::Lives), 3 => Just(Fare::Fails), 1 => Just(Fare::Beside), 1 => Just(Fare::Alone)];
    let edit = prop::option::of(edits(2).prop_map(|mut edits| edits.remove(0)));
    (edit, prop_oneof![Just(20_000_i64), Just(2_000_000)], 1..5_usize, prop::collection::vec(fare, 3))
        .prop_map(|(edit, pause, looks, fares)| Move { edit, pause, looks, fares })
}

fn offered_by(spec: &Result<crate::policy::Policy, Vec<crate::policy::Rejection>>) -> BTreeSet<String> {
    names(&Overlay::of(spec.as_ref().expect("it is accepted")))
}

fn names(overlay: &Overlay) -> BTreeSet<String> {
    overlay
        .factors()
        .iter()
        .filter(|factor| factor.enabled())
        .map(|factor| factor.name().to_owned())
        .collect()
}

/// Of the pods that are ready, the weakest level at whoami, and the factors that each of them offers; none
/// where one of them reads a file. None at all where no pod is ready.
fn in_force(view: &TargetView) -> Option<(Option<Level>, Option<BTreeSet<String>>)> {
    let ready: Vec<_> = view.pods.iter().flatten().filter(|pod| pod.ready && !pod.deleting).collect();
    let offered = |pod: &&Pod| {
        let own: Vec<_> = pod.containers[0]
            .env
            .iter()
            .map(|entry| (&*entry.name, entry.value.clone().unwrap_or_default().to_string()))
            .collect();
        own.iter()
            .any(|(name, _)| *name == REVISION)
            .then(|| Overlay::from_variables(&own).map(|overlay| names(&overlay)))?
    };
    let offered: Option<Vec<_>> = ready.iter().map(offered).collect();
    let of_all = offered.and_then(|all| all.into_iter().reduce(|all, one| &all & &one));
    let serving = TargetView { pods: Some(ready.iter().map(|pod| (*pod).clone()).collect()), ..view.clone() };
    (!ready.is_empty()).then(|| (running_levels(&serving, "kratos").1, of_all))
}
