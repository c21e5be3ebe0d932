//! What stood on a target before a policy came to it, read back as something to go back to.

use crate::model::Data;
use crate::plan::desired::read_back::read_back;
use crate::plan::desired::wanted::Wanted;
use crate::plan::history::last_applied::known;
use crate::plan::input::Observed;
use crate::plan::steps::{Planned, Step, TargetPlan, planned};

/// What stands on targets that this policy is about to write for the first time, and that had fields of
/// ours before: it is what they can go back to.
pub fn adopted(observed: &Observed, targets: &[TargetPlan], wanted: &Wanted<'_>) -> Vec<Data> {
    let mut found: Vec<Data> = Vec::new();
    // Others may put another revision there at every look.
    let remembered = observed.records.iter().filter(|record| record.revision == 0).count();
    if remembered >= observed.targets.len() * 2 {
        return found;
    }
    for Planned { view, step, .. } in planned(targets, &observed.targets) {
        let (Step::Write { rolls: true, .. }, Ok(server)) = (step, view.server()) else { continue };
        // Until it is noted that it was written, what stands there is still that of before.
        if known(observed, server.workload).is_some_and(|known| !known.record.is_empty()) {
            continue;
        }
        let read = read_back(server, &wanted.desired, view);
        found.extend(
            read.filter(|data| observed.record(&data.digest()).is_none() && data.digest() != wanted.digest),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::model::{Applied, Data, Record, record_name};
    use crate::plan::history::applied::applied_before;
    use crate::plan::plan;
    use crate::plan::testing::fixtures::{edit, governed, observed, record, target};
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn what_stands_there_is_remembered_until_it_is_noted_that_it_was_written_over() {
        let before = record("gone", 0, "aal1");
        let mut observed = observed(vec![target(governed("gone", &before))]);
        edit(
            &mut observed,
            json!({"requiredAAL": {"whoami": "highest_available"}, "rollout": {"revisionHistoryLimit": 0}}),
        );
        let first = plan(&observed);
        assert!(
            matches!(&*first.adopted, [data] if data.overlay == before.data.overlay),
            "{:?}",
            first.adopted
        );
        // The first record came through, and what is older than it did not.
        let named = |data: &Data, revision: i64, applied: Vec<Applied>| Record {
            name: record_name("mfa", &observed.policy.as_ref().expect("a policy").uid, &data.digest()).into(),
            data: data.clone(),
            applied,
            ..(*record("mfa", revision, "aal1")).clone()
        };
        let data = first.desired.as_ref().expect("it is accepted").data();
        let mut newest = named(&data, 1, applied_before(&observed, &first));
        // Nothing else keeps it: no pod ran on it.
        newest.applied[0].good.clear();
        let older = named(&first.adopted[0], 0, Vec::new());
        observed.records = vec![Arc::new(newest.clone())];
        let second = plan(&observed);
        assert_eq!(second.adopted, first.adopted, "it is tried again");

        let name = older.name.clone();
        observed.records.push(Arc::new(older));
        let third = plan(&observed);
        assert!(third.adopted.is_empty() && third.prune.is_empty(), "{third:?}");
        newest.applied[0].record = newest.digest().into();
        observed.records[0] = Arc::new(newest);
        assert_eq!(plan(&observed).prune, [name], "it is of no more use than any other");
    }
}
