//! A policy that holds still: nothing is written but what its workloads and its file remember, so that
//! they stay as they are even where it is deleted.

use super::{ConfigMapStep, Desired, Plan, Reversal};

/// Takes every other write out of the plan, and notes what waits. The steps of targets hold by themselves.
pub(super) fn hold(desired: &Desired, plan: &mut Plan) {
    if let Some(ConfigMapStep::Create { .. } | ConfigMapStep::Repair { .. }) = plan.config_map {
        plan.pending.push(format!("ConfigMap {} is to be written", desired.config_map));
        plan.config_map = None;
    }
    for reversal in plan.reversals.drain(..) {
        if let Reversal::Revert(workload) = reversal {
            plan.pending.push(format!("{workload} is to lose the policy's settings"));
        }
    }
    let ends =
        plan.ended_config_maps.drain(..).map(|(map, _)| format!("ConfigMap {} is needed no more", map.name));
    plan.pending.extend(ends);
    plan.record = None;
    plan.prune.clear();
}
