//! What the pods themselves say, and what those that read a file must say before they have read this one.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use super::config_map::content;
use super::confirmed;
use super::outcome::planned;
use super::proof::{Proof, unasked, unreachable};
use super::record::{Evidence, Reload};
use super::target::known;
use super::{
    Answer, Applied, ConfigMapStep, Desired, Goal, Mark, Millis, Observed, Planned, Pod, Reloads, Report,
    Server, Step, TargetPlan, TargetView, Workload, WrittenFrom, risks,
};
use crate::policy::{Delivery, VerificationMode};
use crate::server::kratos::{self, Overlay};

/// How long pods may take to read a new file. The kubelet needs up to a minute and a half.
pub(super) const READ_WITHIN: Millis = 180_000;
/// How often pods are asked that could not be reached, or answer otherwise than they should.
const ASK_AGAIN: Millis = 60_000;

/// Whether pods read the policy from a file, and not from their variables.
#[must_use]
pub fn is_by_file(desired: &Desired) -> bool {
    desired.rendered.delivery == Delivery::ConfigFile
}

/// Whether the config map holds the file that is desired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    AsDesired,
    Other,
}

impl File {
    /// Before anything is written.
    #[must_use]
    pub fn found(observed: &Observed, desired: &Desired) -> Self {
        match observed.config_map(&desired.config_map) {
            Some(found) if found.content.as_deref() == Some(&*content(&desired.rendered)) => Self::AsDesired,
            _ => Self::Other,
        }
    }

    /// After the writes.
    #[must_use]
    pub fn after(observed: &Observed, desired: &Desired, report: &Report) -> Self {
        if report.file_written { Self::AsDesired } else { Self::found(observed, desired) }
    }
}

/// What the pods of a target prove of its goal. None where nobody asks them.
#[must_use]
pub fn proof(
    observed: &Observed,
    reloads: &Reloads,
    Planned { view, goal, step }: Planned<'_>,
    file: File,
) -> Option<Proof> {
    let desired = Some(&*goal.desired).filter(|_| observed.verification().mode != VerificationMode::Off)?;
    // Nothing of the policy is in force that they could prove.
    if desired.rendered.revision.is_empty() {
        return None;
    }
    if let Some(message) = view.workload.as_ref().and_then(|workload| observed.unheard.of(workload)) {
        return Some(Proof::Unreachable(message));
    }
    let (Step::Settled { done: true } | Step::Write { done: true, .. }, Ok(server)) = (step, view.server())
    else {
        return Some(Proof::Pending(format!("the pods of {view} are asked when it is rolled out")));
    };
    if let Some((_, message)) = view.unlisted() {
        return Some(Proof::Unreachable(message));
    }
    if !is_by_file(desired) {
        return Some(confirmed::proof(view, server.workload));
    }
    if file == File::Other {
        return Some(Proof::Pending(format!(
            "the file in ConfigMap {} is not yet what the policy says",
            desired.config_map
        )));
    }
    if !server.container.reads_last(&desired.config_map) {
        return Some(Proof::NotSupported(format!(
            "the pods of {view} read another file after that of the policy"
        )));
    }
    Some(of_pods(
        view,
        &server.container.name,
        &desired.mark(server.workload, &server.container.name),
        reload(observed, reloads, server.workload),
        observed.now,
    ))
}

/// Whether its pods had the time to take a file that must change their answer, and are not known to have
/// taken it.
pub(super) fn is_late(observed: &Observed, workload: &Workload) -> bool {
    let reload = known(observed, workload).and_then(|known| known.reload.as_ref());
    reload.is_some_and(|reload| reload.changes == Some(true) && observed.now - reload.since >= READ_WITHIN)
}

/// What tells that the target's pods refused the file: they should have taken it, and had the time.
pub(super) fn refused(observed: &Observed, reloads: &Reloads, target: Planned<'_>) -> Option<Evidence> {
    let Planned { view, goal, step } = target;
    let server = view.server().ok()?;
    let reload = reload(observed, reloads, server.workload).filter(|reload| reload.changes == Some(true))?;
    let Step::Settled { done: true } = step else { return None };
    let Proof::Mismatch(_) = proof(observed, reloads, target, File::found(observed, &goal.desired))? else {
        return None;
    };
    let pod = view.pods.iter().flatten().find(|pod| !pod.deleting && pod.ready && is_old(pod, reload))?;
    Some(Evidence {
        pod: pod.name.clone(),
        container: server.container.name.clone(),
        reason: "the new file was not taken".into(),
        exit_code: None,
    })
}

/// The file that running pods of the workload are about to read, or have not been seen to read.
pub(super) fn reload<'a>(
    observed: &'a Observed,
    reloads: &'a Reloads,
    workload: &Workload,
) -> Option<&'a Reload> {
    reloads.get(&workload.uid).or_else(|| known(observed, workload)?.reload.as_ref())
}

fn of_pods(view: &TargetView, container: &str, mark: &Mark, reload: Option<&Reload>, now: Millis) -> Proof {
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
        return unreachable(view, pod);
    }
    if let Some(pod) = with(None) {
        return unasked(view, pod);
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
            Answer::Marker(_) | Answer::Other | Answer::Unreachable | Answer::NotYet => None,
        })
        .collect()
}

/// What is to be noted before the file is written anew: of each workload whose running pods read it.
pub(super) fn reloads(
    observed: &Observed,
    in_force: &Goal,
    targets: &[TargetPlan],
    file: Option<&ConfigMapStep>,
) -> Reloads {
    let comes_back = match file {
        Some(ConfigMapStep::Create { from } | ConfigMapStep::Repair { from, .. })
            if is_by_file(&in_force.desired) =>
        {
            *from != WrittenFrom::Before
        }
        _ => return Reloads::new(),
    };
    let reads = |Planned { view, step, .. }: Planned<'_>| {
        let workload = view.workload.as_ref()?;
        let in_place =
            !matches!(step, Step::Refused { .. } | Step::Held { .. } | Step::Write { rolls: true, .. });
        in_place
            .then(|| (workload.uid.clone(), about_to_read(observed, in_force, view, workload, comes_back)))
    };
    planned(targets, &observed.targets).filter_map(reads).collect()
}

fn about_to_read(
    observed: &Observed,
    in_force: &Goal,
    view: &TargetView,
    workload: &Workload,
    comes_back: bool,
) -> Reload {
    let known = known(observed, workload);
    let rendered = &in_force.desired.rendered;
    let file: SmolStr = content(rendered).into();
    // The write was refused a moment ago: another note would change nothing but its time.
    let noted = known.and_then(|known| known.reload.as_ref()).filter(|noted| noted.file == file);
    if let Some(noted) = noted.filter(|noted| observed.now - noted.since < ASK_AGAIN) {
        return noted.clone();
    }
    let old = known.and_then(|known| observed.record(&known.record)).map(|record| &record.data.overlay);
    // A second file before the first was read, or a stranger's: what the pods have is not known.
    let pending = |known: &Applied| known.reload.as_ref().is_some_and(|reload| reload.changes != Some(false));
    let sure = !comes_back && known.is_some_and(|known| !pending(known));
    let changes = old.filter(|_| sure).and_then(|old| changes(view, old, &rendered.overlay));
    let before = view.pods.iter().flat_map(|pods| hashes(pods)).cloned().collect();
    let restores = known.and_then(|known| known.answer.clone()).filter(|_| comes_back);
    let restores = restores.or_else(|| never_left(known?, &in_force.digest()));
    Reload { since: observed.now, file, before, changes, restores }
}

/// Whether the file changes what running pods answer, whose variables stay. None where that cannot be known.
fn changes(view: &TargetView, old: &Overlay, new: &Overlay) -> Option<bool> {
    let Server { workload, container } = view.server().ok()?;
    kratos::changes(view.base.as_deref(), &risks::environment(workload, container, &view.env_from), old, new)
}

/// The answer that is due where a file comes back that was good, in place of one that no pod was seen to
/// take.
fn never_left(known: &Applied, comes_back: &str) -> Option<SmolStr> {
    let unread = known.reload.as_ref().filter(|unread| unread.changes == Some(true))?;
    let [before] = unread.before.as_slice() else { return None };
    let last_good = known.good.iter().find(|good| **good != known.record);
    last_good.filter(|good| **good == *comes_back).map(|_| before.clone())
}

/// When to ask those that read a file again.
pub(super) fn again(observed: &Observed, targets: &[TargetPlan], reloads: &Reloads) -> Option<Millis> {
    planned(targets, &observed.targets).filter_map(|target| ask_again(observed, reloads, target)).min()
}

fn ask_again(observed: &Observed, reloads: &Reloads, target: Planned<'_>) -> Option<Millis> {
    let Planned { view, goal, step } = target;
    let desired = Some(&*goal.desired).filter(|desired| is_by_file(desired))?;
    let (Step::Settled { done: true }, Some(workload)) = (step, &view.workload) else { return None };
    let reload = reload(observed, reloads, workload);
    // Nothing can come of it before the file is written.
    let file = File::found(observed, desired);
    match proof(observed, reloads, target, file)? {
        Proof::Pending(_) if file == File::AsDesired => {
            let since = reload.map(|reload| reload.since).or(view.disagrees_since).unwrap_or(observed.now);
            Some(super::target::look_after(since, observed.now))
        }
        Proof::Mismatch(_) | Proof::Unreachable(_) => Some(observed.now + ASK_AGAIN),
        Proof::Pending(_)
        | Proof::NotSupported(_)
        | Proof::Agree { .. }
        | Proof::Confirmed
        | Proof::NoPods => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;
    use crate::plan::fixtures::{pod, target, workload};
    use crate::plan::{EnvVar, MountedFile};
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
        let mark = Mark::Levels { variables: strict(), file: Some("mfa".into()) };
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
