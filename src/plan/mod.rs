//! The decision: from what was observed to what is written and what is told. Pure: the same
//! observation always yields the same plan.

mod adopted;
mod advice;
mod answer;
mod applied;
mod ceiling;
mod claims;
mod confirmed;
mod demand;
mod desired;
mod effective;
mod examination;
#[cfg(test)]
mod fixtures;
mod governed;
mod judgement;
mod last;
pub mod manifest;
mod mark;
mod news;
mod observed;
mod overrides;
mod pauses;
mod pod;
mod proof;
pub mod record;
mod reversal;
mod risks;
mod rollback;
mod rolled_out;
mod rollout;
mod selected;
mod shape;
#[cfg(test)]
mod simulation;
mod status;
mod suspended;
mod target;
mod transitions;
mod unchecked;
mod unheard;
mod unreadable;
mod unusual;
mod way_back;
mod weighed;

use std::sync::Arc;

use smol_str::SmolStr;

use crate::api::Reason;
use crate::policy::Delivery;
use crate::server::kratos::{Rendered, render};

pub use advice::{NAMED, waits_for_version};
pub use answer::Answer;
pub use applied::{applied_after, applied_before, applied_judged};
pub use ceiling::Bounded;
pub use claims::{Candidate, Claim, claim};
pub use confirmed::{Question, is_wrong, of_variables, pause, questions};
pub use demand::Demand;
pub use desired::{Desired, Goal, Standing};
pub use effective::hashes;
pub use examination::{Examination, judged_well, to_examine};
pub use governed::Governed;
pub use last::{Cause, LastCondition, LastStatus, Levels, Transition};
pub use mark::{Mark, levels_of_pods};
pub use news::{News, Notice, message_digest, retrying, suspension};
pub use observed::{
    Absence, ConfigMapView, Container, Containers, Content, EnvVar, GovernedView, History, Key, Millis,
    MountedFile, Observed, OwnFields, PolicyObject, TargetView, UpdateStrategy, Workload, WorkloadId,
    WorkloadStatus,
};
pub use pauses::Pauses;
pub use pod::{Health, Pod, Trouble};
pub use proof::Proof;
pub use record::{Applied, Back, Before, Data, Evidence, Record, Reload, TargetData, Verdict};
pub use reversal::{ConfigMapEnd, Memory, Reversal, ends, given_up};
pub use risks::{beside_ours, may_be_refused, refusals};
pub use rollback::{Ruling, StuckPod};
pub use rollout::is_done;
pub use selected::{OtherPods, Selected, UnknownPods};
pub use shape::{Replacement, Traits};
pub use status::{Refusal, Report, bounded, level_word, report, taken};
pub use target::{Step, container, is_adopted};
pub use transitions::{levels, read as read_transition, seconds, written_levels};
pub use unheard::{NoRoom, Unheard};
pub use unreadable::Unreadable;
pub use unusual::{EnvFrom, EnvFromMap, EnvSource, FileSource, UnreadFile, Unusual};
pub use weighed::{LeftFile, left_file};

/// What to write. Nothing in it means that everything is as it should be.
#[derive(Debug, Default)]
pub struct Plan {
    /// What shall be in force; none where nothing valid is known. It is what the policy asks for,
    /// or what that went back to.
    pub desired: Option<Arc<Desired>>,
    /// Digest of the record of what the policy asks for.
    pub digest: String,
    /// What each target shall have, in order.
    pub goals: Vec<Goal>,
    /// Why that is not what the policy asks for.
    pub verdict: Option<Verdict>,
    /// What becomes of a verdict, or of its absence.
    pub ruling: Option<Ruling>,
    /// What stood on targets before this policy came to them, to be remembered first.
    pub adopted: Vec<Data>,
    pub stuck: Vec<StuckPod>,
    pub rejections: Vec<crate::policy::Rejection>,
    pub config_map: Option<ConfigMapStep>,
    pub record: Option<RecordStep>,
    /// One for each target, in order.
    pub steps: Vec<Step>,
    pub reversals: Vec<Reversal>,
    /// What shall happen when the policy goes, where it is remembered otherwise.
    pub memories: Vec<Memory>,
    pub ended_config_maps: Vec<(ConfigMapView, ConfigMapEnd)>,
    /// What else waits for the end of a suspension.
    pub pending: Vec<String>,
    /// Workloads by uid whose running pods are about to read a new file.
    pub reloads: Vec<(SmolStr, Reload)>,
    /// Names of records beyond the limit.
    pub prune: Vec<SmolStr>,
    /// When to look again though nothing changed.
    pub again: Option<Millis>,
}

/// What the file is before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrittenFrom {
    /// An earlier one, or none: no target has what is written now.
    Before,
    /// A later one of the policy itself, where a target has what comes back: after a failure, or an edit that
    /// is undone.
    Later,
    /// Somebody else's: the file was changed or deleted, or its label taken away.
    Drift,
}

#[derive(Debug)]
pub enum ConfigMapStep {
    Create {
        from: WrittenFrom,
    },
    Repair {
        found: ConfigMapView,
        from: WrittenFrom,
    },
    /// Its file is as it should be, what it remembers is not.
    Annotate(ConfigMapView),
    /// Another policy's, a foreign one, or what is left of one and would be lost.
    Refused(Refusal),
}

#[derive(Debug)]
pub enum RecordStep {
    Create {
        revision: i64,
    },
    /// An older record is current again.
    Renew {
        name: SmolStr,
        revision: i64,
    },
}

impl Plan {
    /// Whether it changes something that pods run, or what is remembered of that.
    #[must_use]
    pub fn writes(&self) -> bool {
        let file = matches!(
            self.config_map,
            Some(ConfigMapStep::Create { .. } | ConfigMapStep::Repair { .. } | ConfigMapStep::Annotate(_))
        );
        let targets = self.steps.iter().any(|step| matches!(step, Step::Write { .. }));
        let memory = self.record.is_some() || !self.memories.is_empty();
        // What is left as it is stays so.
        let reverts = self.reversals.iter().any(|reversal| matches!(reversal, Reversal::Revert(_)));
        file || targets || memory || reverts || !self.ended_config_maps.is_empty()
    }
}

impl Plan {
    /// Whether a target gets something new, and nothing is only put back.
    #[must_use]
    pub fn begins_a_roll(&self) -> bool {
        self.steps
            .iter()
            .any(|step| matches!(step, Step::Write { rolls: true, drift, .. } if drift.is_empty()))
    }

    /// Whether the policy gives up some of what it governs, for good.
    #[must_use]
    pub fn lets_go(&self, observed: &Observed, policy: &PolicyObject) -> bool {
        self.is_in_order(observed, policy) && given_up(observed).next().is_some()
    }

    /// Whether what the policy names is what it has: one that cannot have its new targets keeps the old ones,
    /// unless the new are each other's.
    #[must_use]
    pub fn is_in_order(&self, observed: &Observed, policy: &PolicyObject) -> bool {
        let stands =
            |step: &Step| !matches!(step, Step::Refused { reason, .. } if *reason != Reason::TargetClaimed);
        let in_order =
            self.steps.iter().all(stands) && !matches!(self.config_map, Some(ConfigMapStep::Refused(_)));
        observed.standing.accepted(policy).is_some() && in_order
    }
}

/// Decides.
#[must_use]
pub fn plan(observed: &Observed) -> Plan {
    let mut plan = match &observed.policy {
        Some(policy) => present(observed, policy),
        None => reversal::gone(observed),
    };
    plan.again = plan.again.filter(|at| *at > observed.now);
    plan
}

fn present(observed: &Observed, policy: &Arc<PolicyObject>) -> Plan {
    let mut plan = Plan { rejections: observed.standing.rejections.clone(), ..Plan::default() };
    if observed.standing.accepted(policy).is_some() {
        reversal::dropped(observed, &mut plan);
    }
    let Some(mut desired) = observed.standing.desired(policy) else {
        plan.memories = reversal::memories(observed, policy, &plan);
        return plan;
    };

    let found = target::find_all(observed, policy, &desired);
    desired.targets = target::data(observed, &found);
    let digest = desired.data().digest();
    let asked_for = Arc::new(desired);
    plan.verdict = rollback::standing(observed, policy, &asked_for, &digest);
    plan.goals = rollback::goals(observed, &asked_for, &digest, plan.verdict.as_ref());
    plan.steps = target::steps(observed, policy, &plan.goals, found, plan.verdict.as_ref());
    let in_force = rollback::in_force(observed, &plan)
        .unwrap_or_else(|| Goal { desired: asked_for.clone(), record: Some(digest.as_str().into()) });
    let desired = in_force.desired.clone();
    let writable = plan.steps.iter().any(|step| !matches!(step, Step::Refused { .. }));
    let not_wired =
        plan.steps.iter().any(|step| matches!(step, Step::Refused { reason: Reason::NotWired, .. }));
    // The file has to be there before it can be mounted.
    if writable || not_wired {
        plan.config_map =
            config_map(observed, policy, &desired, in_force.record.as_deref().unwrap_or_default());
    }
    if writable {
        // The garbage collector takes the records of a policy that is being deleted.
        plan.record = record_step(observed, &digest).filter(|_| !policy.deleting);
        plan.adopted = adopted::adopted(observed, &plan, &asked_for);
    }
    if let Some(ConfigMapStep::Refused(_)) = plan.config_map {
        plan.record = None;
    }
    // Only an accepted generation lets go: a mistyped target must not strip the real one.
    if matches!(plan.config_map, Some(ConfigMapStep::Refused(_)))
        || plan.steps.iter().any(|step| matches!(step, Step::Refused { .. }))
    {
        plan.reversals.clear();
        plan.ended_config_maps.clear();
    }
    plan.prune = prune(observed, policy, &digest, plan.record.is_some());
    if policy.suspend {
        suspended::hold(&desired, &mut plan);
    }
    plan.memories = reversal::memories(observed, policy, &plan);
    plan.reloads = effective::reloads(observed, &in_force, &plan.steps, plan.config_map.as_ref());
    plan.again = plan.again.into_iter().chain(overrides::again(observed)).min();
    let steps_again =
        plan.steps.iter().zip(&observed.targets).filter_map(|(step, view)| step.again(view, observed.now));
    plan.again = plan.again.into_iter().chain(steps_again).min();
    plan.digest = digest;
    plan.desired = Some(desired);
    plan.ruling = rollback::ruling(observed, policy, &plan, &asked_for);
    plan.stuck = rollback::stuck(observed, policy, &plan);
    let verdict_again = plan.verdict.as_ref().map(|verdict| rollback::look(observed, policy, verdict));
    plan.again = plan.again.into_iter().chain(verdict_again).min();
    let each = plan.steps.iter().zip(&plan.goals).zip(&observed.targets);
    let asked_again =
        each.filter_map(|((step, goal), view)| effective::again(observed, &plan, goal, view, step));
    plan.again = plan.again.into_iter().chain(asked_again).min();
    plan
}

/// Whether the policy delivers a file, so that it matters what pods make of it.
#[must_use]
pub fn delivers_a_file(observed: &Observed) -> bool {
    let delivery = observed.policy.as_ref().and_then(|policy| observed.standing.delivery(policy));
    delivery == Some(Delivery::ConfigFile)
}

/// Whether running pods are about to read another file, so that it matters what it is laid on.
#[must_use]
pub fn is_about_to_change(observed: &Observed) -> bool {
    let Some(policy) = observed.policy.as_ref().filter(|policy| !policy.suspend && delivers_a_file(observed))
    else {
        return false;
    };
    observed.standing.desired(policy).is_some_and(|desired| {
        observed.config_map(&desired.config_map).is_some()
            && effective::File::found(observed, &desired) == effective::File::Other
    })
}

/// What is held of the file.
fn content(rendered: &Rendered) -> String {
    crate::document::hex_digest(&rendered.file, 16)
}

fn config_map(
    observed: &Observed,
    policy: &PolicyObject,
    desired: &Desired,
    digest: &str,
) -> Option<ConfigMapStep> {
    if let Some(unreadable) =
        observed.unreadable.iter().find(|found| found.is_config_map(&desired.config_map))
    {
        return Some(ConfigMapStep::Refused(unreadable.refusal()));
    }
    let found = observed.config_map(&desired.config_map);
    let changed = match found {
        None => true,
        Some(found) => {
            if let Err(holder) = claim_config_map(found, policy) {
                return Some(ConfigMapStep::Refused((Reason::ConfigMapTaken, taken(&found.name, &holder))));
            }
            if let Some(message) = weighed::file_taken(observed, policy, desired) {
                return Some(ConfigMapStep::Refused((Reason::InvalidSpec, message)));
            }
            if found.deleting {
                return None;
            }
            found.content.as_deref() != Some(&*content(&desired.rendered))
        }
    };
    let from = written_from(observed, found, digest);
    let Some(found) = found else { return Some(ConfigMapStep::Create { from }) };
    if changed || found.policy_label.as_ref() != Some(&policy.key.name) {
        let from = if changed { from } else { WrittenFrom::Before };
        return Some(ConfigMapStep::Repair { found: found.clone(), from });
    }
    let noted =
        found.governed.as_deref() == Some(&*desired.governed(policy, &observed.crd_uid, None).write());
    (!noted).then(|| ConfigMapStep::Annotate(found.clone()))
}

/// What a file is that differs from that of the record with this digest.
fn written_from(observed: &Observed, found: Option<&ConfigMapView>, digest: &str) -> WrittenFrom {
    let Some(newest) = observed.records.first() else { return WrittenFrom::Before };
    let has = |record: &str| newest.applied.iter().any(|applied| applied.record == record);
    if !has(digest) {
        return WrittenFrom::Before;
    }
    // A target is written only after the config map: from then on a file that differs was changed. By us, if
    // it is that of the newest record, which may be on its way, or of one that some target has.
    let is_ours = |record: &Record| {
        let rendered = render(&observed.key.name, record.data.overlay.clone(), record.data.delivery);
        found.and_then(|found| found.content.as_deref()) == Some(&*content(&rendered))
    };
    let ours = observed.records.iter().filter(|record| Arc::ptr_eq(record, newest) || has(record.digest()));
    if ours.map(Arc::as_ref).any(is_ours) { WrittenFrom::Later } else { WrittenFrom::Drift }
}

/// Whether the policy may write this config map: it was made by this operator, for the policy of
/// this name, today's or one that is gone, or for another that holds it no more.
///
/// # Errors
/// Who holds it instead.
pub fn claim_config_map(found: &ConfigMapView, policy: &PolicyObject) -> Result<(), String> {
    let governed = Governed::read(found.governed.as_deref());
    let own_label = found.own && found.policy_label.as_deref() == Some(&*policy.key.name);
    let made_for_this = governed.as_ref().is_some_and(|governed| governed.policy == *policy.uid);
    match &found.holder {
        _ if own_label && governed.is_some() => Ok(()),
        // Its label or manager was taken away, the annotation still names this very policy.
        _ if made_for_this => Ok(()),
        Some(other) if found.own => Err(format!("the policy {other}")),
        None if found.own && found.policy_label.is_some() && governed.is_some() => Ok(()),
        _ => Err("somebody else".into()),
    }
}

fn record_step(observed: &Observed, digest: &str) -> Option<RecordStep> {
    let highest = observed
        .records
        .iter()
        .filter(|record| record.is_plausible())
        .map(|record| record.revision)
        .max()
        .unwrap_or_default();
    match observed.records.iter().position(|record| record.digest() == digest) {
        Some(0) => None,
        Some(older) => {
            Some(RecordStep::Renew { name: observed.records[older].name.clone(), revision: highest + 1 })
        }
        None => Some(RecordStep::Create { revision: highest + 1 }),
    }
}

/// The limit never touches what is current, or applied somewhere.
fn prune(observed: &Observed, policy: &PolicyObject, current: &str, changes: bool) -> Vec<SmolStr> {
    let Ok(limits) = &policy.spec else { return Vec::new() };
    let applied = observed.records.first().map(|newest| newest.applied.as_slice()).unwrap_or_default();
    let back = |record: &Record, digest: &str| {
        record.verdict.iter().flat_map(|verdict| &verdict.back).any(|back| back.record == digest)
    };
    // What stands where nothing was written yet is of before all revisions.
    let unwritten = applied.iter().any(|applied| applied.record.is_empty());
    let needed = |record: &Record| {
        let digest = record.digest();
        let used = |applied: &Applied| {
            applied.record == digest || applied.good.first().is_some_and(|good| good == digest)
        };
        digest == current
            || (unwritten && record.revision == 0)
            || applied.iter().any(used)
            || observed.records.iter().any(|record| record.digest() == current && back(record, digest))
    };
    if changes {
        // The annotation moves first; the next look finds what it no longer needs.
        return Vec::new();
    }
    let (plausible, others): (Vec<_>, Vec<_>) =
        observed.records.iter().filter(|record| !needed(record)).partition(|record| record.is_plausible());
    // What a target would go back to should the current one fail is one of those that are kept, and kept even
    // if none is.
    let before = |record: &Record| {
        applied.iter().any(|applied| {
            applied.good.iter().find(|good| **good != current).is_some_and(|good| *good == record.digest())
        })
    };
    let plausible = plausible.into_iter().skip(limits.history_limit).filter(|record| !before(record));
    plausible.chain(others).map(|record| record.name.clone()).collect()
}

/// A Kratos configuration that sets nothing.
pub const EMPTY_FILE: &str = "{}\n";
