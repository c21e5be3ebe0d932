//! The signs that pods of a roll do not survive.

#[cfg(test)]
mod tests;

use smol_str::SmolStr;

use crate::model::{Evidence, Millis, Pod, Trouble, Workload};
use crate::plan::desired::pod_marker::PodMarker;

/// The first crash may be anybody's.
const CRASHES: i32 = 2;

/// From then on a pod that is not ready is looked at closely.
const SOON: Millis = 10_000;

/// How long a container must not be startable.
const LASTING: Millis = 60_000;

/// How the pods of a roll are told apart, and how much time they have.
#[derive(Clone, Debug)]
pub struct Roll<'a> {
    pub container: &'a str,
    /// Mark of the new pods.
    pub mark: &'a PodMarker,
    /// The config map of ours that they read, if they read one.
    pub config_map: Option<&'a str>,
    /// When that got a file which running pods are to read, and have not been seen to.
    pub file_since: Option<Millis>,
    /// In milliseconds.
    pub progress_timeout: Millis,
    pub now: Millis,
}

/// A sign that a pod does not survive.
pub struct Sign<'a> {
    pub pod: &'a Pod,
    pub evidence: Evidence,
    /// Time of the last crash, or since when a pod is not ready.
    pub since: Millis,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Crashed,
    CannotStart,
    Unready,
}

pub fn holds_since(
    sign: &Sign<'_>,
    well_since: Option<Millis>,
    workload: &Workload,
    roll: &Roll<'_>,
) -> bool {
    let Some(well_since) = well_since else { return false };
    (sign.kind != Kind::Crashed || sign.since >= well_since)
        && lasts(sign, sign.since.max(well_since), workload, roll)
}

/// Whether it has been so for long enough, since then.
pub fn lasts(sign: &Sign<'_>, since: Millis, workload: &Workload, roll: &Roll<'_>) -> bool {
    match sign.kind {
        Kind::Crashed => true,
        // The kubelet says so of faults of the node, too, and tries again.
        Kind::CannotStart => roll.now - since >= LASTING,
        Kind::Unready => roll.now - since >= patience(workload, roll),
    }
}

/// Whether it is worth to look for what a failure could be told by: at the first crash, so that it is known
/// how old pods are when the second one comes.
#[must_use]
pub fn is_suspect(workload: &Workload, pods: &[Pod], roll: &Roll<'_>) -> bool {
    let sooner = Roll { progress_timeout: roll.progress_timeout.min(SOON), ..roll.clone() };
    let first_crash =
        |pod: &Pod| pod.troubles.iter().any(|trouble| counts(trouble, roll) && trouble.crashes > 0);
    new_pods(pods, roll).any(first_crash) || signs(workload, pods, &sooner).next().is_some()
}

/// Pods from before the roll, or from before the file: whatever restarts pods meanwhile has them start with
/// that.
pub fn old_pods<'a>(pods: &'a [Pod], roll: &'a Roll<'_>) -> impl Iterator<Item = &'a Pod> {
    let before = |pod: &Pod| {
        !roll.mark.is_on(pod, roll.container) || roll.file_since.is_some_and(|since| pod.created < since)
    };
    pods.iter().filter(move |pod| !pod.deleting && before(pod))
}

/// Those that should have come up since. One that was down before the file came says nothing of it.
pub fn new_pods<'a>(pods: &'a [Pod], roll: &'a Roll<'_>) -> impl Iterator<Item = &'a Pod> {
    let came_down_since = |pod: &&Pod| roll.file_since.is_none_or(|since| pod.seen >= since);
    let new = pods
        .iter()
        .filter(|pod| !pod.deleting && pod.scheduled && !pod.ready && roll.mark.is_on(pod, roll.container));
    new.filter(came_down_since)
}

pub fn signs<'a>(
    workload: &'a Workload,
    pods: &'a [Pod],
    roll: &'a Roll<'_>,
) -> impl Iterator<Item = Sign<'a>> {
    new_pods(pods, roll)
        .filter_map(move |pod| failing(pod, roll).or_else(|| unready(workload, pods, pod, roll)))
}

/// Whether a failure of the container may be ours: the server itself, or what prepares it from our file.
pub fn counts(trouble: &Trouble, roll: &Roll<'_>) -> bool {
    match &trouble.prepares {
        None => *trouble.container == *roll.container,
        Some(config_maps) => {
            roll.config_map.is_some_and(|own| config_maps.iter().any(|mounted| *mounted == *own))
        }
    }
}

/// A container that crashes again and again, or cannot be started as it is configured.
pub fn failing<'a>(pod: &'a Pod, roll: &Roll<'_>) -> Option<Sign<'a>> {
    let of = |trouble: &Trouble, kind| Sign {
        pod,
        evidence: Evidence {
            pod: pod.name.clone(),
            container: trouble.container.clone(),
            reason: trouble.reason.clone(),
            exit_code: trouble.exit_code,
        },
        since: trouble.finished,
        kind,
    };
    pod.troubles.iter().filter(|trouble| counts(trouble, roll)).find_map(|trouble| {
        if cannot_start(trouble) {
            Some(Sign { since: pod.seen, ..of(trouble, Kind::CannotStart) })
        } else {
            (trouble.crashes >= CRASHES).then(|| of(trouble, Kind::Crashed))
        }
    })
}

/// The kubelet cannot make the container as it is written.
#[must_use]
pub fn cannot_start(trouble: &Trouble) -> bool {
    matches!(&*trouble.reason, "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError")
}

/// A server that runs, or is ended by its probes, and was not ready for the whole of its time.
fn unready<'a>(workload: &Workload, pods: &[Pod], pod: &'a Pod, roll: &Roll<'_>) -> Option<Sign<'a>> {
    let server = |name: &SmolStr| **name == *roll.container;
    let waits = pod
        .troubles
        .iter()
        .any(|trouble| server(&trouble.container) && trouble.reason != "CrashLoopBackOff" && !trouble.ended);
    if !pod.unready.iter().any(server) || waits || pod.cut_off {
        return None;
    }
    let became_ready =
        pods.iter().filter(|pod| pod.ready && roll.mark.is_on(pod, roll.container)).map(|pod| pod.seen);
    let since = became_ready.chain([pod.seen]).max().unwrap_or(roll.now);
    (roll.now - since >= patience(workload, roll)).then(|| Sign {
        pod,
        evidence: Evidence {
            pod: pod.name.clone(),
            container: roll.container.into(),
            reason: "not ready in time".into(),
            exit_code: None,
        },
        since,
        kind: Kind::Unready,
    })
}

fn patience(workload: &Workload, roll: &Roll<'_>) -> Millis {
    roll.progress_timeout + Millis::from(workload.min_ready_seconds) * 1_000
}

/// Whether the pod crashes again and again, cannot start, or was not ready for the whole of its time.
#[must_use]
pub fn is_failing(workload: &Workload, pods: &[Pod], pod: &Pod, roll: &Roll<'_>) -> bool {
    is_not_ready(pod) && (failing(pod, roll).is_some() || unready(workload, pods, pod, roll).is_some())
}

/// Whether the pod is on a node, and not ready for a reason of its own.
#[must_use]
pub fn is_not_ready(pod: &Pod) -> bool {
    !pod.deleting && pod.scheduled && !pod.ready && !pod.cut_off
}
