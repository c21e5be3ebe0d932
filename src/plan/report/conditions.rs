//! The conditions of the status.

use crate::api::{Condition, ConditionType, Reason};
use crate::model::{PolicyObject, Refusal, bounded};
use crate::plan::report::results::{After, WriteResults};
use crate::plan::report::rollout_message;
use crate::plan::steps::{ConfigMapStep, Step};
use crate::plan::verification::proof;
use crate::policy::VerificationMode;

/// All of them, and the reason of Ready.
pub fn of(
    after: &After<'_>,
    policy: &PolicyObject,
    report: &WriteResults,
    overridden: Option<String>,
) -> (Vec<Condition>, Reason) {
    let After { observed, plan, views, .. } = *after;
    let accepted = not_accepted(after, report)
        .unwrap_or((Reason::Accepted, "the policy and its targets are in order".into()));
    let is_accepted = accepted.0 == Reason::Accepted;
    let rolled_out = rollout_message::rolled_out(observed, policy, views, plan, is_accepted);
    let effective = effective(after);
    let mode = observed.verification().mode;
    let unproven = effective.as_ref().filter(|(reason, _)| keeps_from_ready(mode, *reason));
    // The first thing that is not in order.
    let ready = match (&overridden, unproven) {
        _ if !is_accepted => accepted.clone(),
        _ if !is_done(rolled_out.0) => rolled_out.clone(),
        (Some(overridden), _) => (Reason::Overridden, overridden.clone()),
        (None, Some(unproven)) => unproven.clone(),
        (None, None) => (Reason::Ready, rolled_out.1.clone()),
    };
    let mut conditions =
        vec![condition(ConditionType::Accepted, accepted), condition(ConditionType::RolledOut, rolled_out)];
    conditions.extend(effective.map(|refusal| condition(ConditionType::Effective, refusal)));
    let overridden = overridden.map(|message| (Reason::Overridden, message));
    conditions.extend(overridden.map(|refusal| present(ConditionType::Overridden, refusal)));
    let reason = ready.0;
    if reason != Reason::Ready {
        let type_ = if reason.is_stalled() { ConditionType::Stalled } else { ConditionType::Reconciling };
        conditions.push(present(type_, ready.clone()));
    }
    conditions.push(condition(ConditionType::Ready, ready));
    conditions.iter_mut().for_each(|condition| condition.observed_generation = Some(policy.generation));
    (conditions, reason)
}

fn is_done(rolled_out: Reason) -> bool {
    matches!(rolled_out, Reason::RolledOut | Reason::NoPods)
}

/// A condition whose status follows from its reason.
pub fn condition(type_: ConditionType, (reason, message): Refusal) -> Condition {
    let unknown = type_ == ConditionType::Effective
        && matches!(reason, Reason::NotSupported | Reason::NoPods | Reason::Progressing | Reason::Off);
    let good = match type_ {
        ConditionType::RolledOut => is_done(reason),
        ConditionType::Effective => is_proof(reason),
        _ => matches!(reason, Reason::Accepted | Reason::Ready),
    };
    let status = match (unknown, good) {
        (true, _) => "Unknown",
        (false, true) => "True",
        (false, false) => "False",
    };
    Condition {
        type_: type_.as_str().into(),
        status: status.into(),
        reason: reason.as_str().into(),
        message: bounded(&message),
        last_transition_time: String::new(),
        observed_generation: None,
    }
}

/// A condition that is there only while it is true.
pub fn present(type_: ConditionType, refusal: Refusal) -> Condition {
    Condition { status: "True".into(), ..condition(type_, refusal) }
}

/// The first thing that is not in order.
fn not_accepted(after: &After<'_>, report: &WriteResults) -> Option<Refusal> {
    let After { observed, plan, .. } = *after;
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
    plan.over(&observed.targets).find_map(|target| match target.step {
        Step::Refused { reason, message, .. } => Some((*reason, message.clone())),
        Step::Held { .. } | Step::Write { .. } | Step::Settled { .. } => report.refusal(target.view).cloned(),
    })
}

/// What the pods prove, by the worst of the targets. None where nothing is known that they could prove.
fn effective(after: &After<'_>) -> Option<Refusal> {
    let After { observed, plan, views, file } = *after;
    if observed.verification().mode == VerificationMode::Off && plan.desired.is_some() {
        return Some((Reason::Off, "nobody is asked: spec.verification.mode is Off".into()));
    }
    let proofs = plan.over(views).filter_map(|target| proof::proof(observed, &plan.reloads, target, file));
    proofs.min().map(|worst| (worst.reason(), worst.message()))
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
