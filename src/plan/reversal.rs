//! What no policy names any more: reverted or left, by what the policy says, or its annotation
//! where the policy is gone.

use std::sync::Arc;

use super::outcome::planned;
use super::{
    Absence, ConfigMapStep, ConfigMapView, Governed, GovernedView, Millis, Observed, Plan, PolicyObject,
    Step, TargetPlan, Workload,
};
use crate::api;
use crate::policy::{DeletionPolicy, Kind};

/// A governed workload that its policy has let go.
#[derive(Clone, Debug)]
pub enum Reversal {
    /// Our fields are dropped.
    Revert(Arc<Workload>),
    /// It is left as it is, and this is told: its memory is of another cluster, definition or object.
    Leave { workload: Arc<Workload>, why: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigMapEnd {
    Delete,
    /// Still mounted: deleting it would break the next pod start.
    Empty,
}

/// What the policy names no more, and loses.
#[derive(Debug, Default)]
pub struct Release {
    pub workloads: Vec<Reversal>,
    pub config_maps: Vec<(ConfigMapView, ConfigMapEnd)>,
    /// When to look at it again.
    pub again: Option<Millis>,
}

impl Release {
    /// Nothing is let go for now.
    pub(super) fn of_nothing(self) -> Self {
        Self { again: self.again, ..Self::default() }
    }
}

/// How long to wait before looking again at a config map that is still mounted.
const MOUNTED_AGAIN: i64 = 60_000;

/// The policy is gone.
pub(super) fn gone(observed: &Observed) -> Plan {
    let release = match observed.absence {
        Absence::Pausing { until } => Release { again: Some(until), ..Release::default() },
        Absence::Uncertain => Release::default(),
        Absence::Confirmed => Release {
            workloads: observed
                .governed
                .iter()
                .filter_map(|view| reversal(view, &observed.crd_uid, None))
                .collect(),
            ..end_config_maps(observed, Some(ConfigMapEnd::Empty))
        },
    };
    Plan { again: release.again, release, ..Plan::default() }
}

/// What is governed and named no more: all of it where the policy is gone.
pub fn given_up(observed: &Observed) -> impl Iterator<Item = &GovernedView> {
    let is_target = |workload: &Workload| {
        observed
            .targets
            .iter()
            .any(|target| (target.kind, &target.name) == (workload.kind, &workload.key.name))
    };
    observed.governed.iter().filter(move |view| !is_target(&view.workload))
}

/// The policy stands, and no longer names some of what it governed.
pub(super) fn dropped(observed: &Observed) -> Release {
    let policy = observed.policy.as_deref();
    Release {
        workloads: given_up(observed).filter_map(|view| reversal(view, &observed.crd_uid, policy)).collect(),
        // The content of a renamed one stays while it is mounted: only the name has changed.
        ..end_config_maps(observed, None)
    }
}

/// Whether this config map is needed no more, mounts aside.
#[must_use]
pub fn ends(observed: &Observed, map: &ConfigMapView) -> bool {
    // Another policy's, or one that is taken over at the end of the pause.
    if !map.own || map.deleting || map.policy_label.as_ref() != Some(&observed.key.name) {
        return false;
    }
    let Some(governed) = Governed::read(map.governed.as_deref()) else { return false };
    let reverts = governed.reverts(&observed.crd_uid);
    match &observed.policy {
        Some(policy) => {
            let renamed = observed.standing.accepted(policy).is_some_and(|spec| map.name != spec.config_map);
            renamed && (governed.policy == *policy.uid || reverts)
        }
        // One that is claimed is taken over as it is.
        None => observed.absence == Absence::Confirmed && reverts && !map.claimant,
    }
}

/// Ends what is needed no more: `mounted` is what happens to one that is still mounted.
fn end_config_maps(observed: &Observed, mounted: Option<ConfigMapEnd>) -> Release {
    let mut release = Release::default();
    let emptied = |map: &ConfigMapView| {
        map.content.as_deref() == Some(&*crate::document::hex_digest(super::EMPTY_FILE, 16))
    };
    // A workload that another policy takes over is not without its file in between.
    let taken_over = |map: &ConfigMapView| {
        observed.governed.iter().any(|view| view.claimant && view.workload.may_mount(&map.name))
    };
    if observed.policy.is_none() && observed.config_maps.iter().any(|map| map.claimant) {
        // The claimant may go, too.
        release.again = Some(observed.now + MOUNTED_AGAIN);
    }
    // What one that cannot be read makes of its file is not known.
    if observed.unreadable.iter().any(|found| Kind::from_word(found.kind).is_some()) {
        release.again = Some(observed.now + MOUNTED_AGAIN);
        return release;
    }
    for map in observed.config_maps.iter().filter(|map| ends(observed, map)) {
        if map.mounted {
            release.again = Some(observed.now + MOUNTED_AGAIN);
        }
        if taken_over(map) {
            continue;
        }
        let end = if map.mounted { mounted } else { Some(ConfigMapEnd::Delete) };
        if let Some(end) = end.filter(|end| *end == ConfigMapEnd::Delete || !emptied(map)) {
            release.config_maps.push((map.clone(), end));
        }
    }
    release
}

fn reversal(view: &GovernedView, crd_uid: &str, policy: Option<&PolicyObject>) -> Option<Reversal> {
    let workload = &view.workload;
    // A label that our manager does not own governs nothing.
    if !workload.own.policy_label || workload.deleting || view.claimant {
        return None;
    }
    let leave = |why: String| Some(Reversal::Leave { workload: workload.clone(), why });
    let Some(governed) = Governed::read(workload.governed.as_deref()).filter(|_| workload.own.governed)
    else {
        return leave(format!("its annotation {} is missing or changed", api::GOVERNED_ANNOTATION));
    };
    if governed.workload.as_deref() != Some(&*workload.uid) {
        return leave("it was copied or restored from another workload".into());
    }
    if governed.crd != crd_uid || crd_uid.is_empty() {
        return leave("the MfaPolicy definition was installed anew since".into());
    }
    // One that bears the name of a policy that is gone has no say over what that one left behind.
    let own = policy.filter(|policy| *policy.uid == *governed.policy);
    let said = own.map_or(governed.deletion_policy, |policy| policy.deletion_policy);
    match said {
        DeletionPolicy::Revert => Some(Reversal::Revert(workload.clone())),
        DeletionPolicy::Retain => None,
    }
}

/// What remembers something else than the policy now says shall happen when it goes.
#[derive(Clone, Debug)]
pub enum Memory {
    Workload { workload: Arc<Workload>, governed: String },
    ConfigMap { map: ConfigMapView, governed: String },
}

/// Memories to be corrected, whatever else may not be written: when the policy goes it is too late.
/// Those that another write of the plan corrects are left to it.
pub(super) fn memories(
    observed: &Observed,
    policy: &PolicyObject,
    targets: &[TargetPlan],
    config_map: Option<&ConfigMapStep>,
    release: &Release,
) -> Vec<Memory> {
    let said = policy.remembered_deletion_policy();
    let corrected = |annotation: Option<&str>| {
        let governed = Governed::read(annotation)
            .filter(|governed| governed.policy == *policy.uid && governed.deletion_policy != said)?;
        Some(Governed { deletion_policy: said, ..governed }.write())
    };
    let is_written = |workload: &Workload| {
        let mut by_step = planned(targets, &observed.targets)
            .filter(|target| matches!(target.step, Step::Write { .. }))
            .map(|target| target.view);
        let mut by_reversal = release.workloads.iter();
        by_step.any(|view| (view.kind, &view.name) == (workload.kind, &workload.key.name))
            || by_reversal
                .any(|reversal| matches!(reversal, Reversal::Revert(other) if other.uid == workload.uid))
    };
    let own = observed.governed.iter().map(|view| &view.workload);
    let own = own.filter(|workload| {
        workload.own.policy_label && workload.own.governed && !workload.deleting && !is_written(workload)
    });
    let workloads = own.filter_map(|workload| {
        Some(Memory::Workload {
            workload: workload.clone(),
            governed: corrected(workload.governed.as_deref())?,
        })
    });
    let file = match config_map {
        Some(ConfigMapStep::Repair { found, .. } | ConfigMapStep::Annotate(found)) => Some(&found.uid),
        _ => None,
    };
    let ended = |map: &ConfigMapView| release.config_maps.iter().any(|(other, _)| other.uid == map.uid);
    let own = |map: &&ConfigMapView| {
        map.own && map.policy_label.as_ref() == Some(&policy.key.name) && !map.deleting
    };
    let maps = observed.config_maps.iter().filter(own).filter(|map| Some(&map.uid) != file && !ended(map));
    let maps = maps.filter_map(|map| {
        Some(Memory::ConfigMap { map: map.clone(), governed: corrected(map.governed.as_deref())? })
    });
    workloads.chain(maps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::{edit, observed, targets, workload};
    use crate::plan::plan;
    use crate::plan::simulation::settle;

    /// Else its pods would never be asked again.
    #[test]
    fn what_is_left_as_it_is_is_no_write() {
        let mut observed = observed(targets(1));
        edit(&mut observed, serde_json::json!({"requiredAAL": {"whoami": "highest_available"}}));
        settle(&mut observed, |_| true);
        assert!(!plan(&observed).writes());
        let mut left = workload(0);
        left.key.name = "left".into();
        left.policy_label = Some(observed.key.name.clone());
        left.own.policy_label = true;
        observed.governed.push(GovernedView { workload: Arc::new(left), claimant: false });
        let plan = plan(&observed);
        assert!(matches!(plan.release.workloads.as_slice(), [Reversal::Leave { .. }]) && !plan.writes());
    }
}
