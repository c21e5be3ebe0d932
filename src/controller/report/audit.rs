//! One log line for each change of the enforced level.

use tracing::info;

use crate::api::Transition;
use crate::controller::memory::pending_status::Untold;
use crate::model::PolicyObject;

/// One line for each change of the enforced level, as the status keeps it.
pub fn audit(policy: &PolicyObject, transition: &Transition, told: &Untold) {
    info!(
        target: "audit",
        policy = %policy.key,
        uid = %policy.uid,
        generation = transition.generation,
        revision = told.revision.as_deref().unwrap_or_default(),
        targets = told.targets,
        from_settings = transition.from.settings,
        to_settings = transition.to.settings,
        from_whoami = transition.from.whoami,
        to_whoami = transition.to.whoami,
        cause = transition.cause,
        manager = transition.manager.as_deref().unwrap_or_default(),
        "the enforced level changed"
    );
}
