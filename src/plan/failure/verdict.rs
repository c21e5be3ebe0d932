//! How long a failure stands that is noted, and when its revision is tried again.

use crate::model::{Back, FailedRevision, Millis, PolicyObject};
use crate::plan::desired::Desired;
use crate::plan::desired::wanted::Wanted;
use crate::plan::failure::rollback_targets::{has_recovered, is_innocent};
use crate::plan::input::Observed;
use crate::policy::Level;

/// The first pause before a revision is tried again whose rollback left the server weaker.
pub const FIRST_PAUSE: Millis = 1_800_000;

pub const LONGEST_PAUSE: Millis = 86_400_000;

/// How often it is looked whether somebody has mended what a revision failed with.
pub const LOOK: Millis = 30_000;

/// By how much the clock of an operator before this one may have been ahead.
pub const SKEW: Millis = 300_000;

/// How often it counts that somebody wants a revision tried again.
pub const ASKED_PACE: Millis = 300_000;

/// The verdict over the record of what the policy asks for, as long as it stands. Others may be able to write
/// where it is noted: what follows from something else is not taken from there.
pub fn standing(observed: &Observed, policy: &PolicyObject, wanted: &Wanted<'_>) -> Option<FailedRevision> {
    let (desired, digest) = (&*wanted.desired, wanted.digest.as_str());
    let noted = noted(observed, digest)?.clone();
    let verdict = FailedRevision {
        weaker: noted.back.iter().any(|back| is_weaker(observed, desired, &back.record)),
        ..noted
    };
    let view = observed
        .targets
        .iter()
        .find(|view| view.kind.as_str() == verdict.kind && *view.name == *verdict.name);
    let content = view.and_then(|view| view.content.as_ref());
    // Where it cannot be read now, it is taken for what it was.
    let mended =
        content.is_some_and(|content| content.digest != verdict.content && !verdict.content.is_empty());
    // The policy asked for something else meanwhile: the noted way back is not the one to what is good by
    // now.
    let returns = observed.records.first().is_none_or(|newest| newest.digest() != digest);
    let asked = returns || asked(observed, policy, &verdict).is_some_and(|at| at <= observed.now);
    // None of ours is over what no server fails to start with.
    let is_ours = !verdict
        .back
        .iter()
        .any(|back| is_failed(back, &verdict) && is_innocent(observed, desired, &back.record));
    let due = again(&verdict).is_some_and(|at| at <= observed.now);
    let early = verdict.since > observed.now.saturating_add(SKEW);
    let falls = verdict.lifted
        || mended
        || asked
        || due
        || early
        || !is_ours
        || has_recovered(observed, desired, digest, &verdict);
    (!falls).then_some(verdict)
}

/// Whether it is of the target that failed.
pub fn is_failed(back: &Back, verdict: &FailedRevision) -> bool {
    *back.kind == *verdict.kind && *back.name == *verdict.name
}

/// The verdict that is noted, whether or not it still stands.
pub fn noted<'a>(observed: &'a Observed, digest: &str) -> Option<&'a FailedRevision> {
    observed.record(digest)?.verdict.as_ref()
}

/// When a revision is tried again that nobody touched; none for one that waits for somebody.
pub fn again(verdict: &FailedRevision) -> Option<Millis> {
    let pause = (FIRST_PAUSE << verdict.attempts.saturating_sub(1).min(8)).min(LONGEST_PAUSE);
    verdict.weaker.then(|| verdict.since.saturating_add(pause))
}

/// When a revision is tried again that somebody wants tried: by another word in the annotation, or by an edit
/// that leaves it as it is. None where nobody does.
pub fn asked(observed: &Observed, policy: &PolicyObject, verdict: &FailedRevision) -> Option<Millis> {
    let now = observed.now;
    // An edit that is refused asks for nothing.
    let edited = verdict.generation != policy.generation && observed.standing.accepted(policy).is_some();
    let asked = edited || verdict.retry != policy.retry;
    let before = verdict.asked.filter(|before| *before <= now.saturating_add(SKEW));
    asked.then(|| before.map_or(now, |before| before.saturating_add(ASKED_PACE)))
}

/// When to look at a verdict again.
pub fn look(observed: &Observed, policy: &PolicyObject, verdict: &FailedRevision) -> Millis {
    let now = observed.now;
    let next = again(verdict).into_iter().chain(asked(observed, policy, verdict)).min();
    next.map_or(now + LOOK, |at| at.clamp(now + 1, now + LOOK))
}

pub fn is_weaker(observed: &Observed, desired: &Desired, record: &str) -> bool {
    let (settings, whoami) = desired.rendered.overlay.required_levels();
    let before =
        observed.record(record).map(|record| record.data.overlay.required_levels()).unwrap_or_default();
    // Nothing is weaker than `aal1`: a key that is left out is no less.
    let is_less = |before, wanted| wanted == Some(Level::HighestAvailable) && before != wanted;
    is_less(before.0, settings) || is_less(before.1, whoami)
}
