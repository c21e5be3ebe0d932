//! What happens to each object.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use smol_str::SmolStr;

use crate::api::Reason;
use crate::model::{ConfigMapView, Millis, Refusal, Reload, Workload};
use crate::plan::desired::Goal;
use crate::plan::input::TargetView;

/// A pod that a StatefulSet waits for in vain.
#[derive(Clone, Debug)]
pub struct StuckPod {
    pub name: SmolStr,
    pub uid: SmolStr,
    pub resource_version: SmolStr,
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

/// What remembers something else than the policy now says shall happen when it goes.
#[derive(Clone, Debug)]
pub enum AnnotationFix {
    Workload { workload: Arc<Workload>, governed: String },
    ConfigMap { map: ConfigMapView, governed: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigMapEnd {
    Delete,
    /// Still mounted: deleting it would break the next pod start.
    Empty,
}

/// What the policy names no more, and loses.
#[derive(Debug, Default)]
pub struct Release {
    pub workloads: Vec<Reversal>,
    pub config_maps: Vec<(ConfigMapView, ConfigMapEnd)>,
    /// When to look at it again.
    pub again: Option<Millis>,
}

impl Release {
    /// Nothing is let go for now.
    pub fn of_nothing(self) -> Self {
        Self { again: self.again, ..Self::default() }
    }
}

/// A governed workload that its policy has let go.
#[derive(Clone, Debug)]
pub enum Reversal {
    /// Our fields are dropped.
    Revert(Arc<Workload>),
    /// It is left as it is, and this is told: its memory is of another cluster, definition or object.
    Leave { workload: Arc<Workload>, why: String },
}

/// What happens to a target. All but the first have a server.
#[derive(Debug)]
pub enum Step {
    /// The policy cannot have it.
    Refused { reason: Reason, message: String, until: Option<Millis> },
    /// It has an older revision and must wait.
    Held { reason: Reason, message: String, until: Option<Millis> },
    /// Our fields are applied.
    Write {
        /// Fields that may be taken by force: variables, and the label and annotations by their keys.
        adopted: BTreeSet<String>,
        /// Whatever another manager owns is taken.
        take_over: bool,
        /// The pod template changes.
        rolls: bool,
        /// It changes nothing of the template, and the roll of that template is done.
        done: bool,
        /// Fields that somebody changed since our last apply.
        drift: Vec<String>,
    },
    /// Our fields are as they should be.
    Settled { done: bool },
}
