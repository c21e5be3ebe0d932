//! The status of a policy that cannot be read.

use crate::api::{ConditionType, MfaPolicyStatus};
use crate::model::Unreadable;
use crate::plan::report::conditions::{condition, present};

impl Unreadable {
    /// What the status of a policy says that cannot be read: nothing that it said before is known to hold.
    #[must_use]
    pub fn status(&self) -> MfaPolicyStatus {
        let conditions = vec![
            present(ConditionType::Stalled, self.refusal()),
            condition(ConditionType::Ready, self.refusal()),
        ];
        MfaPolicyStatus { conditions, ..MfaPolicyStatus::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;
    use crate::model::Key;
    use crate::plan::history::applied::{applied_after, applied_before};
    use crate::plan::input::{Absence, Observed};
    use crate::plan::plan;
    use crate::plan::report::report;
    use crate::plan::report::results::WriteResults;
    use crate::plan::steps::{ConfigMapStep, Step};
    use crate::plan::testing::fixtures::{edit, observed, targets};
    use crate::plan::testing::simulation::settle;
    use std::sync::Arc;

    fn in_force() -> Observed {
        let mut observed = observed(targets(2));
        edit(
            &mut observed,
            serde_json::json!({"requiredAAL": {"settings": "highest_available", "whoami": "highest_available"}}),
        );
        settle(&mut observed, |_| true);
        observed
    }

    fn unreadable(kind: &'static str, key: &Key, uid: &str) -> Arc<Unreadable> {
        Arc::new(Unreadable {
            kind,
            key: key.clone(),
            uid: uid.into(),
            version: "9".into(),
            label: Some("mfa".into()),
            field: "spec".into(),
        })
    }

    #[test]
    fn of_a_target_nothing_is_claimed_and_nothing_is_forgotten() {
        let mut observed = in_force();
        let workload = observed.targets[0].workload.take().expect("a workload");
        observed.targets[0].unreadable = Some(unreadable("Deployment", &workload.key, &workload.uid));
        let plan = plan(&observed);
        assert!(
            !plan.writes()
                && matches!(plan.targets[0].step, Step::Refused { reason: Reason::Unreadable, .. })
        );
        let (status, _) =
            report(&observed, observed.policy.as_ref().expect("a policy"), &plan, &WriteResults::default());
        let levels = |aal: &Option<crate::api::RunningAal>| {
            aal.as_ref().map(|aal| [aal.settings.clone(), aal.whoami.clone()])
        };
        assert_eq!(levels(&status.required_aal), Some(["Unknown".into(), "Unknown".into()]));
        assert_eq!(
            levels(&status.targets[1].required_aal),
            Some(["highest_available".into(), "highest_available".into()])
        );
        assert_eq!(status.pods, None, "of some pods it is not known what they run");
        let reasons = status
            .conditions
            .iter()
            .map(|condition| (&*condition.type_, &*condition.status, &*condition.reason));
        let unreadable = ["Accepted", "RolledOut", "Ready"].map(|type_| (type_, "False", "Unreadable"));
        assert!(
            unreadable.iter().all(|wanted| reasons.clone().any(|found| found == *wanted)),
            "{:?}",
            status.conditions
        );
        assert_eq!(
            applied_after(&observed, &plan, &WriteResults::default(), &[]),
            applied_before(&observed, &plan),
            "what was noted of it stays"
        );
    }

    #[test]
    fn a_config_map_is_not_made_anew() {
        let mut observed = in_force();
        let map = observed.config_maps.pop().expect("a config map");
        observed.unreadable = vec![unreadable("ConfigMap", &observed.key.beside(&map.name), &map.uid)];
        let plan = plan(&observed);
        assert!(
            matches!(&plan.config_map, Some(ConfigMapStep::Refused((Reason::Unreadable, _)))),
            "{:?}",
            plan.config_map
        );
    }

    #[test]
    fn no_file_ends_while_one_that_may_read_it_cannot_be_read() {
        let mut observed = in_force();
        observed.policy = None;
        observed.absence = Absence::Confirmed;
        observed.targets.clear();
        assert_eq!(plan(&observed).release.config_maps.len(), 1, "the policy is gone, and its file with it");
        observed.unreadable = vec![unreadable("Deployment", &Key::new("identity", "kratos"), "a")];
        let plan = plan(&observed);
        assert!(plan.release.config_maps.is_empty() && plan.again.is_some());
    }
}
