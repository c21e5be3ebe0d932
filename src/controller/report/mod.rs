//! What is told of a look: events, the status, the log.

pub mod audit;
pub mod events;

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tracing::info;

use crate::api::{ConditionType, EventReason, MfaPolicyStatus, Reason};
use crate::controller::apply::outcome::Outcome;
use crate::controller::apply::status;
use crate::controller::context::Context;
use crate::controller::decode::policy::status_digest;
use crate::controller::error::Error;
use crate::controller::memory::pending_status::Untold;
use crate::controller::observe::base_config;
use crate::controller::report::audit::audit;
use crate::model::{
    Applied, LastCondition, LastStatus, OwnershipNote, PolicyObject, Refusal, Unreadable, Workload,
    level_word, seconds,
};
use crate::plan::{
    ConfigMapStep, Desired, Notice, Observed, Plan, WriteResults, WrittenFrom, levels, report, suspension,
    written_levels,
};
use crate::policy::Kind;
use crate::telemetry::metrics::Ended;

pub fn config_map_written(
    context: &Context,
    policy: &PolicyObject,
    desired: &Desired,
    step: Option<&ConfigMapStep>,
) {
    if let Some(
        ConfigMapStep::Create { from: WrittenFrom::Drift }
        | ConfigMapStep::Repair { from: WrittenFrom::Drift, .. },
    ) = step
    {
        context.metrics.repaired("ConfigMap");
        let message =
            format!("ConfigMap {} had lost what the policy sets and has it again", desired.config_map);
        context.events.about_policy(
            &policy.key,
            &policy.uid,
            Notice { warning: true, reason: EventReason::DriftRepaired, message },
        );
    }
}

pub fn wrote(
    context: &Context,
    policy: &PolicyObject,
    workload: &Workload,
    rolls: bool,
    drift: &[String],
    taken_from: &[String],
    desired: &Desired,
) {
    if rolls {
        context.memory.rolled(&workload.uid);
        context.metrics.rollout_started(workload.kind.as_str());
    }
    let by =
        if taken_from.is_empty() { String::new() } else { format!(" (set by {})", taken_from.join(", ")) };
    if !drift.is_empty() {
        // Who replaces the whole workload leaves nothing behind that conflicts.
        let rival = taken_from.first().map(String::as_str).or(workload.last_manager.as_deref());
        context.memory.repaired(&workload.uid, rival);
        context.metrics.repaired(workload.kind.as_str());
        let message =
            format!("{workload} had lost what the policy sets and has it again: {}{by}", drift.join(", "));
        context.events.about_policy(
            &policy.key,
            &policy.uid,
            Notice { warning: true, reason: EventReason::DriftRepaired, message },
        );
    } else if rolls {
        let to = match &*desired.rendered.revision {
            "" => "the server's own configuration".to_owned(),
            revision => format!("revision {revision}"),
        };
        let message = format!("{workload} rolls to {to}{by}");
        context.events.about_policy(
            &policy.key,
            &policy.uid,
            Notice { warning: false, reason: EventReason::RolloutStarted, message },
        );
    }
}

/// Another policy would have the workload as well, and nothing but the age decided.
pub fn taken_by_age(context: &Context, policy: &PolicyObject, workload: &Workload, over: &str) {
    let message = format!(
        "the policy {over} names {workload} as well, neither had it before and neither is stricter: this one has it by its age, or its name; name it in one of them"
    );
    context.events.about_policy(
        &policy.key,
        &policy.uid,
        Notice { warning: true, reason: EventReason::TakenByAge, message },
    );
}

/// Counts the rolls that were not seen to be done before.
pub fn finished(context: &Context, noted: &[Applied], applied: &[Applied]) {
    for entry in applied.iter().filter(|entry| entry.rolled_out) {
        let was_done = noted
            .iter()
            .any(|before| before.uid == entry.uid && before.record == entry.record && before.rolled_out);
        if let Some(kind) = Kind::from_word(&entry.kind).filter(|_| !was_done) {
            context.metrics.rollout_finished(kind.as_str());
        }
    }
}

/// How a look ended, for counting.
pub fn ended<T>(outcome: &Result<T, Error>) -> Ended {
    match outcome {
        Ok(_) => Ended::Well,
        Err(Error::Stale) => Ended::Stale,
        Err(error) => Ended::Badly(error.kind()),
    }
}

pub fn refused(context: &Context, workload: &Workload, (reason, message): Refusal, outcome: &mut Outcome) {
    outcome.refused = true;
    if context.memory.tell_once(&format!("refused {} {message}", workload.uid)) {
        context
            .events
            .about_workload(workload, Notice { warning: true, reason: EventReason::Ready(reason), message });
    }
}

/// Tells that many policies are gone, and that nothing is undone for a while.
pub fn delayed(context: &Context, observed: &Observed) {
    if !context.memory.tell_many_gone(&observed.key, context.policies()) {
        return;
    }
    for workload in
        observed.governed.iter().map(|view| &view.workload).filter(|workload| workload.own.policy_label)
    {
        let message = format!(
            "the policy {} of {workload} is gone, and so are many others, which may be a mistake: its settings stay for 15 minutes; to keep them apply the policy again",
            observed.key.name
        );
        context.events.about_workload(
            workload,
            Notice { warning: true, reason: EventReason::ReversalDelayed, message },
        );
    }
}

pub fn reverted(context: &Context, observed: &Observed, workload: &Workload, kept: &[String]) {
    let mut message = format!("{workload} no longer has the settings of the policy {}", observed.key.name);
    if !kept.is_empty() {
        message.push_str(&format!("; another manager owns them too and keeps {}", kept.join(", ")));
    }
    let named = observed.policy.as_ref().and_then(|policy| observed.standing.config_map(policy));
    let read = named.filter(|name| workload.may_mount(name));
    if let Some(config_map) = &read {
        message.push_str(&format!(
            "; it still mounts ConfigMap {config_map}, which other targets read: remove the mount"
        ));
    }
    context.events.about_workload(
        workload,
        Notice { warning: !kept.is_empty() || read.is_some(), reason: EventReason::Reverted, message },
    );
    let (settings, whoami) = written_levels(workload);
    let governed = OwnershipNote::read(workload.governed.as_deref());
    info!(
        target: "audit",
        policy = %observed.key,
        uid = governed.map(|governed| governed.policy).unwrap_or_default(),
        generation = observed.policy.as_ref().map(|policy| policy.generation),
        revision = workload.revision().unwrap_or_default(),
        targets = %workload,
        from_settings = level_word(settings),
        to_settings = level_word(None),
        from_whoami = level_word(whoami),
        to_whoami = level_word(None),
        cause = if observed.policy.is_some() { "Dropped" } else { "Deleted" },
        manager = observed.policy.as_ref().and_then(|policy| policy.manager.as_deref()).unwrap_or_default(),
        kept = kept.join(","),
        "the enforced level is the server's own again"
    );
}

/// Writes the status where it differs; answers when to look again, where it waits for its turn.
pub async fn status(
    context: &Context,
    observed: &Observed,
    policy: &PolicyObject,
    decided: &Plan,
    answers: &WriteResults,
) -> Result<Option<Duration>, Error> {
    let complete = base_config::completed(context, observed).await?;
    let (mut status, news) = report(&complete, policy, decided, answers);
    let digest = status_digest(&status);
    // Nothing of it is lost: what is news is found by comparing with what was written last.
    if digest != policy.status.digest
        && !is_pressing(&policy.status, &status)
        && let Some(pause) = context.memory.status_waits(&policy.uid)
    {
        return Ok(Some(pause));
    }
    let mut turned = context.memory.suspended(&policy.uid, policy.suspend);
    // A write whose answer was lost may have been one all the same.
    match context.memory.untold(&policy.uid) {
        Some((written, told)) if written == policy.status.digest => tell(context, policy, told),
        Some((_, told)) => turned |= told.turned,
        None => {}
    }
    // The cached policy may be newer than the observation: its status is what the next must differ from.
    if digest == policy.status.digest {
        return Ok(None);
    }
    set_times(&mut status, policy, Timestamp::now());
    let told = Untold { news, turned, revision: status.revision.clone(), targets: targets(&status) };
    context.memory.keep_untold(&policy.uid, digest, told);
    context.memory.status_written(&policy.uid);
    let written = status::status(context, policy, &status).await?;
    // Nothing is waited for in between: whatever ends this process, what is written is told, and told once.
    if let Some((_, told)) = context.memory.untold(&policy.uid)
        && written
    {
        tell(context, policy, told);
    }
    Ok(None)
}

/// What somebody waits for, or has to know at once: whether the policy is enforced, and at which level. All
/// else tells how far that has come.
fn is_pressing(last: &LastStatus, status: &MfaPolicyStatus) -> bool {
    let before = last
        .conditions
        .iter()
        .find(|condition| condition.type_ == ConditionType::Ready)
        .map(|ready| ready.status);
    let ready = status.conditions.iter().find(|condition| condition.type_ == ConditionType::Ready.as_str());
    before != ready.map(|ready| &*ready.status) || last.running != status.required_aal.as_ref().map(levels)
}

/// Says of a policy that it cannot be read, once: what its status says is not compared, for that cannot be
/// read either.
pub async fn unreadable(context: &Context, policy: &Unreadable) -> Result<(), Error> {
    let what = unreadable_is_told(&policy.uid);
    if !context.memory.tell_once(&what) {
        return Ok(());
    }
    let mut status = policy.status();
    let now = Timestamp::from_second(Context::now().div_euclid(1_000)).unwrap_or_default().to_string();
    status.conditions.iter_mut().for_each(|condition| condition.last_transition_time.clone_from(&now));
    if let Err(error) = status::status_of(context, &policy.key, &policy.uid, &policy.version, &status).await {
        context.memory.untell(&what);
        return Err(error);
    }
    let notice =
        Notice { warning: true, reason: EventReason::Ready(Reason::Unreadable), message: policy.words() };
    context.events.about_policy(&policy.key, &policy.uid, notice);
    Ok(())
}

/// It can be read again.
pub fn readable(context: &Context, policy: &PolicyObject) {
    context.memory.untell(&unreadable_is_told(&policy.uid));
}

fn unreadable_is_told(uid: &str) -> String {
    format!("unreadable policy {uid}")
}

pub fn targets(status: &MfaPolicyStatus) -> String {
    let all: Vec<_> =
        status.targets.iter().map(|target| format!("{} {}", target.kind, target.name)).collect();
    all.join(", ")
}

pub fn tell(context: &Context, policy: &PolicyObject, told: Untold) {
    if let Some(transition) = &told.news.transition {
        audit(policy, transition, &told);
    }
    let is_told =
        told.news.notices.iter().any(|notice| notice.reason == EventReason::Ready(Reason::Suspended));
    // A policy that is seen for the first time has no before.
    let is_known = (1..policy.generation).contains(&policy.status.generation);
    if told.turned && (is_known || !policy.suspend) && !is_told {
        context.events.about_policy(&policy.key, &policy.uid, suspension(policy));
    }
    for notice in told.news.notices {
        context.events.about_policy(&policy.key, &policy.uid, notice);
    }
}

/// A condition keeps its time as long as its status is the same.
fn set_times(status: &mut MfaPolicyStatus, policy: &PolicyObject, now: Timestamp) {
    for condition in &mut status.conditions {
        let same =
            |last: &&LastCondition| last.type_.as_str() == condition.type_ && last.status == condition.status;
        let before = policy.status.conditions.iter().find(same);
        condition.last_transition_time = seconds(before.map_or(now, |last| last.since));
    }
}
