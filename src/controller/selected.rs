//! Whose pods the selector of a target finds. That a workload has the labels of others is nothing that it
//! says of itself, so it is looked for: whenever its pods are listed, at none wanted, and now and then where
//! nobody else lists them.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use smol_str::SmolStr;
use tokio::time::Instant;

use super::pods::{self, Pods};
use super::view::PodView;
use super::{Context, Error};
use crate::model::{OtherPods, Selected, Workload};
use crate::plan::{Observed, Plan, TargetView, questions};

/// How long it counts that there are none, as pods are asked anew that proved what they can, and by how much
/// more at most.
const FRESH: Duration = Duration::from_secs(600);
const JITTER: u64 = 120;
/// The same where there are some, or that is not known: they may be about to go.
const SOON: Duration = Duration::from_secs(30);

/// How long pods may take to be listed where something is to be written.
const WHILE_WRITING: Duration = Duration::from_secs(2);

/// What was found, by the uid of the workload.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<SmolStr, Entry>>);

#[derive(Debug)]
struct Entry {
    selected: Selected,
    /// Of the workload then.
    resource_version: SmolStr,
    /// No pod was wanted.
    at_rest: bool,
    until: Instant,
}

impl Known {
    fn all(&self) -> MutexGuard<'_, HashMap<SmolStr, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What counts now.
    pub fn recall(&self, workload: &Workload) -> Selected {
        let all = self.all();
        let entry = all.get(&workload.uid).filter(|entry| entry.at_rest == is_at_rest(workload));
        entry.map(|entry| entry.selected.clone()).unwrap_or_default()
    }

    /// Whether somebody has to look again: `alone` where pods are not asked, which brings a list by itself.
    fn is_due(&self, workload: &Workload, alone: bool) -> bool {
        let all = self.all();
        let entry = all.get(&workload.uid).filter(|entry| entry.at_rest == is_at_rest(workload));
        match entry {
            None => true,
            // Whoever takes its place edits it.
            Some(entry) if is_at_rest(workload) && entry.resource_version != workload.resource_version => {
                true
            }
            Some(entry) => Instant::now() >= entry.until && (alone || !entry.selected.is_own()),
        }
    }

    fn until(&self, workload: &Workload) -> Option<Instant> {
        Some(self.all().get(&workload.uid)?.until)
    }

    /// What was found before says nothing of now.
    pub fn forget(&self, workload: &Workload) {
        self.all().remove(&workload.uid);
    }

    fn keep(&self, workload: &Workload, selected: Selected) {
        let now = Instant::now();
        let mut uid = DefaultHasher::new();
        workload.uid.hash(&mut uid);
        let fresh = FRESH + Duration::from_secs(uid.finish() % JITTER);
        let until = now + if selected.is_own() { fresh } else { SOON };
        let mut all = self.all();
        // Seldom enough to cost nothing, often enough to stay within twice what is needed.
        if all.len().is_power_of_two() {
            all.retain(|_, entry| entry.until + FRESH > now);
        }
        let resource_version = workload.resource_version.clone();
        all.insert(
            workload.uid.clone(),
            Entry { selected, resource_version, at_rest: is_at_rest(workload), until },
        );
    }
}

fn is_at_rest(workload: &Workload) -> bool {
    workload.replicas == 0
}

/// Leaves the pods that the workload made, and remembers whose the others are, or why that is not known.
pub(super) fn sort(context: &Context, observed: &Observed, workload: &Workload, found: &mut Pods) {
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
pub(super) async fn look(
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
