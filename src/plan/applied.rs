//! What was applied where, as it is noted on the newest record.

use smol_str::SmolStr;

use super::effective::{self, File, Proof, proof};
use super::target::known;
use super::{Applied, Desired, Observed, Plan, Report, Step, TargetView, Workload};
use crate::api::Reason;

/// After these steps. `reverted` has the uids of the workloads that lost all our fields.
///
/// An entry lives as long as the workload is a target that this policy holds, or carries its label.
#[must_use]
pub fn applied_after(observed: &Observed, plan: &Plan, report: &Report, reverted: &[SmolStr]) -> Vec<Applied> {
    let newest = observed.records.first();
    let mut applied = applied_before(observed, plan);
    if observed.policy.as_ref().is_some_and(|policy| policy.suspend) {
        return applied;
    }
    let held = |view: &&TargetView| view.holder.as_ref().is_none_or(|holder| *holder == observed.key.name);
    let targets = observed.targets.iter().filter(held).filter_map(|view| view.workload.as_ref());
    let governed = observed.governed.iter().map(|view| &view.workload).filter(|workload| workload.own.policy_label);
    let known: Vec<&str> = targets.chain(governed).map(|workload| &*workload.uid).collect();
    applied.retain(|entry| known.contains(&&*entry.uid) && !reverted.iter().any(|uid| **uid == entry.uid));
    let Some(desired) = &plan.desired else { return applied };
    let file = File::after(observed, desired, report);
    let recorded = report.recorded || newest.is_some_and(|newest| newest.digest() == plan.digest);
    // Pods that read a file have nothing of a revision before the file is that of the revision.
    let is_there = recorded && (file == File::AsDesired || !effective::is_asked(desired));
    for (index, (step, view)) in plan.steps.iter().zip(&observed.targets).enumerate() {
        let Some(workload) = &view.workload else { continue };
        let written = matches!(report.targets.get(index), Some(Some(Ok(_))));
        match step {
            Step::Write { .. } if is_there && written => put(&mut applied, entry(observed, plan, desired, view, workload, step, file)),
            Step::Settled { .. } if is_there => put(&mut applied, entry(observed, plan, desired, view, workload, step, file)),
            // Pods from now on do not read the file, whatever their mark: a roll has to be seen again.
            Step::Refused { reason: Reason::NotWired, .. } => {
                applied.iter_mut().filter(|entry| entry.uid == *workload.uid).for_each(|entry| entry.rolled_out = false);
            }
            _ => {}
        }
    }
    applied.sort_by(|a, b| (&a.name, &a.kind).cmp(&(&b.name, &b.kind)));
    applied
}

fn put(applied: &mut Vec<Applied>, entry: Applied) {
    applied.retain(|known| (&known.kind, &known.name) != (&entry.kind, &entry.name));
    applied.push(entry);
}

fn entry(observed: &Observed, plan: &Plan, desired: &Desired, view: &TargetView, workload: &Workload, step: &Step, file: File) -> Applied {
    let (container, rolled_out, rolls) = match step {
        Step::Write { container, done, rolls, .. } => (container.as_str(), *done, *rolls),
        Step::Settled { container, done } => (container.as_str(), *done, false),
        Step::Refused { .. } | Step::Held { .. } => ("", false, false),
    };
    let agreed = match proof(observed, plan, view, step, file) {
        Some(Proof::Agree { answer }) => Some(answer),
        _ => None,
    };
    let reload = effective::reload(observed, plan, workload).filter(|_| !rolls && agreed.is_none() && effective::is_asked(desired));
    Applied {
        kind: view.kind.as_str().into(),
        name: view.name.to_string(),
        uid: workload.uid.to_string(),
        container: container.into(),
        record: plan.digest.clone(),
        revision: desired.rendered.revision.clone(),
        rolled_out,
        reload: reload.cloned(),
        // Of another revision it proves nothing.
        answer: agreed.or_else(|| known(observed, workload).filter(|known| known.record == plan.digest)?.answer.clone()),
    }
}

/// Before the file is written: with the reloads that are to come.
#[must_use]
pub fn applied_before(observed: &Observed, plan: &Plan) -> Vec<Applied> {
    let mut applied = observed.records.first().map(|newest| newest.applied.clone()).unwrap_or_default();
    for (uid, reload) in &plan.reloads {
        match applied.iter_mut().find(|entry| entry.uid == *uid) {
            Some(entry) => entry.reload = Some(reload.clone()),
            // Its record went with a policy of before.
            None => applied.extend(unrecorded(observed, uid).map(|entry| Applied { reload: Some(reload.clone()), ..entry })),
        }
    }
    applied
}

fn unrecorded(observed: &Observed, uid: &str) -> Option<Applied> {
    let view = observed.targets.iter().find(|view| view.workload.as_ref().is_some_and(|workload| *workload.uid == *uid))?;
    Some(Applied {
        kind: view.kind.as_str().into(),
        name: view.name.to_string(),
        uid: uid.into(),
        container: String::new(),
        record: String::new(),
        revision: String::new(),
        rolled_out: false,
        reload: None,
        answer: None,
    })
}
