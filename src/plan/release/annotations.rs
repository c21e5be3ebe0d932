//! Annotations that say what happens when the policy goes, and say something else than the policy.

use crate::model::{ConfigMapView, OwnershipNote, PolicyObject, Workload};
use crate::plan::input::Observed;
use crate::plan::steps::{AnnotationFix, ConfigMapStep, Release, Reversal, Step, TargetPlan, planned};

/// Memories to be corrected, whatever else may not be written: when the policy goes it is too late.
/// Those that another write of the plan corrects are left to it.
pub fn annotation_fixes(
    observed: &Observed,
    policy: &PolicyObject,
    targets: &[TargetPlan],
    config_map: Option<&ConfigMapStep>,
    release: &Release,
) -> Vec<AnnotationFix> {
    let said = policy.remembered_deletion_policy();
    let corrected = |annotation: Option<&str>| {
        let governed = OwnershipNote::read(annotation)
            .filter(|governed| governed.policy == *policy.uid && governed.deletion_policy != said)?;
        Some(OwnershipNote { deletion_policy: said, ..governed }.write())
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
        Some(AnnotationFix::Workload {
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
        Some(AnnotationFix::ConfigMap { map: map.clone(), governed: corrected(map.governed.as_deref())? })
    });
    workloads.chain(maps).collect()
}
