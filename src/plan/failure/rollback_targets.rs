//! What each target has in the place of a revision that fails: what was good there, or what it keeps. Or why
//! it stays.

use std::collections::BTreeSet;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::model::{Applied, Back, Before, FailedRevision, Pod, Record, Workload};
use crate::plan::desired::wanted::Wanted;
use crate::plan::desired::{Desired, Goal};
use crate::plan::history::last_applied::known;
use crate::plan::input::{Observed, TargetView};
use crate::plan::steps::{TargetPlan, planned};
use crate::policy::Delivery;
use crate::server::kratos::{Overlay, Rendered, render};

/// What a target shall have: what is desired, or, under a verdict, what it went back to, or keeps.
pub fn goal_of(
    observed: &Observed,
    wanted: &Wanted<'_>,
    view: &TargetView,
    verdict: Option<&FailedRevision>,
) -> Goal {
    let Some(verdict) = verdict else { return wanted.goal() };
    let back = verdict.back.iter().find(|back| back.is_of(view.kind, &view.name));
    let goal = back.and_then(|back| goal(observed, &wanted.desired, &back.record));
    goal.unwrap_or_else(|| Goal { record: None, ..nothing(observed, &wanted.desired) })
}

/// What a target shall have that goes back to this record; to nothing of a policy where it is empty.
pub fn goal(observed: &Observed, desired: &Desired, digest: &str) -> Option<Goal> {
    if digest.is_empty() {
        return Some(nothing(observed, desired));
    }
    let record = observed.record(digest)?;
    let rendered = render(&observed.key.name, record.data.overlay.clone(), record.data.delivery);
    let desired = desired.with(rendered, &record.data.config_map_name);
    Some(Goal { desired: Arc::new(desired), record: Some(digest.into()) })
}

pub fn nothing(observed: &Observed, desired: &Desired) -> Goal {
    let rendered = Rendered::nothing(&observed.key.name, desired.rendered.delivery);
    Goal { desired: Arc::new(desired.with(rendered, &desired.config_map)), record: Some(SmolStr::default()) }
}

/// What is in force as a whole: what the target has whose pods failed, where a verdict stands.
pub fn in_force(
    observed: &Observed,
    targets: &[TargetPlan],
    verdict: Option<&FailedRevision>,
) -> Option<Goal> {
    let verdict = verdict?;
    let failed = |view: &TargetView| view.kind.as_str() == verdict.kind && *view.name == *verdict.name;
    let closed = planned(targets, &observed.targets).filter(|target| !target.goal.is_open());
    let of_failed = closed.clone().find(|target| failed(target.view));
    of_failed.or_else(|| closed.clone().next()).map(|target| target.goal.clone())
}

/// Why a revision that fails is not taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stays {
    /// No server fails to start over what changed.
    Innocent,
    /// What was good before is not known, or is not one thing for those that share a file.
    Unknown,
    /// This target shares its file with the one that fails, and runs well on it.
    Shared(String),
    /// The pods of this target that serve have something else than what would come back.
    Elsewhere(String),
}

/// A target to which something was applied.
struct Reached<'a> {
    view: &'a TargetView,
    workload: &'a Workload,
    known: &'a Applied,
}

/// What each target has while the record with this digest is not tried again, which fails on one of them.
pub fn ways_back(
    observed: &Observed,
    digest: &str,
    desired: &Desired,
    failing: &TargetView,
) -> Result<Vec<Back>, Stays> {
    let reached: Vec<_> = observed.targets.iter().filter_map(|view| Reached::of(observed, view)).collect();
    let is_failing =
        |other: &Reached<'_>| (other.view.kind, &other.view.name) == (failing.kind, &failing.name);
    let fails = reached
        .iter()
        .find(|other| is_failing(other) && other.known.record == digest)
        .ok_or(Stays::Unknown)?;
    let before = fails.good_before(observed, digest).ok_or(Stays::Unknown)?;
    if is_innocent(observed, desired, &before) {
        return Err(Stays::Innocent);
    }
    let mut others = reached.iter().filter(|other| !is_failing(other));
    let back = match desired.rendered.delivery {
        Delivery::ConfigFile => {
            if let Some(other) = others.find(|other| other.known.record == digest && other.has_proven(digest))
            {
                return Err(Stays::Shared(other.view.to_string()));
            }
            let common = common(observed, digest, &reached).ok_or(Stays::Unknown)?;
            reached
                .iter()
                .map(|one| one.back_to(observed, desired, &common))
                .collect::<Result<Vec<_>, _>>()?
        }
        Delivery::Environment => {
            let keeps = |one: &Reached<'_>| {
                !is_failing(one) && (one.has_proven(digest) || one.all_have(observed, desired, digest))
            };
            let of = |one: &Reached<'_>| match &one.known.record {
                // It has not come to this one.
                other if other != digest => Ok(one.has(other.as_str().into())),
                _ if keeps(one) => Ok(one.has(digest.into())),
                _ => {
                    one.back_to(observed, desired, &one.good_before(observed, digest).ok_or(Stays::Unknown)?)
                }
            };
            reached.iter().map(of).collect::<Result<Vec<_>, _>>()?
        }
    };
    let is_by_file = |back: &&Back| {
        observed.record(&back.record).is_some_and(|record| record.data.delivery == Delivery::ConfigFile)
    };
    let files: BTreeSet<_> = back.iter().filter(is_by_file).map(|back| &back.record).collect();
    let of_failing = back
        .iter()
        .find(|back| back.is_of(failing.kind, &failing.name))
        .is_some_and(|back| is_innocent(observed, desired, &back.record));
    match files.len() {
        _ if of_failing => Err(Stays::Innocent),
        0 | 1 => Ok(back),
        _ => Err(Stays::Unknown),
    }
}

/// Whether no server that starts with the one fails to start with the other. `before` is the digest of a
/// record; empty for nothing of a policy.
pub fn is_innocent(observed: &Observed, desired: &Desired, before: &str) -> bool {
    let rendered = &desired.rendered;
    let may_matter = |overlay: &Overlay| overlay.risky() != rendered.overlay.risky();
    match observed.record(before) {
        Some(record) => {
            let data = &record.data;
            let same_way = data.delivery == rendered.delivery && *data.config_map_name == *desired.config_map;
            same_way && !may_matter(&data.overlay)
        }
        None => before.is_empty() && !may_matter(&Overlay::default()),
    }
}

/// Whether a target that is to go back by this verdict has come to run well meanwhile: no pod that serves
/// there has what would come back.
pub fn has_recovered(observed: &Observed, desired: &Desired, digest: &str, verdict: &FailedRevision) -> bool {
    let mut has_it = observed
        .targets
        .iter()
        .filter_map(|view| Reached::of(observed, view))
        .filter(|one| one.known.record == digest);
    let back = |one: &Reached<'_>| {
        verdict.back.iter().find(|back| back.is_of(one.view.kind, &one.view.name) && *back.record != *digest)
    };
    let recovered = |one: Reached<'_>| {
        back(&one).is_some_and(|back| one.back_to(observed, desired, &back.record).is_err())
    };
    has_it.any(recovered)
}

/// What was good on all of them; empty where none of them ever had anything else that was.
fn common(observed: &Observed, digest: &str, reached: &[Reached<'_>]) -> Option<SmolStr> {
    let good_on_all = |record: &&Arc<Record>| {
        record.digest() != digest
            && reached.iter().all(|one| one.known.good.iter().any(|good| **good == *record.digest()))
    };
    let common = observed.records.iter().find(good_on_all).map(|record| record.digest().into());
    // An empty file would take the policy away from those that it was good on: who adds one that fails must
    // not do that.
    let was_bare = |one: &Reached<'_>| {
        one.known.before == Before::Nothing && one.known.good.iter().all(|good| **good == *digest)
    };
    common.or_else(|| reached.iter().all(was_bare).then(SmolStr::default))
}

impl<'a> Reached<'a> {
    fn of(observed: &'a Observed, view: &'a TargetView) -> Option<Self> {
        let workload = view.workload.as_deref()?;
        let known = known(observed, workload).filter(|known| !known.record.is_empty())?;
        Some(Self { view, workload, known })
    }

    fn has(&self, record: SmolStr) -> Back {
        Back { kind: self.known.kind.as_str().into(), name: self.known.name.as_str().into(), record }
    }

    fn has_proven(&self, digest: &str) -> bool {
        self.known.good.iter().any(|good| **good == *digest)
    }

    /// The newest record that was good here but for this one; empty where nothing of a policy stood here
    /// before.
    fn good_before(&self, observed: &Observed, digest: &str) -> Option<SmolStr> {
        let good = self
            .known
            .good
            .iter()
            .find(|good| ***good != *digest && observed.record(good).is_some())
            .cloned();
        good.or_else(|| (self.known.before == Before::Nothing).then(SmolStr::default))
    }

    /// What comes back is what the pods that serve have run all the time: nothing that they demand is
    /// lowered, and nothing that they offer is gone.
    fn back_to(&self, observed: &Observed, desired: &Desired, record: &SmolStr) -> Result<Back, Stays> {
        let serving = self.serving();
        if serving.is_empty() || serving.iter().any(|pod| self.is_on(observed, desired, record, pod)) {
            return Ok(self.has(record.clone()));
        }
        Err(Stays::Elsewhere(self.view.to_string()))
    }

    fn all_have(&self, observed: &Observed, desired: &Desired, record: &str) -> bool {
        let serving = self.serving();
        !serving.is_empty() && serving.iter().all(|pod| self.is_on(observed, desired, record, pod))
    }

    /// Its pods that are ready. Where they were not listed nothing moves, and they are as the template makes
    /// them.
    fn serving(&self) -> Vec<&'a [crate::model::Container]> {
        match &self.view.pods {
            Some(pods) => {
                let ready = pods.iter().filter(|pod: &&Pod| pod.ready && !pod.deleting);
                ready.map(|pod| &*pod.containers).collect()
            }
            None if self.workload.status.ready > 0 => vec![&*self.workload.containers],
            None => Vec::new(),
        }
    }

    fn is_on(
        &self,
        observed: &Observed,
        desired: &Desired,
        record: &str,
        containers: &[crate::model::Container],
    ) -> bool {
        let mark = goal(observed, desired, record)
            .map(|goal| goal.desired.mark(self.workload, &self.known.container));
        mark.is_some_and(|mark| mark.is_made(containers, &self.known.container))
    }
}
