//! What happens when a revision fails: the verdict over it, how long that stands, and what each target
//! has meanwhile.

use std::sync::Arc;

use smol_str::SmolStr;

use super::desired::Wanted;
use super::judgement::{self, Judgement, Roll};
use super::outcome::planned;
use super::record::Back;
use super::target::known;
use super::way_back::{has_recovered, is_innocent, ways_back};
use super::{
    Applied, Desired, Failure, Goal, Mark, Millis, Observed, Planned, Pod, PolicyObject, Reloads, Server,
    Step, TargetPlan, TargetView, Verdict,
};
use crate::policy::{Delivery, Kind, Level, OnFailure};
use crate::server::kratos::{Rendered, render};

/// The first pause before a revision is tried again whose rollback left the server weaker.
const FIRST_PAUSE: Millis = 1_800_000;
const LONGEST_PAUSE: Millis = 86_400_000;
/// How often it is looked whether somebody has mended what a revision failed with.
const LOOK: Millis = 30_000;
/// By how much the clock of an operator before this one may have been ahead.
const SKEW: Millis = 300_000;
/// How often it counts that somebody wants a revision tried again.
const ASKED_PACE: Millis = 300_000;

/// The verdict over the record of what the policy asks for, as long as it stands. Others may be able to write
/// where it is noted: what follows from something else is not taken from there.
pub(super) fn standing(observed: &Observed, policy: &PolicyObject, wanted: &Wanted<'_>) -> Option<Verdict> {
    let (desired, digest) = (&*wanted.desired, wanted.digest.as_str());
    let noted = noted(observed, digest)?.clone();
    let verdict =
        Verdict { weaker: noted.back.iter().any(|back| is_weaker(observed, desired, &back.record)), ..noted };
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
fn is_failed(back: &Back, verdict: &Verdict) -> bool {
    *back.kind == *verdict.kind && *back.name == *verdict.name
}

/// The verdict that is noted, whether or not it still stands.
fn noted<'a>(observed: &'a Observed, digest: &str) -> Option<&'a Verdict> {
    observed.record(digest)?.verdict.as_ref()
}

/// When a revision is tried again that nobody touched; none for one that waits for somebody.
pub(super) fn again(verdict: &Verdict) -> Option<Millis> {
    let pause = (FIRST_PAUSE << verdict.attempts.saturating_sub(1).min(8)).min(LONGEST_PAUSE);
    verdict.weaker.then(|| verdict.since.saturating_add(pause))
}

/// When a revision is tried again that somebody wants tried: by another word in the annotation, or by an edit
/// that leaves it as it is. None where nobody does.
pub(super) fn asked(observed: &Observed, policy: &PolicyObject, verdict: &Verdict) -> Option<Millis> {
    let now = observed.now;
    // An edit that is refused asks for nothing.
    let edited = verdict.generation != policy.generation && observed.standing.accepted(policy).is_some();
    let asked = edited || verdict.retry != policy.retry;
    let before = verdict.asked.filter(|before| *before <= now.saturating_add(SKEW));
    asked.then(|| before.map_or(now, |before| before.saturating_add(ASKED_PACE)))
}

/// When to look at a verdict again.
pub(super) fn look(observed: &Observed, policy: &PolicyObject, verdict: &Verdict) -> Millis {
    let now = observed.now;
    let next = again(verdict).into_iter().chain(asked(observed, policy, verdict)).min();
    next.map_or(now + LOOK, |at| at.clamp(now + 1, now + LOOK))
}

/// What a target shall have: what is desired, or, under a verdict, what it went back to, or keeps.
pub(super) fn goal_of(
    observed: &Observed,
    wanted: &Wanted<'_>,
    view: &TargetView,
    verdict: Option<&Verdict>,
) -> Goal {
    let Some(verdict) = verdict else { return wanted.goal() };
    let back = verdict.back.iter().find(|back| back.is_of(view.kind, &view.name));
    let goal = back.and_then(|back| goal(observed, &wanted.desired, &back.record));
    goal.unwrap_or_else(|| Goal { record: None, ..nothing(observed, &wanted.desired) })
}

/// What a target shall have that goes back to this record; to nothing of a policy where it is empty.
pub(super) fn goal(observed: &Observed, desired: &Desired, digest: &str) -> Option<Goal> {
    if digest.is_empty() {
        return Some(nothing(observed, desired));
    }
    let record = observed.record(digest)?;
    let rendered = render(&observed.key.name, record.data.overlay.clone(), record.data.delivery);
    let desired = desired.with(rendered, &record.data.config_map_name);
    Some(Goal { desired: Arc::new(desired), record: Some(digest.into()) })
}

fn nothing(observed: &Observed, desired: &Desired) -> Goal {
    let rendered = Rendered::nothing(&observed.key.name, desired.rendered.delivery);
    Goal { desired: Arc::new(desired.with(rendered, &desired.config_map)), record: Some(SmolStr::default()) }
}

/// How the roll of a target is told and timed.
fn roll<'a>(
    policy: &PolicyObject,
    desired: &'a Desired,
    container: &'a str,
    mark: &'a Mark,
    known: Option<&Applied>,
    now: Millis,
) -> Roll<'a> {
    let config_map = (desired.rendered.delivery == Delivery::ConfigFile).then_some(&*desired.config_map);
    let progress_timeout = policy.spec.as_ref().map_or(Millis::MAX / 2, |spec| spec.progress_timeout);
    let file_since = known.and_then(Applied::file_since);
    Roll { container, mark, config_map, file_since, progress_timeout, now }
}

/// Judges a target whose roll is under way.
pub(super) fn judge(
    observed: &Observed,
    policy: &PolicyObject,
    desired: &Desired,
    view: &TargetView,
    Server { workload, container }: Server<'_>,
) -> Judgement {
    let container = &*container.name;
    let mark = desired.mark(workload, container);
    let known = known(observed, workload);
    match judgement::judge(
        view,
        workload,
        &roll(policy, desired, container, &mark, known, observed.now),
        known,
    ) {
        Judgement::Failed(evidence) if observed.unheard.is_starved(workload) => Judgement::Unproven(
            evidence,
            "its pods could not be asked how they are, because others that do not answer take the time"
                .into(),
        ),
        judged => judged,
    }
}

/// How things stand where no failure is in force. One change at a time: what is tried again is judged by a
/// later look.
pub(super) fn failure(
    observed: &Observed,
    policy: &PolicyObject,
    wanted: &Wanted<'_>,
    targets: &[TargetPlan],
    reloads: &Reloads,
) -> Failure {
    if policy.suspend {
        return Failure::None;
    }
    let noted = noted(observed, &wanted.digest);
    if let Some(noted) = noted.filter(|noted| !noted.lifted) {
        let asked = asked(observed, policy, noted).map(|_| observed.now).or(noted.asked);
        return Failure::Retrying(Verdict { lifted: true, asked, ..noted.clone() });
    }
    let done = || targets.iter().all(|target| matches!(target.step, Step::Settled { done: true }));
    match judged(observed, policy, wanted, targets, reloads) {
        Some(verdict) => Failure::Detected(verdict),
        None if noted.is_some() && done() => Failure::Recovered,
        None => Failure::None,
    }
}

/// The verdict over what is desired, where it fails now and what fails can go back.
fn judged(
    observed: &Observed,
    policy: &PolicyObject,
    wanted: &Wanted<'_>,
    targets: &[TargetPlan],
    reloads: &Reloads,
) -> Option<Verdict> {
    let desired = &*wanted.desired;
    // An edit that is refused for what its targets have changes nothing of what is in force, and protects
    // nothing of it.
    let spec = policy.spec.as_ref().ok()?;
    if spec.on_failure == OnFailure::Hold {
        return None;
    }
    let failing = planned(targets, &observed.targets).filter_map(|Planned { view, step, .. }| {
        let server = view.server().ok().filter(|_| matches!(step, Step::Settled { done: false }))?;
        match judge(observed, policy, desired, view, server) {
            Judgement::Failed(evidence) if !server.workload.is_kept_back() => Some((view, evidence)),
            Judgement::Failed(_) | Judgement::Open | Judgement::Unproven(..) => None,
        }
    });
    // Those whose pods did not take a new file that they should have taken.
    let unread = planned(targets, &observed.targets)
        .filter_map(|target| Some((target.view, super::effective::refused(observed, reloads, target)?)));
    let with_a_way_back =
        |(view, evidence)| Some((view, evidence, ways_back(observed, &wanted.digest, desired, view).ok()?));
    let (view, evidence, back) = failing.chain(unread).find_map(with_a_way_back)?;
    let weaker = back.iter().any(|back| is_weaker(observed, desired, &back.record));
    let attempts = noted(observed, &wanted.digest).map_or(0, |before| before.attempts).saturating_add(1);
    Some(Verdict {
        since: observed.now,
        generation: policy.generation,
        retry: policy.retry.clone(),
        content: view.content.as_ref().map(|content| content.digest.clone()).unwrap_or_default(),
        attempts,
        weaker,
        lifted: false,
        asked: noted(observed, &wanted.digest).and_then(|before| before.asked),
        kind: view.kind.as_str().into(),
        name: view.name.to_string(),
        evidence,
        back,
    })
}

fn is_weaker(observed: &Observed, desired: &Desired, record: &str) -> bool {
    let (settings, whoami) = desired.rendered.overlay.required_levels();
    let before =
        observed.record(record).map(|record| record.data.overlay.required_levels()).unwrap_or_default();
    // Nothing is weaker than `aal1`: a key that is left out is no less.
    let is_less = |before, wanted| wanted == Some(Level::HighestAvailable) && before != wanted;
    is_less(before.0, settings) || is_less(before.1, whoami)
}

/// A pod that a StatefulSet waits for in vain.
#[derive(Clone, Debug)]
pub struct StuckPod {
    pub name: SmolStr,
    pub uid: SmolStr,
    pub resource_version: SmolStr,
}

/// Pods of an earlier template of ours that do not survive, and that a StatefulSet waits for in vain,
/// whatever its template says by now.
pub(super) fn stuck(
    observed: &Observed,
    policy: &PolicyObject,
    wanted: &Wanted<'_>,
    targets: &[TargetPlan],
    verdict: Option<&Verdict>,
) -> Vec<StuckPod> {
    let failed = verdict.and_then(|_| observed.record(&wanted.digest));
    let mut found = Vec::new();
    for Planned { view, goal, step } in planned(targets, &observed.targets) {
        let (Step::Settled { done: false }, Ok(Server { workload, container })) = (step, view.server())
        else {
            continue;
        };
        let container = &*container.name;
        let moves = workload.kind == Kind::StatefulSet
            && !workload.is_kept_back()
            && !policy.suspend
            && !goal.is_open();
        if !moves || workload.status.observed_generation < workload.generation {
            continue;
        }
        let wanted = goal.desired.mark(workload, container);
        let failed = failed.map(|record| record.mark(workload, container));
        let earlier = observed.records.iter().filter(|record| *record.digest() != *goal.digest());
        let marks: Vec<_> =
            earlier.map(|record| record.mark(workload, container)).filter(|mark| *mark != wanted).collect();
        let pods = view.pods.as_deref().unwrap_or_default();
        let fails = |pod: &&Pod| {
            let own = marks.iter().find(|mark| mark.is_on(pod, container) && !wanted.is_on(pod, container));
            own.is_some_and(|mark| {
                let roll = roll(policy, &goal.desired, container, mark, None, observed.now);
                // What failed need not fail once more to be in the way of what takes its place.
                let in_the_way = || failed.as_ref() == Some(mark) && judgement::is_not_ready(pod);
                in_the_way() || judgement::is_failing(workload, pods, pod, &roll)
            })
        };
        found.extend(pods.iter().filter(fails).map(|pod| StuckPod {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            resource_version: pod.resource_version.clone(),
        }));
    }
    found
}

/// What is in force as a whole: what the target has whose pods failed, where a verdict stands.
pub(super) fn in_force(
    observed: &Observed,
    targets: &[TargetPlan],
    verdict: Option<&Verdict>,
) -> Option<Goal> {
    let verdict = verdict?;
    let failed = |view: &TargetView| view.kind.as_str() == verdict.kind && *view.name == *verdict.name;
    let closed = planned(targets, &observed.targets).filter(|target| !target.goal.is_open());
    let of_failed = closed.clone().find(|target| failed(target.view));
    of_failed.or_else(|| closed.clone().next()).map(|target| target.goal.clone())
}

#[cfg(test)]
mod tests;
