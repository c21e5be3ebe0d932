//! One look at one policy: observe, decide, write, tell.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument, Span, debug, error_span, info, warn};

use crate::api::Reason;
use crate::controller::apply::outcome::Outcome;
use crate::controller::apply::release::undo;
use crate::controller::apply::write;
use crate::controller::context::Context;
use crate::controller::error::{Error, words};
use crate::controller::observe::{self, Gathered, base_config, gather, pod_selection};
use crate::controller::probe::{self, Asked};
use crate::controller::report;
use crate::controller::watch::refresh;
use crate::model::{Key, PolicyObject};
use crate::plan::{Absence, Observed, Plan, Step, plan};

/// A look that takes longer than this is given up and tried again.
const DEADLINE: Duration = Duration::from_secs(60);

const FIRST_PAUSE: Duration = Duration::from_millis(200);

const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Refusals end without an event that is watched: a role is granted, a quota grows.
const RETRY_REFUSED: Duration = Duration::from_secs(30);

/// Works on one policy and asks for the next look where one is due.
pub async fn reconcile(context: Arc<Context>, key: Key) -> Key {
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
    context.metrics.reconciled(report::ended(&outcome), began.elapsed(), Context::now().div_euclid(1_000));
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

/// Reads the objects of a policy live, once they were out of date three times in a row.
pub async fn stale(context: &Context, key: &Key) {
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

pub async fn look(context: &Context, key: &Key) -> Result<Option<Duration>, Error> {
    let now = Context::now();
    let Gathered { mut observed, unread } = observe::observe(context, key, now).await?;
    let decided = plan(&observed);
    name_in_log(&observed, &decided);
    if decided.steps().any(|step| matches!(step, Step::Refused { reason: Reason::InvalidSpec, .. })) {
        base_config::expire_soon(context, &observed);
    }
    let unread = match unread {
        // A roll that ends old pods first must not begin unseen; what somebody else changed is put back all
        // the same.
        Some(error) if !decided.writes() || decided.begins_a_roll() => return Err(error),
        unread => unread,
    };
    if observed.probes_skipped.for_now && !decided.writes() {
        return Ok(Some(probe::RETRY_WITHOUT_PERMIT));
    }
    let asked_again = match probe::pods(context, &mut observed, &decided).await? {
        Asked::Later(pause) => return Ok(Some(pause)),
        Asked::Again(pause) => pause,
    };
    // What is told rests on it, and on nothing that was not looked for.
    let looked_again = pod_selection::look(context, &mut observed, &decided).await?;
    let outcome = match &observed.policy {
        Some(policy) => {
            report::readable(context, policy);
            hand_on(context, &observed, policy, &decided);
            write(context, &observed, policy, &decided).await
        }
        None => {
            let mut outcome = Outcome::default();
            report::delayed(context, &observed);
            if let Some(unreadable) = context.cache.read(|tables| tables.policies.unreadable(key)) {
                report::unreadable(context, &unreadable).await.unwrap_or_else(|error| outcome.failed(error));
            }
            let reverted = undo(context, &observed, &decided, &mut outcome).await;
            debug!(reverted = reverted.len(), "there is no policy");
            if observed.absence == Absence::Confirmed {
                gather::claimants(context, &observed)
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
    let heard_again = (!observed.probes_skipped.starved.is_empty()).then_some(probe::RETRY_WITHOUT_PERMIT);
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
        base_config::expires_in(context, &observed),
        looked_again,
    ]
    .into_iter()
    .flatten()
    .min())
}

/// Requeues the policies that wait for what this one gives up.
fn hand_on(context: &Context, observed: &Observed, policy: &PolicyObject, decided: &Plan) {
    if decided.lets_go(observed, policy) && context.memory.let_go(&policy.uid, policy.generation) {
        gather::claimants(context, observed).into_iter().for_each(|claimant| context.queue.now(claimant));
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
