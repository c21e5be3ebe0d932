//! The result of a decision: what is written, for each target and beside the targets.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::api::Reason;
use crate::model::{Data, Millis, PolicyObject};
use crate::plan::desired::Desired;
use crate::plan::failure::state::Failure;
use crate::plan::input::{Observed, TargetView};
use crate::plan::release::workloads::given_up;
use crate::plan::steps::{
    AnnotationFix, ConfigMapStep, Planned, RecordStep, Release, Reloads, Reversal, Step, StuckPod,
    TargetPlan, planned,
};
use crate::policy::Rejection;

/// What to write. Nothing in it means that everything is as it should be.
#[derive(Debug, Default)]
pub struct Plan {
    /// What shall be in force; none where nothing valid is known. It is what the policy asks for,
    /// or what that went back to.
    pub desired: Option<Arc<Desired>>,
    /// Digest of the record of what the policy asks for.
    pub digest: String,
    /// Plans of the targets that were observed, in their order. Empty where nothing is desired.
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
    pub annotation_fixes: Vec<AnnotationFix>,
    /// What else waits for the end of a suspension.
    pub pending: Vec<String>,
    /// By uid: workloads whose running pods are about to read a new file.
    pub reloads: Reloads,
    /// Names of records beyond the limit.
    pub prune: Vec<SmolStr>,
    /// When to look again though nothing changed.
    pub again: Option<Millis>,
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
        let memory = self.record.is_some() || !self.annotation_fixes.is_empty();
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
