//! What a policy takes the place of on a target, and may not take away unnoticed: what it had there itself
//! before an edit, what another one left in force, or what the server's own files say. All of it goes by the
//! one order on settings.

#[cfg(test)]
mod tests;

use smol_str::SmolStr;

use crate::api::rules;
use crate::model::{Applied, Container, OwnershipNote, PolicyObject, Workload};
use crate::plan::checks::claims::claim_config_map;
use crate::plan::checks::merged::{governed, merged_with};
use crate::plan::desired::{Desired, read_back};
use crate::plan::history::last_applied;
use crate::plan::input::{LeftFile, Observed, TargetView};
use crate::policy::{Delivery, Policy, Rejection};
use crate::server::kratos::{Change, Layer, Merged, Overlay, Side, not_compared, weakened};

/// The config map of the policy, where it has a file that the policy did not write: what it says has to be
/// read.
#[must_use]
pub fn left_file(observed: &Observed) -> Option<&str> {
    let policy = observed.policy.as_ref()?;
    let map = observed.config_map(&observed.standing.config_map(policy)?)?;
    let written = |entry: &Applied| {
        observed.record(&entry.record).is_some_and(|record| *record.data.config_map_name == *map.name)
    };
    let is_written = observed.records.first().is_some_and(|newest| newest.applied.iter().any(written));
    (!is_written && claim_config_map(map, policy).is_ok()).then_some(&*map.name)
}

/// Settings that are delivered so.
#[derive(Clone, Debug, Default, PartialEq)]
struct Set {
    overlay: Overlay,
    delivery: Delivery,
}

impl Set {
    fn of(policy: &Policy) -> Self {
        Self { overlay: Overlay::of(policy), delivery: policy.delivery }
    }
}

/// Whether something is weighed by what stands in the files of a target.
#[must_use]
pub fn is_weighed(observed: &Observed) -> bool {
    governed(observed).any(|(view, _, _, spec)| had(observed, view).is_none_or(|had| had != Set::of(spec)))
}

/// Why the accepted spec may not take the place of what the policy had on this target.
pub fn edited(
    observed: &Observed,
    view: &TargetView,
    workload: &Workload,
    container: &Container,
    spec: &Policy,
) -> Vec<Rejection> {
    let Some(had) = had(observed, view) else { return Vec::new() };
    weighed(view, workload, container, &had, &Set::of(spec), Change::Edit, &spec.acknowledge)
}

/// Why the policy may not have a target to which it is new, and what to do.
pub fn taken(
    observed: &Observed,
    policy: &PolicyObject,
    desired: &Desired,
    view: &TargetView,
    workload: &Workload,
    container: &Container,
) -> Option<String> {
    if had(observed, view).is_some() {
        return None;
    }
    let asked = Set { overlay: desired.rendered.overlay.clone(), delivery: desired.rendered.delivery };
    let acknowledged = acknowledged(observed, policy);
    let weigh = |old: &Set| weighed(view, workload, container, old, &asked, Change::First, acknowledged);
    let memory = workload.governed.as_deref().filter(|_| workload.own.governed);
    let may_go = may_go(observed, policy, memory, Some(workload));
    let mut rejections = weigh(&left(observed, workload, container));
    if may_go && !rejections.is_empty() {
        rejections = weigh(&Set::default());
    }
    let mut elsewhere = workload.containers.iter().filter(|other| other.name != container.name);
    let loses = |other: &Container| {
        let left = Overlay::from_variables(&read_back::own_variables(workload, other)).unwrap_or_default();
        !weighed_alone(&left, &Overlay::default(), &[]).is_empty()
    };
    if !may_go && elsewhere.any(loses) {
        let message = rules::LEFT_IN_ANOTHER_CONTAINER.to_owned();
        rejections.push(Rejection { field: "spec.targetRefs[].container".into(), message });
    }
    told(&view.to_string(), &rejections)
}

/// Why the policy may not write its file, and what to do: others read it.
pub fn file_taken(observed: &Observed, policy: &PolicyObject, desired: &Desired) -> Option<String> {
    let left =
        observed.left_file.as_ref().filter(|left| left.by_others && left.config_map == desired.config_map)?;
    let memory = observed.config_map(&left.config_map)?.governed.as_deref();
    if may_go(observed, policy, memory, None) {
        return None;
    }
    let mut rejections =
        weighed_alone(&left.overlay, &desired.rendered.overlay, acknowledged(observed, policy));
    if !rejections.is_empty() {
        let message = rules::LEFT_TO_OTHERS.to_owned();
        rejections.push(Rejection { field: "spec.delivery.configMapName".into(), message });
    }
    told(&format!("ConfigMap {}", left.config_map), &rejections)
}

/// The fields that could not be compared with what the server's own configuration says.
pub fn uncompared(
    view: &TargetView,
    workload: &Workload,
    container: &Container,
    spec: &Policy,
) -> Vec<String> {
    let (nothing, asked) = (Set::default(), Set::of(spec));
    let merged = |set: &Set| merged_with(workload, container, view, &set.overlay, set.delivery);
    let (before, after) = (merged(&nothing), merged(&asked));
    not_compared(
        Side { merged: &before, stated: &nothing.overlay },
        Side { merged: &after, stated: &asked.overlay },
    )
}

fn acknowledged<'a>(observed: &Observed, policy: &'a PolicyObject) -> &'a [SmolStr] {
    observed.standing.accepted(policy).map(|spec| spec.acknowledge.as_slice()).unwrap_or_default()
}

fn told(place: &str, rejections: &[Rejection]) -> Option<String> {
    let rejections: Vec<_> = rejections.iter().map(ToString::to_string).collect();
    (!rejections.is_empty()).then(|| format!("{place}: {}", rejections.join("; ")))
}

/// What the policy had in force on the target, or keeps for it: one that was made anew has nothing yet.
fn had(observed: &Observed, view: &TargetView) -> Option<Set> {
    let known = last_applied::of_name(observed, view.kind, &view.name)?;
    let record = observed.standing.in_force.as_ref().or_else(|| observed.record(&known.record))?;
    Some(Set { overlay: record.data.overlay.clone(), delivery: record.data.delivery })
}

/// What stands there of ours, whichever policy it was for: its variables, and a file of the policy's own
/// name.
fn left(observed: &Observed, workload: &Workload, container: &Container) -> Set {
    let variables =
        Overlay::from_variables(&read_back::own_variables(workload, container)).unwrap_or_default();
    let read = |left: &&LeftFile| workload.file(&container.name, &left.config_map).is_some();
    let file = observed.left_file.as_ref().filter(read).map(|left| left.overlay.clone()).unwrap_or_default();
    let delivery = if workload.revision().is_some() { Delivery::Environment } else { Delivery::ConfigFile };
    Set { overlay: variables.over(&file), delivery }
}

/// Whether this remains of another policy, and is about to go: whoever deleted that one has said so.
fn may_go(
    observed: &Observed,
    policy: &PolicyObject,
    memory: Option<&str>,
    workload: Option<&Workload>,
) -> bool {
    let Some(memory) = OwnershipNote::read(memory) else { return false };
    let same_object = workload.is_none_or(|workload| memory.workload.as_deref() == Some(&*workload.uid));
    same_object && memory.policy != *policy.uid && memory.reverts(&observed.crd_uid)
}

/// Each merged with what the target has of its own.
fn weighed(
    view: &TargetView,
    workload: &Workload,
    container: &Container,
    old: &Set,
    new: &Set,
    change: Change,
    acknowledged: &[SmolStr],
) -> Vec<Rejection> {
    if old == new {
        return Vec::new();
    }
    let merged = |set: &Set| merged_with(workload, container, view, &set.overlay, set.delivery);
    let (before, after) = (merged(old), merged(new));
    weakened(
        Side { merged: &before, stated: &old.overlay },
        Side { merged: &after, stated: &new.overlay },
        change,
        acknowledged,
    )
}

/// Weighs two overlays where the configuration below them is not known.
fn weighed_alone(old: &Overlay, new: &Overlay, acknowledged: &[SmolStr]) -> Vec<Rejection> {
    let alone = |overlay: &Overlay| Merged::of(None, &Layer::default(), overlay, Delivery::Environment);
    let (before, after) = (alone(old), alone(new));
    weakened(
        Side { merged: &before, stated: old },
        Side { merged: &after, stated: new },
        Change::First,
        acknowledged,
    )
}
