//! The levels that running pods demand.

use crate::model::{Container, Levels, Pod};
use crate::plan::checks::overrides::is_unsettled;
use crate::plan::input::TargetView;
use crate::policy::Level;
use crate::server::kratos::level_variables;

/// The weakest levels over what runs: the pods where they were listed, else the template.
/// As (settings, whoami); none where a server's own configuration decides.
#[must_use]
pub fn running_levels(target: &TargetView, container: &str) -> Levels {
    let Some(workload) = target.workload.as_ref().filter(|_| target.unreadable.is_none()) else {
        return Levels::default();
    };
    let of_pods = target.pods.as_deref().and_then(|pods| levels_of_pods(target, container, pods));
    let (settings, whoami) = of_pods.unwrap_or_else(|| levels_of(target, container, &workload.containers));
    // Whoever may make pods makes one that its ReplicaSet takes for its own.
    target.listed.map_or((settings, whoami), |listed| (settings.min(listed.0), whoami.min(listed.1)))
}

/// The weakest levels of these pods of a target, those that are about to go aside; none where there are none.
#[must_use]
pub fn levels_of_pods(target: &TargetView, container: &str, pods: &[Pod]) -> Option<Levels> {
    let each =
        pods.iter().filter(|pod| !pod.deleting).map(|pod| levels_of(target, container, &pod.containers));
    each.reduce(|weakest, levels| (weakest.0.min(levels.0), weakest.1.min(levels.1)))
}

pub fn levels_of(target: &TargetView, container: &str, containers: &[Container]) -> Levels {
    let own = containers.iter().find(|own| &*own.name == container);
    // Which of two entries of one name counts is not for us to say.
    let variable = |name: &str| {
        let own = own.filter(|own| !is_unsettled(own, &target.env_from, name))?;
        let entries = own.env.iter().filter(|entry| *entry.name == *name);
        entries.map(|entry| entry.value.as_deref().and_then(Level::from_word)).min().flatten()
    };
    let (settings, whoami) = level_variables();
    (variable(settings), variable(whoami))
}
