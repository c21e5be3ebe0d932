//! The events of a status that differs from the last one: one for each thing that changed. What a write
//! did is told where it is written.

#[cfg(test)]
mod tests;

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::api::{Condition, ConditionType, EventReason, MfaPolicyStatus, Reason, RunningAal, Transition};
use crate::model::{FailedRevision, Millis, PolicyObject, bounded};
use crate::plan::outcome::Plan;
use crate::plan::steps::Step;
use crate::policy::Level;

/// An event to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub warning: bool,
    pub reason: EventReason,
    pub message: String,
}

/// What changed from the last status to the next.
#[derive(Clone, Debug, Default)]
pub struct News {
    pub notices: Vec<Notice>,
    /// The change of the enforced level, where there is one.
    pub transition: Option<Transition>,
}

/// Stands for a message of the last status; never zero.
#[must_use]
pub fn message_digest(message: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.hash(&mut hasher);
    hasher.finish().max(1)
}

/// Compares `status`, whose Ready has `reason`, with what the policy's status said last.
pub fn news(policy: &PolicyObject, plan: &Plan, status: &MfaPolicyStatus, reason: Reason) -> News {
    let transition = transition(policy, status);
    let notices = [
        rolled_out(policy, status),
        transition.as_ref().map(level_changed),
        overridden(policy, status),
        ready(policy, plan, status, reason),
    ];
    News { notices: notices.into_iter().flatten().collect(), transition }
}

fn condition(status: &MfaPolicyStatus, type_: ConditionType) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.type_ == type_.as_str())
}

fn was_true(policy: &PolicyObject, type_: ConditionType) -> bool {
    policy.status.conditions.iter().any(|last| last.type_ == type_ && last.status == "True")
}

/// A new reason; or another refusal for the same reason, which an edit of the policy brought.
fn ready(policy: &PolicyObject, plan: &Plan, status: &MfaPolicyStatus, reason: Reason) -> Option<Notice> {
    let message = &*condition(status, ConditionType::Ready)?.message;
    let refused =
        condition(status, ConditionType::Accepted).is_some_and(|accepted| accepted.status != "True");
    let edited =
        policy.status.generation != policy.generation && policy.status.message != message_digest(message);
    let is_new = *policy.status.reason != *reason.as_str() || (refused && edited);
    // RolloutStarted tells the same.
    let rolls = reason == Reason::Progressing
        && plan.steps().any(|step| matches!(step, Step::Write { rolls: true, .. }));
    // It has an event of its own, whatever Ready says.
    if !is_new || rolls || reason == Reason::Overridden {
        return None;
    }
    let calm = matches!(reason, Reason::Ready | Reason::NoPods | Reason::Progressing | Reason::TargetPaused);
    Some(Notice { warning: !calm, reason: EventReason::Ready(reason), message: bounded(message) })
}

/// Something begins to beat the policy, or something else does.
fn overridden(policy: &PolicyObject, status: &MfaPolicyStatus) -> Option<Notice> {
    let message = &*condition(status, ConditionType::Overridden)?.message;
    let is_new = policy.status.overridden != message_digest(message);
    is_new.then(|| Notice {
        warning: true,
        reason: EventReason::Ready(Reason::Overridden),
        message: bounded(message),
    })
}

/// A roll is done. That a refusal ends is none.
fn rolled_out(policy: &PolicyObject, status: &MfaPolicyStatus) -> Option<Notice> {
    let condition =
        condition(status, ConditionType::RolledOut).filter(|condition| condition.status == "True")?;
    let another = policy.status.revision.as_deref() != status.revision.as_deref();
    let ended = !was_true(policy, ConditionType::RolledOut) && was_true(policy, ConditionType::Accepted);
    (another || ended).then(|| Notice {
        warning: false,
        reason: EventReason::RolledOut,
        message: bounded(&condition.message),
    })
}

fn transition(policy: &PolicyObject, status: &MfaPolicyStatus) -> Option<Transition> {
    let last = status.transitions.last()?;
    let told = policy.status.transitions.last().map(crate::plan::report::transitions::written);
    (told.as_ref() != Some(last)).then(|| last.clone())
}

fn level_changed(transition: &Transition) -> Notice {
    let Transition { from, to, .. } = transition;
    let change = |key: &str, from: &str, to: &str| (from != to).then(|| format!("{key} from {from} to {to}"));
    let changes =
        [change("settings", &from.settings, &to.settings), change("whoami", &from.whoami, &to.whoami)];
    let changes: Vec<_> = changes.into_iter().flatten().collect();
    let by = transition
        .manager
        .as_deref()
        .map(|manager| format!(", spec last set by {manager}"))
        .unwrap_or_default();
    let message =
        format!("what the pods demand changed: {} (cause: {}{by})", changes.join(", "), transition.cause);
    Notice { warning: is_weaker(from, to), reason: EventReason::LevelChanged, message: bounded(&message) }
}

fn is_weaker(from: &RunningAal, to: &RunningAal) -> bool {
    let falls = |from: &str, to: &str| Level::from_word(to) < Level::from_word(from);
    falls(&from.settings, &to.settings) || falls(&from.whoami, &to.whoami)
}

/// A verdict fell: what failed is tried again.
#[must_use]
pub fn retrying(policy: &PolicyObject, verdict: &FailedRevision, now: Millis) -> Notice {
    let why = if verdict.generation != policy.generation {
        "the policy was edited"
    } else if verdict.retry != policy.retry {
        "the annotation asks for it"
    } else if crate::plan::failure::verdict::again(verdict).is_some_and(|at| at <= now) {
        "its pause is over"
    } else {
        "what it failed with has changed"
    };
    let FailedRevision { kind, name, evidence, .. } = verdict;
    let message = format!("what failed on {kind} {name} ({evidence}) is tried again: {why}");
    Notice { warning: false, reason: EventReason::Retrying, message: bounded(&message) }
}

/// The policy begins to hold still, or ends it.
#[must_use]
pub fn suspension(policy: &PolicyObject) -> Notice {
    let by =
        policy.manager.as_deref().map(|manager| format!("; spec last set by {manager}")).unwrap_or_default();
    let (reason, message) = match policy.suspend {
        true => (
            EventReason::Ready(Reason::Suspended),
            "the policy holds still from now on: nothing is written until spec.suspend is false",
        ),
        false => (EventReason::Resumed, "the policy is written again: spec.suspend is false"),
    };
    Notice { warning: false, reason, message: bounded(&format!("{message}{by}")) }
}
