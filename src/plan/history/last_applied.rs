//! What was noted of a workload when the policy last gave it something.

use crate::model::{Applied, Workload};
use crate::plan::input::Observed;
use crate::policy::Kind;

/// What was noted of the workload of this name when the policy last gave it something, whichever it was then.
pub fn of_name<'a>(observed: &'a Observed, kind: Kind, name: &str) -> Option<&'a Applied> {
    observed.records.first()?.applied.iter().find(|entry| entry.first.is_some() && entry.is_of(kind, name))
}

/// What was noted of this workload.
pub fn known<'a>(observed: &'a Observed, workload: &Workload) -> Option<&'a Applied> {
    observed.records.first()?.applied.iter().find(|applied| applied.uid == *workload.uid)
}
