//! What no policy names any more is let go.

use smol_str::SmolStr;
use tracing::warn;

use crate::api::EventReason;
use crate::controller::apply::answers::Written;
use crate::controller::apply::outcome::Outcome;
use crate::controller::apply::{config_map, workload};
use crate::controller::context::Context;
use crate::controller::report;
use crate::plan::{Notice, Observed, Plan, Reversal};

/// Lets go of what no policy names any more; returns the uids of reverted workloads.
pub async fn undo(
    context: &Context,
    observed: &Observed,
    decided: &Plan,
    outcome: &mut Outcome,
) -> Vec<SmolStr> {
    let (mut reverted, mut left) = (Vec::new(), Vec::new());
    for reversal in &decided.release.workloads {
        let (workload, answer) = match reversal {
            Reversal::Leave { workload, why } => {
                left.push(workload.id());
                if context.memory.tell_once(&format!("leave {} {why}", workload.uid)) {
                    let message = format!("{workload} stays as it is until a policy names it: {why}");
                    context.events.about_workload(
                        workload,
                        Notice { warning: true, reason: EventReason::LeftAsIs, message },
                    );
                }
                continue;
            }
            Reversal::Revert(workload) => (workload, workload::revert(context, workload).await),
        };
        match answer {
            Ok(Written::Done(kept)) => {
                reverted.push(workload.uid.clone());
                report::reverted(context, observed, workload, &kept);
            }
            Ok(Written::Refused(refusal)) => report::refused(context, workload, refusal, outcome),
            Err(error) => outcome.failed(error),
        }
    }
    context.memory.left(&observed.key, left);
    for (map, end) in &decided.release.config_maps {
        match config_map::end_config_map(context, &observed.key.namespace, map, *end).await {
            Ok(Written::Done(())) => {}
            Ok(Written::Refused((_, message))) => {
                outcome.refused = true;
                warn!("{message}");
            }
            Err(error) => outcome.failed(error),
        }
    }
    reverted
}
