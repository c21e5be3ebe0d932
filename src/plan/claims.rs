//! One policy per workload: who holds it.

use smol_str::SmolStr;

use super::Workload;

/// A policy that may hold a workload.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub name: SmolStr,
    /// Seconds since the Unix epoch.
    pub created: i64,
    /// A record says that it applied to this very workload.
    pub applied: bool,
}

/// The policy that holds `workload` among those that name it: the one whose records say that it
/// applied, else the one in the workload's own label, else the oldest. A policy that is gone
/// keeps its workload while `label_pauses`, so that one that is recreated finds it as it was.
#[must_use]
pub fn holder(workload: &Workload, candidates: &[Candidate], label_pauses: bool) -> Option<SmolStr> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::workload;

    fn candidate(name: &str, created: i64, applied: bool) -> Candidate {
        Candidate { name: name.into(), created, applied }
    }

    fn labelled(policy: &str, own: bool) -> Workload {
        let mut workload = workload(1);
        workload.policy_label = Some(policy.into());
        workload.own.policy_label = own;
        workload
    }

    proptest::proptest! {
        /// Somebody gets it where anybody wants it, whatever the order in which they are found, and one that is
        /// younger and has applied nothing changes nothing.
        #[test]
        fn it_is_total_order_free_and_stable(
            claims in proptest::collection::vec((0..4_i64, proptest::bool::weighted(0.2)), 1..6),
            label in proptest::option::of(0..7_usize),
            (own, pauses) in (proptest::bool::ANY, proptest::bool::ANY),
            turn in 0..6_usize,
        ) {
            let mut candidates: Vec<_> =
                claims.iter().enumerate().map(|(index, (created, applied))| candidate(&format!("policy-{index}"), *created, *applied)).collect();
            let mut workload = workload(1);
            workload.policy_label = label.map(|index| format!("policy-{index}").into());
            workload.own.policy_label = own;
            let found = holder(&workload, &candidates, pauses);
            proptest::prop_assert!(found.is_some());
            let count = candidates.len();
            candidates.rotate_left(turn % count);
            proptest::prop_assert_eq!(&holder(&workload, &candidates, pauses), &found);
            candidates.push(candidate("younger", 9, false));
            proptest::prop_assert_eq!(&holder(&workload, &candidates, pauses), &found);
        }
    }

    #[test]
    fn the_one_that_applied_holds_it_however_young() {
        let candidates = [candidate("old", 1, false), candidate("young", 2, true)];
        assert_eq!(holder(&workload(1), &candidates, false).as_deref(), Some("young"));
    }

    #[test]
    fn of_two_that_applied_the_label_tells_the_last() {
        let candidates = [candidate("a", 1, true), candidate("b", 2, true)];
        assert_eq!(holder(&labelled("b", true), &candidates, false).as_deref(), Some("b"));
        assert_eq!(holder(&labelled("b", false), &candidates, false).as_deref(), Some("a"), "a label of somebody else's says nothing");
    }

    #[test]
    fn a_label_holds_for_a_policy_that_names_it_or_pauses() {
        let others = [candidate("other", 1, false)];
        assert_eq!(holder(&labelled("gone", true), &others, true).as_deref(), Some("gone"));
        assert_eq!(holder(&labelled("gone", true), &others, false).as_deref(), Some("other"));
        let both = [candidate("other", 1, false), candidate("named", 2, false)];
        assert_eq!(holder(&labelled("named", true), &both, false).as_deref(), Some("named"));
    }

    #[test]
    fn else_the_oldest_then_the_first_by_name() {
        let candidates = [candidate("b", 1, false), candidate("a", 1, false), candidate("0", 2, false)];
        assert_eq!(holder(&workload(1), &candidates, false).as_deref(), Some("a"));
        assert_eq!(holder(&workload(1), &[], false), None);
    }
}
