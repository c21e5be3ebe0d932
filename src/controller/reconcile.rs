//! One look at one policy: observe, decide, write, tell.

use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument, Span, debug, error_span, info, warn};

use super::ask::{self, Asked};
use super::observe::{self, Gathered};
use super::{Context, Error, apply, bases, note, refresh, selected, tell, words};
use crate::api::{self as wire, EventReason, Reason};
use crate::model::{Key, PolicyObject};
use crate::plan::{
    Absence, ConfigMapStep, Failure, Memory, Notice, Observed, Plan, Planned, Report, Reversal, Server, Step,
    StuckPod, applied_before, manifest, plan, retrying,
};
use crate::policy::Delivery;

/// A look that takes longer than this is given up and tried again.
const DEADLINE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Refusals end without an event that is watched: a role is granted, a quota grows.
const RETRY_REFUSED: Duration = Duration::from_secs(30);

/// Works on one policy and asks for the next look where one is due.
pub(super) async fn reconcile(context: Arc<Context>, key: Key) -> Key {
    if !context.begun.contains(&key.namespace) || !context.opened.contains(&key.namespace) {
        // It is looked at when this operator leads and everything in its namespace is known.
        return key;
    }
    // At the level of errors, so that no filter takes the fields away from the lines that it lets pass.
    let span = error_span!("look", policy = %key, generation = Empty, revision = Empty, targets = Empty);
    look_in_time(&context, &key).instrument(span).await;
    key
}

async fn look_in_time(context: &Context, key: &Key) {
    let began = Instant::now();
    let outcome = tokio::time::timeout(DEADLINE, look(context, key)).await.unwrap_or(Err(Error::Deadline));
    context.metrics.reconciled(tell::ended(&outcome), began.elapsed(), Context::now().div_euclid(1_000));
    match outcome {
        Ok(again) => {
            context.memory.succeeded(key);
            if let Some(pause) = again {
                context.queue.after(key.clone(), pause);
            }
        }
        Err(error) => {
            let failures = context.memory.failed(key);
            let pause =
                FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(12)).min(LONGEST_PAUSE);
            match error {
                Error::Stale => stale(context, key).await,
                error => warn!(error = words(&error), ?pause, "could not be reconciled; it is tried again"),
            }
            context.queue.after(key.clone(), pause);
        }
    }
}

/// What is known was not the newest.
async fn stale(context: &Context, key: &Key) {
    if !context.memory.met_stale(key) {
        debug!("something changed meanwhile; reading again");
        return;
    }
    info!("what is known was old three times in a row: it is read live");
    match tokio::time::timeout(DEADLINE, refresh::read(context, key)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(error = words(&error), "it could not be read live"),
        Err(_) => warn!("it could not be read live in time"),
    }
}

/// How the writes of one look ended, those of the targets aside.
#[derive(Default)]
pub(super) struct Outcome {
    /// The cluster refused something.
    pub refused: bool,
    /// The first error. The look goes on past it, so that one object holds up no other and the
    /// status is written.
    error: Option<Error>,
    /// When the status has its turn, where it waits for that.
    again: Option<Duration>,
}

impl Outcome {
    pub fn failed(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }
}

async fn look(context: &Context, key: &Key) -> Result<Option<Duration>, Error> {
    let now = Context::now();
    let Gathered { mut observed, unread } = observe::observe(context, key, now).await?;
    let decided = plan(&observed);
    name_in_log(&observed, &decided);
    if decided.steps().any(|step| matches!(step, Step::Refused { reason: Reason::InvalidSpec, .. })) {
        bases::hasten(context, &observed);
    }
    let unread = match unread {
        // A roll that ends old pods first must not begin unseen; what somebody else changed is put back all
        // the same.
        Some(error) if !decided.writes() || decided.begins_a_roll() => return Err(error),
        unread => unread,
    };
    if observed.unheard.for_now && !decided.writes() {
        return Ok(Some(ask::NO_ROOM));
    }
    let asked_again = match ask::pods(context, &mut observed, &decided).await? {
        Asked::Later(pause) => return Ok(Some(pause)),
        Asked::Again(pause) => pause,
    };
    // What is told rests on it, and on nothing that was not looked for.
    let looked_again = selected::look(context, &mut observed, &decided).await?;
    let outcome = match &observed.policy {
        Some(policy) => {
            tell::readable(context, policy);
            hand_on(context, &observed, policy, &decided);
            write(context, &observed, policy, &decided).await
        }
        None => {
            let mut outcome = Outcome::default();
            tell::delayed(context, &observed);
            if let Some(unreadable) = context.cache.read(|tables| tables.policies.unreadable(key)) {
                tell::unreadable(context, &unreadable).await.unwrap_or_else(|error| outcome.failed(error));
            }
            let reverted = undo(context, &observed, &decided, &mut outcome).await;
            debug!(reverted = reverted.len(), "there is no policy");
            if observed.absence == Absence::Confirmed {
                observe::claimants(context, &observed)
                    .into_iter()
                    .for_each(|claimant| context.queue.now(claimant));
                if observed.governed.is_empty() && observed.config_maps.is_empty() {
                    context.memory.is_over(key);
                }
            }
            outcome
        }
    };
    let told_again = outcome.again;
    let heard_again = (!observed.unheard.starved.is_empty()).then_some(ask::NO_ROOM);
    if let Some(error) = outcome.error.or(unread) {
        return Err(error);
    }
    let again = decided.again.map(|at| Duration::from_millis(u64::try_from(at - now).unwrap_or_default()));
    let remains = !observed.governed.is_empty() || !observed.config_maps.is_empty();
    let uncertain = observed.policy.is_none() && observed.absence == Absence::Uncertain && remains;
    // What a target has against a policy is not watched either.
    let kept =
        decided.desired.is_some() || observed.policy.as_ref().is_some_and(|policy| policy.spec.is_ok());
    let corrected = !decided.rejections.is_empty() && kept;
    let retry = (outcome.refused || uncertain || corrected).then_some(RETRY_REFUSED);
    Ok([
        again,
        asked_again,
        heard_again,
        told_again,
        retry,
        bases::grows_old(context, &observed),
        looked_again,
    ]
    .into_iter()
    .flatten()
    .min())
}

/// Whoever waits for what the policy gives up may have it from now on.
fn hand_on(context: &Context, observed: &Observed, policy: &PolicyObject, decided: &Plan) {
    if decided.lets_go(observed, policy) && context.memory.let_go(&policy.uid, policy.generation) {
        observe::claimants(context, observed).into_iter().for_each(|claimant| context.queue.now(claimant));
    }
}

/// Every line from here on says what it is about.
fn name_in_log(observed: &Observed, decided: &Plan) {
    let span = Span::current();
    if let Some(policy) = &observed.policy {
        span.record("generation", policy.generation);
    }
    if !observed.targets.is_empty() {
        let targets: Vec<_> = observed.targets.iter().map(ToString::to_string).collect();
        span.record("targets", targets.join(", "));
    }
    if let Some(desired) = &decided.desired {
        span.record("revision", &*desired.rendered.revision);
    }
}

/// Carries out a plan for a policy that stands, and writes its status.
async fn write(
    context: &Context,
    observed: &Observed,
    policy: &Arc<PolicyObject>,
    decided: &Plan,
) -> Outcome {
    for name in &observed.ignored {
        if context.memory.tell_once(&format!("ignored {} {name}", policy.uid)) {
            let message = format!(
                "ControllerRevision {name} bears this policy's label and is not what this operator wrote: it decides nothing; find out who made it, and delete it"
            );
            context.events.about_policy(
                &policy.key,
                &policy.uid,
                Notice { warning: true, reason: EventReason::RecordIgnored, message },
            );
        }
    }
    let mut answers = Report::default();
    let mut outcome = Outcome::default();
    if let Failure::Detected(verdict) = &decided.failure {
        note::judged(context, observed, policy, decided, verdict)
            .await
            .unwrap_or_else(|error| outcome.failed(error));
    }
    if let Failure::Retrying(verdict) = &decided.failure {
        // It is tried again: whoever comes next has to know before anything of it is written.
        let applied = applied_before(observed, decided);
        match note::verdict(context, policy, decided, verdict, &applied).await {
            Ok(()) => {
                context.events.about_policy(&policy.key, &policy.uid, retrying(policy, verdict, observed.now))
            }
            Err(error) => outcome.failed(error),
        }
    }
    if let Some(desired) = &decided.desired {
        let mut adopted = Vec::new();
        for data in &decided.adopted {
            adopted.push(apply::adopt(context, policy, data).await);
        }
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
        let begins = || {
            observed.records.first().is_some_and(|newest| newest.applied != applied_before(observed, decided))
        };
        let at_once = decided.reloads.is_empty() && (decided.record.is_some() || !begins());
        let (config_map, record) = if at_once {
            let (config_map, record) = tokio::join!(config_map, record);
            (Some(config_map), record)
        } else {
            // What pods answered, and what stood there, must be noted before that changes.
            let noted = match decided.record {
                Some(_) => record.await,
                None => note::reloads(context, observed, policy, decided).await.map(Ok),
            };
            let config_map = if matches!(noted, Ok(Ok(()))) { Some(config_map.await) } else { None };
            (config_map, noted)
        };
        if matches!(config_map, Some(Ok(Ok(())))) {
            let file = matches!(
                decided.config_map,
                Some(ConfigMapStep::Create { .. } | ConfigMapStep::Repair { .. })
            );
            answers.file_written = file;
            tell::config_map_written(context, policy, desired, decided.config_map.as_ref());
        }
        answers.recorded = decided.record.is_some() && matches!(record, Ok(Ok(())));
        for answer in adopted.into_iter().chain(config_map).chain([record]) {
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
    outcome.refused = answers.refused.is_some() || answers.targets.values().any(Result::is_err);
    // Where the new cannot be had, the old is kept.
    let keep = outcome.refused || outcome.error.is_some();
    let reverted = if keep { Vec::new() } else { undo(context, observed, decided, &mut outcome).await };
    remember(context, observed, policy, decided, &mut outcome).await;
    let note = async {
        match decided.failure {
            Failure::Detected(_) => Ok(()),
            _ => note::applied(context, observed, policy, decided, &answers, &reverted).await,
        }
    };
    // After an error it is not known how things stand: the next look tells.
    let stale = matches!(outcome.error, Some(Error::Stale));
    let tell = async {
        if stale { Ok(None) } else { tell::status(context, observed, policy, decided, &answers).await }
    };
    let (noted, told) = tokio::join!(note, tell);
    match noted.and(told) {
        Ok(again) => outcome.again = again,
        Err(error) => outcome.failed(error),
    }
    for pod in &decided.stuck {
        replace_stuck(context, policy, pod, &mut outcome).await;
    }
    for name in &decided.prune {
        apply::prune(context, &policy.key.namespace, name)
            .await
            .unwrap_or_else(|error| outcome.failed(error));
    }
    outcome
}

async fn write_targets(
    context: &Context,
    observed: &Observed,
    policy: &PolicyObject,
    decided: &Plan,
    answers: &mut Report,
    outcome: &mut Outcome,
) {
    for Planned { view, goal, step } in decided.over(&observed.targets) {
        let desired = &*goal.desired;
        let (Step::Write { adopted, take_over, rolls, drift, .. }, Ok(Server { workload, container })) =
            (step, view.server())
        else {
            continue;
        };
        let container = &*container.name;
        // Without its config map and record nothing new goes out; what is in force is kept up all the same,
        // and what fails is taken back.
        let old = !drift.is_empty()
            || (decided.failure.rolled_back().is_some()
                && desired.rendered.delivery == Delivery::Environment);
        if answers.refused.is_some() && !old {
            continue;
        }
        let governed = desired.governed(policy, &observed.crd_uid, Some(&workload.uid)).write();
        let body = manifest::workload(workload, &policy.key.name, &governed, container, desired);
        match apply::workload(context, workload, &body, container, adopted, *take_over).await {
            Ok(Ok(written)) => {
                tell::wrote(context, policy, workload, *rolls, drift, &written.taken_from, desired);
                view.over.iter().for_each(|over| tell::taken_by_age(context, policy, workload, over));
                answers.targets.insert(workload.uid.clone(), Ok(written.workload));
            }
            Ok(Err(refused)) => {
                answers.targets.insert(workload.uid.clone(), Err(refused));
            }
            Err(error) => outcome.failed(error),
        }
    }
}

/// Lets go of what no policy names any more; returns the uids of reverted workloads.
async fn undo(context: &Context, observed: &Observed, decided: &Plan, outcome: &mut Outcome) -> Vec<SmolStr> {
    let (mut reverted, mut left) = (Vec::new(), Vec::new());
    for reversal in &decided.release.workloads {
        let (workload, answer) = match reversal {
            Reversal::Leave { workload, why } => {
                left.push(workload.id());
                if context.memory.tell_once(&format!("leave {} {why}", workload.uid)) {
                    let message = format!("{workload} stays as it is until a policy names it: {why}");
                    context.events.about_workload(
                        workload,
                        Notice { warning: true, reason: EventReason::LeftAsIs, message },
                    );
                }
                continue;
            }
            Reversal::Revert(workload) => (workload, apply::revert(context, workload).await),
        };
        match answer {
            Ok(Ok(kept)) => {
                reverted.push(workload.uid.clone());
                tell::reverted(context, observed, workload, &kept);
            }
            Ok(Err(refusal)) => tell::refused(context, workload, refusal, outcome),
            Err(error) => outcome.failed(error),
        }
    }
    context.memory.left(&observed.key, left);
    for (map, end) in &decided.release.config_maps {
        match apply::end_config_map(context, &observed.key.namespace, map, *end).await {
            Ok(Ok(())) => {}
            Ok(Err((_, message))) => {
                outcome.refused = true;
                warn!("{message}");
            }
            Err(error) => outcome.failed(error),
        }
    }
    reverted
}

/// Corrects what workloads and config maps remember, whatever else was refused.
async fn remember(
    context: &Context,
    observed: &Observed,
    policy: &PolicyObject,
    decided: &Plan,
    outcome: &mut Outcome,
) {
    for memory in &decided.memories {
        match memory {
            Memory::Workload { workload, governed } => {
                let body = manifest::annotated(workload, &observed.key.name, governed);
                let own = [wire::POLICY_LABEL.to_owned(), wire::GOVERNED_ANNOTATION.to_owned()].into();
                match apply::workload(context, workload, &body, "", &own, false).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(refusal)) => tell::refused(context, workload, refusal, outcome),
                    Err(error) => outcome.failed(error),
                }
            }
            Memory::ConfigMap { map, governed } => {
                match apply::annotate_config_map(context, &policy.key.namespace, map, governed).await {
                    Ok(Ok(())) => {}
                    Ok(Err((_, message))) => {
                        outcome.refused = true;
                        warn!("{message}");
                    }
                    Err(error) => outcome.failed(error),
                }
            }
        }
    }
}

/// Lets a StatefulSet replace a pod of an earlier revision that does not survive.
async fn replace_stuck(context: &Context, policy: &PolicyObject, pod: &StuckPod, outcome: &mut Outcome) {
    let StuckPod { name, uid, .. } = pod;
    match apply::delete_pod(context, &policy.key.namespace, pod).await {
        Ok(Ok(())) => {
            let message = format!(
                "pod {name} does not survive an earlier revision and its StatefulSet waits for it: it was deleted"
            );
            context.events.about_policy(
                &policy.key,
                &policy.uid,
                Notice { warning: true, reason: EventReason::StuckPodDeleted, message },
            );
        }
        // The status names the pod and what to do.
        Ok(Err((_, message))) => {
            if context.memory.tell_once(&format!("stuck {uid} {message}")) {
                warn!("{message}");
            }
        }
        Err(error) => outcome.failed(error),
    }
}
