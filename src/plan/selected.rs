//! Whose pods the selector of a target finds, and why that is not known.

use std::sync::Arc;

use smol_str::SmolStr;

use super::{Refusal, TargetView, Unreadable, Workload, is_done};
use crate::api::Reason;

/// Whose pods the selector of a target finds, those aside that are finished, about to go, or controlled by
/// nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selected {
    /// It was not looked for.
    #[default]
    Unknown,
    /// Those of what the policy governs, or none.
    OwnAlone,
    /// The same, and of some that is told by the name of their ReplicaSet alone, because that may not be
    /// read. There are no more than the workload counts itself.
    OwnByName,
    Others(OtherPods),
    /// It was looked for, and is not known.
    Unlisted(UnknownPods),
}

/// Pods of a workload that the policy does not govern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherPods {
    /// The first of them.
    pub pod: SmolStr,
    /// Who made it, in words.
    pub owner: SmolStr,
    /// How many beside it.
    pub more: usize,
}

/// Why it is not known what the pods run that a target's selector finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownPods {
    /// One of them: whose it is, and what it runs, is not known.
    One(Arc<Unreadable>),
    /// The cluster lets nobody with the operator's rights list them.
    Forbidden,
    /// There are more than are held.
    TooMany,
    /// There are more than the workload has by its own count, and who made them is known by name alone.
    MoreThanItsOwn,
    /// They could not be read time and again: the last error, bounded.
    Failed(SmolStr),
}

impl UnknownPods {
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::One(_) => Reason::Unreadable,
            Self::Forbidden | Self::TooMany | Self::MoreThanItsOwn | Self::Failed(_) => Reason::Waiting,
        }
    }

    /// What is wrong, and what to do.
    #[must_use]
    pub fn words(&self) -> String {
        let (wrong, to_do) = match self {
            Self::One(unreadable) => return unreadable.words(),
            Self::Forbidden => (
                "the operator may not list pods here",
                "grant its account list on pods, as the chart does".into(),
            ),
            Self::TooMany => (
                "more pods have the labels of its selector than the operator holds",
                "give the workload labels that no other pods have".into(),
            ),
            Self::MoreThanItsOwn => (
                "more pods than it counts itself are called as its own, and the operator may not read the ReplicaSets that made them",
                "grant its account get on replicasets, as the chart does".into(),
            ),
            Self::Failed(error) => (
                "its pods cannot be read time and again",
                format!("look at the API server, which says: {error}. It goes on by itself"),
            ),
        };
        format!("{wrong}, so that it is not known what they demand: {to_do}")
    }
}

impl TargetView {
    /// Why it is not known what runs under its labels, where that was looked for; what to do.
    #[must_use]
    pub fn unlisted(&self) -> Option<Refusal> {
        let Selected::Unlisted(why) = &self.selected else { return None };
        Some((why.reason(), format!("{self}: {}", why.words())))
    }

    /// Whether what its own pods and its template demand is all that its selector stands for.
    #[must_use]
    pub fn speaks_for_all(&self) -> bool {
        self.selected.is_own()
    }
}

impl Selected {
    /// Of pods that are all the workload's own, some of them by the name of who made them: so many do not
    /// end.
    #[must_use]
    pub fn by_name(workload: &Workload, pods: usize) -> Self {
        let more = usize::try_from(workload.makes_at_most()).is_ok_and(|most| pods > most);
        if more { Self::Unlisted(UnknownPods::MoreThanItsOwn) } else { Self::OwnByName }
    }

    /// Whether there are none but those of what the policy governs, as far as can be told.
    #[must_use]
    pub fn is_own(&self) -> bool {
        matches!(self, Self::OwnAlone | Self::OwnByName)
    }
}

impl Workload {
    /// Pods that it has, by the count of its controller; while that has something to do, as many as it may
    /// make.
    fn makes_at_most(&self) -> i32 {
        let Self { replicas, surge, status, .. } = self;
        if is_done(self) { status.total } else { status.total.max(replicas.saturating_add(*surge)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::{edit, observed, targets, workload};
    use crate::plan::simulation::settle;
    use crate::plan::{Key, Observed, Report, Step, plan, report};

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
                report(&observed, observed.policy.as_ref().expect("a policy"), &plan, &Report::default());
            assert_eq!(
                (status.required_aal.map(|aal| aal.whoami), status.pods),
                (Some("Unknown".into()), None)
            );
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
            report(&observed, observed.policy.as_ref().expect("a policy"), &plan, &Report::default());
        let told =
            status.conditions.iter().find(|condition| condition.type_ == "RolledOut").expect("it is told");
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
            report(&observed, observed.policy.as_ref().expect("a policy"), &plan, &Report::default());
        assert_eq!(status.required_aal.map(|aal| aal.whoami), Some("Unknown".into()));
    }

    #[test]
    fn what_is_known_by_name_is_claimed_and_told() {
        let mut observed = in_force();
        let told = |observed: &Observed| {
            report(observed, observed.policy.as_ref().expect("a policy"), &plan(observed), &Report::default())
                .0
        };
        let advised = |observed: &Observed| {
            told(observed).advisories.into_iter().find(|advisory| advisory.type_ == "OwnersNotRead")
        };
        assert_eq!(advised(&observed), None);

        observed.targets[1].selected = Selected::OwnByName;
        let advice = advised(&observed).expect("it is given").message;
        assert!(
            advice.starts_with("Deployment kratos-1: ") && advice.contains("get on replicasets"),
            "{advice}"
        );
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
}
