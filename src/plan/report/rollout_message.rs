//! How far a rollout is, and what became of it.

use k8s_openapi::jiff::Timestamp;

use crate::api::{self, Reason};
use crate::model::{Evidence, FailedRevision, Millis, OtherPods, PolicyObject, Refusal, Selected, seconds};
use crate::plan::desired::server::Server;
use crate::plan::desired::{Desired, Goal};
use crate::plan::failure::control::Judgement;
use crate::plan::failure::rollback_targets::{Stays, ways_back};
use crate::plan::failure::state::Failure;
use crate::plan::failure::{judgement, verdict};
use crate::plan::input::{Observed, TargetView};
use crate::plan::outcome::Plan;
use crate::plan::rollout::progress;
use crate::plan::steps::{Planned, Step};
use crate::policy::OnFailure;

/// The reason of the condition RolledOut and its message.
pub fn rolled_out(
    observed: &Observed,
    policy: &PolicyObject,
    views: &[TargetView],
    plan: &Plan,
    accepted: bool,
) -> Refusal {
    let Some(desired) = &plan.desired else {
        return (Reason::Progressing, "nothing is rolled out before the policy is accepted".into());
    };
    if let Failure::RolledBack(verdict) = &plan.failure {
        return (Reason::RolledBack, taken_back(observed, policy, views, plan, verdict));
    }
    if let Failure::Detected(verdict) = &plan.failure {
        return (Reason::RolledBack, format!("{} fails and is taken back", failure(verdict)));
    }
    for Planned { view, step, .. } in plan.over(views) {
        match step {
            Step::Held { reason, message, .. } => return (*reason, message.clone()),
            Step::Settled { done: true } | Step::Write { done: true, .. } => {}
            Step::Settled { .. } | Step::Write { .. } => {
                let Ok(server) = view.server() else { continue };
                let (reason, message) = progress(observed, policy, plan, view, server);
                return match view.unlisted() {
                    Some((_, unlisted)) => (reason, format!("{message}; {unlisted}")),
                    None => (reason, message),
                };
            }
            Step::Refused { reason: Reason::Unreadable, message, .. } => {
                return (Reason::Unreadable, message.clone());
            }
            Step::Refused { .. } => {
                return (Reason::Progressing, format!("{view} does not have the policy yet"));
            }
        }
    }
    if !plan.pending.is_empty() {
        let message = format!(
            "the policy is suspended: {}; set spec.suspend to false to have it done",
            plan.pending.join("; ")
        );
        return (Reason::Suspended, message);
    }
    if !accepted {
        return (Reason::Progressing, "the last accepted policy is in force on every target".into());
    }
    if let Some(unlisted) = views.iter().find_map(TargetView::unlisted) {
        return unlisted;
    }
    if let Some(message) = views.iter().find_map(of_another) {
        return (Reason::PodsOfAnotherOwner, message);
    }
    let revision = &desired.rendered.revision;
    let wanted = views
        .iter()
        .filter_map(|view| view.workload.as_ref())
        .fold(0_i32, |sum, workload| sum.saturating_add(workload.replicas));
    if wanted == 0 {
        return (Reason::NoPods, format!("no pod runs; each one that starts enforces revision {revision}"));
    }
    (Reason::RolledOut, format!("every pod enforces revision {revision}"))
}

/// What stands behind the same labels and is not governed.
fn of_another(view: &TargetView) -> Option<String> {
    let Selected::Others(OtherPods { pod, owner, more }) = &view.selected else { return None };
    let more = if *more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!(
        "the selector of {view} finds pod {pod}{more} of {owner}, which this policy does not govern, so that it is not known what these pods demand: name their Deployment, StatefulSet or DaemonSet in spec.targetRefs, or give them other labels; of a Rollout of Argo's see docs/gitops.md#argo-rollouts"
    ))
}

/// Why the roll of a target is not done.
fn progress(
    observed: &Observed,
    policy: &PolicyObject,
    plan: &Plan,
    view: &TargetView,
    server: Server<'_>,
) -> Refusal {
    let Some(desired) = &plan.desired else { return (Reason::Progressing, String::new()) };
    let told = how_far(desired, view, server);
    // Nothing of a target that its owner keeps back is a failure.
    if told.0 == Reason::TargetPaused {
        return told;
    }
    match judgement::judge(observed, policy, desired, view, server) {
        Judgement::Open => told,
        Judgement::Unproven(evidence, why) => (
            Reason::Waiting,
            format!(
                "{evidence}; the policy is left as it is, for it may not be the reason: {why}. It goes on by itself when that ends"
            ),
        ),
        Judgement::Failed(evidence) => match ways_back(observed, &plan.digest, desired, view) {
            Err(Stays::Innocent) => (Reason::Waiting, innocent(&evidence)),
            stays => {
                (Reason::Crashing, format!("{evidence}; {}", left_as_it_is(policy, stays.err(), &evidence)))
            }
        },
    }
}

/// How far a target is on its way to these settings.
fn how_far(desired: &Desired, view: &TargetView, Server { workload, container }: Server<'_>) -> Refusal {
    let mark = desired.mark(workload, &container.name);
    progress::progress(workload, &container.name, &mark, view.pods.as_deref())
}

/// Message for a failure that the policy cannot be the cause of.
fn innocent(evidence: &Evidence) -> String {
    format!(
        "{evidence}; nothing is taken back, because what the policy changes here (levels, the session age, totp, lookup_secret) keeps no server from starting: what the server is made from beside the policy does, a Secret for example, and pods of the old template would fail as well. Read kubectl logs {}; it goes on by itself when that ends",
        evidence.pod
    )
}

/// Why a failure is not undone, and what to do.
fn left_as_it_is(policy: &PolicyObject, stays: Option<Stays>, evidence: &Evidence) -> String {
    let why = match stays {
        _ if policy.suspend => "the policy is suspended".into(),
        _ if policy.spec.is_err() => "the policy was edited meanwhile, and the edit is refused".into(),
        _ if policy.spec.as_ref().is_ok_and(|spec| spec.on_failure == OnFailure::Hold) => {
            "spec.rollout.onFailure is Hold".into()
        }
        Some(Stays::Shared(target)) => format!("{target} shares the file and runs well on it"),
        Some(Stays::Elsewhere(target)) => {
            format!("the pods of {target} that serve have something else than what was good last")
        }
        Some(Stays::Unknown | Stays::Innocent) | None => "what stood there before is not known".to_owned(),
    };
    format!(
        "{why}, so it is left as it is: read kubectl logs {} and correct the policy or the server's own configuration",
        evidence.pod
    )
}

fn failure(verdict: &FailedRevision) -> String {
    format!("what the policy asks for on {} {} ({})", verdict.kind, verdict.name, verdict.evidence)
}

fn taken_back(
    observed: &Observed,
    policy: &PolicyObject,
    views: &[TargetView],
    plan: &Plan,
    verdict: &FailedRevision,
) -> String {
    let under_way = plan.over(views).find_map(|Planned { view, goal, step }| match step {
        Step::Settled { done: false } | Step::Write { done: false, .. } => {
            Some(how_far(&goal.desired, view, view.server().ok()?).1)
        }
        Step::Held { message, reason, .. } if *reason != Reason::RolledBack => Some(message.clone()),
        Step::Refused { message, .. } => Some(message.clone()),
        _ => None,
    });
    let keeps = |goal: &Goal| *goal.digest() == *plan.digest;
    let goes_back = |target: &Planned<'_>| {
        !keeps(target.goal) && !matches!(target.step, Step::Held { reason: Reason::RolledBack, .. })
    };
    let mut in_force: Vec<_> = plan
        .over(views)
        .filter(goes_back)
        .map(|Planned { goal, .. }| match &*goal.digest() {
            "" => "the server's own configuration".to_owned(),
            _ => format!("revision {}", goal.desired.rendered.revision),
        })
        .collect();
    in_force.dedup();
    let instead = match under_way {
        Some(message) => format!("it goes back to {} ({message})", in_force.join(", ")),
        None => format!("in force is {}", in_force.join(", ")),
    };
    let kept = plan.over(views).filter(|target| keeps(target.goal));
    let kept: Vec<_> = kept.map(|target| target.view.to_string()).collect();
    let kept = if kept.is_empty() {
        String::new()
    } else {
        format!("; {} runs well on it, and keeps it", kept.join(", "))
    };
    let told = |at: Millis| Timestamp::from_millisecond(at).ok().map(seconds);
    let asked = verdict::asked(observed, policy, verdict)
        .and_then(told)
        .map(|at| format!("; it is tried again at {at}, as was asked for"));
    let by_itself =
        verdict::again(verdict).and_then(told).map(|at| format!("; it is tried again by itself at {at}"));
    let again = asked.or(by_itself).unwrap_or_default();
    format!(
        "{} failed and was taken back: {instead}{kept}. Correct the policy or the server's own configuration, or have it tried again: kubectl annotate mfapolicy {} -n {} --overwrite {}=$(date +%s){again}",
        failure(verdict),
        policy.key.name,
        policy.key.namespace,
        api::RETRY_ANNOTATION,
    )
}
