//! One policy per workload: who holds it.

use super::Workload;

/// A policy that may hold a workload.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub name: Box<str>,
    /// Seconds since the Unix epoch.
    pub created: i64,
    /// A record says that it applied to this very workload.
    pub applied: bool,
}

/// The policy that holds `workload` among those that name it: the one whose records say that it
/// applied, else the one in the workload's own label, else the oldest. A policy that is gone
/// keeps its workload while `label_pauses`, so that one that is recreated finds it as it was.
#[must_use]
pub fn holder(workload: &Workload, candidates: &[Candidate], label_pauses: bool) -> Option<Box<str>> {
    let label = workload.policy_label.as_ref().filter(|_| workload.own.policy_label);
    let by_age = |a: &&Candidate, b: &&Candidate| (a.created, &a.name).cmp(&(b.created, &b.name));
    // The label is written with the apply, the record after it: where two records claim the
    // workload, the label tells which of them came last.
    let applied = candidates
        .iter()
        .filter(|candidate| candidate.applied)
        .min_by(|a, b| (Some(&a.name) != label).cmp(&(Some(&b.name) != label)).then(by_age(a, b)));
    if let Some(applied) = applied {
        return Some(applied.name.clone());
    }
    if let Some(label) = label
        && (label_pauses || candidates.iter().any(|candidate| candidate.name == *label))
    {
        return Some(label.clone());
    }
    candidates.iter().min_by(by_age).map(|oldest| oldest.name.clone())
}
