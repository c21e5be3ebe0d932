//! Config maps that are needed no more.

use crate::model::{ConfigMapView, OwnershipNote};
use crate::plan::input::{Absence, Observed};
use crate::plan::steps::{ConfigMapEnd, Release};
use crate::policy::Kind;

/// How long to wait before looking again at a config map that is still mounted.
pub const MOUNTED_AGAIN: i64 = 60_000;

/// Whether this config map is needed no more, mounts aside.
#[must_use]
pub fn ends(observed: &Observed, map: &ConfigMapView) -> bool {
    // Another policy's, or one that is taken over at the end of the pause.
    if !map.own || map.deleting || map.policy_label.as_ref() != Some(&observed.key.name) {
        return false;
    }
    let Some(governed) = OwnershipNote::read(map.governed.as_deref()) else { return false };
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
pub fn end_config_maps(observed: &Observed, mounted: Option<ConfigMapEnd>) -> Release {
    let mut release = Release::default();
    let emptied = |map: &ConfigMapView| {
        map.content.as_deref() == Some(&*crate::document::hex_digest(crate::plan::config_map::EMPTY_FILE, 16))
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
