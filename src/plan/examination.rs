//! Which targets have to be looked at closely, because a roll fails there or must not begin unseen.

use super::judgement::{self, Roll};
use super::target::{is_server, known};
use super::{Applied, Container, Mark, Millis, Observed, PolicyObject, Server, TargetView, Workload};

/// A target whose making has to be read.
pub struct Examination {
    /// Of the target.
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
        let unread = super::effective::is_late(observed, workload);
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
    judgement::is_suspect(
        workload,
        pods,
        &own_roll(observed, policy, workload, container, &Mark::of_template(workload, container)),
    )
}

fn ends_first(observed: &Observed, policy: &PolicyObject, workload: &Workload, container: &str) -> bool {
    let is_new = || {
        let desired = observed.standing.desired(policy)?;
        Some(Mark::of_template(workload, container) != desired.mark(workload, container))
    };
    workload.ends_old_first() && !policy.suspend && is_new().unwrap_or_default()
}

/// The roll under way, by what the workload itself carries.
fn own_roll<'a>(
    observed: &'a Observed,
    policy: &PolicyObject,
    workload: &Workload,
    container: &'a str,
    mark: &'a Mark,
) -> Roll<'a> {
    let config_map = match mark {
        Mark::Levels { file, .. } => file.as_deref(),
        Mark::Revision(_) => None,
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
        let mark = (!workload.own.env.is_empty()).then(|| Mark::of_template(workload, container))?;
        let roll = own_roll(observed, policy, workload, container, &mark);
        Some(judgement::runs_well(view, workload, view.pods.as_deref()?, &roll))
    };
    well().unwrap_or_default()
}
