//! Pods that a StatefulSet waits for in vain.

use crate::model::{FailedRevision, Pod, PolicyObject};
use crate::plan::desired::server::Server;
use crate::plan::desired::wanted::Wanted;
use crate::plan::failure::evidence;
use crate::plan::failure::judgement::roll;
use crate::plan::input::Observed;
use crate::plan::steps::{Planned, Step, StuckPod, TargetPlan, planned};
use crate::policy::Kind;

/// Pods of an earlier template of ours that do not survive, and that a StatefulSet waits for in vain,
/// whatever its template says by now.
pub fn stuck(
    observed: &Observed,
    policy: &PolicyObject,
    wanted: &Wanted<'_>,
    targets: &[TargetPlan],
    verdict: Option<&FailedRevision>,
) -> Vec<StuckPod> {
    let failed = verdict.and_then(|_| observed.record(&wanted.digest));
    let mut found = Vec::new();
    for Planned { view, goal, step } in planned(targets, &observed.targets) {
        let (Step::Settled { done: false }, Ok(Server { workload, container })) = (step, view.server())
        else {
            continue;
        };
        let container = &*container.name;
        let moves = workload.kind == Kind::StatefulSet
            && !workload.is_kept_back()
            && !policy.suspend
            && !goal.is_open();
        if !moves || workload.status.observed_generation < workload.generation {
            continue;
        }
        let wanted = goal.desired.mark(workload, container);
        let failed = failed.map(|record| record.mark(workload, container));
        let earlier = observed.records.iter().filter(|record| *record.digest() != *goal.digest());
        let marks: Vec<_> =
            earlier.map(|record| record.mark(workload, container)).filter(|mark| *mark != wanted).collect();
        let pods = view.pods.as_deref().unwrap_or_default();
        let fails = |pod: &&Pod| {
            let own = marks.iter().find(|mark| mark.is_on(pod, container) && !wanted.is_on(pod, container));
            own.is_some_and(|mark| {
                let roll = roll(policy, &goal.desired, container, mark, None, observed.now);
                // What failed need not fail once more to be in the way of what takes its place.
                let in_the_way = || failed.as_ref() == Some(mark) && evidence::is_not_ready(pod);
                in_the_way() || evidence::is_failing(workload, pods, pod, &roll)
            })
        };
        found.extend(pods.iter().filter(fails).map(|pod| StuckPod {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            resource_version: pod.resource_version.clone(),
        }));
    }
    found
}
