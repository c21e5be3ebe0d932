//! Whose pods the selector of a target finds, and why that is not known.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::api::Reason;
use crate::model::unreadable::Unreadable;
use crate::model::workload::{Workload, is_done};

/// Whose pods the selector of a target finds, those aside that are finished, about to go, or controlled by
/// nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selected {
    /// It was not looked for.
    #[default]
    Unknown,
    /// Those of what the policy governs, or none.
    OwnAlone,
    /// Pods of what the policy governs, some of them known by the name of their ReplicaSet alone, because
    /// that may not be read. There are no more than the workload counts itself.
    OwnByName,
    Others(OtherPods),
    /// It was looked for, and is not known.
    Unlisted(UnknownPods),
}

/// Pods of a workload that the policy does not govern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherPods {
    /// The first of them.
    pub pod: SmolStr,
    /// Who made it, in words.
    pub owner: SmolStr,
    /// How many beside it.
    pub more: usize,
}

/// Why it is not known what the pods run that a target's selector finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownPods {
    /// A pod that cannot be read: whose it is, and what it runs, is not known.
    One(Arc<Unreadable>),
    /// The cluster lets nobody with the operator's rights list them.
    Forbidden,
    /// There are more than are held.
    TooMany,
    /// There are more than the workload has by its own count, and who made them is known by name alone.
    MoreThanItsOwn,
    /// They could not be read time and again: the last error, bounded.
    Failed(SmolStr),
}

impl UnknownPods {
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::One(_) => Reason::Unreadable,
            Self::Forbidden | Self::TooMany | Self::MoreThanItsOwn | Self::Failed(_) => Reason::Waiting,
        }
    }

    /// What is wrong, and what to do.
    #[must_use]
    pub fn words(&self) -> String {
        let (wrong, to_do) = match self {
            Self::One(unreadable) => return unreadable.words(),
            Self::Forbidden => (
                "the operator may not list pods here",
                "grant its account list on pods, as the chart does".into(),
            ),
            Self::TooMany => (
                "more pods have the labels of its selector than the operator holds",
                "give the workload labels that no other pods have".into(),
            ),
            Self::MoreThanItsOwn => (
                "more pods than it counts itself are called as its own, and the operator may not read the ReplicaSets that made them",
                "grant its account get on replicasets, as the chart does".into(),
            ),
            Self::Failed(error) => (
                "its pods cannot be read time and again",
                format!("look at the API server, which says: {error}. It goes on by itself"),
            ),
        };
        format!("{wrong}, so that it is not known what they demand: {to_do}")
    }
}

impl Selected {
    /// Judges pods of which some are known by their maker's name alone: more than the workload makes do not
    /// count as its own.
    #[must_use]
    pub fn by_name(workload: &Workload, pods: usize) -> Self {
        let more = usize::try_from(workload.makes_at_most()).is_ok_and(|most| pods > most);
        if more { Self::Unlisted(UnknownPods::MoreThanItsOwn) } else { Self::OwnByName }
    }

    /// Whether there are none but those of what the policy governs, as far as can be told.
    #[must_use]
    pub fn is_own(&self) -> bool {
        matches!(self, Self::OwnAlone | Self::OwnByName)
    }
}

impl Workload {
    /// Pods that it has, by the count of its controller; while that has something to do, as many as it may
    /// make.
    fn makes_at_most(&self) -> i32 {
        let Self { replicas, surge, status, .. } = self;
        if is_done(self) { status.total } else { status.total.max(replicas.saturating_add(*surge)) }
    }
}
