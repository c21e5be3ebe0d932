//! The result of a decision: what is written, for each target and beside the targets.

use std::collections::BTreeMap;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::api::Reason;
use crate::model::{ConfigMapView, Data, Millis, PolicyObject, Refusal, Reload, Verdict};
use crate::plan::desired::{Desired, Goal};
use crate::plan::failure::stuck_pods::StuckPod;
use crate::plan::input::{Observed, TargetView};
use crate::plan::release::Release;
use crate::plan::release::annotations::Memory;
use crate::plan::release::workloads::{Reversal, given_up};
use crate::plan::rollout::step::Step;
use crate::policy::Rejection;

/// What to write. Nothing in it means that everything is as it should be.
#[derive(Debug, Default)]
pub struct Plan {
    /// What shall be in force; none where nothing valid is known. It is what the policy asks for,
    /// or what that went back to.
    pub desired: Option<Arc<Desired>>,
    /// Digest of the record of what the policy asks for.
    pub digest: String,
    /// One for each target that was observed, in order; none at all where nothing is desired.
    pub targets: Vec<TargetPlan>,
    pub failure: Failure,
    /// What stood on targets before this policy came to them, to be remembered first.
    pub adopted: Vec<Data>,
    pub stuck: Vec<StuckPod>,
    pub rejections: Vec<Rejection>,
    pub config_map: Option<ConfigMapStep>,
    pub record: Option<RecordStep>,
    /// What the policy names no more.
    pub release: Release,
    /// What shall happen when the policy goes, where it is remembered otherwise.
    pub memories: Vec<Memory>,
    /// What else waits for the end of a suspension.
    pub pending: Vec<String>,
    /// By uid: workloads whose running pods are about to read a new file.
    pub reloads: Reloads,
    /// Names of records beyond the limit.
    pub prune: Vec<SmolStr>,
    /// When to look again though nothing changed.
    pub again: Option<Millis>,
}

/// By the uid of a workload: the file that its running pods are about to read.
pub type Reloads = BTreeMap<SmolStr, Reload>;

/// What is decided about one target.
#[derive(Debug)]
pub struct TargetPlan {
    /// What it shall have.
    pub goal: Goal,
    pub step: Step,
}

/// A target beside what is decided about it.
#[derive(Clone, Copy, Debug)]
pub struct Planned<'a> {
    pub view: &'a TargetView,
    pub goal: &'a Goal,
    pub step: &'a Step,
}

/// Each of these views beside what is decided about it.
pub fn planned<'a>(
    targets: &'a [TargetPlan],
    views: &'a [TargetView],
) -> impl Iterator<Item = Planned<'a>> + Clone {
    let beside =
        |(plan, view): (&'a TargetPlan, &'a TargetView)| Planned { view, goal: &plan.goal, step: &plan.step };
    targets.iter().zip(views).map(beside)
}

/// How things stand with a failure of what the policy asks for.
#[derive(Clone, Debug, Default)]
pub enum Failure {
    /// None is noted, and none is seen.
    #[default]
    None,
    /// It is seen now: it is noted, and acted on by the next look.
    Detected(Verdict),
    /// It is noted and in force: targets have what they had before, or go back to it.
    RolledBack(Verdict),
    /// It is noted and not in force any more: that is noted, so that what is tried again counts as in force.
    Retrying(Verdict),
    /// It is noted, and the revision runs well everywhere by now: the note is removed.
    Recovered,
}

impl Failure {
    /// The failure for which targets go back, or went.
    #[must_use]
    pub fn rolled_back(&self) -> Option<&Verdict> {
        match self {
            Self::RolledBack(verdict) => Some(verdict),
            Self::None | Self::Detected(_) | Self::Retrying(_) | Self::Recovered => None,
        }
    }
}

/// What the file is before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrittenFrom {
    /// An earlier one, or none: no target has what is written now.
    Before,
    /// A later one of the policy itself, where a target has what comes back: after a failure, or an edit that
    /// is undone.
    Later,
    /// Somebody else's: the file was changed or deleted, or its label taken away.
    Drift,
}

#[derive(Debug)]
pub enum ConfigMapStep {
    Create {
        from: WrittenFrom,
    },
    Repair {
        found: ConfigMapView,
        from: WrittenFrom,
    },
    /// Its file is as it should be, what it remembers is not.
    Annotate(ConfigMapView),
    /// Another policy's, a foreign one, or what is left of one and would be lost.
    Refused(Refusal),
}

#[derive(Debug)]
pub enum RecordStep {
    Create {
        revision: i64,
    },
    /// An older record is current again.
    Renew {
        name: SmolStr,
        revision: i64,
    },
}

impl Plan {
    /// Each of these views of the targets beside what is decided about it.
    pub fn over<'a>(&'a self, views: &'a [TargetView]) -> impl Iterator<Item = Planned<'a>> + Clone {
        planned(&self.targets, views)
    }

    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.targets.iter().map(|target| &target.step)
    }

    /// Whether it changes something that pods run, or what is remembered of that.
    #[must_use]
    pub fn writes(&self) -> bool {
        let file = matches!(
            self.config_map,
            Some(ConfigMapStep::Create { .. } | ConfigMapStep::Repair { .. } | ConfigMapStep::Annotate(_))
        );
        let targets = self.steps().any(|step| matches!(step, Step::Write { .. }));
        let memory = self.record.is_some() || !self.memories.is_empty();
        // What is left as it is stays so.
        let reverts = self.release.workloads.iter().any(|reversal| matches!(reversal, Reversal::Revert(_)));
        file || targets || memory || reverts || !self.release.config_maps.is_empty()
    }

    /// Whether a target gets something new, and nothing is only put back.
    #[must_use]
    pub fn begins_a_roll(&self) -> bool {
        self.steps().any(|step| matches!(step, Step::Write { rolls: true, drift, .. } if drift.is_empty()))
    }

    /// Whether the policy gives up some of what it governs, for good.
    #[must_use]
    pub fn lets_go(&self, observed: &Observed, policy: &PolicyObject) -> bool {
        self.is_in_order(observed, policy) && given_up(observed).next().is_some()
    }

    /// Whether what the policy names is what it has: one that cannot have its new targets keeps the old ones,
    /// unless the new are each other's.
    #[must_use]
    pub fn is_in_order(&self, observed: &Observed, policy: &PolicyObject) -> bool {
        let stands =
            |step: &Step| !matches!(step, Step::Refused { reason, .. } if *reason != Reason::TargetClaimed);
        let in_order =
            self.steps().all(stands) && !matches!(self.config_map, Some(ConfigMapStep::Refused(_)));
        observed.standing.accepted(policy).is_some() && in_order
    }
}
