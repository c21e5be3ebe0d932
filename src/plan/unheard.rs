//! Pods that should have been asked and were not, because too many looks ask: what is not known for that, and
//! what is told.

use smol_str::SmolStr;

use super::Workload;

/// Why there is no room to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// At the next look there may be.
    ForNow,
    /// So it has been for a minute.
    Starved,
}

/// Pods that were not asked for want of room: what rests on their answers is not known now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unheard {
    /// Those of some workload, and that passes: nothing is told before it has.
    pub for_now: bool,
    /// Uids of the workloads of which that must be told, so that nothing older is claimed any more.
    pub starved: Vec<SmolStr>,
}

impl Unheard {
    pub fn add(&mut self, workload: &Workload, why: NoRoom) {
        match why {
            NoRoom::ForNow => self.for_now = true,
            NoRoom::Starved if self.is_starved(workload) => {}
            NoRoom::Starved => self.starved.push(workload.uid.clone()),
        }
    }

    #[must_use]
    pub fn is_starved(&self, workload: &Workload) -> bool {
        self.starved.contains(&workload.uid)
    }

    /// What is told of the target, and what to do.
    #[must_use]
    pub fn of(&self, workload: &Workload) -> Option<String> {
        self.is_starved(workload).then(|| format!(
            "the pods of {workload} could not be asked for a minute, because others that do not answer take the time: find the policies whose Effective is Unreachable, of this namespace first, and let the operator reach the admin ports of their pods, or set spec.verification.mode of those to Off. It goes on by itself"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Condition, MfaPolicyStatus};
    use crate::plan::fixtures::{edit, observed, targets};
    use crate::plan::simulation::{act, run, settle};
    use crate::plan::{Failure, Observed, Proof, Report, plan, report};

    const LEVELS: [&str; 2] = ["aal1", "highest_available"];

    fn of_level(level: &str) -> serde_json::Value {
        let methods = serde_json::json!({"code": {"mfaEnabled": level != LEVELS[0]}});
        serde_json::json!({"requiredAAL": {"whoami": level}, "methods": methods, "acknowledge": ["MethodSwitchedOff:code"]})
    }

    fn told(observed: &Observed) -> MfaPolicyStatus {
        report(observed, observed.policy.as_ref().expect("a policy"), &plan(observed), &Report::default()).0
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
        observed.unheard.add(&workload, NoRoom::Starved);
    }

    #[test]
    fn what_was_proven_before_is_claimed_no_longer_of_who_starves() {
        let mut observed = observed(targets(2));
        edit(&mut observed, of_level(LEVELS[1]));
        settle(&mut observed, |_| true);
        observed.targets.iter_mut().for_each(|view| view.proof = Some(Proof::Confirmed));
        assert_eq!(effective(&observed).reason, "Confirmed");
        let workload = observed.targets[1].workload.clone().expect("a workload");
        observed.unheard.add(&workload, NoRoom::ForNow);
        assert_eq!(
            (effective(&observed).reason.as_str(), observed.unheard.for_now),
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
        observed.unheard = Unheard::default();
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
