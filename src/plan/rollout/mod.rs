//! What is decided about each target, in their order.
//!
//! | file | what it decides |
//! |---|---|
//! | `select` | whether the policy may have the target |
//! | `diff` | what differs |
//! | `step` | what happens to it now |
//! | `pacing` | when the next roll or repair may start, and when to look again |
//! | `progress` | how far a roll is |

pub mod diff;
pub mod pacing;
pub mod progress;
pub mod select;
pub mod step;

use crate::api::Reason;
use crate::model::{FailedRevision, Millis, PolicyObject};
use crate::plan::desired::wanted::Wanted;
use crate::plan::failure::rollback_targets;
use crate::plan::input::Observed;
use crate::plan::rollout::select::Candidate;
use crate::plan::rollout::step::{Direction, Turn, step};
use crate::plan::steps::{Step, TargetPlan, planned};

/// When to look again at what no watch tells of.
pub fn again(observed: &Observed, targets: &[TargetPlan]) -> Option<Millis> {
    planned(targets, &observed.targets)
        .filter_map(|target| target.step.again(target.view, observed.now))
        .min()
}

/// What is decided about each target.
pub fn plans(
    observed: &Observed,
    policy: &PolicyObject,
    wanted: &Wanted<'_>,
    verdict: Option<&FailedRevision>,
) -> Vec<TargetPlan> {
    let mut order: Vec<_> = wanted.candidates.iter().collect();
    let direction = if verdict.is_some() { Direction::Back } else { Direction::Forward };
    // What failed last goes back first.
    if direction == Direction::Back {
        order.reverse();
    }
    let mut blocked_by: Option<&str> = None;
    let mut plans = Vec::new();
    for Candidate { view, refused } in order {
        let goal = rollback_targets::goal_of(observed, wanted, view, verdict);
        let server = match refused {
            Some(refused) => Err(refused.clone()),
            None => view.server(),
        };
        let step = match (server, verdict) {
            (Err((reason, message)), _) => Step::Refused { reason, message, until: None },
            (Ok(_), Some(verdict)) if goal.is_open() => {
                let message = format!(
                    "{view} waits: what the policy asks for failed on {} {}",
                    verdict.kind, verdict.name
                );
                Step::Held { reason: Reason::RolledBack, message, until: None }
            }
            (Ok(server), _) => {
                let turn = Turn { blocked_by, direction };
                step(observed, policy, &goal, view, server, turn)
            }
        };
        if !direction.passes(&step) {
            blocked_by = blocked_by.or(Some(&view.name));
        }
        plans.push(TargetPlan { goal, step });
    }
    if direction == Direction::Back {
        plans.reverse();
    }
    plans
}
