//! A policy that holds still: nothing is written but what its workloads remember, so that they stay
//! as they are even where it is deleted.

use super::{ConfigMapStep, Desired, Governed, GovernedView, Observed, Plan, PolicyObject, Reversal};
use crate::policy::DeletionPolicy;

/// Takes every other write out of the plan, and notes what waits. The steps of targets hold by themselves.
pub(super) fn hold(observed: &Observed, desired: &Desired, plan: &mut Plan) {
    let Some(policy) = &observed.policy else { return };
    let file = match plan.config_map.take() {
        Some(ConfigMapStep::Create { .. }) => Some(None),
        Some(ConfigMapStep::Repair { found, .. }) => Some(Some(found)),
        other => {
            plan.config_map = other;
            None
        }
    };
    if let Some(found) = file {
        plan.pending.push(format!("ConfigMap {} is to be written", desired.config_map));
        plan.config_map = found.filter(|found| !remembers(found.governed.as_deref(), policy)).map(ConfigMapStep::Annotate);
    }
    for reversal in plan.reversals.drain(..) {
        if let Reversal::Revert(workload) = reversal {
            plan.pending.push(format!("{workload} is to lose the policy's settings"));
        }
    }
    let ends = plan.ended_config_maps.drain(..).map(|(map, _)| format!("ConfigMap {} is needed no more", map.name));
    plan.pending.extend(ends);
    plan.record = None;
    plan.prune.clear();
    plan.reversals = observed.governed.iter().filter_map(|view| retain(view, policy)).collect();
}

/// Whether it would be left as it is if the policy went now.
fn remembers(governed: Option<&str>, policy: &PolicyObject) -> bool {
    Governed::read(governed).is_some_and(|governed| governed.policy == *policy.uid && governed.deletion_policy == DeletionPolicy::Retain)
}

fn retain(view: &GovernedView, policy: &PolicyObject) -> Option<Reversal> {
    let workload = &view.workload;
    if !workload.own.policy_label || !workload.own.governed || workload.deleting || remembers(workload.governed.as_deref(), policy) {
        return None;
    }
    let governed = Governed::read(workload.governed.as_deref()).filter(|governed| governed.policy == *policy.uid)?;
    let governed = Governed { deletion_policy: DeletionPolicy::Retain, ..governed };
    Some(Reversal::Retain { workload: workload.clone(), governed: governed.write() })
}
