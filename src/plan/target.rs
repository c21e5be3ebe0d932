//! One target: whether the policy may have it, what differs, and whether now is the time.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::desired::Wanted;
use super::outcome::planned;
use super::{
    Applied, Container, Desired, Goal, Mark, Millis, Observed, PolicyObject, Record, Refusal, Server,
    TargetData, TargetPlan, TargetView, Verdict, Workload, manifest, rollback, rollout, weighed,
};
use crate::api::{self, Reason};
use crate::policy::{Delivery, FieldConflicts, Kind};
use crate::server::kratos::{runs_kratos, variables};

/// What happens to a target. All but the first have a server.
#[derive(Debug)]
pub enum Step {
    /// The policy cannot have it.
    Refused { reason: Reason, message: String, until: Option<Millis> },
    /// It has an older revision and must wait.
    Held { reason: Reason, message: String, until: Option<Millis> },
    /// Our fields are applied.
    Write {
        /// Fields that may be taken by force: variables, and the label and annotations by their keys.
        adopted: BTreeSet<String>,
        /// Whatever another manager owns is taken.
        take_over: bool,
        /// The pod template changes.
        rolls: bool,
        /// It changes nothing of the template, and the roll of that template is done.
        done: bool,
        /// Fields that somebody changed since our last apply.
        drift: Vec<String>,
    },
    /// Our fields are as they should be.
    Settled { done: bool },
}

/// How often a roll is looked at while it moves; one that takes long (paused, stuck) more seldom.
const LOOK: Millis = 3_000;
const LOOK_SELDOM: Millis = 60_000;
/// Looks in the time that a roll has taken so far, once that is long.
const LOOKS: Millis = 20;
/// How often a refusal is tried again that may end without an event that is watched.
const RETRY: Millis = 60_000;

impl Step {
    fn again(&self, view: &TargetView, now: Millis) -> Option<Millis> {
        match self {
            Self::Refused { until, reason, .. } => {
                until.or(matches!(reason, Reason::TargetClaimed | Reason::InvalidSpec).then_some(now + RETRY))
            }
            Self::Held { until, .. } => *until,
            Self::Settled { done: false } => {
                let began =
                    view.history.rolls.last().copied().or(view.workload.as_ref()?.own.changed).unwrap_or(now);
                Some(look_after(began, now))
            }
            // What a write changes is seen by the watch.
            Self::Settled { .. } | Self::Write { .. } => None,
        }
    }
}

/// When to look again at something that began then.
pub(super) fn look_after(began: Millis, now: Millis) -> Millis {
    now + ((now - began) / LOOKS).clamp(LOOK, LOOK_SELDOM)
}

/// When to look again at what no watch tells of.
pub(super) fn again(observed: &Observed, targets: &[TargetPlan]) -> Option<Millis> {
    planned(targets, &observed.targets)
        .filter_map(|target| target.step.again(target.view, observed.now))
        .min()
}

/// A target, and why the policy may not write it, if so.
#[derive(Clone, Debug)]
pub(super) struct Candidate<'a> {
    pub view: &'a TargetView,
    pub refused: Option<Refusal>,
}

/// Each target, in order.
pub(super) fn candidates<'a>(
    observed: &'a Observed,
    policy: &PolicyObject,
    desired: &Desired,
) -> Vec<Candidate<'a>> {
    let of = |view| Candidate { view, refused: find(observed, policy, desired, view).err() };
    observed.targets.iter().map(of).collect()
}

/// The targets as a record names them. One that cannot be had now keeps its place, else its return is a
/// new revision.
pub(super) fn data(observed: &Observed, candidates: &[Candidate<'_>]) -> Vec<TargetData> {
    let newest = observed.records.first();
    let of = |Candidate { view, refused }: &Candidate<'_>| match view.server() {
        Ok(server) if refused.is_none() => Some(target_data(view, &server.container.name)),
        _ => {
            let mut recorded = newest.into_iter().flat_map(|newest| &newest.data.targets);
            recorded.find(|known| known.kind == view.kind.as_str() && *known.name == *view.name).cloned()
        }
    };
    let mut targets: Vec<_> = candidates.iter().filter_map(of).collect();
    targets.sort_by(|a, b| (&a.name, &a.kind).cmp(&(&b.name, &b.kind)));
    targets
}

pub(super) fn target_data(view: &TargetView, container: &str) -> TargetData {
    TargetData { kind: view.kind.as_str().into(), name: view.name.to_string(), container: container.into() }
}

/// What is decided about each target.
pub(super) fn plans(
    observed: &Observed,
    policy: &PolicyObject,
    wanted: &Wanted<'_>,
    verdict: Option<&Verdict>,
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
        let goal = rollback::goal_of(observed, wanted, view, verdict);
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

/// Whether a policy is rolled out or taken back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Back,
}

impl Direction {
    /// Whether the next target has its turn after this step.
    fn passes(self, step: &Step) -> bool {
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
struct Turn<'a> {
    blocked_by: Option<&'a str>,
    direction: Direction,
}

fn find(
    observed: &Observed,
    policy: &PolicyObject,
    desired: &Desired,
    view: &TargetView,
) -> Result<(), Refusal> {
    if let (None, Some(unreadable)) = (&view.workload, &view.unreadable) {
        return Err(unreadable.refusal());
    }
    let workload = view.workload.as_deref().filter(|workload| !workload.deleting).ok_or_else(|| {
        let message =
            format!("{view} does not exist in this namespace: create it, or correct spec.targetRefs");
        (Reason::TargetNotFound, message)
    })?;
    if workload.kind == Kind::Deployment && observed.itself.as_ref() == Some(&workload.key) {
        return Err((
            Reason::NotKratos,
            format!("{view} is this operator itself: name the identity server's workload"),
        ));
    }
    if let Some(holder) = view.holder.as_ref().filter(|holder| **holder != policy.key.name) {
        let message = format!(
            "{view} is governed by the policy {holder}: remove it from one of the two, each workload has one policy"
        );
        return Err((Reason::TargetClaimed, message));
    }
    if policy.deleting && view.holder.is_none() {
        return Err((
            Reason::TargetClaimed,
            format!("{view} is not taken any more: this policy is being deleted"),
        ));
    }
    let Server { container, .. } = view.server()?;
    if !is_server(observed, workload, container) {
        let message = format!(
            "the image of container {} in {view} is no identity server (the last part of its path is not {}): name the container that runs it; if this one does, add the name of its image to serverImages in the values of the operator's chart, or set the annotation {}: \"true\" on the {}",
            container.name,
            observed.server_images.join(" or "),
            api::ALLOW_ANNOTATION,
            view.kind,
        );
        return Err((Reason::NotKratos, message));
    }
    if let Some(message) = weighed::taken(observed, policy, desired, view, workload, container) {
        return Err((Reason::InvalidSpec, message));
    }
    if desired.rendered.delivery == Delivery::ConfigFile {
        let until = if policy.suspend {
            ". Set spec.suspend to false first: until then the ConfigMap is not written"
        } else {
            ""
        };
        desired.wiring(workload, container).map_err(|message| (Reason::NotWired, message + until))?;
    }
    variables_are_free(desired, container, view)
}

/// Whether the container counts as an identity server.
pub(super) fn is_server(observed: &Observed, workload: &Workload, container: &Container) -> bool {
    workload.allowed || runs_kratos(&container.image, &observed.server_images)
}

/// No force resolves these.
fn variables_are_free(desired: &Desired, container: &Container, view: &TargetView) -> Result<(), Refusal> {
    for variable in desired.variables() {
        let found: Vec<_> = container.env.iter().filter(|entry| *entry.name == *variable.name).collect();
        let field = format!("env {} of container {} in {view}", variable.name, container.name);
        if found.iter().any(|entry| entry.value.is_none()) {
            return Err((
                Reason::FieldConflict,
                format!("{field} takes its value with valueFrom: remove that entry from the {}", view.kind),
            ));
        }
        if found.len() > 1 {
            return Err((
                Reason::FieldConflict,
                format!("{field} stands there {} times: remove all of them", found.len()),
            ));
        }
    }
    Ok(())
}

fn step(
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
    let done = (same_pods && known.is_some_and(proven)) || rollout::is_done(workload);
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
        && let Some(until) = rollout::repair_not_before(&view.history.repairs, observed.pauses, observed.now)
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
            || rollout::progress(
                workload,
                container,
                &Mark::of_template(workload, container),
                view.pods.as_deref(),
            )
            .0 == Reason::Crashing;
        if let Some(until) = rollout::roll_not_before(view, failing, observed.pauses, observed.now)
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

/// Fields that differ from what is desired, each with whether somebody else must have changed it
/// if our last apply was of the same revision; and whether the pod template is among them.
fn differences(
    observed: &Observed,
    policy: &PolicyObject,
    desired: &Desired,
    workload: &Workload,
    container: &str,
) -> (Vec<(String, bool)>, bool) {
    let mut fields = Vec::new();
    let mut rolls = false;
    let live = workload.containers.iter().find(|live| *live.name == *container);
    for variable in desired.variables() {
        let value = live
            .and_then(|live| live.env.iter().find(|entry| *entry.name == *variable.name))
            .and_then(|entry| entry.value.as_deref());
        let changed = value != Some(&*manifest::literal(&variable.value));
        rolls |= changed;
        if changed || !workload.owns(container, &variable.name) {
            fields.push((format!("env {}", variable.name), true));
        }
    }
    if workload.own.env.more {
        // A write of ours leaves none but what it names.
        rolls = true;
        fields.push(("fields of the manager mfa-operator".into(), false));
    }
    for (inside, name) in &workload.own.env {
        if **inside != *container || !desired.variables().iter().any(|variable| *variable.name == **name) {
            rolls = true;
            fields.push((format!("env {name}"), false));
        }
    }
    if workload.policy_label.as_deref() != Some(&policy.key.name) || !workload.own.policy_label {
        fields.push((format!("label {}", api::POLICY_LABEL), true));
    }
    let governed = desired.governed(policy, &observed.crd_uid, Some(&workload.uid)).write();
    if workload.governed.as_deref() != Some(&*governed) || !workload.own.governed {
        // A new deletion policy or a recreated policy changes it too: that is no drift.
        fields.push((governed_field(), !workload.own.governed));
    }
    (fields, rolls)
}

fn governed_field() -> String {
    format!("annotation {}", api::GOVERNED_ANNOTATION)
}

/// What was noted of this workload.
pub(super) fn known<'a>(observed: &'a Observed, workload: &Workload) -> Option<&'a Applied> {
    observed.records.first()?.applied.iter().find(|applied| applied.uid == *workload.uid)
}

/// What this policy applied to this workload before, by its records or, until they are written,
/// by our entry in the live managedFields.
fn adopted(observed: &Observed, workload: &Workload, container: &str) -> BTreeSet<String> {
    let mut adopted: BTreeSet<_> = workload
        .own
        .env
        .iter()
        .filter(|(inside, _)| **inside == *container)
        .map(|(_, name)| name.to_string())
        .collect();
    if let Some(known) = known(observed, workload) {
        adopted.extend([api::POLICY_LABEL.to_owned(), api::GOVERNED_ANNOTATION.to_owned()]);
        let data = observed
            .record(&known.record)
            .filter(|_| known.container == container)
            .map(|record| &record.data);
        let set = data.map(|data| variables(&data.overlay, data.delivery)).unwrap_or_default();
        adopted.extend(set.into_iter().map(|variable| variable.name));
    }
    let own =
        [(api::POLICY_LABEL, workload.own.policy_label), (api::GOVERNED_ANNOTATION, workload.own.governed)];
    adopted.extend(own.into_iter().filter(|(_, own)| *own).map(|(key, _)| key.to_owned()));
    adopted
}

/// Whether a conflict on `field`, a path as the API server writes it, is about one of `adopted`.
#[must_use]
pub fn is_adopted(field: &str, container: &str, adopted: &BTreeSet<String>) -> bool {
    let keyed = [".metadata.labels.", ".metadata.annotations."];
    if let Some(key) = keyed.iter().find_map(|parent| field.strip_prefix(parent)) {
        return adopted.contains(key);
    }
    let Some(rest) =
        field.strip_prefix(&format!(".spec.template.spec.containers[name=\"{container}\"].env[name=\""))
    else {
        return false;
    };
    rest.split_once('"').is_some_and(|(name, _)| adopted.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_is_matched_to_the_variable_or_key_that_was_adopted() {
        let adopted = BTreeSet::from(["REVISION".to_owned(), api::POLICY_LABEL.to_owned()]);
        let env = |container: &str, name: &str| {
            format!(".spec.template.spec.containers[name=\"{container}\"].env[name=\"{name}\"].value")
        };
        assert!(is_adopted(&env("kratos", "REVISION"), "kratos", &adopted));
        assert!(!is_adopted(&env("kratos", "SESSION_WHOAMI_REQUIRED_AAL"), "kratos", &adopted));
        assert!(!is_adopted(&env("other", "REVISION"), "kratos", &adopted));
        assert!(is_adopted(".metadata.labels.mfa-operator.dev/policy", "kratos", &adopted));
        assert!(!is_adopted(".metadata.annotations.mfa-operator.dev/governed", "kratos", &adopted));
        assert!(!is_adopted(".spec.template.spec.containers[name=\"kratos\"].image", "kratos", &adopted));
    }
}
