//! Whether the roll of a target fails now.

use crate::model::{Applied, Millis, PolicyObject};
use crate::plan::desired::Desired;
use crate::plan::desired::pod_marker::PodMarker;
use crate::plan::desired::server::Server;
use crate::plan::failure::control::Judgement;
use crate::plan::failure::control::judge as judge_roll;
use crate::plan::failure::evidence::Roll;
use crate::plan::history::last_applied::known;
use crate::plan::input::{Observed, TargetView};
use crate::policy::Delivery;

/// How the roll of a target is told and timed.
pub fn roll<'a>(
    policy: &PolicyObject,
    desired: &'a Desired,
    container: &'a str,
    mark: &'a PodMarker,
    known: Option<&Applied>,
    now: Millis,
) -> Roll<'a> {
    let config_map = (desired.rendered.delivery == Delivery::ConfigFile).then_some(&*desired.config_map);
    let progress_timeout = policy.spec.as_ref().map_or(Millis::MAX / 2, |spec| spec.progress_timeout);
    let file_since = known.and_then(Applied::file_since);
    Roll { container, mark, config_map, file_since, progress_timeout, now }
}

/// Judges a target whose roll is under way.
pub fn judge(
    observed: &Observed,
    policy: &PolicyObject,
    desired: &Desired,
    view: &TargetView,
    Server { workload, container }: Server<'_>,
) -> Judgement {
    let container = &*container.name;
    let mark = desired.mark(workload, container);
    let known = known(observed, workload);
    match judge_roll(view, workload, &roll(policy, desired, container, &mark, known, observed.now), known) {
        Judgement::Failed(evidence) if observed.probes_skipped.is_starved(workload) => Judgement::Unproven(
            evidence,
            "its pods could not be asked how they are, because others that do not answer take the time"
                .into(),
        ),
        judged => judged,
    }
}
