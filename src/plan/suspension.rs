//! A policy that holds still: nothing is written but what its workloads and its file remember, so that
//! they stay as they are even where it is deleted.

use crate::plan::Changes;
use crate::plan::desired::Desired;
use crate::plan::steps::{ConfigMapStep, Release, Reversal};

/// Takes every other write out, and answers what waits. The steps of targets hold by themselves.
pub fn hold(desired: &Desired, changes: Changes) -> (Changes, Vec<String>) {
    let Changes { config_map, release, .. } = changes;
    let waits = matches!(config_map, Some(ConfigMapStep::Create { .. } | ConfigMapStep::Repair { .. }));
    let mut pending = Vec::new();
    pending.extend(waits.then(|| format!("ConfigMap {} is to be written", desired.config_map)));
    pending.extend(release.workloads.iter().filter_map(|reversal| match reversal {
        Reversal::Revert(workload) => Some(format!("{workload} is to lose the policy's settings")),
        Reversal::Leave { .. } => None,
    }));
    let ends = release.config_maps.iter().map(|(map, _)| format!("ConfigMap {} is needed no more", map.name));
    pending.extend(ends);
    let kept = Changes {
        config_map: config_map.filter(|_| !waits),
        record: None,
        release: Release::default(),
        prune: Vec::new(),
    };
    (kept, pending)
}
