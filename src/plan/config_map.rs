//! The config map with the rendered file: whether the policy may write it, and what differs.

use std::sync::Arc;

use super::effective::File;
use super::{
    ConfigMapStep, ConfigMapView, Goal, Governed, Observed, PolicyObject, Record, Step, TargetPlan,
    WrittenFrom, taken, weighed,
};
use crate::api::Reason;
use crate::policy::Delivery;
use crate::server::kratos::{Rendered, render};

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
        observed.config_map(&desired.config_map).is_some() && File::found(observed, &desired) == File::Other
    })
}

/// What is held of the file.
pub(super) fn content(rendered: &Rendered) -> String {
    crate::document::hex_digest(&rendered.file, 16)
}

/// What happens to the config map; none where it is as it should be, or no target can have the policy.
pub(super) fn step(
    observed: &Observed,
    policy: &PolicyObject,
    targets: &[TargetPlan],
    in_force: &Goal,
) -> Option<ConfigMapStep> {
    // The file has to be there before it can be mounted.
    let needs_it = |target: &TargetPlan| !matches!(&target.step, Step::Refused { reason, .. } if *reason != Reason::NotWired);
    if !targets.iter().any(needs_it) {
        return None;
    }
    let desired = &*in_force.desired;
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
    let from = written_from(observed, found, &in_force.digest());
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
