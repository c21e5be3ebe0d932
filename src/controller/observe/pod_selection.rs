//! Whose pods the selector of a target finds. That a workload has the labels of others is nothing that it
//! says of itself, so it is looked for: whenever its pods are listed, at none wanted, and now and then where
//! nobody else lists them.

use std::collections::HashSet;
use std::time::Duration;

use smol_str::SmolStr;
use tokio::time::Instant;

use crate::controller::context::Context;
use crate::controller::decode::pod::PodView;
use crate::controller::error::Error;
use crate::controller::observe::pod_selection_cache::WHILE_WRITING;
use crate::controller::observe::pods::{self, Pods};
use crate::model::{OtherPods, Selected, Workload};
use crate::plan::{Observed, Plan, TargetView, questions};

pub fn is_at_rest(workload: &Workload) -> bool {
    workload.replicas == 0
}

/// Leaves the pods that the workload made, and remembers whose the others are, or why that is not known.
pub fn sort(context: &Context, observed: &Observed, workload: &Workload, found: &mut Pods) {
    let governed: HashSet<_> = governed(observed).collect();
    let is_own = |view: &PodView| view.made_by().as_ref() == Some(&workload.uid);
    let mut others = found
        .own
        .iter()
        .filter(|view| !view.pod.deleting && view.may_serve(&observed.server_images))
        .filter_map(|view| {
            let owner = view.made_by()?;
            (!governed.contains(&owner)).then_some(view)
        });
    let selected = match (others.next(), found.unknown.clone()) {
        (Some(first), _) => Selected::Others(OtherPods {
            pod: first.pod.name.clone(),
            owner: first.whose(),
            more: others.count(),
        }),
        (None, Some(unknown)) => Selected::Unlisted(unknown),
        (None, None) => {
            of_its_own(workload, found.own.iter().filter(|view| !view.pod.deleting && is_own(view)))
        }
    };
    if let Selected::Unlisted(why) = &selected {
        found.unknown = Some(why.clone());
    }
    context.selected.keep(workload, selected);
    found.own.retain(is_own);
}

fn of_its_own<'a>(workload: &Workload, own: impl Iterator<Item = &'a PodView> + Clone) -> Selected {
    if own.clone().any(PodView::is_known_by_name) {
        Selected::by_name(workload, own.count())
    } else {
        Selected::OwnAlone
    }
}

/// The uids of the workloads that the policy governs.
fn governed(observed: &Observed) -> impl Iterator<Item = SmolStr> {
    let held = |view: &&TargetView| view.is_free_for(&observed.key.name);
    let targets = observed.targets.iter().filter(held).filter_map(|view| view.workload.as_ref());
    targets.chain(observed.governed.iter().map(|view| &view.workload)).map(|workload| workload.uid.clone())
}

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
            .is_some_and(|workload| !observed.unheard.is_starved(workload))
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
