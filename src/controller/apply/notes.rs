//! What a look notes on the records: what was applied where, and what became of it.

use smol_str::SmolStr;

use crate::api::EventReason;
use crate::controller::apply::records;
use crate::controller::context::Context;
use crate::controller::error::Error;
use crate::controller::report;
use crate::model::{Applied, FailedRevision, PolicyObject, record_name};
use crate::plan::{
    Failure, Notice, Observed, Plan, WriteResults, applied_after, applied_before, applied_judged,
};

/// Notes what pods answered, where no record is written that carries it.
pub async fn reloads(
    context: &Context,
    observed: &Observed,
    policy: &PolicyObject,
    decided: &Plan,
) -> Result<(), Error> {
    let applied = applied_before(observed, decided);
    match observed.records.first() {
        Some(newest) if newest.applied != applied => {
            records::note_applied(context, &policy.key.namespace, &newest.name, &applied).await
        }
        _ => Ok(()),
    }
}

pub async fn applied(
    context: &Context,
    observed: &Observed,
    policy: &PolicyObject,
    decided: &Plan,
    answers: &WriteResults,
    reverted: &[SmolStr],
) -> Result<(), Error> {
    let applied = applied_after(observed, decided, answers, reverted);
    let newest = observed.records.first();
    let noted = applied_before(observed, decided);
    let acquitted = matches!(decided.failure, Failure::Recovered);
    if noted == applied && !acquitted {
        return Ok(());
    }
    let name = match (answers.recorded, newest) {
        (true, _) => record_name(&policy.key.name, &policy.uid, &decided.digest),
        (false, Some(newest)) => newest.name.to_string(),
        // Where no record could be written, there is nothing to note on.
        (false, None) => return Ok(()),
    };
    match acquitted {
        true => records::note_verdict(context, &policy.key.namespace, &name, None, &applied).await,
        false => records::note_applied(context, &policy.key.namespace, &name, &applied).await,
    }?;
    report::finished(context, &noted, &applied);
    Ok(())
}

/// Notes what became of what the policy asks for.
pub async fn verdict(
    context: &Context,
    policy: &PolicyObject,
    decided: &Plan,
    verdict: &FailedRevision,
    applied: &[Applied],
) -> Result<(), Error> {
    let name = record_name(&policy.key.name, &policy.uid, &decided.digest);
    records::note_verdict(context, &policy.key.namespace, &name, Some(verdict), applied).await
}

/// Notes a failure before anything is done about it: whoever comes next goes on from there.
pub async fn judged(
    context: &Context,
    observed: &Observed,
    policy: &PolicyObject,
    decided: &Plan,
    verdict: &FailedRevision,
) -> Result<(), Error> {
    self::verdict(context, policy, decided, verdict, &applied_judged(observed, decided, verdict)).await?;
    if verdict.weaker {
        let message = format!(
            "what is in force demands less than the policy, because that failed: {}",
            verdict.evidence
        );
        context.events.about_policy(
            &policy.key,
            &policy.uid,
            Notice { warning: true, reason: EventReason::RolledBackWeaker, message },
        );
    }
    context.metrics.rolled_back(if verdict.weaker { "true" } else { "false" });
    context.queue.now(policy.key.clone());
    Ok(())
}
