//! What is told: the status, and the events of what changed in it.

use std::sync::Arc;

use super::advice;
use super::effective::{self, File};
use super::news::{self, News};
use super::{
    ConfigMapStep, Desired, Goal, Levels, Mark, Observed, Plan, PolicyObject, Step, TargetView, Workload,
    applied_after, mark, overrides, risks, rolled_out, target, transitions,
};
use crate::api::{self, Condition, ConditionType, MfaPolicyStatus, Reason, RunningAal, TargetStatus};
use crate::policy::{Delivery, Level, VerificationMode};
use crate::server::kratos::{self, level_variables};

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

pub(super) const MAX_MESSAGE: usize = 1_000;

/// The status after the writes, without times, and the events of its change.
#[must_use]
pub fn report(
    observed: &Observed,
    policy: &PolicyObject,
    plan: &Plan,
    report: &Report,
) -> (MfaPolicyStatus, News) {
    let (accepted_reason, message) = not_accepted(plan, report)
        .unwrap_or((Reason::Accepted, "the policy and its targets are in order".into()));
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
    let (reason, message) = rolled_out::rolled_out(observed, policy, &views, plan, accepted.status == "True");
    let rolled_out = (verdict(ConditionType::RolledOut, reason, message), reason);
    let file = plan.desired.as_ref().map_or(File::Other, |desired| File::after(observed, desired, report));
    let effective = effective(observed, plan, &views, file);
    let unproven =
        effective.as_ref().filter(|(_, reason)| keeps_from_ready(observed.verification().mode, *reason));
    let findings = overrides::findings(plan, &views);
    let overridden = overrides::message(&findings);
    let (reason, message) = if accepted.status != "True" {
        (accepted_reason, accepted.message.clone())
    } else if rolled_out.0.status != "True" {
        (rolled_out.1, rolled_out.0.message.clone())
    } else if let Some(overridden) = &overridden {
        (Reason::Overridden, overridden.clone())
    } else if let Some((condition, reason)) = unproven {
        (*reason, condition.message.clone())
    } else {
        (Reason::Ready, rolled_out.0.message.clone())
    };
    let ready = verdict(ConditionType::Ready, reason, message.clone());
    let mut conditions = vec![accepted, rolled_out.0];
    conditions.extend(effective.map(|(condition, _)| condition));
    conditions
        .extend(overridden.map(|message| present(ConditionType::Overridden, Reason::Overridden, message)));
    if ready.status != "True" {
        let type_ = if reason.is_stalled() { ConditionType::Stalled } else { ConditionType::Reconciling };
        conditions.push(present(type_, reason, message));
    }
    conditions.push(ready);
    conditions.iter_mut().for_each(|condition| condition.observed_generation = Some(policy.generation));

    // As it is noted beside this status.
    let applied = applied_after(observed, plan, report, &[]);
    let targets: Vec<_> = observed
        .targets
        .iter()
        .zip(&views)
        .enumerate()
        .zip(plan.steps.iter().zip(findings))
        .map(|((index, (before, view)), (step, found))| {
            let goal = plan.goals.get(index).map(|goal| &*goal.desired);
            let good = before
                .workload
                .as_ref()
                .and_then(|workload| applied.iter().find(|entry| entry.uid == *workload.uid));
            TargetStatus {
                not_checked: found.not_checked,
                last_good_revision: good.and_then(|entry| revision_of(observed, entry.good.first()?)),
                ..target_status(observed, goal, file, before, view, step)
            }
        })
        .collect();
    let required_aal = weakest(&targets);
    let revision = plan
        .desired
        .as_ref()
        .map(|desired| desired.rendered.revision.clone())
        .filter(|revision| !revision.is_empty());
    let status = MfaPolicyStatus {
        observed_generation: Some(policy.generation),
        transitions: transitions::after(observed, policy, plan, required_aal.as_ref(), revision.as_deref()),
        required_aal,
        pods: plan
            .desired
            .as_ref()
            .filter(|_| views.iter().all(|view| view.unreadable.is_none() && view.unlisted().is_none()))
            .map(|_| pods(&views, &plan.steps, &plan.goals)),
        failed_revision: plan.verdict.as_ref().and_then(|_| revision_of(observed, &plan.digest)),
        revision,
        targets,
        advisories: advice::advisories(observed),
        conditions,
    };
    let news = news::news(policy, plan, &status, reason);
    (status, news)
}

pub(super) fn verdict(type_: ConditionType, reason: Reason, message: String) -> Condition {
    let unknown = type_ == ConditionType::Effective
        && matches!(reason, Reason::NotSupported | Reason::NoPods | Reason::Progressing | Reason::Off);
    let good = match type_ {
        ConditionType::RolledOut => matches!(reason, Reason::RolledOut | Reason::NoPods),
        ConditionType::Effective => is_proof(reason),
        _ => matches!(reason, Reason::Accepted | Reason::Ready),
    };
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

/// A condition that is there only while it is true.
pub(super) fn present(type_: ConditionType, reason: Reason, message: String) -> Condition {
    Condition { status: "True".into(), ..verdict(type_, reason, message) }
}

/// One line without what a terminal would obey or nobody would see, control characters and those that turn
/// the direction of writing or have no width: parts of it may be another's words.
#[must_use]
pub fn bounded(message: &str) -> String {
    let harmless = |character: char| match character {
        '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => '\u{fffd}',
        '\u{e0000}'..='\u{e007f}' => '\u{fffd}',
        control if control.is_control() => ' ',
        other => other,
    };
    message.chars().map(harmless).take(MAX_MESSAGE).collect()
}

/// The first thing that is not in order.
fn not_accepted(plan: &Plan, report: &Report) -> Option<(Reason, String)> {
    if !plan.rejections.is_empty() {
        let all: Vec<_> = plan.rejections.iter().map(ToString::to_string).collect();
        return Some((Reason::InvalidSpec, all.join("; ")));
    }
    if let Some(ConfigMapStep::Refused(refusal)) = &plan.config_map {
        return Some(refusal.clone());
    }
    if let Some(refused) = &report.refused {
        return Some(refused.clone());
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
    format!(
        "the ConfigMap {name} belongs to {holder}: set spec.delivery.configMapName to a name that is free, or delete it"
    )
}

/// What the pods prove, by the worst of the targets. None where nothing is known that they could prove.
fn effective(
    observed: &Observed,
    plan: &Plan,
    views: &[TargetView],
    file: File,
) -> Option<(Condition, Reason)> {
    let each = views.iter().zip(&plan.steps).zip(&plan.goals);
    let proofs =
        each.filter_map(|((view, step), goal)| effective::proof(observed, plan, goal, view, step, file));
    let (reason, message) = match observed.verification().mode {
        VerificationMode::Off if plan.desired.is_some() => {
            (Reason::Off, "nobody is asked: spec.verification.mode is Off".into())
        }
        _ => proofs.min().map(|worst| (worst.reason(), worst.message()))?,
    };
    Some((verdict(ConditionType::Effective, reason, message), reason))
}

fn is_proof(reason: Reason) -> bool {
    matches!(reason, Reason::Confirmed | Reason::HashesAgree)
}

/// Whether what the pods prove, or do not prove, keeps the policy from being ready.
fn keeps_from_ready(mode: VerificationMode, effective: Reason) -> bool {
    match mode {
        VerificationMode::IfSupported => effective == Reason::Mismatch,
        VerificationMode::Required => !is_proof(effective),
        VerificationMode::Off => false,
    }
}

/// A level as the status says it.
#[must_use]
pub fn level_word(level: Option<Level>) -> &'static str {
    level.map_or("Unknown", Level::as_str)
}

fn container_of(step: &Step) -> Option<&str> {
    match step {
        Step::Held { container, .. } | Step::Write { container, .. } | Step::Settled { container, .. } => {
            Some(container)
        }
        Step::Refused { .. } => None,
    }
}

/// The revision of the record with this digest.
fn revision_of(observed: &Observed, digest: &str) -> Option<String> {
    observed.record(digest).map(|record| kratos::revision(&record.data.overlay, record.data.delivery))
}

fn target_status(
    observed: &Observed,
    desired: Option<&Desired>,
    file: File,
    before: &TargetView,
    view: &TargetView,
    step: &Step,
) -> TargetStatus {
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
    let container = container_of(step);
    // What a target that is refused runs is no other for that; of one that is another policy's, that one
    // tells.
    let holds = view.is_free_for(&observed.key.name);
    let server = container.or_else(|| Some(&*target::container(workload, view).ok().filter(|_| holds)?.name));
    let levels = |view| server.map_or((None, None), |container| mark::running_levels(view, container));
    // Right after a write the pods are still those of the template before it.
    let (settings, whoami) = match step {
        Step::Write { rolls: true, .. } => {
            let ((old_settings, old_whoami), (settings, whoami)) = (levels(before), levels(view));
            (settings.min(old_settings), whoami.min(old_whoami))
        }
        _ => levels(view),
    };
    let (open_settings, open_whoami) =
        desired.map(|desired| left_open(desired, view, workload, step)).unwrap_or_default();
    let (settings, whoami) = (settings.or(open_settings), whoami.or(open_whoami));
    let (settings, whoami) = if view.speaks_for_all() { (settings, whoami) } else { Levels::default() };
    TargetStatus {
        container: container.map(Into::into),
        server_version: view.server_version.as_deref().map(Into::into),
        uid: Some(workload.uid.to_string()),
        observed_generation: Some(workload.status.observed_generation),
        revision: revision(observed, desired, file, workload, step),
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
fn left_open(desired: &Desired, view: &TargetView, workload: &Workload, step: &Step) -> Levels {
    let Step::Settled { done: true, .. } = step else { return Levels::default() };
    let Ok(container) = target::container(workload, view) else { return Levels::default() };
    let overlay = &desired.rendered.overlay;
    let asked = overlay.required_levels();
    let (settings, whoami) =
        risks::merged_with(workload, container, view, overlay, desired.rendered.delivery).levels();
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
    desired: Option<&Desired>,
    file: File,
    workload: &Workload,
    step: &Step,
) -> Option<String> {
    if let Some(own) = workload.revision() {
        return Some(bounded(own));
    }
    let by_file = desired.filter(|desired| file == File::AsDesired && effective::is_by_file(desired));
    match (by_file, step) {
        (Some(desired), Step::Settled { container, .. } | Step::Write { container, .. })
            if Mark::of_template(workload, container) == desired.mark(workload, container) =>
        {
            Some(desired.rendered.revision.clone())
        }
        _ => {
            let record = observed.record(&target::known(observed, workload)?.record)?;
            (record.data.delivery == Delivery::ConfigFile)
                .then(|| kratos::revision(&record.data.overlay, record.data.delivery))
        }
    }
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

fn pods(views: &[TargetView], steps: &[Step], goals: &[Goal]) -> String {
    let mut ready = 0_i64;
    let mut wanted = 0_i64;
    for ((view, step), goal) in views.iter().zip(steps).zip(goals) {
        let Some(workload) = &view.workload else { continue };
        wanted += i64::from(workload.replicas);
        ready += i64::from(match (&view.pods, step) {
            (None, Step::Settled { .. }) => workload.status.updated.min(workload.status.ready),
            (
                Some(pods),
                Step::Settled { container, .. }
                | Step::Write { container, .. }
                | Step::Held { container, .. },
            ) => {
                let mark = goal.desired.mark(workload, container);
                let running = pods
                    .iter()
                    .filter(|pod| !pod.deleting && pod.ready && mark.is_on(pod, container))
                    .count();
                i32::try_from(running).unwrap_or(i32::MAX)
            }
            _ => 0,
        });
    }
    format!("{ready}/{wanted}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_of_what_others_wrote() {
        assert_eq!(
            bounded("red \u{1b}[31m, bell \u{7}, \u{9b}2J, turned \u{202e}, unseen \u{200b}\u{e0041}"),
            "red  [31m, bell  ,  2J, turned \u{fffd}, unseen \u{fffd}\u{fffd}"
        );
    }
}
