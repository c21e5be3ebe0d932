//! The decision: from what was observed to what is written and what is told. Pure: the same
//! observation always yields the same plan.

mod applied;
mod claims;
mod desired;
mod effective;
#[cfg(test)]
mod fixtures;
pub mod manifest;
mod mark;
mod observed;
pub mod record;
mod reversal;
mod rollout;
mod status;
mod suspended;
mod target;

use std::sync::Arc;

use smol_str::SmolStr;

use crate::api::Reason;
use crate::policy::Delivery;

pub use applied::{applied_after, applied_before};
pub use claims::{Candidate, holder};
pub use desired::{Desired, Standing};
pub use effective::hashes;
pub use mark::Mark;
pub use observed::{
    Absence, Answer, ConfigMapView, Container, EnvVar, Governed, GovernedView, History, Key, LastCondition, LastStatus, Millis,
    MountedFile, Observed, OwnFields, Pod, PolicyObject, TargetView, Trouble, UpdateStrategy, Workload, WorkloadId, WorkloadStatus,
};
pub use record::{Applied, Data, Record, Reload, TargetData};
pub use reversal::{ConfigMapEnd, Memory, Reversal, ends};
pub use rollout::is_done;
pub use status::{Notice, Refusal, Report, bounded, level_word, report, taken};
pub use target::{Step, container, is_adopted};

/// What to write. Nothing in it means that everything is as it should be.
#[derive(Debug, Default)]
pub struct Plan {
    /// What the policy asks for; none where nothing valid is known.
    pub desired: Option<Desired>,
    /// Digest of the record of what is desired.
    pub digest: String,
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

#[derive(Debug)]
pub enum ConfigMapStep {
    Create {
        /// It was there and somebody deleted it, or took its label away.
        drifted: bool,
    },
    Repair {
        found: ConfigMapView,
        /// Somebody changed its file.
        drifted: bool,
    },
    /// Its file is as it should be, what it remembers is not.
    Annotate(ConfigMapView),
    /// Somebody keeps changing it: it is repaired again at this time.
    Fought { until: Millis },
    /// Another policy's, or a foreign one: named by who holds it.
    Taken(String),
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
    let newest = observed.records.first();
    let mut plan = Plan { rejections: observed.standing.rejections.clone(), ..Plan::default() };
    if observed.standing.accepted(policy).is_some() {
        reversal::dropped(observed, &mut plan);
    }
    let Some(mut desired) = observed.standing.desired(policy) else {
        plan.memories = reversal::memories(observed, policy, &plan);
        return plan;
    };

    plan.steps = target::steps(observed, policy, &desired);
    desired.targets = plan.steps.iter().zip(&observed.targets).filter_map(|(step, view)| step.target_data(view)).collect();
    // A target that cannot be had now keeps its place in the record, else its return is a new one.
    if let Some(newest) = newest {
        for (step, view) in plan.steps.iter().zip(&observed.targets) {
            let known = newest.data.targets.iter().find(|known| known.kind == view.kind.as_str() && *known.name == *view.name);
            if let (None, Some(known)) = (step.target_data(view), known) {
                desired.targets.push(known.clone());
            }
        }
    }
    desired.targets.sort_by(|a, b| (&a.name, &a.kind).cmp(&(&b.name, &b.kind)));
    let writable = plan.steps.iter().any(|step| !matches!(step, Step::Refused { .. }));
    let not_wired = plan.steps.iter().any(|step| matches!(step, Step::Refused { reason: Reason::NotWired, .. }));
    let digest = desired.data().digest();
    // The file has to be there before it can be mounted.
    if writable || not_wired {
        plan.config_map = config_map(observed, policy, &desired, &digest);
    }
    if writable {
        // The garbage collector takes the records of a policy that is being deleted.
        plan.record = record_step(observed, &digest).filter(|_| !policy.deleting);
    }
    if let Some(ConfigMapStep::Taken(_)) = plan.config_map {
        plan.record = None;
    }
    // Only an accepted generation lets go: a mistyped target must not strip the real one.
    if matches!(plan.config_map, Some(ConfigMapStep::Taken(_))) || plan.steps.iter().any(|step| matches!(step, Step::Refused { .. })) {
        plan.reversals.clear();
        plan.ended_config_maps.clear();
    }
    plan.prune = prune(observed, policy, &digest, plan.record.is_some());
    if policy.suspend {
        suspended::hold(&desired, &mut plan);
    }
    plan.memories = reversal::memories(observed, policy, &plan);
    plan.reloads = effective::reloads(observed, &desired, &plan.steps, plan.config_map.as_ref());
    let config_map_again = match plan.config_map {
        Some(ConfigMapStep::Fought { until }) => Some(until),
        _ => None,
    };
    let steps_again = plan.steps.iter().zip(&observed.targets).filter_map(|(step, view)| step.again(view, observed.now));
    plan.again = plan.again.into_iter().chain(config_map_again).chain(steps_again).min();
    plan.digest = digest;
    plan.desired = Some(desired);
    let asked_again = plan.steps.iter().zip(&observed.targets).filter_map(|(step, view)| effective::again(observed, &plan, view, step));
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
    let Some(policy) = observed.policy.as_ref().filter(|policy| !policy.suspend && delivers_a_file(observed)) else { return false };
    observed.standing.desired(policy).is_some_and(|desired| {
        observed.config_map(&desired.config_map).is_some() && effective::File::found(observed, &desired) == effective::File::Other
    })
}

/// What is held of the file.
fn content(desired: &Desired) -> String {
    crate::document::hex_digest(&desired.rendered.file, 16)
}

fn config_map(observed: &Observed, policy: &PolicyObject, desired: &Desired, digest: &str) -> Option<ConfigMapStep> {
    let found = observed.config_map(&desired.config_map);
    let changed = match found {
        None => true,
        Some(found) => {
            if let Err(holder) = claim_config_map(found, policy) {
                return Some(ConfigMapStep::Taken(holder));
            }
            if found.deleting {
                return None;
            }
            found.content.as_deref() != Some(&*content(desired))
        }
    };
    // A target is written only after the config map: from then on a file that differs was changed.
    let applied = observed.records.first().is_some_and(|newest| newest.applied.iter().any(|applied| applied.record == digest));
    let drifted = changed && applied;
    if drifted && let Some(until) = rollout::repair_not_before(&observed.config_map_history.repairs, observed.now) {
        return Some(ConfigMapStep::Fought { until });
    }
    let Some(found) = found else { return Some(ConfigMapStep::Create { drifted }) };
    if changed || found.policy_label.as_ref() != Some(&policy.key.name) {
        return Some(ConfigMapStep::Repair { found: found.clone(), drifted });
    }
    let noted = found.governed.as_deref() == Some(&*desired.governed(policy, &observed.crd_uid, None).write());
    (!noted).then(|| ConfigMapStep::Annotate(found.clone()))
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
    let highest = observed.records.iter().filter(|record| record.is_plausible()).map(|record| record.revision).max().unwrap_or_default();
    match observed.records.iter().position(|record| record.digest() == digest) {
        Some(0) => None,
        Some(older) => Some(RecordStep::Renew { name: observed.records[older].name.clone(), revision: highest + 1 }),
        None => Some(RecordStep::Create { revision: highest + 1 }),
    }
}

/// The limit never touches what is current, or applied somewhere.
fn prune(observed: &Observed, policy: &PolicyObject, current: &str, changes: bool) -> Vec<SmolStr> {
    let Ok(limits) = &policy.spec else { return Vec::new() };
    let applied = observed.records.first().map(|newest| newest.applied.as_slice()).unwrap_or_default();
    let needed = |digest: &str| digest == current || applied.iter().any(|applied| applied.record == digest);
    if changes {
        // The annotation moves first; the next look finds what it no longer needs.
        return Vec::new();
    }
    let (plausible, others): (Vec<_>, Vec<_>) =
        observed.records.iter().filter(|record| !needed(record.digest())).partition(|record| record.is_plausible());
    plausible.into_iter().skip(limits.history_limit).chain(others).map(|record| record.name.clone()).collect()
}

/// A Kratos configuration that sets nothing.
pub const EMPTY_FILE: &str = "{}\n";
