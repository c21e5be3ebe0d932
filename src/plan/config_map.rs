//! The config map with the rendered file: whether the policy may write it, and what differs.

use std::sync::Arc;

use crate::api::Reason;
use crate::model::{ConfigMapView, PolicyObject, Record};
use crate::plan::checks::claims::claim_config_map;
use crate::plan::checks::weakening;
use crate::plan::desired::Goal;
use crate::plan::input::Observed;
use crate::plan::steps::{ConfigMapStep, Step, TargetPlan, WrittenFrom};
use crate::server::kratos::{Rendered, render};

/// Digest of the file, as the store holds it.
pub fn content(rendered: &Rendered) -> String {
    crate::document::hex_digest(&rendered.file, 16)
}

/// What happens to the config map; none where it is as it should be, or no target can have the policy.
pub fn step(
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
            if let Some(message) = weakening::file_taken(observed, policy, desired) {
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

/// A Kratos configuration that sets nothing.
pub const EMPTY_FILE: &str = "{}\n";

/// The message of `ConfigMapTaken`.
#[must_use]
pub fn taken(name: &str, holder: &str) -> String {
    format!(
        "the ConfigMap {name} belongs to {holder}: set spec.delivery.configMapName to a name that is free, or delete it"
    )
}
