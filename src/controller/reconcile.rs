//! One look at one policy: observe, decide, write, tell.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use smol_str::SmolStr;
use tracing::{debug, info, warn};

use super::view::status_digest;
use super::{Context, Error, apply, observe};
use crate::api::{self as wire, MfaPolicyStatus};
use crate::plan::record::record_name;
use crate::plan::{
    Absence, ConfigMapStep, Desired, Key, LastCondition, Memory, Millis, Notice, Observed, Plan, PolicyObject, Refusal, Report, Reversal,
    Step, Workload, applied_after, applied_before, level_word, manifest, plan, report,
};

/// A look that takes longer than this is given up and tried again.
const DEADLINE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Refusals end without an event that is watched: a role is granted, a quota grows.
const RETRY_REFUSED: Duration = Duration::from_secs(30);

/// Works on one policy and asks for the next look where one is due.
pub(super) async fn reconcile(context: Arc<Context>, key: Key) -> Key {
    if !context.opened.contains(&key.namespace) {
        // It is looked at when everything in its namespace is known.
        return key;
    }
    let outcome = tokio::time::timeout(DEADLINE, look(&context, &key)).await.unwrap_or(Err(Error::Deadline));
    match outcome {
        Ok(again) => {
            context.memory.succeeded(&key);
            if let Some(pause) = again {
                context.queue.after(key.clone(), pause);
            }
        }
        Err(error) => {
            let failures = context.memory.failed(&key);
            let pause = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(12)).min(LONGEST_PAUSE);
            match error {
                Error::Stale => debug!(policy = %key, "something changed meanwhile; reading again"),
                error => warn!(policy = %key, %error, ?pause, "could not be reconciled; it is tried again"),
            }
            context.queue.after(key.clone(), pause);
        }
    }
    key
}

/// How the writes of one look ended, those of the targets aside.
#[derive(Default)]
struct Outcome {
    /// The cluster refused something.
    refused: bool,
    /// The first error. The look goes on past it, so that one object holds up no other and the
    /// status is written.
    error: Option<Error>,
}

impl Outcome {
    fn failed(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }
}

async fn look(context: &Context, key: &Key) -> Result<Option<Duration>, Error> {
    let now = Context::now();
    let observed = observe::observe(context, key, now).await?;
    let decided = plan(&observed);
    let outcome = match &observed.policy {
        Some(policy) => write(context, &observed, policy, &decided).await,
        None => {
            let mut outcome = Outcome::default();
            let reverted = undo(context, &observed, &decided, &mut outcome).await;
            debug!(policy = %key, reverted = reverted.len(), "the policy is gone");
            if observed.absence == Absence::Confirmed {
                observe::claimants(context, &observed).into_iter().for_each(|claimant| context.queue.now(claimant));
                if observed.governed.is_empty() && observed.config_maps.is_empty() {
                    context.memory.forget_absence(key);
                }
            }
            outcome
        }
    };
    if let Some(error) = outcome.error {
        return Err(error);
    }
    let again = decided.again.map(|at| Duration::from_millis(u64::try_from(at - now).unwrap_or_default()));
    let remains = !observed.governed.is_empty() || !observed.config_maps.is_empty();
    let uncertain = observed.policy.is_none() && observed.absence == Absence::Uncertain && remains;
    let retry = (outcome.refused || uncertain).then_some(RETRY_REFUSED);
    Ok([again, retry].into_iter().flatten().min())
}

/// Carries out a plan for a policy that stands, and writes its status.
async fn write(context: &Context, observed: &Observed, policy: &Arc<PolicyObject>, decided: &Plan) -> Outcome {
    let mut answers = Report { targets: decided.steps.iter().map(|_| None).collect(), ..Report::default() };
    let mut outcome = Outcome::default();
    if let Some(desired) = &decided.desired {
        let config_map = async {
            match &decided.config_map {
                Some(step) => apply::config_map(context, observed, policy, desired, step).await,
                None => Ok(Ok(())),
            }
        };
        let record = async {
            match &decided.record {
                Some(step) => apply::record(context, observed, policy, decided, desired, step).await,
                None => Ok(Ok(())),
            }
        };
        let (config_map, record) = if decided.reloads.is_empty() {
            let (config_map, record) = tokio::join!(config_map, record);
            (Some(config_map), record)
        } else {
            // What pods answered before must be noted before they read the file.
            let noted = match decided.record {
                Some(_) => record.await,
                None => note_reloads(context, observed, policy, decided).await.map(Ok),
            };
            let config_map = if matches!(noted, Ok(Ok(()))) { Some(config_map.await) } else { None };
            (config_map, noted)
        };
        if matches!(config_map, Some(Ok(Ok(())))) {
            let file = matches!(decided.config_map, Some(ConfigMapStep::Create { .. } | ConfigMapStep::Repair { .. }));
            answers.file_written = file;
            config_map_written(context, observed.now, policy, desired, decided.config_map.as_ref());
        }
        answers.recorded = decided.record.is_some() && matches!(record, Ok(Ok(())));
        for answer in config_map.into_iter().chain([record]) {
            match answer {
                Ok(Ok(())) => {}
                Ok(Err(refused)) => answers.refused = answers.refused.or(Some(refused)),
                Err(error) => outcome.failed(error),
            }
        }
        if outcome.error.is_none() {
            write_targets(context, observed, policy, decided, &mut answers, &mut outcome).await;
        }
    }
    outcome.refused = answers.refused.is_some() || answers.targets.iter().any(|answer| matches!(answer, Some(Err(_))));
    // Where the new cannot be had, the old is kept.
    let keep = outcome.refused || outcome.error.is_some();
    let reverted = if keep { Vec::new() } else { undo(context, observed, decided, &mut outcome).await };
    remember(context, observed, policy, decided, &mut outcome).await;
    let note = note_applied(context, observed, policy, decided, &answers, &reverted);
    // After an error it is not known how things stand: the next look tells.
    let stale = matches!(outcome.error, Some(Error::Stale));
    let tell = async { if stale { Ok(()) } else { tell(context, observed, policy, decided, &answers).await } };
    let (noted, told) = tokio::join!(note, tell);
    noted.and(told).unwrap_or_else(|error| outcome.failed(error));
    for name in &decided.prune {
        apply::prune(context, &policy.key.namespace, name).await.unwrap_or_else(|error| outcome.failed(error));
    }
    outcome
}

fn config_map_written(context: &Context, now: Millis, policy: &PolicyObject, desired: &Desired, step: Option<&ConfigMapStep>) {
    if let Some(ConfigMapStep::Create { drifted: true } | ConfigMapStep::Repair { drifted: true, .. }) = step {
        context.memory.repaired(&policy.uid, now, None);
        let message = format!("ConfigMap {} had lost what the policy sets and has it again", desired.config_map);
        context.events.about_policy(&policy.key, &policy.uid, Notice { warning: true, reason: "DriftRepaired", message });
    }
}

async fn write_targets(
    context: &Context,
    observed: &Observed,
    policy: &PolicyObject,
    decided: &Plan,
    answers: &mut Report,
    outcome: &mut Outcome,
) {
    let Some(desired) = &decided.desired else { return };
    for (index, (step, view)) in decided.steps.iter().zip(&observed.targets).enumerate() {
        let (Step::Write { container, adopted, take_over, rolls, drift, .. }, Some(workload)) = (step, &view.workload) else { continue };
        // Without its config map and record nothing new goes out; what is in force is kept up all the same.
        if answers.refused.is_some() && drift.is_empty() {
            continue;
        }
        let governed = desired.governed(policy, &observed.crd_uid, Some(&workload.uid)).write();
        let body = manifest::workload(workload, &policy.key.name, &governed, container, desired);
        match apply::workload(context, workload, &body, container, adopted, *take_over).await {
            Ok(Ok(written)) => {
                wrote(context, observed.now, policy, workload, *rolls, drift, &written.taken_from, &desired.rendered.revision);
                answers.targets[index] = Some(Ok(written.workload));
            }
            Ok(Err(refused)) => answers.targets[index] = Some(Err(refused)),
            Err(error) => outcome.failed(error),
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one sentence about one write")]
fn wrote(
    context: &Context,
    now: Millis,
    policy: &PolicyObject,
    workload: &Workload,
    rolls: bool,
    drift: &[String],
    taken_from: &[String],
    revision: &str,
) {
    if rolls {
        context.memory.rolled(&workload.uid, now);
    }
    let by = if taken_from.is_empty() { String::new() } else { format!(" (set by {})", taken_from.join(", ")) };
    if !drift.is_empty() {
        context.memory.repaired(&workload.uid, now, taken_from.first().map(String::as_str));
        let message = format!("{workload} had lost what the policy sets and has it again: {}{by}", drift.join(", "));
        context.events.about_policy(&policy.key, &policy.uid, Notice { warning: true, reason: "DriftRepaired", message });
    } else if rolls {
        let message = format!("{workload} rolls to revision {revision}{by}");
        context.events.about_policy(&policy.key, &policy.uid, Notice { warning: false, reason: "RolloutStarted", message });
    }
}

/// Lets go of what no policy names any more; returns the uids of reverted workloads.
async fn undo(context: &Context, observed: &Observed, decided: &Plan, outcome: &mut Outcome) -> Vec<SmolStr> {
    let mut reverted = Vec::new();
    for reversal in &decided.reversals {
        let (workload, answer) = match reversal {
            Reversal::Leave { workload, why } => {
                if context.memory.tell_once(&format!("leave {} {why}", workload.uid)) {
                    let message = format!("{workload} stays as it is until a policy names it: {why}");
                    context.events.about_workload(workload, Notice { warning: true, reason: "LeftAsIs", message });
                }
                continue;
            }
            Reversal::Revert(workload) => (workload, apply::revert(context, workload).await),
        };
        match answer {
            Ok(Ok(kept)) => {
                reverted.push(workload.uid.clone());
                tell_reverted(context, observed, workload, &kept);
            }
            Ok(Err(refusal)) => tell_refused(context, workload, refusal, outcome),
            Err(error) => outcome.failed(error),
        }
    }
    for (map, end) in &decided.ended_config_maps {
        match apply::end_config_map(context, &observed.key.namespace, map, *end).await {
            Ok(Ok(())) => {}
            Ok(Err((_, message))) => {
                outcome.refused = true;
                warn!(policy = %observed.key, "{message}");
            }
            Err(error) => outcome.failed(error),
        }
    }
    reverted
}

fn tell_refused(context: &Context, workload: &Workload, (reason, message): Refusal, outcome: &mut Outcome) {
    outcome.refused = true;
    if context.memory.tell_once(&format!("refused {} {message}", workload.uid)) {
        context.events.about_workload(workload, Notice { warning: true, reason: reason.as_str(), message });
    }
}

/// Corrects what workloads and config maps remember, whatever else was refused.
async fn remember(context: &Context, observed: &Observed, policy: &PolicyObject, decided: &Plan, outcome: &mut Outcome) {
    for memory in &decided.memories {
        match memory {
            Memory::Workload { workload, governed } => {
                let body = manifest::annotated(workload, &observed.key.name, governed);
                let own = [wire::POLICY_LABEL.to_owned(), wire::GOVERNED_ANNOTATION.to_owned()].into();
                match apply::workload(context, workload, &body, "", &own, false).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(refusal)) => tell_refused(context, workload, refusal, outcome),
                    Err(error) => outcome.failed(error),
                }
            }
            Memory::ConfigMap { map, governed } => match apply::annotate_config_map(context, &policy.key.namespace, map, governed).await {
                Ok(Ok(())) => {}
                Ok(Err((_, message))) => {
                    outcome.refused = true;
                    warn!(policy = %observed.key, "{message}");
                }
                Err(error) => outcome.failed(error),
            },
        }
    }
}

fn tell_reverted(context: &Context, observed: &Observed, workload: &Workload, kept: &[String]) {
    let mut message = format!("{workload} no longer has the settings of the policy {}", observed.key.name);
    if !kept.is_empty() {
        message.push_str(&format!("; another manager owns them too and keeps {}", kept.join(", ")));
    }
    let named = observed.policy.as_ref().and_then(|policy| observed.standing.config_map(policy));
    let read = named.filter(|name| workload.mounts.contains(name));
    if let Some(config_map) = &read {
        message.push_str(&format!("; it still mounts ConfigMap {config_map}, which other targets read: remove the mount"));
    }
    context.events.about_workload(workload, Notice { warning: !kept.is_empty() || read.is_some(), reason: "Reverted", message });
    info!(
        target: "audit",
        policy = %observed.key,
        workload = %workload.key,
        uid = %workload.uid,
        kept = kept.join(","),
        "the enforced level is the server's own again"
    );
}

/// Notes what pods answered, where no record is written that carries it.
async fn note_reloads(context: &Context, observed: &Observed, policy: &PolicyObject, decided: &Plan) -> Result<(), Error> {
    let applied = applied_before(observed, decided);
    match observed.records.first() {
        Some(newest) if newest.applied != applied => apply::note_applied(context, &policy.key.namespace, &newest.name, &applied).await,
        _ => Ok(()),
    }
}

async fn note_applied(
    context: &Context,
    observed: &Observed,
    policy: &PolicyObject,
    decided: &Plan,
    answers: &Report,
    reverted: &[SmolStr],
) -> Result<(), Error> {
    let applied = applied_after(observed, decided, answers, reverted);
    let newest = observed.records.first();
    let noted = applied_before(observed, decided);
    if noted == applied {
        return Ok(());
    }
    let name = match (answers.recorded, newest) {
        (true, _) => record_name(&policy.key.name, &policy.uid, &decided.digest),
        (false, Some(newest)) => newest.name.to_string(),
        // Where no record could be written, there is nothing to note on.
        (false, None) => return Ok(()),
    };
    apply::note_applied(context, &policy.key.namespace, &name, &applied).await
}

async fn tell(context: &Context, observed: &Observed, policy: &PolicyObject, decided: &Plan, answers: &Report) -> Result<(), Error> {
    let (mut status, notice) = report(observed, policy, decided, answers);
    // The cached policy may be newer than the observation: its status is what the next must differ from.
    if status_digest(&status) == policy.status.digest {
        return Ok(());
    }
    set_times(&mut status, policy, observed.now);
    apply::status(context, policy, &status).await?;
    if let Some(notice) = notice {
        context.events.about_policy(&policy.key, &policy.uid, notice);
    }
    audit(policy, &status);
    Ok(())
}

/// A condition keeps its time as long as its status is the same.
fn set_times(status: &mut MfaPolicyStatus, policy: &PolicyObject, now: Millis) {
    let now = now.div_euclid(1_000);
    for condition in &mut status.conditions {
        let same = |last: &&LastCondition| last.type_.as_str() == condition.type_ && last.status == condition.status;
        let before = policy.status.conditions.iter().find(same);
        let since = before.map_or(now, |last| last.since);
        condition.last_transition_time = Timestamp::from_second(since).unwrap_or_default().to_string();
    }
}

/// One line for each change of the enforced level.
fn audit(policy: &PolicyObject, status: &MfaPolicyStatus) {
    let Some(running) = &status.required_aal else { return };
    let (settings, whoami) = policy.status.running.unwrap_or_default();
    let (from_settings, from_whoami) = (level_word(settings), level_word(whoami));
    if from_settings == running.settings && from_whoami == running.whoami {
        return;
    }
    info!(
        target: "audit",
        policy = %policy.key,
        uid = %policy.uid,
        generation = policy.generation,
        revision = status.revision.as_deref().unwrap_or_default(),
        from_settings,
        to_settings = running.settings,
        from_whoami,
        to_whoami = running.whoami,
        "the enforced level changed"
    );
}
