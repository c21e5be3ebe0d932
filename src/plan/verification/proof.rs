//! What the pods of one target prove, and when they are asked again.

use crate::model::{Evidence, Millis, Proof};
use crate::plan::input::Observed;
use crate::plan::steps::{Planned, Reloads, Step, TargetPlan, planned};
use crate::plan::verification::config_file::{is_old, of_pods};
use crate::plan::verification::environment;
use crate::plan::verification::file::{ASK_AGAIN, File, is_by_file};
use crate::plan::verification::reload::reload;
use crate::policy::VerificationMode;

/// What the pods of a target prove of its goal. None where nobody asks them.
#[must_use]
pub fn proof(
    observed: &Observed,
    reloads: &Reloads,
    Planned { view, goal, step }: Planned<'_>,
    file: File,
) -> Option<Proof> {
    let desired = Some(&*goal.desired).filter(|_| observed.verification().mode != VerificationMode::Off)?;
    // Nothing of the policy is in force that they could prove.
    if desired.rendered.revision.is_empty() {
        return None;
    }
    if let Some(message) = view.workload.as_ref().and_then(|workload| observed.probes_skipped.of(workload)) {
        return Some(Proof::Unreachable(message));
    }
    let (Step::Settled { done: true } | Step::Write { done: true, .. }, Ok(server)) = (step, view.server())
    else {
        return Some(Proof::Pending(format!("the pods of {view} are asked when it is rolled out")));
    };
    if let Some((_, message)) = view.unlisted() {
        return Some(Proof::Unreachable(message));
    }
    if !is_by_file(desired) {
        return Some(environment::proof(view, server.workload));
    }
    if file == File::Other {
        return Some(Proof::Pending(format!(
            "the file in ConfigMap {} is not yet what the policy says",
            desired.config_map
        )));
    }
    if !server.container.reads_last(&desired.config_map) {
        return Some(Proof::NotSupported(format!(
            "the pods of {view} read another file after that of the policy"
        )));
    }
    Some(of_pods(
        view,
        &server.container.name,
        &desired.mark(server.workload, &server.container.name),
        reload(observed, reloads, server.workload),
        observed.now,
    ))
}

/// What tells that the target's pods refused the file: they should have taken it, and had the time.
pub fn refused(observed: &Observed, reloads: &Reloads, target: Planned<'_>) -> Option<Evidence> {
    let Planned { view, goal, step } = target;
    let server = view.server().ok()?;
    let reload = reload(observed, reloads, server.workload).filter(|reload| reload.changes == Some(true))?;
    let Step::Settled { done: true } = step else { return None };
    let Proof::Mismatch(_) = proof(observed, reloads, target, File::found(observed, &goal.desired))? else {
        return None;
    };
    let pod = view.pods.iter().flatten().find(|pod| !pod.deleting && pod.ready && is_old(pod, reload))?;
    Some(Evidence {
        pod: pod.name.clone(),
        container: server.container.name.clone(),
        reason: "the new file was not taken".into(),
        exit_code: None,
    })
}

/// When to ask those that read a file again.
pub fn again(observed: &Observed, targets: &[TargetPlan], reloads: &Reloads) -> Option<Millis> {
    planned(targets, &observed.targets).filter_map(|target| ask_again(observed, reloads, target)).min()
}

pub fn ask_again(observed: &Observed, reloads: &Reloads, target: Planned<'_>) -> Option<Millis> {
    let Planned { view, goal, step } = target;
    let desired = Some(&*goal.desired).filter(|desired| is_by_file(desired))?;
    let (Step::Settled { done: true }, Some(workload)) = (step, &view.workload) else { return None };
    let reload = reload(observed, reloads, workload);
    // Nothing can come of it before the file is written.
    let file = File::found(observed, desired);
    match proof(observed, reloads, target, file)? {
        Proof::Pending(_) if file == File::AsDesired => {
            let since = reload.map(|reload| reload.since).or(view.disagrees_since).unwrap_or(observed.now);
            Some(crate::plan::rollout::pacing::look_after(since, observed.now))
        }
        Proof::Mismatch(_) | Proof::Unreachable(_) => Some(observed.now + ASK_AGAIN),
        Proof::Pending(_)
        | Proof::NotSupported(_)
        | Proof::Agree { .. }
        | Proof::Confirmed
        | Proof::NoPods => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::api::{Condition, MfaPolicyStatus};
    use crate::model::{NoPermit, ProbesSkipped, Proof};
    use crate::plan::failure::state::Failure;
    use crate::plan::input::Observed;
    use crate::plan::plan;
    use crate::plan::report::report;
    use crate::plan::report::results::WriteResults;
    use crate::plan::testing::fixtures::{edit, observed, targets};
    use crate::plan::testing::simulation::{act, run, settle};

    const LEVELS: [&str; 2] = ["aal1", "highest_available"];

    fn of_level(level: &str) -> serde_json::Value {
        let methods = serde_json::json!({"code": {"mfaEnabled": level != LEVELS[0]}});
        serde_json::json!({"requiredAAL": {"whoami": level}, "methods": methods, "acknowledge": ["MethodSwitchedOff:code"]})
    }

    fn told(observed: &Observed) -> MfaPolicyStatus {
        report(
            observed,
            observed.policy.as_ref().expect("a policy"),
            &plan(observed),
            &WriteResults::default(),
        )
        .0
    }

    fn effective(observed: &Observed) -> Condition {
        told(observed)
            .conditions
            .into_iter()
            .find(|condition| condition.type_ == "Effective")
            .expect("it is told")
    }

    fn starve(observed: &mut Observed, index: usize) {
        let workload = observed.targets[index].workload.clone().expect("a workload");
        observed.probes_skipped.add(&workload, NoPermit::Starved);
    }

    #[test]
    fn what_was_proven_before_is_claimed_no_longer_of_who_starves() {
        let mut observed = observed(targets(2));
        edit(&mut observed, of_level(LEVELS[1]));
        settle(&mut observed, |_| true);
        observed.targets.iter_mut().for_each(|view| view.proof = Some(Proof::Confirmed));
        assert_eq!(effective(&observed).reason, "Confirmed");
        let workload = observed.targets[1].workload.clone().expect("a workload");
        observed.probes_skipped.add(&workload, NoPermit::ForNow);
        assert_eq!(
            (effective(&observed).reason.as_str(), observed.probes_skipped.for_now),
            ("Confirmed", true),
            "that passes"
        );

        starve(&mut observed, 1);
        let told = effective(&observed);
        assert_eq!((&*told.status, &*told.reason), ("False", "Unreachable"));
        for word in [
            "the pods of Deployment kratos-1 could not be asked for a minute",
            "let the operator reach",
            "goes on by itself",
        ] {
            assert!(told.message.contains(word), "{word:?} is not in {}", told.message);
        }
        observed.probes_skipped = ProbesSkipped::default();
        assert_eq!(effective(&observed).reason, "Confirmed");
    }

    #[test]
    fn nothing_is_taken_back_while_nobody_can_be_asked() {
        let mut observed = observed(targets(1));
        edit(&mut observed, of_level(LEVELS[0]));
        settle(&mut observed, |_| true);
        edit(&mut observed, of_level(LEVELS[1]));
        for _ in 0..5 {
            let decided = plan(&observed);
            if !matches!(decided.failure, Failure::Detected(_)) {
                act(&mut observed, &decided);
                run(&mut observed, |_| false);
                observed.now += 20_000;
            }
        }
        assert!(matches!(plan(&observed).failure, Failure::Detected(_)), "it fails");
        starve(&mut observed, 0);
        assert!(matches!(plan(&observed).failure, Failure::None));
        let told = told(&observed);
        let rolled_out =
            told.conditions.iter().find(|condition| condition.type_ == "RolledOut").expect("it is told");
        assert!(
            rolled_out.reason == "Waiting" && rolled_out.message.contains("could not be asked how they are"),
            "{rolled_out:?}"
        );
    }
}
