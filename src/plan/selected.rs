//! Whose pods the selector of a target finds, and why that is not known.

use std::sync::Arc;

use smol_str::SmolStr;

use super::{Refusal, TargetView, Unreadable};
use crate::api::Reason;

/// Whose pods the selector of a target finds, those aside that are finished, about to go, or controlled by nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selected {
    /// It was not looked for.
    #[default]
    Unknown,
    /// Those of what the policy governs, or none.
    OwnAlone,
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
    /// They could not be read time and again: the last error, bounded.
    Failed(SmolStr),
}

impl UnknownPods {
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::One(_) => Reason::Unreadable,
            Self::Forbidden | Self::TooMany | Self::Failed(_) => Reason::Waiting,
        }
    }

    /// What is wrong, and what to do.
    #[must_use]
    pub fn words(&self) -> String {
        let (wrong, to_do) = match self {
            Self::One(unreadable) => return unreadable.words(),
            Self::Forbidden => ("the operator may not list pods here", "grant its account list on pods, as the chart does".into()),
            Self::TooMany => (
                "more pods have the labels of its selector than the operator holds",
                "give the workload labels that no other pods have".into(),
            ),
            Self::Failed(error) => {
                ("its pods cannot be read time and again", format!("look at the API server, which says: {error}. It goes on by itself"))
            }
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
        self.selected == Selected::OwnAlone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::{edit, observed, targets};
    use crate::plan::simulation::settle;
    use crate::plan::{Key, Observed, Report, Step, plan, report};

    fn in_force() -> Observed {
        let mut observed = observed(targets(2));
        edit(&mut observed, serde_json::json!({"requiredAAL": {"settings": "highest_available", "whoami": "highest_available"}}));
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
            (UnknownPods::Failed("etcd is slow".into()), "Waiting", "etcd is slow"),
        ];
        for (why, reason, to_do) in cases {
            let mut observed = in_force();
            observed.targets[0].selected = Selected::Unlisted(why);
            let plan = plan(&observed);
            assert!(!matches!(plan.steps[0], Step::Refused { .. }), "the workload itself is written all the same");
            let (status, _) = report(&observed, observed.policy.as_ref().expect("a policy"), &plan, &Report::default());
            assert_eq!((status.required_aal.map(|aal| aal.whoami), status.pods), (Some("Unknown".into()), None));
            let told = |type_: &str| status.conditions.iter().find(|condition| condition.type_ == type_).expect("it is told");
            for (type_, reason) in [("RolledOut", reason), ("Effective", "Unreachable"), ("Ready", reason)] {
                let told = told(type_);
                assert_eq!((&*told.status, &*told.reason), ("False", reason), "{type_}");
                assert!(told.message.starts_with("Deployment kratos-0: ") && told.message.contains(to_do), "{}", told.message);
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
        let (status, _) = report(&observed, observed.policy.as_ref().expect("a policy"), &plan, &Report::default());
        let told = status.conditions.iter().find(|condition| condition.type_ == "RolledOut").expect("it is told");
        assert_eq!(told.reason, "Progressing");
        assert!(told.message.contains("available; Deployment kratos-0: the operator may not list pods"), "{}", told.message);
    }

    #[test]
    fn what_was_not_looked_for_is_not_claimed() {
        let mut observed = in_force();
        observed.targets[0].selected = Selected::Unknown;
        let plan = plan(&observed);
        let (status, _) = report(&observed, observed.policy.as_ref().expect("a policy"), &plan, &Report::default());
        assert_eq!(status.required_aal.map(|aal| aal.whoami), Some("Unknown".into()));
    }
}
