//! How far a rollout is, and what became of it.

use k8s_openapi::jiff::Timestamp;

use super::judgement::Judgement;
use super::record::Evidence;
use super::status::Refusal;
use super::{Observed, OtherPods, Plan, PolicyObject, Selected, Step, TargetView, Verdict, Workload, rollback, rollout};
use crate::api::{self, Reason};
use crate::policy::OnFailure;

/// The reason of the condition RolledOut and its message.
pub(super) fn rolled_out(observed: &Observed, policy: &PolicyObject, views: &[TargetView], plan: &Plan, accepted: bool) -> Refusal {
    let Some(desired) = &plan.desired else {
        return (Reason::Progressing, "nothing is rolled out before the policy is accepted".into());
    };
    if let Some(verdict) = &plan.verdict {
        return (Reason::RolledBack, taken_back(policy, views, plan, verdict));
    }
    if let Some(verdict) = &plan.judged {
        return (Reason::RolledBack, format!("{} fails and is taken back", failure(verdict)));
    }
    for (view, step) in views.iter().zip(&plan.steps) {
        match step {
            Step::Held { reason, message, .. } => return (*reason, message.clone()),
            Step::Settled { done: true, .. } | Step::Write { done: true, .. } => {}
            Step::Settled { container, .. } | Step::Write { container, .. } => {
                let Some(workload) = &view.workload else { continue };
                return progress(observed, policy, plan, view, workload, container);
            }
            Step::Refused { .. } => return (Reason::Progressing, format!("{view} does not have the policy yet")),
        }
    }
    if !plan.pending.is_empty() {
        let message = format!("the policy is suspended: {}; set spec.suspend to false to have it done", plan.pending.join("; "));
        return (Reason::Suspended, message);
    }
    if !accepted {
        return (Reason::Progressing, "the last accepted policy is in force on every target".into());
    }
    if let Some(message) = views.iter().find_map(of_another) {
        return (Reason::PodsOfAnotherOwner, message);
    }
    let revision = &desired.rendered.revision;
    let wanted = views.iter().filter_map(|view| view.workload.as_ref()).fold(0_i32, |sum, workload| sum.saturating_add(workload.replicas));
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
fn progress(observed: &Observed, policy: &PolicyObject, plan: &Plan, view: &TargetView, workload: &Workload, container: &str) -> Refusal {
    let Some(desired) = &plan.desired else { return (Reason::Progressing, String::new()) };
    let mark = desired.mark(workload, container);
    let told = rollout::progress(workload, container, &mark, view.pods.as_deref());
    // Nothing of a target that its owner keeps back is a failure.
    if told.0 == Reason::TargetPaused {
        return told;
    }
    match rollback::judge(observed, policy, desired, view, container) {
        Judgement::Open => told,
        Judgement::Unproven(evidence, why) => (
            Reason::Waiting,
            format!("{evidence}; the policy is left as it is, for it may not be the reason: {why}. It goes on by itself when that ends"),
        ),
        Judgement::Failed(evidence) => (Reason::Crashing, format!("{evidence}; {}", left_as_it_is(policy, &evidence))),
    }
}

/// Why a failure is not undone, and what to do.
fn left_as_it_is(policy: &PolicyObject, evidence: &Evidence) -> String {
    let why = if policy.suspend {
        "the policy is suspended"
    } else if policy.spec.is_err() {
        "the policy was edited meanwhile, and the edit is refused"
    } else if policy.spec.as_ref().is_ok_and(|spec| spec.on_failure == OnFailure::Hold) {
        "spec.rollout.onFailure is Hold"
    } else {
        "what stood there before is not known"
    };
    format!("{why}, so it is left as it is: read kubectl logs {} and correct the policy or the server's own configuration", evidence.pod)
}

fn failure(verdict: &Verdict) -> String {
    format!("what the policy asks for on {} {} ({})", verdict.kind, verdict.name, verdict.evidence)
}

fn taken_back(policy: &PolicyObject, views: &[TargetView], plan: &Plan, verdict: &Verdict) -> String {
    let under_way = views.iter().zip(&plan.steps).zip(&plan.goals).find_map(|((view, step), goal)| match step {
        Step::Settled { done: false, container } | Step::Write { container, done: false, .. } => {
            let workload = view.workload.as_ref()?;
            Some(rollout::progress(workload, container, &goal.desired.mark(workload, container), view.pods.as_deref()).1)
        }
        Step::Held { message, reason, .. } if *reason != Reason::RolledBack => Some(message.clone()),
        Step::Refused { message, .. } => Some(message.clone()),
        _ => None,
    });
    let revisions = plan.goals.iter().zip(&plan.steps).filter(|(_, step)| !matches!(step, Step::Held { reason: Reason::RolledBack, .. }));
    let mut in_force: Vec<_> = revisions
        .map(|(goal, _)| match &*goal.digest() {
            "" => "the server's own configuration".to_owned(),
            _ => format!("revision {}", goal.desired.rendered.revision),
        })
        .collect();
    in_force.dedup();
    let now = match under_way {
        Some(message) => format!("it goes back to {} ({message})", in_force.join(", ")),
        None => format!("in force is {}", in_force.join(", ")),
    };
    let by_itself = rollback::again(verdict)
        .map(|at| format!("; it is tried again by itself at {}", Timestamp::from_second(at.div_euclid(1_000)).unwrap_or_default()))
        .unwrap_or_default();
    format!(
        "{} failed and was taken back: {now}. Correct the policy or the server's own configuration, or have it tried again: kubectl annotate mfapolicy {} -n {} --overwrite {}=$(date +%s){by_itself}",
        failure(verdict),
        policy.key.name,
        policy.key.namespace,
        api::RETRY_ANNOTATION,
    )
}
