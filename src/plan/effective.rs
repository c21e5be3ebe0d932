//! What the pods themselves say: whether those that read a file have read this one.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use super::record::Reload;
use super::target::known;
use super::{Answer, ConfigMapStep, Desired, Mark, Millis, Observed, Plan, Pod, Step, TargetView, Workload};
use crate::api::Reason;
use crate::policy::Delivery;
use crate::server::kratos::changes;

/// How long pods may take to read a new file. The kubelet needs up to a minute and a half.
const READ_WITHIN: Millis = 180_000;
/// How often pods are asked that could not be reached, or answer otherwise than they should.
const ASK_AGAIN: Millis = 60_000;

/// What the pods of a target prove, the worst first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// They do not run it, and had the time.
    Mismatch(String),
    Unreachable(String),
    /// They may still be about to read it.
    Pending(String),
    /// No answer can tell.
    NotSupported(String),
    Agree,
    NoPods,
}

impl Proof {
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Mismatch(_) => Reason::Mismatch,
            Self::Unreachable(_) => Reason::Unreachable,
            Self::Pending(_) => Reason::Progressing,
            Self::NotSupported(_) => Reason::NotSupported,
            Self::Agree => Reason::HashesAgree,
            Self::NoPods => Reason::NoPods,
        }
    }

    #[must_use]
    pub fn message(self) -> String {
        match self {
            Self::Mismatch(message) | Self::Unreachable(message) | Self::Pending(message) | Self::NotSupported(message) => message,
            Self::Agree => "all ready pods of each target answer one and the same digest of their configuration".into(),
            Self::NoPods => "no pod is ready to be asked".into(),
        }
    }
}

/// Whether the policy is one whose pods are asked: those that read a file.
#[must_use]
pub fn is_asked(desired: &Desired) -> bool {
    desired.rendered.delivery == Delivery::ConfigFile
}

/// What the pods of a target prove. None where they are not asked.
#[must_use]
pub fn proof(observed: &Observed, plan: &Plan, view: &TargetView, step: &Step) -> Option<Proof> {
    let _ = plan.desired.as_ref().filter(|desired| is_asked(desired))?;
    let (Step::Settled { done: true, .. }, Some(workload)) = (step, &view.workload) else {
        return Some(Proof::Pending(format!("the pods of {view} are asked when it is rolled out")));
    };
    let reload = plan.reload_of(&workload.uid).or_else(|| known(observed, workload)?.reload.as_ref());
    Some(of_pods(view, reload, observed.now))
}

fn of_pods(view: &TargetView, reload: Option<&Reload>, now: Millis) -> Proof {
    let Some(pods) = &view.pods else { return Proof::Pending(format!("the pods of {view} are about to be asked")) };
    let ready: Vec<_> = pods.iter().filter(|pod| !pod.deleting && pod.ready).collect();
    let with = |answer: Option<Answer>| ready.iter().find(|pod| pod.answer == answer);
    if ready.is_empty() {
        return Proof::NoPods;
    }
    if let Some(pod) = with(Some(Answer::Unreachable)) {
        return Proof::Unreachable(format!(
            "pod {} of {view} does not answer at its admin port /admin/health/config: let the operator reach it",
            pod.name
        ));
    }
    if let Some(pod) = with(None) {
        return Proof::NotSupported(format!("pod {} of {view} is not asked: it is on the network of its node", pod.name));
    }
    if let Some(pod) = with(Some(Answer::Other)) {
        return Proof::NotSupported(format!("pod {} of {view} answers no digest of its configuration", pod.name));
    }
    let one = hashes(pods).len() == 1;
    let late = |since: Option<Millis>| since.is_some_and(|since| now - since >= READ_WITHIN);
    let waits = || Proof::Pending(format!("the pods of {view} are about to read the new file: the kubelet takes up to two minutes"));
    let Some(reload) = reload else {
        return match (one, late(view.disagrees_since)) {
            (true, _) => Proof::Agree,
            (false, false) => waits(),
            (false, true) => mismatch(view, &ready, None),
        };
    };
    let changed = ready.iter().all(|pod| !is_old(pod, reload));
    match reload.changes {
        _ if one && changed && !reload.before.is_empty() => Proof::Agree,
        Some(false) if one => {
            Proof::NotSupported(format!("the configuration of {view} stays as it was, with this file or without: no answer can tell"))
        }
        _ if !late(Some(reload.since)) => waits(),
        Some(true) if !reload.before.is_empty() => mismatch(view, &ready, Some(reload)),
        _ if !one => mismatch(view, &ready, None),
        _ => Proof::NotSupported(format!(
            "the pods of {view} answer as before, and whether they should cannot be known: the server's own configuration cannot be read, or changed meanwhile"
        )),
    }
}

fn mismatch(view: &TargetView, ready: &[&Pod], reload: Option<&Reload>) -> Proof {
    let old = reload.and_then(|reload| ready.iter().find(|pod| is_old(pod, reload)));
    let remedy = "the server keeps what it had and would not start with the new file: read its log, then correct the policy or the server's own configuration";
    Proof::Mismatch(match old {
        Some(pod) => format!("pod {} of {view} has not taken the file of the policy: {remedy}", pod.name),
        None => format!("the pods of {view} answer different configurations: where one has not taken the file of the policy, {remedy}"),
    })
}

fn is_old(pod: &Pod, reload: &Reload) -> bool {
    matches!(&pod.answer, Some(Answer::Hash(hash)) if reload.before.contains(hash))
}

/// What the ready pods answer, each answer once.
#[must_use]
pub fn hashes(pods: &[Pod]) -> BTreeSet<&SmolStr> {
    let answers = pods.iter().filter(|pod| !pod.deleting && pod.ready).filter_map(|pod| pod.answer.as_ref());
    answers
        .filter_map(|answer| match answer {
            Answer::Hash(hash) => Some(hash),
            Answer::Other | Answer::Unreachable => None,
        })
        .collect()
}

/// What is to be noted before the file is written anew: of each workload whose running pods read it.
pub(super) fn reloads(observed: &Observed, desired: &Desired, steps: &[Step], file: Option<&ConfigMapStep>) -> Vec<(SmolStr, Reload)> {
    let drifted = match file {
        Some(ConfigMapStep::Create { drifted } | ConfigMapStep::Repair { drifted, .. }) if is_asked(desired) => *drifted,
        _ => return Vec::new(),
    };
    let reads = |(view, step): (&TargetView, &Step)| {
        let workload = view.workload.as_ref()?;
        let in_place = !matches!(step, Step::Refused { .. } | Step::Held { .. } | Step::Write { rolls: true, .. });
        (in_place && workload.own.required_aal).then(|| (workload.uid.clone(), reload(observed, desired, view, workload, drifted)))
    };
    observed.targets.iter().zip(steps).filter_map(reads).collect()
}

fn reload(observed: &Observed, desired: &Desired, view: &TargetView, workload: &Workload, drifted: bool) -> Reload {
    let known = known(observed, workload);
    let old = known.and_then(|known| observed.record(&known.record)).map(|record| &record.data.overlay);
    // A second file before the first was read, or a stranger's: what the pods have is not known.
    let sure = !drifted && known.is_some_and(|known| known.reload.is_none());
    let changes = old.filter(|_| sure).and_then(|old| changes(view.base.as_deref(), old, &desired.rendered.overlay));
    let before = view.pods.iter().flat_map(|pods| hashes(pods)).cloned().collect();
    Reload { since: observed.now, before, changes }
}

/// When to ask again.
pub(super) fn again(observed: &Observed, plan: &Plan, view: &TargetView, step: &Step) -> Option<Millis> {
    if !matches!(step, Step::Settled { done: true, .. }) {
        return None;
    }
    let workload = view.workload.as_ref()?;
    match proof(observed, plan, view, step)? {
        Proof::Pending(_) => {
            let reload = plan.reload_of(&workload.uid).or_else(|| known(observed, workload)?.reload.as_ref());
            let since = reload.map(|reload| reload.since).or(view.disagrees_since).unwrap_or(observed.now);
            Some(super::target::look_after(since, observed.now))
        }
        Proof::Mismatch(_) | Proof::Unreachable(_) => Some(observed.now + ASK_AGAIN),
        Proof::NotSupported(_) | Proof::Agree | Proof::NoPods => None,
    }
}

/// Whether a target's pods are worth a question: they read a file of ours.
#[must_use]
pub fn reads_a_file(workload: &Workload) -> bool {
    matches!(Mark::own(workload), Some(Mark::Annotation(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::{pod, target, workload};

    fn view(answers: &[Answer]) -> TargetView {
        let mut view = target(workload(2));
        view.pods = Some(answers.iter().map(|answer| Pod { answer: Some(answer.clone()), ..pod(&[]) }).collect());
        view
    }

    fn hash(text: &str) -> Answer {
        Answer::Hash(text.into())
    }

    fn after(before: &[&str], changes: Option<bool>) -> Option<Reload> {
        Some(Reload { since: 0, before: before.iter().map(|hash| (*hash).into()).collect(), changes })
    }

    #[test]
    fn a_new_file_is_read_when_all_answer_one_new_digest() {
        let reason = |answers: &[Answer], reload: &Option<Reload>, now| of_pods(&view(answers), reload.as_ref(), now).reason();
        let (old, new, other) = (hash("a"), hash("b"), hash("c"));
        let read = after(&["a"], Some(true));
        assert_eq!(reason(&[new.clone(), new.clone()], &read, 1), Reason::HashesAgree);
        assert_eq!(reason(&[new.clone(), old.clone()], &read, 1), Reason::Progressing);
        assert_eq!(reason(&[new.clone(), other.clone()], &read, READ_WITHIN - 1), Reason::Progressing);
        assert_eq!(reason(&[new.clone(), old.clone()], &read, READ_WITHIN), Reason::Mismatch);
        assert_eq!(reason(&[old.clone(), old.clone()], &read, READ_WITHIN), Reason::Mismatch);
        assert_eq!(reason(&[new.clone(), other], &after(&["a"], None), READ_WITHIN), Reason::Mismatch);
    }

    #[test]
    fn where_no_answer_can_tell_none_is_claimed() {
        let reason = |answers: &[Answer], reload: &Option<Reload>, now| of_pods(&view(answers), reload.as_ref(), now).reason();
        let old = || [hash("a"), hash("a")];
        assert_eq!(reason(&old(), &after(&["a"], Some(false)), 1), Reason::NotSupported);
        assert_eq!(reason(&old(), &after(&["a"], None), 1), Reason::Progressing, "they may change yet");
        assert_eq!(reason(&old(), &after(&["a"], None), READ_WITHIN), Reason::NotSupported);
        assert_eq!(reason(&old(), &after(&[], Some(true)), READ_WITHIN), Reason::NotSupported, "they could not be asked before");
        assert_eq!(reason(&[hash("a"), Answer::Other], &None, 1), Reason::NotSupported);
    }

    #[test]
    fn pods_that_cannot_be_asked_prove_nothing() {
        let reason = |view: &TargetView| of_pods(view, None, 1).reason();
        assert_eq!(reason(&view(&[hash("a"), Answer::Unreachable])), Reason::Unreachable);
        assert_eq!(reason(&view(&[])), Reason::NoPods);
        let mut unready = view(&[hash("a"), Answer::Unreachable]);
        unready.pods.iter_mut().flatten().for_each(|pod| pod.ready = pod.answer != Some(Answer::Unreachable));
        assert_eq!(reason(&unready), Reason::HashesAgree, "one that is not ready serves nobody");
        let mut on_the_node = view(&[hash("a")]);
        on_the_node.pods.iter_mut().flatten().for_each(|pod| pod.answer = None);
        assert_eq!(reason(&on_the_node), Reason::NotSupported);
    }

    #[test]
    fn pods_that_keep_disagreeing_are_told() {
        let mut split = view(&[hash("a"), hash("b")]);
        split.disagrees_since = Some(0);
        assert_eq!(of_pods(&split, None, 1).reason(), Reason::Progressing);
        assert_eq!(of_pods(&split, None, READ_WITHIN).reason(), Reason::Mismatch);
        assert_eq!(of_pods(&view(&[hash("a"), hash("a")]), None, 1).reason(), Reason::HashesAgree);
    }
}
