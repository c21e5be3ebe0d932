//! What is let go: because its policy is gone, or names it no more.

pub mod annotations;
pub mod config_maps;
pub mod workloads;

use crate::plan::input::{Absence, Observed};
use crate::plan::release::config_maps::end_config_maps;
use crate::plan::release::workloads::{given_up, reversal};
use crate::plan::steps::{ConfigMapEnd, Release};

/// The policy is gone.
pub fn gone(observed: &Observed) -> Release {
    match observed.absence {
        Absence::Pausing { until } => Release { again: Some(until), ..Release::default() },
        Absence::Uncertain => Release::default(),
        Absence::Confirmed => Release {
            workloads: observed
                .governed
                .iter()
                .filter_map(|view| reversal(view, &observed.crd_uid, None))
                .collect(),
            ..end_config_maps(observed, Some(ConfigMapEnd::Empty))
        },
    }
}

/// The policy stands, and no longer names some of what it governed.
pub fn dropped(observed: &Observed) -> Release {
    let policy = observed.policy.as_deref();
    Release {
        workloads: given_up(observed).filter_map(|view| reversal(view, &observed.crd_uid, policy)).collect(),
        // The content of a renamed one stays while it is mounted: only the name has changed.
        ..end_config_maps(observed, None)
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::input::GovernedView;
    use crate::plan::plan;
    use crate::plan::steps::Reversal;
    use crate::plan::testing::fixtures::{edit, observed, targets, workload};
    use crate::plan::testing::simulation::settle;
    use std::sync::Arc;

    /// Else its pods would never be asked again.
    #[test]
    fn what_is_left_as_it_is_is_no_write() {
        let mut observed = observed(targets(1));
        edit(&mut observed, serde_json::json!({"requiredAAL": {"whoami": "highest_available"}}));
        settle(&mut observed, |_| true);
        assert!(!plan(&observed).writes());
        let mut left = workload(0);
        left.key.name = "left".into();
        left.policy_label = Some(observed.key.name.clone());
        left.own.policy_label = true;
        observed.governed.push(GovernedView { workload: Arc::new(left), claimant: false });
        let plan = plan(&observed);
        assert!(matches!(plan.release.workloads.as_slice(), [Reversal::Leave { .. }]) && !plan.writes());
    }
}
