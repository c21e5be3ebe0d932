//! What was applied where, as it is noted on the newest record.

use smol_str::SmolStr;

use crate::api::Reason;
use crate::model::{Applied, Back, Before, FailedRevision, Health, Proof, Workload, is_done};
use crate::plan::desired::Goal;
use crate::plan::desired::read_back::read_back;
use crate::plan::desired::server::Server;
use crate::plan::history::last_applied::{known, of_name};
use crate::plan::input::{Observed, TargetView};
use crate::plan::outcome::Plan;
use crate::plan::report::results::WriteResults;
use crate::plan::steps::{Planned, Reloads, Step};
use crate::plan::verification::file::{File, is_by_file};
use crate::plan::verification::proof::proof;
use crate::plan::verification::reload;
use crate::policy::VerificationMode;

/// After these steps. `reverted` has the uids of the workloads that lost all our fields.
///
/// An entry lives as long as the policy names the workload, whatever its uid, and no other holds it, or it
/// carries the label.
#[must_use]
pub fn applied_after(
    observed: &Observed,
    plan: &Plan,
    report: &WriteResults,
    reverted: &[SmolStr],
) -> Vec<Applied> {
    let newest = observed.records.first();
    let mut applied = applied_before(observed, plan);
    if observed.policy.as_ref().is_some_and(|policy| policy.suspend) {
        return applied;
    }
    let held = |view: &TargetView| view.is_free_for(&observed.key.name);
    let named = |entry: &Applied| {
        observed.targets.iter().any(|view| entry.is_of(view.kind, &view.name) && held(view))
    };
    let labelled = |entry: &Applied| {
        let mut own = observed.governed.iter().filter(|view| view.workload.own.policy_label);
        // What cannot be read is there.
        own.any(|view| *view.workload.uid == *entry.uid)
            || observed.unreadable.iter().any(|found| *found.uid == *entry.uid)
    };
    applied
        .retain(|entry| (named(entry) || labelled(entry)) && !reverted.iter().any(|uid| **uid == entry.uid));
    // What is given up is taken as anybody's when it is named again.
    if observed.policy.as_ref().is_some_and(|policy| plan.is_in_order(observed, policy)) {
        applied.iter_mut().filter(|entry| !named(entry)).for_each(|entry| entry.first = None);
    }
    let Some(desired) = &plan.desired else { return applied };
    let file = report.file(observed, desired);
    let recorded = report.recorded
        || plan.failure.rolled_back().is_some()
        || newest.is_some_and(|newest| newest.digest() == plan.digest);
    for target in plan.over(&observed.targets) {
        let Some(workload) = &target.view.workload else { continue };
        // Pods that read a file have nothing of a revision before the file is that of the revision.
        let is_there = recorded && (file == File::AsDesired || !is_by_file(&target.goal.desired));
        let written = matches!(report.targets.get(&workload.uid), Some(Ok(_)));
        match target.step {
            Step::Write { .. } if is_there && written => {
                entry(observed, &plan.reloads, target, file)
                    .into_iter()
                    .for_each(|entry| put(&mut applied, entry));
            }
            Step::Settled { .. } if is_there => {
                entry(observed, &plan.reloads, target, file)
                    .into_iter()
                    .for_each(|entry| put(&mut applied, entry));
            }
            // Pods from now on do not read the file, whatever their mark: a roll has to be seen again.
            Step::Refused { reason: Reason::NotWired, .. } => {
                applied
                    .iter_mut()
                    .filter(|entry| entry.uid == *workload.uid)
                    .for_each(|entry| entry.rolled_out = false);
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

/// What the policy had on the one before stays until this one is written. One that was never written is of no
/// more use: its workload may be made anew without end.
fn put_unwritten(applied: &mut Vec<Applied>, entry: Applied) {
    applied
        .retain(|known| !known.record.is_empty() || (&known.kind, &known.name) != (&entry.kind, &entry.name));
    applied.push(entry);
}

/// None where the target has no server.
pub fn entry(observed: &Observed, reloads: &Reloads, target: Planned<'_>, file: File) -> Option<Applied> {
    let Planned { view, goal, step } = target;
    let server = view.server().ok()?;
    let (workload, container) = (server.workload, &*server.container.name);
    let (rolled_out, rolls) = match step {
        Step::Write { done, rolls, .. } => (*done, *rolls),
        Step::Settled { done } => (*done, false),
        Step::Refused { .. } | Step::Held { .. } => (false, false),
    };
    let agreed = match proof(observed, reloads, target, file) {
        Some(Proof::Agree { answer }) => answer,
        _ => None,
    };
    let desired = &*goal.desired;
    // A file that running pods are to read is proven by their answers, where they answer: whether it must
    // change them may not be known.
    let unread = reload::reload(observed, reloads, workload)
        .is_some_and(|reload| agreed.is_none() && reload.changes != Some(false) && !reload.before.is_empty());
    let is_asked = observed.verification().mode != VerificationMode::Off;
    let proven =
        rolled_out && workload.replicas > 0 && (rolls || !(unread && is_asked && is_by_file(desired)));
    let reload = reload::reload(observed, reloads, workload)
        .filter(|_| !rolls && agreed.is_none() && is_by_file(desired));
    let known =
        known(observed, workload).filter(|known| known.container.is_empty() || known.container == container);
    let now_well = view.ran_well().filter(|_| rolls && workload.ends_old_first());
    Some(Applied {
        kind: view.kind.as_str().into(),
        name: view.name.to_string(),
        uid: workload.uid.to_string(),
        container: container.into(),
        record: goal.digest().to_string(),
        revision: desired.rendered.revision.clone(),
        first: of_name(observed, view.kind, &view.name).and_then(|known| known.first).or(Some(observed.now)),
        rolled_out,
        reload: reload.cloned(),
        // Of another revision it proves nothing.
        answer: agreed.or_else(|| known.filter(|known| *known.record == *goal.digest())?.answer.clone()),
        good: good(observed, goal, view, server, proven),
        before: known.map_or_else(|| before(workload), |known| known.before),
        ran_well: if rolls { now_well } else { known.and_then(|known| known.ran_well.clone()) },
    })
}

/// More than are ever needed: the newest that did not fail is what a target goes back to.
const GOOD: usize = 8;

fn good(
    observed: &Observed,
    goal: &Goal,
    view: &TargetView,
    server: Server<'_>,
    proven: bool,
) -> Vec<SmolStr> {
    let failed = |digest: &str| {
        observed.record(digest).is_some_and(|record| record.has_failed_on(view.kind.as_str(), &view.name))
    };
    let mut good = match known(observed, server.workload) {
        Some(known) => known.good.clone(),
        None => adopted(server, goal, view).into_iter().collect(),
    };
    let record = goal.digest();
    if proven && !record.is_empty() {
        good.retain(|digest| *digest != record);
        good.insert(0, record);
    }
    good.retain(|digest| !failed(digest));
    good.truncate(GOOD);
    good
}

impl TargetView {
    /// What its pods are made from, where all of them run well.
    fn ran_well(&self) -> Option<SmolStr> {
        let mut pods = self.pods.iter().flatten().filter(|pod| !pod.deleting).peekable();
        pods.peek()?;
        let well = pods.all(|pod| pod.ready && !matches!(pod.health, Some(Health::Unwell | Health::NotYet)));
        self.content.as_ref().filter(|_| well).map(|content| content.digest.clone())
    }
}

/// After a verdict: no target that goes back counts the failed record among its good ones.
#[must_use]
pub fn applied_judged(observed: &Observed, plan: &Plan, verdict: &FailedRevision) -> Vec<Applied> {
    let mut applied = applied_before(observed, plan);
    for entry in &mut applied {
        let keeps = |back: &Back| {
            *back.kind == *entry.kind && *back.name == *entry.name && *back.record == *plan.digest
        };
        if !verdict.back.iter().any(keeps) {
            entry.good.retain(|digest| **digest != *plan.digest);
        }
    }
    applied
}

/// Before anything of the plan is written: with the reloads that are to come, and what stands where the
/// policy is about to write.
#[must_use]
pub fn applied_before(observed: &Observed, plan: &Plan) -> Vec<Applied> {
    let mut applied = observed.records.first().map(|newest| newest.applied.clone()).unwrap_or_default();
    for (uid, reload) in &plan.reloads {
        match applied.iter_mut().find(|entry| entry.uid == *uid) {
            Some(entry) => entry.reload = Some(reload.clone()),
            // Its record went with a policy of before.
            None => {
                let entry =
                    unrecorded(observed, uid).map(|entry| Applied { reload: Some(reload.clone()), ..entry });
                entry.into_iter().for_each(|entry| put_unwritten(&mut applied, entry));
            }
        }
    }
    for target in plan.over(&observed.targets) {
        if let Step::Write { rolls, .. } = target.step {
            begin(observed, target, *rolls, &mut applied);
        }
    }
    applied
}

/// What cannot be told any more once our fields are there: it is noted before they are.
fn begin(observed: &Observed, target: Planned<'_>, rolls: bool, applied: &mut Vec<Applied>) {
    let Planned { view, goal, .. } = target;
    let Ok(server) = view.server() else { return };
    let workload = server.workload;
    let ran_well = view.ran_well().filter(|_| rolls && workload.ends_old_first());
    if let Some(entry) = applied.iter_mut().find(|entry| entry.uid == *workload.uid) {
        entry.ran_well = ran_well.or_else(|| entry.ran_well.take());
    } else {
        let good = adopted(server, goal, view).into_iter().collect();
        let entry = unrecorded(observed, &workload.uid);
        let entry = entry.map(|entry| Applied {
            container: server.container.name.to_string(),
            good,
            before: before(workload),
            ran_well,
            ..entry
        });
        entry.into_iter().for_each(|entry| put_unwritten(applied, entry));
    }
}

fn before(workload: &Workload) -> Before {
    if workload.own.env.is_empty() { Before::Nothing } else { Before::Unknown }
}

/// What stands there of another policy, where its pods are ready.
fn adopted(server: Server<'_>, goal: &Goal, view: &TargetView) -> Option<SmolStr> {
    let read = read_back(server, &goal.desired, view)?;
    let workload = server.workload;
    (is_done(workload) && workload.status.ready > 0).then(|| read.digest().into())
}

fn unrecorded(observed: &Observed, uid: &str) -> Option<Applied> {
    let view = observed
        .targets
        .iter()
        .find(|view| view.workload.as_ref().is_some_and(|workload| *workload.uid == *uid))?;
    Some(Applied {
        kind: view.kind.as_str().into(),
        name: view.name.to_string(),
        uid: uid.into(),
        container: String::new(),
        record: String::new(),
        revision: String::new(),
        first: None,
        rolled_out: false,
        reload: None,
        answer: None,
        good: Vec::new(),
        before: Before::Unknown,
        ran_well: None,
    })
}

#[cfg(test)]
mod tests;
