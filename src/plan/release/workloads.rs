//! Workloads that no policy names any more.

use crate::api;
use crate::model::{OwnershipNote, PolicyObject, Workload};
use crate::plan::input::{GovernedView, Observed};
use crate::plan::steps::Reversal;
use crate::policy::DeletionPolicy;

/// What is governed and named no more: all of it where the policy is gone.
pub fn given_up(observed: &Observed) -> impl Iterator<Item = &GovernedView> {
    let is_target = |workload: &Workload| {
        observed
            .targets
            .iter()
            .any(|target| (target.kind, &target.name) == (workload.kind, &workload.key.name))
    };
    observed.governed.iter().filter(move |view| !is_target(&view.workload))
}

pub fn reversal(view: &GovernedView, crd_uid: &str, policy: Option<&PolicyObject>) -> Option<Reversal> {
    let workload = &view.workload;
    // A label that our manager does not own governs nothing.
    if !workload.own.policy_label || workload.deleting || view.claimant {
        return None;
    }
    let leave = |why: String| Some(Reversal::Leave { workload: workload.clone(), why });
    let Some(governed) = OwnershipNote::read(workload.governed.as_deref()).filter(|_| workload.own.governed)
    else {
        return leave(format!("its annotation {} is missing or changed", api::GOVERNED_ANNOTATION));
    };
    if governed.workload.as_deref() != Some(&*workload.uid) {
        return leave("it was copied or restored from another workload".into());
    }
    if governed.crd != crd_uid || crd_uid.is_empty() {
        return leave("the MfaPolicy definition was installed anew since".into());
    }
    // One that bears the name of a policy that is gone has no say over what that one left behind.
    let own = policy.filter(|policy| *policy.uid == *governed.policy);
    let said = own.map_or(governed.deletion_policy, |policy| policy.deletion_policy);
    match said {
        DeletionPolicy::Revert => Some(Reversal::Revert(workload.clone())),
        DeletionPolicy::Retain => None,
    }
}
