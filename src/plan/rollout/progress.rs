//! How far a roll is, from what the workload and its pods say.

use crate::api::Reason;
use crate::model::{Pod, Trouble, UpdateStrategy, Workload};
use crate::plan::desired::pod_marker::PodMarker;
use crate::policy::Kind;

/// Why a roll is not done.
#[must_use]
pub fn progress(
    workload: &Workload,
    container: &str,
    mark: &PodMarker,
    pods: Option<&[Pod]>,
) -> (Reason, String) {
    if workload.paused {
        return (
            Reason::TargetPaused,
            format!("{workload} is paused: it rolls when its spec.paused is false again"),
        );
    }
    for pod in pods.unwrap_or_default().iter().filter(|pod| !pod.deleting && mark.is_on(pod, container)) {
        if let Some(found) = trouble(workload, pod, container) {
            return found;
        }
    }
    if workload.status.replica_failure {
        return (
            Reason::Waiting,
            format!(
                "the cluster refuses to create pods of {workload} (a quota, for example): see its condition ReplicaFailure; it goes on by itself"
            ),
        );
    }
    if let Some(waits) = waits_for_its_owner(workload) {
        return (Reason::TargetPaused, waits);
    }
    if let Some(pod) = stuck(workload, container, mark, pods.unwrap_or_default()) {
        let name = &pod.name;
        return (
            Reason::TargetPaused,
            format!(
                "pod {name} of {workload} has an older template and does not run, and a StatefulSet waits for it instead of replacing it: kubectl delete pod {name}"
            ),
        );
    }
    let status = &workload.status;
    (
        Reason::Progressing,
        format!(
            "{workload}: {} of {} pods updated, {} available",
            status.updated, workload.replicas, status.available
        ),
    )
}

/// What keeps old pods though nothing is wrong: an update strategy that leaves them to somebody.
fn waits_for_its_owner(workload: &Workload) -> Option<String> {
    let status = &workload.status;
    if status.observed_generation < workload.generation {
        return None;
    }
    match workload.update {
        UpdateStrategy::Rolling => None,
        UpdateStrategy::OnDelete => Some(format!(
            "{workload} has the update strategy OnDelete: {} of {} pods are updated, the others follow when somebody deletes them",
            status.updated, workload.replicas
        )),
        UpdateStrategy::Partition(partition) => (status.updated >= workload.replicas - partition).then(|| {
            format!(
                "{workload} has the partition {partition}: {} of {} pods are updated, the others follow when it is lowered to 0",
                status.updated, workload.replicas
            )
        }),
    }
}

/// A pod that the controller waits for in vain, because it starts pods in their order: not even a correction
/// gets past it.
fn stuck<'a>(workload: &Workload, container: &str, mark: &PodMarker, pods: &'a [Pod]) -> Option<&'a Pod> {
    let older = |pod: &&Pod| !pod.deleting && pod.scheduled && !pod.ready && !mark.is_on(pod, container);
    let mut pods = pods.iter().filter(|_| workload.kind == Kind::StatefulSet).filter(older);
    pods.find(|pod| trouble(workload, pod, container).is_some())
}

fn trouble(workload: &Workload, pod: &Pod, container: &str) -> Option<(Reason, String)> {
    if !pod.scheduled {
        return Some((
            Reason::Waiting,
            format!("pod {} of {workload} is not scheduled: see its events; it goes on by itself", pod.name),
        ));
    }
    if pod.cut_off {
        let message = format!(
            "pod {} of {workload} is not ready though its containers are: its node may be lost, or a readiness gate of the pod waits; it goes on by itself",
            pod.name
        );
        return Some((Reason::Waiting, message));
    }
    let exit =
        |trouble: &Trouble| trouble.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
    // The server itself first: what a sidecar does must not hide it.
    if let Some(crash) =
        pod.troubles.iter().find(|trouble| &*trouble.container == container && fails(trouble))
    {
        return Some((
            Reason::Crashing,
            format!(
                "container {container} of pod {} does not run ({}{}): read kubectl logs {}, then correct the policy or the server's own configuration",
                pod.name,
                crash.reason,
                exit(crash),
                pod.name
            ),
        ));
    }
    let waits = pod
        .troubles
        .iter()
        .find(|trouble| !matches!(&*trouble.reason, "ContainerCreating" | "PodInitializing" | "Completed"))?;
    Some((
        Reason::Waiting,
        format!(
            "container {} of pod {} waits ({}{}): it goes on by itself",
            waits.container,
            pod.name,
            waits.reason,
            exit(waits)
        ),
    ))
}

/// Whether the container ended with an error, or cannot be started as it is configured.
fn fails(trouble: &Trouble) -> bool {
    trouble.ended
        || matches!(
            &*trouble.reason,
            "CrashLoopBackOff" | "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError"
        )
}

#[cfg(test)]
mod tests;
