//! The decision: from what was observed to what is written and what is told. Pure: the same
//! observation always yields the same plan.

mod adopted;
mod advice;
mod answer;
mod applied;
mod ceiling;
mod claims;
mod conditions;
mod config_map;
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
mod outcome;
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
mod server;
mod shape;
#[cfg(test)]
mod simulation;
mod status;
mod suspended;
mod target;
mod target_status;
mod transitions;
mod unchecked;
mod unheard;
mod unreadable;
mod unusual;
mod way_back;
mod weighed;

use std::sync::Arc;

use smol_str::SmolStr;

pub use advice::{NAMED, waits_for_version};
pub use answer::Answer;
pub use applied::{applied_after, applied_before, applied_judged};
pub use ceiling::Bounded;
pub use claims::{Candidate, Claim, claim};
pub use config_map::{claim_config_map, delivers_a_file, is_about_to_change};
pub use confirmed::{Question, is_wrong, of_variables, pause, questions};
pub use demand::Demand;
use desired::Wanted;
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
pub use outcome::{ConfigMapStep, Failure, Plan, Planned, RecordStep, Reloads, TargetPlan, WrittenFrom};
pub use pauses::Pauses;
pub use pod::{Health, Pod, Trouble};
pub use proof::Proof;
pub use record::{Applied, Back, Before, Data, Evidence, Record, Reload, TargetData, Verdict};
pub use reversal::{ConfigMapEnd, Memory, Release, Reversal, ends, given_up};
pub use risks::{beside_ours, may_be_refused, refusals};
pub use rollback::StuckPod;
pub use rollout::is_done;
pub use selected::{OtherPods, Selected, UnknownPods};
pub use server::Server;
pub use shape::{Replacement, Traits};
pub use status::{Refusal, Report, bounded, level_word, report, taken};
pub use target::{Step, is_adopted};
pub use transitions::{levels, read as read_transition, seconds, written_levels};
pub use unheard::{NoRoom, Unheard};
pub use unreadable::Unreadable;
pub use unusual::{EnvFrom, EnvFromMap, EnvSource, FileSource, UnreadFile, Unusual};
pub use weighed::{LeftFile, left_file};

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
    let rejections = observed.standing.rejections.clone();
    let release = match observed.standing.accepted(policy) {
        Some(_) => reversal::dropped(observed),
        None => Release::default(),
    };
    let Some(wanted) = Wanted::of(observed, policy) else {
        let memories = reversal::memories(observed, policy, &[], None, &release);
        return Plan { rejections, memories, again: release.again, release, ..Plan::default() };
    };
    let verdict = rollback::standing(observed, policy, &wanted);
    let targets = target::plans(observed, policy, &wanted, verdict.as_ref());
    let is_refused = |target: &TargetPlan| matches!(target.step, Step::Refused { .. });
    let writable = !targets.iter().all(is_refused);
    let in_force = rollback::in_force(observed, &targets, verdict.as_ref()).unwrap_or_else(|| wanted.goal());
    let desired = in_force.desired.clone();
    let config_map = config_map::step(observed, policy, &targets, &in_force);
    let file_refused = matches!(config_map, Some(ConfigMapStep::Refused(_)));
    let record = (writable && !file_refused).then(|| record_step(observed, policy, &wanted)).flatten();
    let adopted = if writable { adopted::adopted(observed, &targets, &wanted) } else { Vec::new() };
    // Only an accepted generation lets go: a mistyped target must not strip the real one.
    let keeps = file_refused || targets.iter().any(is_refused);
    let release = if keeps { release.of_nothing() } else { release };
    let prune = prune(observed, policy, &wanted.digest, record.is_some());
    let changes = Changes { config_map, record, release, prune };
    let (Changes { config_map, record, release, prune }, pending) =
        if policy.suspend { suspended::hold(&desired, changes) } else { (changes, Vec::new()) };
    let memories = reversal::memories(observed, policy, &targets, config_map.as_ref(), &release);
    let reloads = effective::reloads(observed, &in_force, &targets, config_map.as_ref());
    let again = [
        release.again,
        overrides::again(observed),
        target::again(observed, &targets),
        verdict.as_ref().map(|verdict| rollback::look(observed, policy, verdict)),
        effective::again(observed, &targets, &reloads),
    ];
    let stuck = rollback::stuck(observed, policy, &wanted, &targets, verdict.as_ref());
    let failure = match verdict {
        Some(verdict) => Failure::RolledBack(verdict),
        None => rollback::failure(observed, policy, &wanted, &targets, &reloads),
    };
    Plan {
        desired: Some(desired),
        digest: wanted.digest,
        targets,
        failure,
        adopted,
        stuck,
        rejections,
        config_map,
        record,
        release,
        memories,
        pending,
        reloads,
        prune,
        again: again.into_iter().flatten().min(),
    }
}

/// What is written beside the targets.
struct Changes {
    config_map: Option<ConfigMapStep>,
    record: Option<RecordStep>,
    release: Release,
    prune: Vec<SmolStr>,
}

fn record_step(observed: &Observed, policy: &PolicyObject, wanted: &Wanted) -> Option<RecordStep> {
    // The garbage collector takes the records of a policy that is being deleted.
    if policy.deleting {
        return None;
    }
    let highest = observed
        .records
        .iter()
        .filter(|record| record.is_plausible())
        .map(|record| record.revision)
        .max()
        .unwrap_or_default();
    match observed.records.iter().position(|record| record.digest() == wanted.digest) {
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
