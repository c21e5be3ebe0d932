//! What pods prove that were started with the policy's variables: they answer the revision, or, where
//! the server is too old for that, one digest. And when they are asked.

use smol_str::SmolStr;

use crate::model::{Answer, Millis, Pod, Proof, Workload, hashes, is_done};
use crate::plan::desired::pod_marker::PodMarker;
use crate::plan::desired::server::Server;
use crate::plan::input::{Observed, TargetView};
use crate::plan::outcome::Plan;
use crate::plan::steps::{Planned, Step};
use crate::plan::verification::file::{READ_WITHIN, is_by_file};
use crate::policy::{Verification, VerificationMode};

/// What is asked of the pods of a target. Answers to another question prove nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub container: SmolStr,
    pub revision: SmolStr,
    pub verification: Verification,
}

/// What there is to ask, by the index of the target.
#[must_use]
pub fn questions(observed: &Observed, plan: &Plan) -> Vec<(usize, Question)> {
    let verification = observed.verification();
    if verification.mode == VerificationMode::Off {
        return Vec::new();
    }
    let question = |(index, Planned { view, goal, step }): (usize, Planned<'_>)| {
        // Where nothing of ours is in force, there is nothing to confirm.
        let desired = Some(&*goal.desired)
            .filter(|desired| !is_by_file(desired) && !desired.rendered.revision.is_empty())?;
        let (Step::Settled { done: true } | Step::Write { done: true, .. }) = step else { return None };
        let Server { container, .. } = view.server().ok().filter(|server| has_pods(server.workload))?;
        let (container, revision) = (container.name.clone(), desired.rendered.revision.as_str().into());
        Some((index, Question { container, revision, verification: verification.clone() }))
    };
    plan.over(&observed.targets).enumerate().filter_map(question).collect()
}

fn has_pods(workload: &Workload) -> bool {
    workload.replicas > 0 || workload.status.total > 0
}

/// Proof of the pods, as far as they were asked.
pub fn proof(view: &TargetView, workload: &Workload) -> Proof {
    match &view.proof {
        _ if !has_pods(workload) => Proof::NoPods,
        Some(proof) => proof.clone(),
        None => Proof::Pending(format!("the pods of {view} are about to be asked")),
    }
}

/// How long a pod may answer another revision than it was started with.
const SETTLE: Millis = 30_000;

/// Whether the pods answer what no two pods of one template should, though nothing moves.
#[must_use]
pub fn is_wrong(workload: &Workload, question: &Question, pods: &[Pod]) -> bool {
    is_done(workload) && (stranger(question, pods).is_some() || hashes(pods).len() > 1)
}

/// A ready pod that answers another revision.
fn stranger<'a>(question: &Question, pods: &'a [Pod]) -> Option<&'a Pod> {
    pods.iter()
        .filter(|pod| is_asked(pod))
        .find(|pod| matches!(&pod.answer, Some(Answer::Marker(marker)) if *marker != question.revision))
}

/// Tells whether a pod is asked: it serves, and is not about to end.
fn is_asked(pod: &Pod) -> bool {
    pod.ready && !pod.deleting
}

/// What these pods prove by their answers, which have been wrong since then.
#[must_use]
pub fn of_variables(
    view: &TargetView,
    question: &Question,
    pods: &[Pod],
    wrong_since: Option<Millis>,
    now: Millis,
) -> Proof {
    let ready: Vec<_> = pods.iter().filter(|pod| is_asked(pod)).collect();
    let with = |answer: Option<Answer>| ready.iter().find(|pod| pod.answer == answer);
    let late = |within| wrong_since.is_some_and(|since| now - since >= within);
    let mark = PodMarker::Revision(question.revision.clone());
    if ready.is_empty() {
        return Proof::NoPods;
    }
    if let Some(pod) = ready.iter().find(|pod| !mark.is_on(pod, &question.container)) {
        return Proof::Pending(format!("pod {} of {view} is from an older template", pod.name));
    }
    match stranger(question, pods) {
        Some(pod) if late(SETTLE) => {
            return Proof::Mismatch(format!(
                "pod {} of {view} answers another revision than it was started with: look for what sets REVISION or revision beside the policy, or delete the pod",
                pod.name
            ));
        }
        Some(pod) => {
            return Proof::Pending(format!(
                "pod {} of {view} answers another revision: it is asked again",
                pod.name
            ));
        }
        None => {}
    }
    if let Some(pod) = with(Some(Answer::Unreachable)) {
        return Proof::unreachable(view, pod);
    }
    if let Some(pod) = with(Some(Answer::NotYet)) {
        return Proof::Pending(format!("pod {} of {view} has yet to be asked", pod.name));
    }
    if let Some(pod) = with(None) {
        return Proof::unasked(view, pod);
    }
    if let Some(pod) = with(Some(Answer::Other)) {
        return Proof::NotSupported(format!(
            "pod {} of {view} answers neither a revision nor a digest of its configuration",
            pod.name
        ));
    }
    match hashes(pods).len() {
        0 => Proof::Confirmed,
        1 => Proof::Agree { answer: None },
        _ if late(READ_WITHIN) => Proof::Mismatch(format!(
            "the pods of {view} answer different configurations: kubectl rollout restart, and look for what differs between them"
        )),
        _ => Proof::Pending(format!(
            "the pods of {view} answer different configurations: they are asked again"
        )),
    }
}

/// How often pods are asked that proved what they can. New ones are asked when they appear.
const NOW_AND_THEN: Millis = 600_000;

const SOON: Millis = 3_000;

/// The longest pause before they are asked again.
const RETRY: Millis = 60_000;

const RETRY_SELDOM: Millis = 120_000;

/// How long to wait before they are asked again, after so many times in a row that settled nothing.
#[must_use]
pub fn pause(proof: &Proof, times: u32) -> Millis {
    let growing = SOON << times.min(8);
    match proof {
        Proof::Pending(_) | Proof::Mismatch(_) => growing.min(RETRY),
        // Each such question costs its whole patience.
        Proof::Unreachable(_) => growing.min(RETRY_SELDOM),
        Proof::NotSupported(_) | Proof::Agree { .. } | Proof::Confirmed | Proof::NoPods => NOW_AND_THEN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;
    use crate::plan::testing::fixtures::{pod, target, workload};

    const REVISION: &str = "mfa-0123456789";

    fn question() -> Question {
        Question {
            container: "kratos".into(),
            revision: REVISION.into(),
            verification: Verification::default(),
        }
    }

    fn pods(answers: &[Answer]) -> Vec<Pod> {
        answers
            .iter()
            .map(|answer| Pod { answer: Some(answer.clone()), ..pod(&[("REVISION", REVISION)]) })
            .collect()
    }

    fn of(pods: &[Pod], wrong_for: Option<Millis>) -> Reason {
        of_variables(
            &target(workload(2)),
            &question(),
            pods,
            wrong_for.map(|_| 0),
            wrong_for.unwrap_or_default(),
        )
        .reason()
    }

    fn hash(text: &str) -> Answer {
        Answer::Hash(text.into())
    }

    fn marker(text: &str) -> Answer {
        Answer::Marker(text.into())
    }

    #[test]
    fn the_revision_confirms_and_one_digest_agrees() {
        let (own, a, b) = (marker(REVISION), hash("a"), hash("b"));
        assert_eq!(of(&pods(&[own.clone(), own.clone()]), None), Reason::Confirmed);
        assert_eq!(of(&pods(&[a.clone(), a.clone()]), None), Reason::HashesAgree);
        assert_eq!(
            of(&pods(&[own.clone(), a.clone(), a.clone()]), None),
            Reason::HashesAgree,
            "two versions of the server"
        );
        assert_eq!(of(&pods(&[a.clone(), b.clone()]), Some(READ_WITHIN - 1)), Reason::Progressing);
        assert_eq!(of(&pods(&[a, b]), Some(READ_WITHIN)), Reason::Mismatch);
        assert_eq!(of(&[], None), Reason::NoPods);
    }

    #[test]
    fn another_revision_is_a_mismatch_after_a_grace() {
        let other = pods(&[marker(REVISION), marker("mfa-ffffffffff")]);
        assert_eq!(of(&other, None), Reason::Progressing);
        assert_eq!(of(&other, Some(SETTLE - 1)), Reason::Progressing);
        assert_eq!(of(&other, Some(SETTLE)), Reason::Mismatch);
        assert!(is_wrong(&workload(2), &question(), &other));
        assert!(!is_wrong(&workload(2), &question(), &pods(&[marker(REVISION), hash("a")])));
        let mut moves = workload(2);
        moves.status.updated = 1;
        assert!(!is_wrong(&moves, &question(), &other), "somebody rolls it");
    }

    #[test]
    fn what_cannot_be_asked_proves_nothing() {
        let own = marker(REVISION);
        assert_eq!(of(&pods(&[own.clone(), Answer::Unreachable]), None), Reason::Unreachable);
        assert_eq!(of(&pods(&[own.clone(), Answer::Other]), None), Reason::NotSupported);
        assert_eq!(of(&pods(&[own.clone(), Answer::NotYet]), None), Reason::Progressing);
        let mut on_the_node = pods(&[own.clone(), own.clone()]);
        on_the_node[1].answer = None;
        assert_eq!(of(&on_the_node, None), Reason::NotSupported);
        let mut older = pods(std::slice::from_ref(&own));
        older.push(Pod { answer: Some(own.clone()), ..pod(&[("REVISION", "mfa-ffffffffff")]) });
        assert_eq!(of(&older, None), Reason::Progressing);
        let mut unready = pods(&[own, Answer::Unreachable]);
        unready[1].ready = false;
        assert_eq!(of(&unready, None), Reason::Confirmed, "it serves nobody");
    }

    #[test]
    fn who_does_not_answer_is_asked_ever_less_often() {
        let unreachable = Proof::Unreachable(String::new());
        let pauses: Vec<_> = (0..10).map(|times| pause(&unreachable, times) / 1_000).collect();
        assert_eq!(pauses, [3, 6, 12, 24, 48, 96, 120, 120, 120, 120]);
        assert_eq!(pause(&Proof::Mismatch(String::new()), 9), RETRY);
        assert_eq!(pause(&Proof::Confirmed, 0), NOW_AND_THEN);
    }
}
