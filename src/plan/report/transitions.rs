//! The last changes of the enforced level, as the status keeps them.

use k8s_openapi::jiff::Timestamp;

use crate::api::{self, RunningAal};
use crate::model::{Cause, Levels, PolicyObject, Transition, Workload, level_word, seconds};
use crate::plan::input::Observed;
use crate::plan::outcome::Plan;
use crate::policy::Level;
use crate::server::kratos::level_variables;

/// The status keeps so many.
const KEPT: usize = 10;

/// Those that were told, and the one of now where there is one.
pub fn after(
    observed: &Observed,
    policy: &PolicyObject,
    plan: &Plan,
    running: Option<&RunningAal>,
    revision: Option<&str>,
) -> Vec<api::Transition> {
    let mut all: Vec<_> = policy.status.transitions.to_vec();
    // What the status says now may be somebody else's word.
    let from = all.last().map(|last| last.to).unwrap_or_default();
    if let (Some(to), Ok(time)) =
        (running.map(levels).filter(|to| *to != from), Timestamp::from_millisecond(observed.now))
    {
        all.push(Transition {
            time,
            from,
            to,
            generation: policy.generation,
            revision: revision.map(Into::into),
            manager: policy.manager.clone(),
            cause: cause(policy, plan, from, to),
        });
    }
    let beyond = all.len().saturating_sub(KEPT);
    all[beyond..].iter().map(written).collect()
}

/// Levels as the status says them.
#[must_use]
pub fn levels(running: &RunningAal) -> Levels {
    (Level::from_word(&running.settings), Level::from_word(&running.whoami))
}

fn cause(policy: &PolicyObject, plan: &Plan, from: Levels, to: Levels) -> Cause {
    if plan.failure.rolled_back().is_some() {
        return Cause::RolledBack;
    }
    let edited = policy.status.transitions.last().is_none_or(|last| last.generation != policy.generation);
    let asked =
        plan.desired.as_ref().map(|desired| desired.rendered.overlay.required_levels()).unwrap_or_default();
    let fell = |from: Option<Level>, to: Option<Level>, asked: Option<Level>| to < from && to < asked;
    if !edited && (fell(from.0, to.0, asked.0) || fell(from.1, to.1, asked.1)) {
        Cause::Drift
    } else {
        Cause::Policy
    }
}

pub fn written(transition: &Transition) -> api::Transition {
    let aal = |(settings, whoami): Levels| RunningAal {
        settings: level_word(settings).into(),
        whoami: level_word(whoami).into(),
    };
    api::Transition {
        time: seconds(transition.time),
        from: aal(transition.from),
        to: aal(transition.to),
        generation: transition.generation,
        revision: transition.revision.as_deref().map(Into::into),
        manager: transition.manager.as_deref().map(Into::into),
        cause: transition.cause.as_str().into(),
    }
}

/// The levels that our variables in a pod template demand.
#[must_use]
pub fn written_levels(workload: &Workload) -> Levels {
    let value = |name: &str| {
        let (container, _) = workload.own.env.iter().find(|(_, own)| **own == *name)?;
        let live = workload.containers.iter().find(|live| live.name == *container)?;
        live.env.iter().find(|entry| *entry.name == *name)?.value.as_deref().and_then(Level::from_word)
    };
    let (settings, whoami) = level_variables();
    (value(settings), value(whoami))
}

/// A transition as the status holds it; none where somebody wrote what cannot be one.
#[must_use]
pub fn read(transition: &api::Transition) -> Option<Transition> {
    let short = |text: &Option<String>| text.as_deref().filter(|text| text.len() <= 128).map(Into::into);
    Some(Transition {
        time: transition.time.parse::<Timestamp>().ok()?,
        from: levels(&transition.from),
        to: levels(&transition.to),
        generation: transition.generation,
        revision: short(&transition.revision),
        manager: short(&transition.manager),
        cause: Cause::from_word(&transition.cause)?,
    })
}
