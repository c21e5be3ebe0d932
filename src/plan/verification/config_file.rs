//! What pods prove that read the policy from a file.

use smol_str::SmolStr;

use crate::model::{Answer, Millis, Pod, Proof, Reload, hashes};
use crate::plan::desired::pod_marker::PodMarker;
use crate::plan::input::TargetView;
use crate::plan::verification::file::READ_WITHIN;

pub fn of_pods(
    view: &TargetView,
    container: &str,
    mark: &PodMarker,
    reload: Option<&Reload>,
    now: Millis,
) -> Proof {
    let Some(pods) = &view.pods else {
        return Proof::Pending(format!("the pods of {view} are about to be asked"));
    };
    let ready: Vec<_> = pods.iter().filter(|pod| !pod.deleting && pod.ready).collect();
    let with = |answer: Option<Answer>| ready.iter().find(|pod| pod.answer == answer);
    if ready.is_empty() {
        return Proof::NoPods;
    }
    if let Some(pod) = ready.iter().find(|pod| !mark.is_on(pod, container)) {
        return Proof::Pending(format!("pod {} of {view} is from an older template", pod.name));
    }
    if let Some(pod) = with(Some(Answer::Unreachable)) {
        return Proof::unreachable(view, pod);
    }
    if let Some(pod) = with(None) {
        return Proof::unasked(view, pod);
    }
    // A marker stands in the server's own files, and says nothing about ours.
    if let Some(pod) = ready.iter().find(|pod| matches!(pod.answer, Some(Answer::Other | Answer::Marker(_))))
    {
        return Proof::NotSupported(format!(
            "pod {} of {view} answers no digest of its configuration",
            pod.name
        ));
    }
    let hashes = hashes(pods);
    let only = (hashes.len() == 1).then(|| hashes.first()).flatten();
    let late = |since: Option<Millis>| since.is_some_and(|since| now - since >= READ_WITHIN);
    let waits = || {
        Proof::Pending(format!(
            "the pods of {view} are about to read the new file: the kubelet takes up to two minutes"
        ))
    };
    // A pod that was created since has started with the file.
    let reload = reload.filter(|reload| ready.iter().any(|pod| pod.created <= reload.since));
    let Some(reload) = reload else {
        return match (only, late(view.disagrees_since)) {
            (Some(answer), _) => Proof::Agree { answer: Some((*answer).clone()) },
            (None, false) => waits(),
            (None, true) => mismatch(view, &ready, None),
        };
    };
    let is_read = |answer: &SmolStr| match &reload.restores {
        Some(restored) => answer == restored,
        None => !reload.before.is_empty() && !reload.before.contains(answer),
    };
    match (only, reload.changes) {
        (Some(answer), _) if is_read(answer) => Proof::Agree { answer: Some((*answer).clone()) },
        (Some(_), Some(false)) => Proof::NotSupported(format!(
            "the configuration of {view} stays as it was, with this file or without: no answer can tell, and none has to"
        )),
        _ if !late(Some(reload.since)) => waits(),
        (_, Some(true)) if !reload.before.is_empty() => mismatch(view, &ready, Some(reload)),
        (None, _) => mismatch(view, &ready, None),
        (Some(_), _) => Proof::NotSupported(format!(
            "the pods of {view} answer as before, and whether they should cannot be known: the server's own configuration cannot be read, or changed meanwhile; kubectl rollout restart makes sure"
        )),
    }
}

fn mismatch(view: &TargetView, ready: &[&Pod], reload: Option<&Reload>) -> Proof {
    let old = reload.and_then(|reload| ready.iter().find(|pod| is_old(pod, reload)));
    let remedy = "the server keeps what it had and would not start with the new file: read its log, then correct the policy or the server's own configuration";
    Proof::Mismatch(match old {
        Some(pod) => format!("pod {} of {view} has not taken the file of the policy: {remedy}", pod.name),
        None => format!(
            "the pods of {view} answer different configurations: where one has not taken the file of the policy, {remedy}"
        ),
    })
}

pub fn is_old(pod: &Pod, reload: &Reload) -> bool {
    matches!(&pod.answer, Some(Answer::Hash(hash)) if reload.before.contains(hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;
    use crate::model::{EnvVar, MountedFile};
    use crate::plan::testing::fixtures::{pod, target, workload};
    use crate::server::kratos::level_variables;

    fn view(answers: &[Answer]) -> TargetView {
        let mut view = target(workload(2));
        let file = MountedFile { config_map: "mfa".into(), key: "kratos.yaml".into(), reloads: true };
        let asked = |answer: &Answer| {
            let mut pod = Pod { answer: Some(answer.clone()), ..pod(&[]) };
            pod.containers[0].files = vec![Some(file.clone())].into();
            pod.containers[0].env = strict().into();
            pod
        };
        view.pods = Some(answers.iter().map(asked).collect());
        view
    }

    fn strict() -> Vec<EnvVar> {
        vec![EnvVar { name: level_variables().1.into(), value: Some("highest_available".into()) }]
    }

    fn of(view: &TargetView, reload: Option<&Reload>, now: Millis) -> Reason {
        let mark = PodMarker::Levels { variables: strict(), file: Some("mfa".into()) };
        of_pods(view, "kratos", &mark, reload, now).reason()
    }

    fn hash(text: &str) -> Answer {
        Answer::Hash(text.into())
    }

    fn after(before: &[&str], changes: Option<bool>) -> Option<Reload> {
        Some(Reload {
            since: 0,
            file: "f".into(),
            before: before.iter().map(|hash| (*hash).into()).collect(),
            changes,
            restores: None,
        })
    }

    #[test]
    fn a_new_file_is_read_when_all_answer_one_new_digest() {
        let reason =
            |answers: &[Answer], reload: &Option<Reload>, now| of(&view(answers), reload.as_ref(), now);
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
        let reason =
            |answers: &[Answer], reload: &Option<Reload>, now| of(&view(answers), reload.as_ref(), now);
        let old = || [hash("a"), hash("a")];
        assert_eq!(reason(&old(), &after(&["a"], Some(false)), 1), Reason::NotSupported);
        assert_eq!(reason(&old(), &after(&["a"], None), 1), Reason::Progressing, "they may change yet");
        assert_eq!(reason(&old(), &after(&["a"], None), READ_WITHIN), Reason::NotSupported);
        assert_eq!(
            reason(&old(), &after(&[], Some(true)), READ_WITHIN),
            Reason::NotSupported,
            "they could not be asked before"
        );
        assert_eq!(reason(&[hash("a"), Answer::Other], &None, 1), Reason::NotSupported);
    }

    #[test]
    fn pods_that_cannot_be_asked_prove_nothing() {
        let reason = |view: &TargetView| of(view, None, 1);
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
        assert_eq!(of(&split, None, 1), Reason::Progressing);
        assert_eq!(of(&split, None, READ_WITHIN), Reason::Mismatch);
        assert_eq!(of(&view(&[hash("a"), hash("a")]), None, 1), Reason::HashesAgree);
    }

    #[test]
    fn a_restored_file_is_proven_by_the_answer_of_before() {
        let restored = Reload {
            since: 0,
            file: "f".into(),
            before: vec!["a".into()],
            changes: None,
            restores: Some("a".into()),
        };
        assert_eq!(of(&view(&[hash("a"), hash("a")]), Some(&restored), 1), Reason::HashesAgree);
        assert_eq!(
            of(&view(&[hash("b"), hash("b")]), Some(&restored), 1),
            Reason::Progressing,
            "the stranger's is still there"
        );
    }

    #[test]
    fn pods_that_came_since_have_started_with_the_file() {
        let read = after(&["a"], Some(true));
        let mut young = view(&[hash("a"), hash("a")]);
        assert_eq!(of(&young, read.as_ref(), READ_WITHIN), Reason::Mismatch);
        young.pods.iter_mut().flatten().for_each(|pod| pod.created = 1);
        assert_eq!(of(&young, read.as_ref(), READ_WITHIN), Reason::HashesAgree);
    }

    #[test]
    fn pods_of_another_template_prove_nothing_about_it() {
        let mut unwired = view(&[hash("a"), hash("a")]);
        unwired.pods.iter_mut().flatten().for_each(|pod| pod.containers[0].files = Vec::new().into());
        assert_eq!(of(&unwired, None, 1), Reason::Progressing);
        let mut without_levels = view(&[hash("a"), hash("a")]);
        without_levels.pods.iter_mut().flatten().for_each(|pod| pod.containers[0].env = Vec::new().into());
        assert_eq!(of(&without_levels, None, 1), Reason::Progressing);
    }
}
