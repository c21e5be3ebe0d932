//! How far a roll is, from what the workload and its pods say.

use super::{Millis, Pod, TargetView, Workload};
use crate::api::Reason;
use crate::policy::Level;
use crate::server::kratos::level_variables;

/// A roll that is done: everything runs the template and nothing older is left.
#[must_use]
pub fn is_done(workload: &Workload) -> bool {
    let status = &workload.status;
    status.observed_generation >= workload.generation
        && status.updated == workload.replicas
        && status.total == workload.replicas
        && status.available >= workload.replicas
}

/// Why a roll is not done.
#[must_use]
pub fn progress(workload: &Workload, container: &str, revision: &str, pods: Option<&[Pod]>) -> (Reason, String) {
    let name = &workload.key.name;
    if workload.paused {
        return (Reason::TargetPaused, format!("Deployment {name} is paused: it rolls when its spec.paused is false again"));
    }
    for pod in pods.unwrap_or_default().iter().filter(|pod| !pod.deleting && runs(pod, container, revision)) {
        if let Some(found) = trouble(name, pod, container) {
            return found;
        }
    }
    if workload.status.replica_failure {
        return (
            Reason::Waiting,
            format!(
                "the cluster refuses to create pods of Deployment {name} (a quota, for example): see its condition ReplicaFailure; it goes on by itself"
            ),
        );
    }
    let status = &workload.status;
    (
        Reason::Progressing,
        format!("Deployment {name}: {} of {} pods updated, {} available", status.updated, workload.replicas, status.available),
    )
}

fn trouble(workload: &str, pod: &Pod, container: &str) -> Option<(Reason, String)> {
    if !pod.scheduled {
        return Some((
            Reason::Waiting,
            format!("pod {} of Deployment {workload} is not scheduled: see its events; it goes on by itself", pod.name),
        ));
    }
    let trouble = pod.troubles.first()?;
    let exit = trouble.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
    match &*trouble.reason {
        "CrashLoopBackOff" | "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" | "StartError" | "Error"
            if &*trouble.container == container =>
        {
            Some((
                Reason::Crashing,
                format!(
                    "container {} of pod {} does not run ({}{exit}): read kubectl logs {}, then correct the policy or the server's own configuration",
                    trouble.container, pod.name, trouble.reason, pod.name
                ),
            ))
        }
        "ContainerCreating" | "PodInitializing" | "Completed" => None,
        reason => Some((
            Reason::Waiting,
            format!("container {} of pod {} waits ({reason}{exit}): it goes on by itself", trouble.container, pod.name),
        )),
    }
}

/// Whether the pod was made from a template of this revision.
#[must_use]
pub fn runs(pod: &Pod, container: &str, revision: &str) -> bool {
    pod.containers
        .iter()
        .filter(|own| &*own.name == container)
        .flat_map(|own| &own.env)
        .any(|variable| &*variable.name == "REVISION" && variable.value.as_deref() == Some(revision))
}

/// The weakest levels over what runs: the pods where they were listed, else the template.
/// As (settings, whoami); none where a server's own configuration decides.
#[must_use]
pub fn running_levels(target: &TargetView, container: &str) -> (Option<Level>, Option<Level>) {
    let Some(workload) = &target.workload else { return (None, None) };
    let (settings, whoami) = level_variables();
    let of = |containers: &[super::Container], name: &str| {
        let own = containers.iter().find(|own| &*own.name == container)?;
        let variable = own.env.iter().find(|variable| &*variable.name == name)?;
        Level::from_word(variable.value.as_deref()?)
    };
    let weakest = |name: &str| match target.pods.as_deref().map(|pods| pods.iter().filter(|pod| !pod.deleting).collect::<Vec<_>>()) {
        Some(pods) if !pods.is_empty() => pods.iter().map(|pod| of(&pod.containers, name)).min().flatten(),
        _ => of(&workload.containers, name),
    };
    (weakest(settings), weakest(whoami))
}

/// Edits within this time after the first of a burst go out together.
const BURST: Millis = 10_000;
/// From the fourth on, rolls in a row keep this distance.
const ROLL_DISTANCE: Millis = 60_000;
const ROLLS_IN_A_ROW: usize = 3;

/// When the next roll may start; none means now.
#[must_use]
pub fn roll_not_before(target: &TargetView, failing: bool, now: Millis) -> Option<Millis> {
    let workload = target.workload.as_ref()?;
    let rolls = &target.history.rolls;
    let in_a_row = rolls.iter().filter(|at| now - **at < ROLL_DISTANCE * 3).count();
    let spaced = rolls.iter().max().filter(|_| in_a_row >= ROLLS_IN_A_ROW).map(|last| last + ROLL_DISTANCE);
    let under_way = !workload.own.env.is_empty() && !is_done(workload) && !failing;
    let started = rolls.iter().max().copied().or(workload.own.changed).filter(|_| under_way);
    [spaced, started.map(|at| at + BURST)].into_iter().flatten().max().filter(|until| *until > now)
}

/// Repairs of one workload within this time count as a fight.
const FIGHT: Millis = 600_000;
const REPAIRS_BEFORE_PAUSE: usize = 3;

/// When drift may be repaired again, once another manager keeps undoing the repairs.
#[must_use]
pub fn repair_not_before(repairs: &[Millis], now: Millis) -> Option<Millis> {
    let recent = repairs.iter().filter(|at| now - **at < FIGHT * 3).count();
    let fights = repairs.iter().filter(|at| now - **at < FIGHT).count() >= REPAIRS_BEFORE_PAUSE || recent > REPAIRS_BEFORE_PAUSE;
    if !fights {
        return None;
    }
    let doublings = u32::try_from(recent.saturating_sub(REPAIRS_BEFORE_PAUSE)).unwrap_or(u32::MAX).min(5);
    let pause = (60_000 * (1 << doublings)).min(FIGHT * 3);
    repairs.iter().max().map(|last| last + pause).filter(|until| *until > now)
}
