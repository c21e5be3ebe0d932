//! What the status says of one target.

#[cfg(test)]
mod tests;

use crate::api::{self, RunningAal, TargetStatus};
use crate::model::{Levels, Workload, bounded, level_word};
use crate::plan::checks::{merged, overrides};
use crate::plan::desired::pod_marker::PodMarker;
use crate::plan::desired::server::Server;
use crate::plan::history::last_applied;
use crate::plan::input::{Observed, TargetView};
use crate::plan::report::running_levels;
use crate::plan::steps::{Planned, Step};
use crate::plan::verification::file::{self, File};
use crate::policy::{Delivery, Level};
use crate::server::kratos::{self, level_variables};

/// What is told of a target, which stood so before the writes.
pub fn of(observed: &Observed, file: File, before: &TargetView, target: Planned<'_>) -> TargetStatus {
    let Planned { view, step, .. } = target;
    let base = TargetStatus {
        group: api::APPS.into(),
        kind: view.kind.as_str().into(),
        name: view.name.to_string(),
        ..TargetStatus::default()
    };
    let Some(workload) = &view.workload else {
        let unknown = || RunningAal { settings: level_word(None).into(), whoami: level_word(None).into() };
        return match &view.unreadable {
            Some(found) => {
                TargetStatus { uid: Some(found.uid.to_string()), required_aal: Some(unknown()), ..base }
            }
            None => base,
        };
    };
    let server = view.server().ok();
    let container = server.filter(|_| !matches!(step, Step::Refused { .. })).map(|server| server.container);
    // What a target that is refused runs is no other for that; of one that is another policy's, that one
    // tells.
    let holds = view.is_free_for(&observed.key.name);
    let asked = container.or_else(|| Some(server.filter(|_| holds)?.container));
    let levels = |view| asked.map_or((None, None), |asked| running_levels::running_levels(view, &asked.name));
    // Right after a write the pods are still those of the template before it.
    let (settings, whoami) = match step {
        Step::Write { rolls: true, .. } => {
            let ((old_settings, old_whoami), (settings, whoami)) = (levels(before), levels(view));
            (settings.min(old_settings), whoami.min(old_whoami))
        }
        _ => levels(view),
    };
    let (open_settings, open_whoami) = left_open(target);
    let (settings, whoami) = (settings.or(open_settings), whoami.or(open_whoami));
    let (settings, whoami) = if view.speaks_for_all() { (settings, whoami) } else { Levels::default() };
    TargetStatus {
        container: container.map(|container| container.name.to_string()),
        server_version: view.server_version.as_deref().map(Into::into),
        uid: Some(workload.uid.to_string()),
        observed_generation: Some(workload.status.observed_generation),
        revision: revision(observed, file, workload, target),
        required_aal: Some(RunningAal {
            settings: level_word(settings).into(),
            whoami: level_word(whoami).into(),
        }),
        updated_pods: Some(workload.status.updated),
        ready_pods: Some(workload.status.ready),
        total_pods: Some(workload.status.total),
        terminating_pods: workload.status.terminating,
        ..base
    }
}

/// Levels that the policy leaves to the server, as its own configuration has them where that can be read.
fn left_open(Planned { view, goal, step }: Planned<'_>) -> Levels {
    let (Step::Settled { done: true }, Ok(Server { workload, container })) = (step, view.server()) else {
        return Levels::default();
    };
    let desired = &*goal.desired;
    let overlay = &desired.rendered.overlay;
    let asked = overlay.required_levels();
    let (settings, whoami) =
        merged::merged_with(workload, container, view, overlay, desired.rendered.delivery).levels();
    let sure = |variable: &str| !overrides::is_unsettled(container, &view.env_from, variable);
    let variables = level_variables();
    let open = |asked: Option<Level>, found: Option<Level>, variable| {
        found.filter(|_| asked.is_none() && sure(variable))
    };
    (open(asked.0, settings, variables.0), open(asked.1, whoami, variables.1))
}

/// The revision that the target has: where it reads a file, that which is delivered now, or what was noted of
/// it tells.
fn revision(
    observed: &Observed,
    file: File,
    workload: &Workload,
    Planned { view, goal, step }: Planned<'_>,
) -> Option<String> {
    if let Some(own) = workload.revision() {
        return Some(bounded(own));
    }
    let desired = &*goal.desired;
    let is_delivered = file == File::AsDesired && file::is_by_file(desired);
    match (step, view.server()) {
        (Step::Settled { .. } | Step::Write { .. }, Ok(Server { container, .. }))
            if is_delivered
                && PodMarker::of_template(workload, &container.name)
                    == desired.mark(workload, &container.name) =>
        {
            Some(desired.rendered.revision.clone())
        }
        _ => {
            let record = observed.record(&last_applied::known(observed, workload)?.record)?;
            (record.data.delivery == Delivery::ConfigFile)
                .then(|| kratos::revision(&record.data.overlay, record.data.delivery))
        }
    }
}
