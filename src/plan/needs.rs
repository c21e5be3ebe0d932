//! What has to be read for a decision, beside what the watch brings.

use crate::model::{Applied, Container, Millis, PolicyObject, Workload};
use crate::plan::desired::pod_marker::PodMarker;
use crate::plan::desired::server::Server;
use crate::plan::failure::control;
use crate::plan::failure::evidence::{self, Roll};
use crate::plan::history::last_applied::known;
use crate::plan::input::{Observed, TargetView};
use crate::plan::rollout::select::is_server;
use crate::plan::verification::file::File;
use crate::policy::Delivery;

/// Whether the policy delivers a file, so that it matters what pods make of it.
#[must_use]
pub fn delivers_a_file(observed: &Observed) -> bool {
    let delivery = observed.policy.as_ref().and_then(|policy| observed.standing.delivery(policy));
    delivery == Some(Delivery::ConfigFile)
}

/// Whether running pods are about to read another file, so that it matters what it is laid on.
#[must_use]
pub fn is_about_to_change(observed: &Observed) -> bool {
    let Some(policy) = observed.policy.as_ref().filter(|policy| !policy.suspend && delivers_a_file(observed))
    else {
        return false;
    };
    observed.standing.desired(policy).is_some_and(|desired| {
        observed.config_map(&desired.config_map).is_some() && File::found(observed, &desired) == File::Other
    })
}

/// A target whose making has to be read.
pub struct Examination {
    /// Index of the target.
    pub index: usize,
    /// Whether its pods are asked how they are.
    pub health: bool,
}

/// Which targets have to be looked at closely: those that fail, whose failure is noted, or whose roll is to
/// end every old pod before a new one serves.
#[must_use]
pub fn to_examine(observed: &Observed) -> Vec<Examination> {
    let Some(policy) = &observed.policy else { return Vec::new() };
    let noted = observed.records.first().and_then(|newest| newest.verdict.as_ref());
    let examined = |(index, view): (usize, &TargetView)| {
        let Server { workload, container } = view.server().ok()?;
        // What the policy cannot have is not its business, and may be any workload.
        if !view.is_free_for(&policy.key.name) || !is_server(observed, workload, container) {
            return None;
        }
        let container = &*container.name;
        let is_judged =
            noted.is_some_and(|verdict| view.kind.as_str() == verdict.kind && *view.name == *verdict.name);
        let unread = crate::plan::verification::reload::is_late(observed, workload);
        let health = fails(observed, policy, view, workload, container)
            || ends_first(observed, policy, workload, container);
        (is_judged || unread || health).then_some(Examination { index, health })
    };
    observed.targets.iter().enumerate().filter_map(examined).collect()
}

fn fails(
    observed: &Observed,
    policy: &PolicyObject,
    view: &TargetView,
    workload: &Workload,
    container: &str,
) -> bool {
    let Some(pods) = view.pods.as_ref().filter(|_| !workload.own.env.is_empty()) else { return false };
    evidence::is_suspect(
        workload,
        pods,
        &own_roll(observed, policy, workload, container, &PodMarker::of_template(workload, container)),
    )
}

fn ends_first(observed: &Observed, policy: &PolicyObject, workload: &Workload, container: &str) -> bool {
    let is_new = || {
        let desired = observed.standing.desired(policy)?;
        Some(PodMarker::of_template(workload, container) != desired.mark(workload, container))
    };
    workload.ends_old_first() && !policy.suspend && is_new().unwrap_or_default()
}

/// The roll under way, by what the workload itself carries.
fn own_roll<'a>(
    observed: &'a Observed,
    policy: &PolicyObject,
    workload: &Workload,
    container: &'a str,
    mark: &'a PodMarker,
) -> Roll<'a> {
    let config_map = match mark {
        PodMarker::Levels { file, .. } => file.as_deref(),
        PodMarker::Revision(_) => None,
    };
    let progress_timeout = policy.spec.as_ref().map_or(Millis::MAX / 2, |spec| spec.progress_timeout);
    let file_since = known(observed, workload).and_then(Applied::file_since);
    Roll { container, mark, config_map, file_since, progress_timeout, now: observed.now }
}

/// Whether old pods of this target run well while new ones fail.
#[must_use]
pub fn judged_well(observed: &Observed, index: usize) -> bool {
    let well = || {
        let (policy, view) = (observed.policy.as_ref()?, observed.targets.get(index)?);
        let Server { workload, container: Container { name: container, .. } } = view.server().ok()?;
        let mark = (!workload.own.env.is_empty()).then(|| PodMarker::of_template(workload, container))?;
        let roll = own_roll(observed, policy, workload, container, &mark);
        Some(control::runs_well(view, workload, view.pods.as_deref()?, &roll))
    };
    well().unwrap_or_default()
}
