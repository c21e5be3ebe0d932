//! Whose pods the selector of a target finds. That a workload has the labels of others is nothing that it
//! says of itself, so it is looked for: whenever its pods are listed, at none wanted, and now and then where
//! nobody else lists them.

use std::time::Duration;

use tokio::time::Instant;

use crate::controller::context::Context;
use crate::controller::error::Error;
use crate::controller::observe::pod_selection_cache::WHILE_WRITING;
use crate::controller::observe::pods;
use crate::plan::{Observed, Plan, questions};

/// Looks where that is due and nobody else lists the pods, says of each target what is known, and when to
/// look again.
pub async fn look(
    context: &Context,
    observed: &mut Observed,
    decided: &Plan,
) -> Result<Option<Duration>, Error> {
    if observed.policy.is_none() {
        return Ok(None);
    }
    let asks = |index: &usize| {
        observed.targets[*index]
            .workload
            .as_ref()
            .is_some_and(|workload| !observed.probes_skipped.is_starved(workload))
    };
    let asked: Vec<_> =
        questions(observed, decided).into_iter().map(|(index, _)| index).filter(asks).collect();
    // Who has something to write asks nobody.
    let asked = if decided.writes() { Vec::new() } else { asked };
    let mut again: Option<Instant> = None;
    for index in 0..observed.targets.len() {
        let Some(workload) = observed.targets[index].workload.clone() else { continue };
        let alone = !asked.contains(&index);
        // Whose pods another policy's workload has is for that policy to say.
        let is_free = observed.targets[index].is_free_for(&observed.key.name);
        if is_free && context.selected.is_due(&workload, alone) && workload.selector.is_some() {
            let looked = pods::of(context, observed, &workload);
            if decided.writes() {
                // A repair waits for it a moment at most.
                if tokio::time::timeout(WHILE_WRITING, looked).await.is_err() {
                    context.selected.forget(&workload);
                }
            } else {
                drop(looked.await?);
            }
        }
        let selected = context.selected.recall(&workload);
        if (alone || !selected.is_own()) && !workload.deleting {
            again = again.into_iter().chain(context.selected.until(&workload)).min();
        }
        observed.targets[index].selected = selected;
    }
    Ok(again.map(|until| until.saturating_duration_since(Instant::now())))
}
