//! Cases of `applied`.

use super::*;
use crate::model::Record;
use crate::plan::input::Observed;
use crate::plan::plan;
use crate::plan::testing::fixtures::{edit, observed, targets};
use crate::plan::testing::simulation::settle;
use serde_json::json;
use std::sync::Arc;

/// Its owner deletes and creates it, each time with a field that the policy may not take.
#[test]
fn a_workload_that_is_made_anew_again_and_again_leaves_one_note() {
    let mut observed: Observed = observed(targets(2));
    edit(&mut observed, json!({"requiredAAL": {"whoami": "highest_available"}}));
    settle(&mut observed, |_| true);
    for number in 0..50 {
        let view = &mut observed.targets[0];
        let mut anew = crate::plan::testing::fixtures::workload(2);
        anew.key = view.workload.as_ref().expect("a workload").key.clone();
        anew.uid = format!("anew-{number}").into();
        view.workload = Some(Arc::new(anew));
        let decided = plan(&observed);
        assert!(matches!(decided.targets[0].step, Step::Write { .. }), "{:?}", decided.targets[0].step);
        let applied = applied_before(&observed, &decided);
        // What it had before, what it has now, and what the other one has.
        assert!(applied.len() <= 3, "{number}: {applied:#?}");
        assert!(applied.iter().any(|entry| entry.uid == format!("anew-{number}")));
        assert!(applied.iter().any(|entry| entry.is_of(observed.targets[0].kind, &observed.targets[0].name)
            && !entry.record.is_empty()));
        let newest = (*observed.records[0]).clone();
        observed.records[0] = Arc::new(Record { applied, ..newest });
    }
}
