//! What is told: the status, and the events of what changed in it.

pub mod conditions;
pub mod events;
pub mod results;
pub mod rollout_message;
pub mod running_levels;
pub mod targets;
pub mod transitions;
pub mod unreadable;

use crate::api::{MfaPolicyStatus, RunningAal, TargetStatus};
use crate::model::{Pod, PolicyObject, level_word};
use crate::plan::checks::advice;
use crate::plan::checks::overrides::{self, Findings};
use crate::plan::history::applied::applied_after;
use crate::plan::input::{Observed, TargetView};
use crate::plan::outcome::Plan;
use crate::plan::report::events::News;
use crate::plan::report::results::{After, WriteResults};
use crate::plan::steps::{Planned, Step};
use crate::plan::verification::file::File;
use crate::policy::Level;
use crate::server::kratos;

/// The status after the writes, without times, and the events of its change.
#[must_use]
pub fn report(
    observed: &Observed,
    policy: &PolicyObject,
    plan: &Plan,
    report: &WriteResults,
) -> (MfaPolicyStatus, News) {
    let views: Vec<_> = observed.targets.iter().map(|view| report.after(view)).collect();
    let file = plan.desired.as_ref().map_or(File::Other, |desired| report.file(observed, desired));
    let found: Vec<_> = plan.over(&views).map(|target| (target, overrides::findings(target))).collect();
    let after = After { observed, plan, views: &views, file };
    let overridden = overrides::message(found.iter().map(|(_, findings)| findings));
    let (conditions, reason) = conditions::of(&after, policy, report, overridden);
    let targets = of_targets(&after, report, found);
    let required_aal = weakest(&targets);
    let revision = plan.desired.as_ref().map(|desired| desired.rendered.revision.clone());
    let revision = revision.filter(|revision| !revision.is_empty());
    let all_listed = || views.iter().all(|view| view.unreadable.is_none() && view.unlisted().is_none());
    let status = MfaPolicyStatus {
        observed_generation: Some(policy.generation),
        transitions: transitions::after(observed, policy, plan, required_aal.as_ref(), revision.as_deref()),
        required_aal,
        pods: (plan.desired.is_some() && all_listed()).then(|| pods(plan, &views)),
        failed_revision: plan.failure.rolled_back().and_then(|_| revision_of(observed, &plan.digest)),
        revision,
        targets,
        advisories: advice::advisories(observed),
        conditions,
    };
    let news = events::news(policy, plan, &status, reason);
    (status, news)
}

fn of_targets(
    after: &After<'_>,
    report: &WriteResults,
    found: Vec<(Planned<'_>, Findings)>,
) -> Vec<TargetStatus> {
    let After { observed, plan, .. } = *after;
    // As it is noted beside this status.
    let applied = applied_after(observed, plan, report, &[]);
    let of = |(before, (target, findings)): (&TargetView, (Planned<'_>, Findings))| {
        let uid = before.workload.as_ref().map(|workload| &workload.uid);
        let noted = uid.and_then(|uid| applied.iter().find(|entry| entry.uid == **uid));
        TargetStatus {
            not_checked: findings.not_checked,
            last_good_revision: noted.and_then(|entry| revision_of(observed, entry.good.first()?)),
            ..targets::of(observed, after.file, before, target)
        }
    };
    observed.targets.iter().zip(found).map(of).collect()
}

/// The revision of the record with this digest.
pub fn revision_of(observed: &Observed, digest: &str) -> Option<String> {
    observed.record(digest).map(|record| kratos::revision(&record.data.overlay, record.data.delivery))
}

/// The weakest over all targets, where Unknown is weaker than any.
fn weakest(targets: &[TargetStatus]) -> Option<RunningAal> {
    let known: Vec<_> = targets.iter().filter_map(|target| target.required_aal.as_ref()).collect();
    let least = |pick: fn(&RunningAal) -> &str| known.iter().map(|aal| Level::from_word(pick(aal))).min();
    Some(RunningAal {
        settings: level_word(least(|aal| &aal.settings)?).into(),
        whoami: level_word(least(|aal| &aal.whoami)?).into(),
    })
}

/// Pods that are ready and run what their target shall have, of those wanted.
fn pods(plan: &Plan, views: &[TargetView]) -> String {
    let (mut ready, mut wanted) = (0_i64, 0_i64);
    for Planned { view, goal, step } in plan.over(views) {
        let Some(workload) = &view.workload else { continue };
        wanted += i64::from(workload.replicas);
        ready += i64::from(match (&view.pods, step, view.server()) {
            (None, Step::Settled { .. }, _) => workload.status.updated.min(workload.status.ready),
            (Some(pods), Step::Settled { .. } | Step::Write { .. } | Step::Held { .. }, Ok(server)) => {
                let container = &*server.container.name;
                let mark = goal.desired.mark(workload, container);
                let runs = |pod: &&Pod| !pod.deleting && pod.ready && mark.is_on(pod, container);
                i32::try_from(pods.iter().filter(runs).count()).unwrap_or(i32::MAX)
            }
            _ => 0,
        });
    }
    format!("{ready}/{wanted}")
}
