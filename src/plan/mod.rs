//! The decision: from what was observed to what is written and what is told. Pure: the same
//! observation always yields the same plan.
//!
//! | room | the question it answers |
//! |---|---|
//! | `input`, `needs` | What is decided on, and what has to be read for that? |
//! | `desired` | What shall a target have, and how is a pod told that has it? |
//! | `checks` | What stands against it? |
//! | `rollout` | Which target has its turn, what differs, and when is the next roll? |
//! | `failure` | Does the revision fail, and what comes in its place? |
//! | `config_map`, `manifest` | What is in the config map, and how is each object written? |
//! | `release` | What is let go? |
//! | `history` | What is remembered, and what is pruned? |
//! | `verification` | What do the pods prove? |
//! | `report` | What do status and events say? |
//! | `steps`, `outcome` | What happens to each object, and all of it. |

mod checks;
mod config_map;
mod desired;
mod failure;
mod history;
mod input;
pub mod manifest;
mod needs;
mod outcome;
mod release;
mod report;
mod rollout;
mod steps;
mod suspension;
#[cfg(test)]
mod testing;
mod verification;

use std::sync::Arc;

use smol_str::SmolStr;

use crate::model::PolicyObject;
use crate::plan::checks::overrides;
use crate::plan::desired::previous_settings;
use crate::plan::desired::wanted::Wanted;
use crate::plan::failure::{rollback_targets, stuck_pods, verdict};
use crate::plan::history::prune::{prune, record_step};
use crate::plan::release::annotations;
use crate::plan::verification::{proof, reload};

pub use checks::advice::{NAMED, waits_for_version};
pub use checks::claims::{Candidate, Claim, claim, claim_config_map};
pub use checks::conflicts::{may_be_refused, refusals};
pub use checks::merged::beside_ours;
pub use checks::weakening::left_file;
pub use config_map::{EMPTY_FILE, taken};
pub use desired::in_force::Standing;
pub use desired::server::Server;
pub use desired::{Desired, Goal};
pub use failure::state::Failure;
pub use history::applied::{applied_after, applied_before, applied_judged};
pub use input::{Absence, Content, GovernedView, History, LeftFile, Observed, TargetView};
pub use needs::{Examination, delivers_a_file, is_about_to_change, judged_well, to_examine};
pub use outcome::Plan;
pub use release::config_maps::ends;
pub use release::workloads::given_up;
pub use report::events::{News, Notice, message_digest, retrying, suspension};
pub use report::report;
pub use report::results::WriteResults;
pub use report::running_levels::levels_of_pods;
pub use report::transitions::{levels, read as read_transition, written_levels};
pub use rollout::diff::is_adopted;
pub use steps::{
    AnnotationFix, ConfigMapEnd, ConfigMapStep, Planned, RecordStep, Release, Reversal, Step, StuckPod,
    TargetPlan, WrittenFrom,
};
pub use verification::environment::{Question, is_wrong, of_variables, pause, questions};

/// Decides.
#[must_use]
pub fn plan(observed: &Observed) -> Plan {
    let mut plan = match &observed.policy {
        Some(policy) => present(observed, policy),
        None => {
            let release = release::gone(observed);
            Plan { again: release.again, release, ..Plan::default() }
        }
    };
    plan.again = plan.again.filter(|at| *at > observed.now);
    plan
}

fn present(observed: &Observed, policy: &Arc<PolicyObject>) -> Plan {
    let rejections = observed.standing.rejections.clone();
    let release = match observed.standing.accepted(policy) {
        Some(_) => release::dropped(observed),
        None => Release::default(),
    };
    let Some(wanted) = Wanted::of(observed, policy) else {
        let annotation_fixes = annotations::annotation_fixes(observed, policy, &[], None, &release);
        return Plan { rejections, annotation_fixes, again: release.again, release, ..Plan::default() };
    };
    let verdict = verdict::standing(observed, policy, &wanted);
    let targets = rollout::plans(observed, policy, &wanted, verdict.as_ref());
    let is_refused = |target: &TargetPlan| matches!(target.step, Step::Refused { .. });
    let writable = !targets.iter().all(is_refused);
    let in_force =
        rollback_targets::in_force(observed, &targets, verdict.as_ref()).unwrap_or_else(|| wanted.goal());
    let desired = in_force.desired.clone();
    let config_map = config_map::step(observed, policy, &targets, &in_force);
    let file_refused = matches!(config_map, Some(ConfigMapStep::Refused(_)));
    let record = (writable && !file_refused).then(|| record_step(observed, policy, &wanted)).flatten();
    let adopted = if writable { previous_settings::adopted(observed, &targets, &wanted) } else { Vec::new() };
    // Only an accepted generation lets go: a mistyped target must not strip the real one.
    let keeps = file_refused || targets.iter().any(is_refused);
    let release = if keeps { release.of_nothing() } else { release };
    let prune = prune(observed, policy, &wanted.digest, record.is_some());
    let changes = Changes { config_map, record, release, prune };
    let (Changes { config_map, record, release, prune }, pending) =
        if policy.suspend { suspension::hold(&desired, changes) } else { (changes, Vec::new()) };
    let annotation_fixes =
        annotations::annotation_fixes(observed, policy, &targets, config_map.as_ref(), &release);
    let reloads = reload::reloads(observed, &in_force, &targets, config_map.as_ref());
    let again = [
        release.again,
        overrides::again(observed),
        rollout::again(observed, &targets),
        verdict.as_ref().map(|verdict| verdict::look(observed, policy, verdict)),
        proof::again(observed, &targets, &reloads),
    ];
    let stuck = stuck_pods::stuck(observed, policy, &wanted, &targets, verdict.as_ref());
    let failure = match verdict {
        Some(verdict) => Failure::RolledBack(verdict),
        None => failure::failure(observed, policy, &wanted, &targets, &reloads),
    };
    Plan {
        desired: Some(desired),
        digest: wanted.digest,
        targets,
        failure,
        adopted,
        stuck,
        rejections,
        config_map,
        record,
        release,
        annotation_fixes,
        pending,
        reloads,
        prune,
        again: again.into_iter().flatten().min(),
    }
}

/// What is written beside the targets.
pub struct Changes {
    config_map: Option<ConfigMapStep>,
    record: Option<RecordStep>,
    release: Release,
    prune: Vec<SmolStr>,
}
