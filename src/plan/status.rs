//! What is told: the status, and the events of what changed in it.

use std::sync::Arc;

use super::effective::{self, File};
use super::mark::{self, FileLevels};
use super::{ConfigMapStep, Desired, Mark, Observed, Plan, PolicyObject, Record, Step, TargetView, Workload, rollout, target};
use crate::api::{self, Condition, ConditionType, MfaPolicyStatus, Reason, RunningAal, TargetStatus};
use crate::document::hex_digest;
use crate::policy::Level;
use crate::server::kratos::render;

/// Why something cannot be, for the status.
pub type Refusal = (Reason, String);

/// How the writes of a plan ended.
#[derive(Debug, Default)]
pub struct Report {
    /// For each target: its workload as the cluster answered it, or the refusal.
    pub targets: Vec<Option<Result<Arc<Workload>, Refusal>>>,
    /// Why the config map or the record could not be written.
    pub refused: Option<Refusal>,
    /// The file of the config map is what is desired, by a write of this plan.
    pub file_written: bool,
    /// The record of what is desired is the newest, by a write of this plan.
    pub recorded: bool,
}

/// An event to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub warning: bool,
    pub reason: &'static str,
    pub message: String,
}

const MAX_MESSAGE: usize = 1_000;

/// The status after the writes, without times, and the event of its change.
#[must_use]
pub fn report(observed: &Observed, policy: &PolicyObject, plan: &Plan, report: &Report) -> (MfaPolicyStatus, Option<Notice>) {
    let (accepted_reason, message) =
        not_accepted(plan, report).unwrap_or((Reason::Accepted, "the policy and its targets are in order".into()));
    let accepted = verdict(ConditionType::Accepted, accepted_reason, message);
    let views: Vec<TargetView> = observed
        .targets
        .iter()
        .enumerate()
        .map(|(index, view)| match report.targets.get(index) {
            Some(Some(Ok(written))) => TargetView { workload: Some(written.clone()), ..view.clone() },
            _ => view.clone(),
        })
        .collect();
    let rolled_out = rolled_out(&views, plan, &accepted);
    let file = plan.desired.as_ref().map_or(File::Other, |desired| File::after(observed, desired, report));
    let effective = effective(observed, plan, &views, file);
    let mismatch = effective.as_ref().filter(|condition| condition.reason == Reason::Mismatch.as_str());
    let (reason, message) = if accepted.status != "True" {
        (accepted_reason, accepted.message.clone())
    } else if rolled_out.0.status != "True" {
        (rolled_out.1, rolled_out.0.message.clone())
    } else if let Some(mismatch) = mismatch {
        (Reason::Mismatch, mismatch.message.clone())
    } else {
        (Reason::Ready, rolled_out.0.message.clone())
    };
    let notice = notice(policy, reason, &message);
    let ready = verdict(ConditionType::Ready, reason, message.clone());
    let mut conditions = vec![accepted, rolled_out.0];
    conditions.extend(effective);
    if ready.status != "True" {
        let type_ = if reason.is_stalled() { ConditionType::Stalled } else { ConditionType::Reconciling };
        conditions.push(Condition { status: "True".into(), ..verdict(type_, reason, message) });
    }
    conditions.push(ready);
    conditions.iter_mut().for_each(|condition| condition.observed_generation = Some(policy.generation));

    let targets: Vec<_> = observed
        .targets
        .iter()
        .zip(&views)
        .zip(&plan.steps)
        .map(|((before, view), step)| target_status(observed, plan.desired.as_ref(), file, before, view, step))
        .collect();
    let revision = plan.desired.as_ref().map(|desired| desired.rendered.revision.clone());
    let status = MfaPolicyStatus {
        observed_generation: Some(policy.generation),
        required_aal: weakest(&targets),
        pods: plan.desired.as_ref().map(|desired| pods(&views, &plan.steps, desired)),
        revision,
        targets,
        conditions,
    };
    (status, notice)
}

fn verdict(type_: ConditionType, reason: Reason, message: String) -> Condition {
    let unknown = type_ == ConditionType::Effective && matches!(reason, Reason::NotSupported | Reason::NoPods | Reason::Progressing);
    let good = matches!(reason, Reason::Accepted | Reason::RolledOut | Reason::NoPods | Reason::HashesAgree | Reason::Ready);
    Condition {
        type_: type_.as_str().into(),
        status: if unknown {
            "Unknown"
        } else if good {
            "True"
        } else {
            "False"
        }
        .into(),
        reason: reason.as_str().into(),
        message: bounded(&message),
        last_transition_time: String::new(),
        observed_generation: None,
    }
}

/// One line without control characters: parts of it may be another's words.
#[must_use]
pub fn bounded(message: &str) -> String {
    message.chars().map(|character| if character.is_control() { ' ' } else { character }).take(MAX_MESSAGE).collect()
}

/// The first thing that is not in order.
fn not_accepted(plan: &Plan, report: &Report) -> Option<(Reason, String)> {
    if !plan.rejections.is_empty() {
        let all: Vec<_> = plan.rejections.iter().map(ToString::to_string).collect();
        return Some((Reason::InvalidSpec, all.join("; ")));
    }
    if let Some(ConfigMapStep::Taken(holder)) = &plan.config_map {
        let name = plan.desired.as_ref().map(|desired| &*desired.config_map).unwrap_or_default();
        return Some((Reason::ConfigMapTaken, taken(name, holder)));
    }
    if let Some(refused) = &report.refused {
        return Some(refused.clone());
    }
    if let Some(ConfigMapStep::Fought { .. }) = &plan.config_map {
        let name = plan.desired.as_ref().map(|desired| &*desired.config_map).unwrap_or_default();
        let message =
            format!("something keeps changing ConfigMap {name}: stop it; the next repair comes later each time, after 30 minutes at most");
        return Some((Reason::FieldConflict, message));
    }
    plan.steps.iter().enumerate().find_map(|(index, step)| match (step, report.targets.get(index)) {
        (Step::Refused { reason, message, .. }, _) => Some((*reason, message.clone())),
        (_, Some(Some(Err(refused)))) => Some(refused.clone()),
        _ => None,
    })
}

/// The message of `ConfigMapTaken`.
#[must_use]
pub fn taken(name: &str, holder: &str) -> String {
    format!("the ConfigMap {name} belongs to {holder}: set spec.delivery.configMapName to a name that is free, or delete it")
}

fn rolled_out(views: &[TargetView], plan: &Plan, accepted: &Condition) -> (Condition, Reason) {
    let not_yet = |reason: Reason, message: String| (verdict(ConditionType::RolledOut, reason, message), reason);
    let Some(desired) = &plan.desired else {
        return not_yet(Reason::Progressing, "nothing is rolled out before the policy is accepted".into());
    };
    let revision = &desired.rendered.revision;
    for (view, step) in views.iter().zip(&plan.steps) {
        match step {
            Step::Held { reason, message, .. } => return not_yet(*reason, message.clone()),
            Step::Settled { done: true, .. } | Step::Write { done: true, .. } => {}
            Step::Settled { container, .. } | Step::Write { container, .. } => {
                let Some(workload) = &view.workload else { continue };
                let mark = desired.mark(workload, container);
                let (reason, message) = rollout::progress(workload, container, &mark, view.pods.as_deref());
                return not_yet(reason, message);
            }
            Step::Refused { .. } => return not_yet(Reason::Progressing, format!("{view} does not have the policy yet")),
        }
    }
    if !plan.pending.is_empty() {
        let message = format!("the policy is suspended: {}; set spec.suspend to false to have it done", plan.pending.join("; "));
        return not_yet(Reason::Suspended, message);
    }
    if accepted.status != "True" {
        return not_yet(Reason::Progressing, "the last accepted policy is in force on every target".into());
    }
    let wanted = views.iter().filter_map(|view| view.workload.as_ref()).fold(0_i32, |sum, workload| sum.saturating_add(workload.replicas));
    if wanted == 0 {
        let message = format!("no pod runs; each one that starts enforces revision {revision}");
        return (verdict(ConditionType::RolledOut, Reason::NoPods, message), Reason::NoPods);
    }
    (verdict(ConditionType::RolledOut, Reason::RolledOut, format!("every pod enforces revision {revision}")), Reason::RolledOut)
}

/// What the pods prove, by the worst of the targets. None where they are not asked.
fn effective(observed: &Observed, plan: &Plan, views: &[TargetView], file: File) -> Option<Condition> {
    let proofs = views.iter().zip(&plan.steps).filter_map(|(view, step)| effective::proof(observed, plan, view, step, file));
    let worst = proofs.min()?;
    Some(verdict(ConditionType::Effective, worst.reason(), worst.message()))
}

/// A level as the status says it.
#[must_use]
pub fn level_word(level: Option<Level>) -> &'static str {
    level.map_or("Unknown", Level::as_str)
}

fn container_of(step: &Step) -> Option<&str> {
    match step {
        Step::Held { container, .. } | Step::Write { container, .. } | Step::Settled { container, .. } => Some(container),
        Step::Refused { .. } => None,
    }
}

fn target_status(
    observed: &Observed,
    desired: Option<&Desired>,
    file: File,
    before: &TargetView,
    view: &TargetView,
    step: &Step,
) -> TargetStatus {
    let base =
        TargetStatus { group: api::APPS.into(), kind: view.kind.as_str().into(), name: view.name.to_string(), ..TargetStatus::default() };
    let Some(workload) = &view.workload else { return base };
    let container = container_of(step);
    // Right after a write the pods are still those of the template before it.
    let from_file = FileLevels {
        config_map: desired.map_or("", |desired| &desired.config_map),
        records: &observed.records,
        now: desired.map(|desired| file_levels(observed, desired, file)).unwrap_or_default(),
    };
    let levels = |view| container.map_or((None, None), |container| mark::running_levels(view, container, &from_file));
    let (settings, whoami) = match step {
        Step::Write { rolls: true, .. } => {
            let ((old_settings, old_whoami), (settings, whoami)) = (levels(before), levels(view));
            (settings.min(old_settings), whoami.min(old_whoami))
        }
        _ => levels(view),
    };
    TargetStatus {
        container: container.map(Into::into),
        uid: Some(workload.uid.to_string()),
        observed_generation: Some(workload.status.observed_generation),
        revision: revision(observed, desired, file, workload, step),
        required_aal: Some(RunningAal { settings: level_word(settings).into(), whoami: level_word(whoami).into() }),
        updated_pods: Some(workload.status.updated),
        ready_pods: Some(workload.status.ready),
        total_pods: Some(workload.status.total),
        terminating_pods: workload.status.terminating,
        ..base
    }
}

/// The revision that the target has: where it reads a file, what was noted of it tells.
fn revision(observed: &Observed, desired: Option<&Desired>, file: File, workload: &Workload, step: &Step) -> Option<String> {
    match (Mark::own(workload)?, step) {
        (Mark::Variable(revision), _) => Some(bounded(&revision)),
        (Mark::Annotation { .. }, Step::Settled { .. } | Step::Write { .. }) if file == File::AsDesired => {
            desired.map(|desired| desired.rendered.revision.clone())
        }
        (Mark::Annotation { .. }, _) => target::known(observed, workload).map(|known| known.revision.clone()),
    }
}

/// What the file in the config map demands. It may be a stranger's, or of an earlier revision.
fn file_levels(observed: &Observed, desired: &Desired, file: File) -> (Option<Level>, Option<Level>) {
    if file == File::AsDesired {
        return desired.rendered.overlay.required_levels();
    }
    let content = observed.config_map(&desired.config_map).and_then(|map| map.content.as_deref());
    let renders = |record: &&Arc<Record>| {
        let file = render(&observed.key.name, record.data.overlay.clone(), record.data.delivery).file;
        content == Some(&*hex_digest(&file, 16))
    };
    observed.records.iter().find(renders).map(|record| record.data.overlay.required_levels()).unwrap_or_default()
}

/// The weakest over all targets, where Unknown is weaker than any.
fn weakest(targets: &[TargetStatus]) -> Option<RunningAal> {
    let known: Vec<_> = targets.iter().filter_map(|target| target.required_aal.as_ref()).collect();
    let least = |pick: fn(&RunningAal) -> &str| known.iter().map(|aal| Level::from_word(pick(aal))).min();
    Some(RunningAal { settings: level_word(least(|aal| &aal.settings)?).into(), whoami: level_word(least(|aal| &aal.whoami)?).into() })
}

fn pods(views: &[TargetView], steps: &[Step], desired: &Desired) -> String {
    let mut ready = 0_i64;
    let mut wanted = 0_i64;
    for (view, step) in views.iter().zip(steps) {
        let Some(workload) = &view.workload else { continue };
        wanted += i64::from(workload.replicas);
        ready += i64::from(match (&view.pods, step) {
            (None, Step::Settled { .. }) => workload.status.updated.min(workload.status.ready),
            (Some(pods), Step::Settled { container, .. } | Step::Write { container, .. } | Step::Held { container, .. }) => {
                let mark = desired.mark(workload, container);
                let running = pods.iter().filter(|pod| !pod.deleting && pod.ready && mark.is_on(pod, container)).count();
                i32::try_from(running).unwrap_or(i32::MAX)
            }
            _ => 0,
        });
    }
    format!("{ready}/{wanted}")
}

/// An event for each new reason of Ready.
fn notice(policy: &PolicyObject, reason: Reason, message: &str) -> Option<Notice> {
    let calm = matches!(reason, Reason::Ready | Reason::NoPods | Reason::Progressing | Reason::TargetPaused);
    (*policy.status.reason != *reason.as_str()).then(|| Notice { warning: !calm, reason: reason.as_str(), message: bounded(message) })
}
