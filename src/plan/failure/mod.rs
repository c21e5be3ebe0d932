//! The state of a failure: whether the revision fails now, and what becomes of one that failed.
//!
//! | file | what it decides |
//! |---|---|
//! | `evidence` | which signs tell that pods do not survive |
//! | `control` | whether the policy is why |
//! | `verdict` | how long a noted failure stands |
//! | `rollback_targets` | what each target has in its place |
//! | `stuck_pods` | which pods a StatefulSet waits for in vain |

pub mod control;
pub mod evidence;
pub mod judgement;
pub mod rollback_targets;
pub mod state;
pub mod stuck_pods;
#[cfg(test)]
mod tests;
pub mod verdict;

use crate::model::{FailedRevision, PolicyObject};
use crate::plan::desired::wanted::Wanted;
use crate::plan::failure::control::Judgement;
use crate::plan::failure::judgement::judge;
use crate::plan::failure::rollback_targets::ways_back;
use crate::plan::failure::state::Failure;
use crate::plan::failure::verdict::{asked, is_weaker, noted};
use crate::plan::input::Observed;
use crate::plan::steps::{Planned, Reloads, Step, TargetPlan, planned};
use crate::policy::OnFailure;

/// How things stand where no failure is in force. One change at a time: what is tried again is judged by a
/// later look.
pub fn failure(
    observed: &Observed,
    policy: &PolicyObject,
    wanted: &Wanted<'_>,
    targets: &[TargetPlan],
    reloads: &Reloads,
) -> Failure {
    if policy.suspend {
        return Failure::None;
    }
    let noted = noted(observed, &wanted.digest);
    if let Some(noted) = noted.filter(|noted| !noted.lifted) {
        let asked = asked(observed, policy, noted).map(|_| observed.now).or(noted.asked);
        return Failure::Retrying(FailedRevision { lifted: true, asked, ..noted.clone() });
    }
    let done = || targets.iter().all(|target| matches!(target.step, Step::Settled { done: true }));
    match judged(observed, policy, wanted, targets, reloads) {
        Some(verdict) => Failure::Detected(verdict),
        None if noted.is_some() && done() => Failure::Recovered,
        None => Failure::None,
    }
}

/// The verdict over what is desired, where it fails now and what fails can go back.
pub fn judged(
    observed: &Observed,
    policy: &PolicyObject,
    wanted: &Wanted<'_>,
    targets: &[TargetPlan],
    reloads: &Reloads,
) -> Option<FailedRevision> {
    let desired = &*wanted.desired;
    // An edit that is refused for what its targets have changes nothing of what is in force, and protects
    // nothing of it.
    let spec = policy.spec.as_ref().ok()?;
    if spec.on_failure == OnFailure::Hold {
        return None;
    }
    let failing = planned(targets, &observed.targets).filter_map(|Planned { view, step, .. }| {
        let server = view.server().ok().filter(|_| matches!(step, Step::Settled { done: false }))?;
        match judge(observed, policy, desired, view, server) {
            Judgement::Failed(evidence) if !server.workload.is_kept_back() => Some((view, evidence)),
            Judgement::Failed(_) | Judgement::Open | Judgement::Unproven(..) => None,
        }
    });
    // Those whose pods did not take a new file that they should have taken.
    let unread = planned(targets, &observed.targets).filter_map(|target| {
        Some((target.view, crate::plan::verification::proof::refused(observed, reloads, target)?))
    });
    let with_a_way_back =
        |(view, evidence)| Some((view, evidence, ways_back(observed, &wanted.digest, desired, view).ok()?));
    let (view, evidence, back) = failing.chain(unread).find_map(with_a_way_back)?;
    let weaker = back.iter().any(|back| is_weaker(observed, desired, &back.record));
    let attempts = noted(observed, &wanted.digest).map_or(0, |before| before.attempts).saturating_add(1);
    Some(FailedRevision {
        since: observed.now,
        generation: policy.generation,
        retry: policy.retry.clone(),
        content: view.content.as_ref().map(|content| content.digest.clone()).unwrap_or_default(),
        attempts,
        weaker,
        lifted: false,
        asked: noted(observed, &wanted.digest).and_then(|before| before.asked),
        kind: view.kind.as_str().into(),
        name: view.name.to_string(),
        evidence,
        back,
    })
}
