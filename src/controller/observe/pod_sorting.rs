//! Pods that a selector finds, by whose they are.

use std::collections::HashSet;

use smol_str::SmolStr;

use crate::controller::context::Context;
use crate::controller::decode::pod::PodView;
use crate::model::{OtherPods, Selected, UnknownPods, Workload};
use crate::plan::{Observed, TargetView};

/// The pods of a workload.
#[derive(Default)]
pub struct Pods {
    pub own: Vec<PodView>,
    /// Why these are not all.
    pub unknown: Option<UnknownPods>,
}

impl Pods {
    pub fn unseen(why: UnknownPods) -> Self {
        Self { own: Vec::new(), unknown: Some(why) }
    }

    /// Whether nothing was seen of them.
    pub fn is_unseen(&self) -> bool {
        matches!(self.unknown, Some(UnknownPods::Forbidden | UnknownPods::TooMany | UnknownPods::Failed(_)))
    }
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

pub fn of_its_own<'a>(workload: &Workload, own: impl Iterator<Item = &'a PodView> + Clone) -> Selected {
    if own.clone().any(PodView::is_known_by_name) {
        Selected::by_name(workload, own.count())
    } else {
        Selected::OwnAlone
    }
}

/// The uids of the workloads that the policy governs.
pub fn governed(observed: &Observed) -> impl Iterator<Item = SmolStr> {
    let held = |view: &&TargetView| view.is_free_for(&observed.key.name);
    let targets = observed.targets.iter().filter(held).filter_map(|view| view.workload.as_ref());
    targets.chain(observed.governed.iter().map(|view| &view.workload)).map(|workload| workload.uid.clone())
}
