//! The decision: from what was observed to what is written and what is told. Pure: the same
//! observation always yields the same plan.

mod claims;
mod desired;
#[cfg(test)]
mod fixtures;
pub mod manifest;
mod observed;
pub mod record;
mod reversal;
mod rollout;
mod status;
mod target;

use std::sync::Arc;

pub use claims::{Candidate, holder};
pub use desired::Desired;
pub use observed::{
    Absence, ConfigMapView, Container, EnvVar, Governed, GovernedView, History, Key, LastCondition, LastStatus, Millis, Observed,
    OwnFields, Pod, PolicyObject, TargetView, Trouble, Workload, WorkloadStatus,
};
pub use record::{Applied, Data, Record, TargetData};
pub use reversal::{ConfigMapEnd, Reversal};
pub use rollout::is_done;
pub use status::{Notice, Refusal, Report, bounded, report, taken};
pub use target::{Step, is_adopted};

/// What to write. Nothing in it means that everything is as it should be.
#[derive(Debug, Default)]
pub struct Plan {
    /// What the policy asks for; none where nothing valid is known.
    pub desired: Option<Desired>,
    pub rejections: Vec<crate::policy::Rejection>,
    pub config_map: Option<ConfigMapStep>,
    /// Somebody else changed or deleted the config map since it was applied.
    pub config_map_drifted: bool,
    pub record: Option<RecordStep>,
    /// One for each target, in order.
    pub steps: Vec<Step>,
    pub reversals: Vec<Reversal>,
    pub ended_config_maps: Vec<(ConfigMapView, ConfigMapEnd)>,
    /// Names of records beyond the limit.
    pub prune: Vec<Box<str>>,
    /// When to look again though nothing changed.
    pub again: Option<Millis>,
}

#[derive(Debug)]
pub enum ConfigMapStep {
    Create,
    Repair(ConfigMapView),
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
        name: Box<str>,
        revision: i64,
    },
}

/// Decides.
#[must_use]
pub fn plan(observed: &Observed) -> Plan {
    let mut plan = match &observed.policy {
        Some(policy) if policy.deleting => Plan::default(),
        Some(policy) => present(observed, policy),
        None => reversal::gone(observed),
    };
    plan.again = plan.again.filter(|at| *at > observed.now);
    plan
}

fn present(observed: &Observed, policy: &Arc<PolicyObject>) -> Plan {
    let newest = observed.records.first();
    let (desired, rejections) = desired::desired(observed, policy);
    let mut plan = Plan { rejections, ..Plan::default() };
    if plan.rejections.is_empty() {
        reversal::dropped(observed, &mut plan);
    }
    let Some(mut desired) = desired else { return plan };

    plan.steps = target::steps(observed, policy, &desired);
    desired.targets = plan.steps.iter().zip(&observed.targets).filter_map(|(step, view)| step.target_data(view)).collect();
    // A target that cannot be had now keeps its place in the record, else its return is a new one.
    if let Some(newest) = newest {
        for (step, view) in plan.steps.iter().zip(&observed.targets) {
            let known = newest.data.targets.iter().find(|known| *known.name == *view.name);
            if let (None, Some(known)) = (step.target_data(view), known) {
                desired.targets.push(known.clone());
            }
        }
    }
    desired.targets.sort_by(|a, b| a.name.cmp(&b.name));
    let writable = plan.steps.iter().any(|step| !matches!(step, Step::Refused { .. }));
    if writable {
        plan.config_map = config_map(observed, policy, &desired);
        plan.config_map_drifted = config_map_drifted(observed, &desired, plan.config_map.as_ref());
        plan.record = record_step(observed, &desired);
    }
    if let Some(ConfigMapStep::Taken(_)) = plan.config_map {
        plan.record = None;
    }
    // Only an accepted generation lets go: a mistyped target must not strip the real one.
    if matches!(plan.config_map, Some(ConfigMapStep::Taken(_))) || plan.steps.iter().any(|step| matches!(step, Step::Refused { .. })) {
        plan.reversals.clear();
        plan.ended_config_maps.clear();
    }
    plan.prune = prune(observed, policy, &desired, plan.record.is_some());
    plan.again = plan.again.into_iter().chain(plan.steps.iter().filter_map(|step| step.again(observed.now))).min();
    plan.desired = Some(desired);
    plan
}

fn config_map(observed: &Observed, policy: &PolicyObject, desired: &Desired) -> Option<ConfigMapStep> {
    let Some(found) = observed.config_maps.iter().find(|map| map.name == desired.config_map) else {
        return Some(ConfigMapStep::Create);
    };
    if let Err(holder) = claim_config_map(found, policy) {
        return Some(ConfigMapStep::Taken(holder));
    }
    let content = crate::document::hex_digest(&desired.rendered.file, 16);
    let governed = desired.governed(policy, &observed.crd_uid, None).write();
    let same = found.content.as_deref() == Some(&*content) && found.governed.as_deref() == Some(&*governed);
    (!same && !found.deleting).then(|| ConfigMapStep::Repair(found.clone()))
}

/// A target is written only after the config map: from then on a file that differs was changed.
fn config_map_drifted(observed: &Observed, desired: &Desired, step: Option<&ConfigMapStep>) -> bool {
    let digest = desired.data().digest();
    let applied = observed.records.first().is_some_and(|newest| newest.applied.iter().any(|applied| applied.record == digest));
    let content = crate::document::hex_digest(&desired.rendered.file, 16);
    applied
        && match step {
            Some(ConfigMapStep::Create) => true,
            Some(ConfigMapStep::Repair(found)) => found.content.as_deref() != Some(&*content),
            Some(ConfigMapStep::Taken(_)) | None => false,
        }
}

/// Whether the policy may write this config map: it was made by this operator for the policy of
/// this name, today's or one that is gone.
///
/// # Errors
/// Who holds it instead.
pub fn claim_config_map(found: &ConfigMapView, policy: &PolicyObject) -> Result<(), String> {
    let governed = Governed::read(found.governed.as_deref());
    let own_label = found.own && found.policy_label.as_deref() == Some(&*policy.key.name);
    let made_for_this = governed.as_ref().is_some_and(|governed| governed.policy == *policy.uid);
    match &found.policy_label {
        _ if own_label && governed.is_some() => Ok(()),
        // Its label or manager was taken away, the annotation still names this very policy.
        _ if made_for_this => Ok(()),
        Some(other) if found.own => Err(format!("the policy {other}")),
        _ => Err("somebody else".into()),
    }
}

fn record_step(observed: &Observed, desired: &Desired) -> Option<RecordStep> {
    let digest = desired.data().digest();
    let highest = observed.records.first().map_or(0, |newest| newest.revision);
    match observed.records.iter().position(|record| record.digest() == digest) {
        Some(0) => None,
        Some(older) => Some(RecordStep::Renew { name: observed.records[older].name.clone(), revision: highest + 1 }),
        None => Some(RecordStep::Create { revision: highest + 1 }),
    }
}

/// The limit never touches what is current, or applied somewhere.
fn prune(observed: &Observed, policy: &PolicyObject, desired: &Desired, changes: bool) -> Vec<Box<str>> {
    let Ok(limits) = &policy.spec else { return Vec::new() };
    let current = desired.data().digest();
    let applied = observed.records.first().map(|newest| newest.applied.as_slice()).unwrap_or_default();
    let needed = |digest: &str| digest == current || applied.iter().any(|applied| applied.record == digest);
    if changes {
        // The annotation moves first; the next look finds what it no longer needs.
        return Vec::new();
    }
    observed.records.iter().filter(|record| !needed(record.digest())).skip(limits.history_limit).map(|record| record.name.clone()).collect()
}

/// What was applied where, after these steps: `written` has the uid of each workload that a step
/// wrote, in the order of the targets.
#[must_use]
pub fn applied_after(observed: &Observed, plan: &Plan, written: &[bool], reverted: &[Box<str>]) -> Vec<Applied> {
    let mut applied: Vec<Applied> = observed.records.first().map(|newest| newest.applied.clone()).unwrap_or_default();
    applied.retain(|entry| !reverted.iter().any(|uid| **uid == entry.uid));
    let Some(desired) = &plan.desired else { return applied };
    let digest = desired.data().digest();
    for (index, (step, view)) in plan.steps.iter().zip(&observed.targets).enumerate() {
        let Some(workload) = &view.workload else { continue };
        let (container, rolled_out) = match step {
            Step::Write { container, rolls, .. } if written.get(index).copied().unwrap_or_default() => (container, !rolls),
            Step::Settled { container, done } => (container, *done),
            _ => continue,
        };
        let known = applied.iter().find(|entry| entry.uid == *workload.uid);
        let same = known.is_some_and(|known| known.revision == desired.rendered.revision && known.container == **container);
        let latched = same && known.is_some_and(|known| known.rolled_out);
        let rolled_out = match step {
            Step::Write { .. } => rolled_out && (latched || is_done(workload)),
            _ => rolled_out || latched,
        };
        let entry = Applied {
            kind: "Deployment".into(),
            name: view.name.to_string(),
            uid: workload.uid.to_string(),
            container: container.to_string(),
            record: digest.clone(),
            revision: desired.rendered.revision.clone(),
            rolled_out,
        };
        applied.retain(|known| known.name != entry.name);
        applied.push(entry);
    }
    applied.sort_by(|a, b| a.name.cmp(&b.name));
    applied
}

/// A Kratos configuration that sets nothing.
pub const EMPTY_FILE: &str = "{}\n";
