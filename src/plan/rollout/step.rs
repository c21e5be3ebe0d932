//! What happens to one target now.

use std::sync::Arc;

use crate::api::Reason;
use crate::model::{Applied, PolicyObject, Record, is_done};
use crate::plan::desired::Goal;
use crate::plan::desired::pod_marker::PodMarker;
use crate::plan::desired::server::Server;
use crate::plan::history::last_applied::known;
use crate::plan::input::{Observed, TargetView};
use crate::plan::rollout::diff::{adopted, differences, governed_field};
use crate::plan::rollout::{pacing, progress};
use crate::plan::steps::Step;
use crate::policy::FieldConflicts;

/// Whether a policy is rolled out or taken back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Back,
}

impl Direction {
    /// Whether the next target has its turn after this step.
    pub fn passes(self, step: &Step) -> bool {
        match (self, step) {
            (_, Step::Settled { done: true }) => true,
            // Only what itself goes back is waited for.
            (Self::Back, Step::Refused { .. } | Step::Held { reason: Reason::RolledBack, .. }) => true,
            (Self::Forward | Self::Back, _) => false,
        }
    }
}

/// Which way targets roll, and the name of one that is waited for.
#[derive(Clone, Copy)]
pub struct Turn<'a> {
    pub blocked_by: Option<&'a str>,
    pub direction: Direction,
}

pub fn step(
    observed: &Observed,
    policy: &PolicyObject,
    goal: &Goal,
    view: &TargetView,
    Server { workload, container }: Server<'_>,
    Turn { blocked_by, direction }: Turn<'_>,
) -> Step {
    let container = &*container.name;
    let desired = &*goal.desired;
    let known = known(observed, workload).filter(|known| known.container == container);
    let same = known.is_some_and(|known| known.revision == desired.rendered.revision);
    // What pods read anew changes the revision and no pod.
    let wanted = desired.mark(workload, container);
    let marked = |record: &Arc<Record>| record.mark(workload, container) == wanted;
    let same_pods = same || known.and_then(|known| observed.record(&known.record)).is_some_and(marked);
    let (mut differs, rolls) = differences(observed, policy, desired, workload, container);
    // Without pods nothing was proven: the first one later is judged.
    let proven = |known: &Applied| {
        known.rolled_out
            && (workload.replicas == 0 || known.good.contains(&goal.digest()) || goal.digest().is_empty())
    };
    let done = (same_pods && known.is_some_and(proven)) || is_done(workload);
    if policy.suspend {
        // What is remembered is written all the same.
        differs.retain(|(field, _)| *field != governed_field());
    }
    if differs.is_empty() {
        return Step::Settled { done };
    }
    if policy.suspend {
        let fields: Vec<_> = differs.into_iter().map(|(field, _)| field).collect();
        let message = format!(
            "the policy is suspended: {view} differs in {}; set spec.suspend to false to have it written",
            fields.join(", ")
        );
        return Step::Held { reason: Reason::Suspended, message, until: None };
    }
    let drift: Vec<_> = if same {
        differs.into_iter().filter(|(_, drift)| *drift).map(|(field, _)| field).collect()
    } else {
        Vec::new()
    };
    if !drift.is_empty()
        && let Some(until) = pacing::repair_not_before(&view.history.repairs, observed.pauses, observed.now)
    {
        let message = format!(
            "{} keeps changing {} in {view}: stop it from setting these fields; the next repair comes later each time, after 30 minutes at most",
            view.history.rival.as_deref().unwrap_or("another manager"),
            drift.join(", ")
        );
        return Step::Refused { reason: Reason::FieldConflict, message, until: Some(until) };
    }
    if rolls && drift.is_empty() {
        if let Some(name) = blocked_by {
            let order =
                if direction == Direction::Back { "the reverse of their order" } else { "their order" };
            let message = format!("{view} waits for {name}: targets roll in {order}");
            return Step::Held { reason: Reason::Progressing, message, until: None };
        }
        let failing = direction == Direction::Back
            || progress::progress(
                workload,
                container,
                &PodMarker::of_template(workload, container),
                view.pods.as_deref(),
            )
            .0 == Reason::Crashing;
        if let Some(until) = pacing::roll_not_before(view, failing, observed.pauses, observed.now)
            .filter(|_| direction == Direction::Forward)
        {
            let message = format!("{view} waits for the roll under way, so that edits in a row roll it once");
            return Step::Held { reason: Reason::Progressing, message, until: Some(until) };
        }
    }
    Step::Write {
        adopted: adopted(observed, workload, container),
        take_over: desired.field_conflicts == FieldConflicts::TakeOver,
        rolls,
        done: done && !rolls,
        drift,
    }
}
