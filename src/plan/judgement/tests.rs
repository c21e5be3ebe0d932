//! Pods that fail, and what beside them shows that the policy is why.

use super::*;
use crate::plan::fixtures::{self, crash, pod, target, trouble};
use crate::plan::{Before, Content, Replacement};

const NEW: &str = "mfa-0123456789";
const MINUTE: Millis = 60_000;
const NOW: Millis = 100 * MINUTE;

fn mark() -> Mark {
    Mark::Revision(NEW.into())
}

fn new(troubles: Vec<Trouble>) -> Pod {
    Pod {
        name: "new".into(),
        ready: false,
        unready: vec!["kratos".into()],
        troubles,
        ready_since: NOW - MINUTE,
        ..pod(&[("REVISION", NEW)])
    }
}

fn old() -> Pod {
    Pod { name: "old".into(), health: Some(Health::Well), ..pod(&[]) }
}

fn crashing() -> Pod {
    new(vec![Trouble { finished: NOW, ..crash(2) }])
}

fn workload() -> Workload {
    Workload { generation: 2, ..fixtures::workload(2) }
}

fn view(pods: Vec<Pod>) -> TargetView {
    let content = Content { digest: "whole".into(), annotations: Vec::new(), changed: 0 };
    TargetView { pods: Some(pods), content: Some(content), well_since: Some(NOW - 10 * MINUTE), ..target(workload()) }
}

fn of(view: &TargetView, workload: &Workload, known: Option<&Applied>) -> Judgement {
    let mark = mark();
    let roll = Roll { container: "kratos", mark: &mark, config_map: None, progress_timeout: 10 * MINUTE, now: NOW };
    judge(view, workload, &roll, known)
}

fn judged(pods: Vec<Pod>) -> Judgement {
    of(&view(pods), &workload(), None)
}

fn why(judgement: Judgement) -> String {
    match judgement {
        Judgement::Unproven(_, why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_second_crash_beside_an_old_pod_that_runs_well_is_a_failure() {
    let Judgement::Failed(evidence) = judged(vec![old(), crashing()]) else { panic!("it is none") };
    assert_eq!(evidence.to_string(), "container kratos of pod new: CrashLoopBackOff, exit code 1");
    assert_eq!(judged(vec![old(), new(vec![crash(1)])]), Judgement::Open, "one crash may be anybody's");
    let config = || vec![trouble("CreateContainerError")];
    assert!(matches!(judged(vec![old(), new(config())]), Judgement::Failed(_)));
    assert_eq!(judged(vec![old(), Pod { created: NOW - LASTING / 2, ..new(config()) }]), Judgement::Open, "the kubelet tries again");
    assert!(why(judged(vec![old(), new(vec![trouble("CreateContainerConfigError")])])).contains("not there"));
    let memory = Trouble { reason: "OOMKilled".into(), exit_code: Some(137), finished: NOW, ..crash(2) };
    assert!(matches!(judged(vec![old(), new(vec![memory])]), Judgement::Failed(_)));
}

#[test]
fn what_the_cluster_cannot_do_is_never_one() {
    for reason in ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ContainerCreating", "PodInitializing"] {
        let waits = Pod { ready_since: 0, ..new(vec![trouble(reason)]) };
        assert_eq!(judged(vec![old(), waits]), Judgement::Open, "{reason}");
    }
    assert_eq!(judged(vec![old(), Pod { scheduled: false, ready_since: 0, ..new(vec![]) }]), Judgement::Open, "no node takes it");
    assert_eq!(judged(vec![old(), Pod { cut_off: true, ready_since: 0, ..new(vec![]) }]), Judgement::Open, "its node is gone");
    assert_eq!(judged(vec![old(), Pod { deleting: true, ..crashing() }]), Judgement::Open, "it is ended");
    let sidecar = Trouble { container: "proxy".into(), finished: NOW, ..crash(5) };
    assert_eq!(judged(vec![old(), new(vec![sidecar])]), Judgement::Open, "a sidecar is nobody's policy");
}

#[test]
fn a_pod_has_its_time_to_become_ready_and_every_other_that_does_renews_it() {
    let late = Pod { ready_since: NOW - 10 * MINUTE, ..new(vec![]) };
    assert!(matches!(judged(vec![old(), late.clone()]), Judgement::Failed(_)));
    assert_eq!(judged(vec![old(), Pod { ready_since: NOW - 9 * MINUTE, ..late.clone() }]), Judgement::Open);
    let progress = Pod { ready: true, ready_since: NOW - MINUTE, unready: vec![], ..late.clone() };
    assert_eq!(judged(vec![old(), progress, late.clone()]), Judgement::Open, "a slow roll that goes on is none");
    let probed = Trouble { exit_code: Some(137), ended: true, ..trouble("CrashLoopBackOff") };
    let killed = Pod { troubles: vec![probed], ..late.clone() };
    assert!(matches!(judged(vec![old(), killed.clone()]), Judgement::Failed(_)), "ended by its probe, it is not ready");
    assert_eq!(judged(vec![old(), Pod { ready_since: NOW, ..killed }]), Judgement::Open, "and has not crashed");
    let slow = Workload { min_ready_seconds: 60, ..workload() };
    assert_eq!(of(&view(vec![old(), late.clone()]), &slow, None), Judgement::Open, "minReadySeconds come on top");
    let written = Workload { own: crate::plan::OwnFields { changed: Some(NOW - MINUTE), ..workload().own }, ..workload() };
    assert_eq!(of(&view(vec![old(), late]), &written, None), Judgement::Open, "the roll began a minute ago");
}

#[test]
fn without_an_old_pod_like_it_that_runs_well_the_policy_may_not_be_why() {
    assert!(why(judged(vec![crashing()])).contains("no pod from before is left"));
    assert!(why(judged(vec![Pod { ready: false, ..old() }, crashing()])).contains("is ready either"));
    assert!(why(judged(vec![Pod { content: "other".into(), ..old() }, crashing()])).contains("something else in its pod template"));
    let away = Pod { health: Some(Health::Unwell), ..old() };
    assert!(why(judged(vec![away.clone(), crashing()])).contains("its database may be away"));
    let unasked = Pod { health: None, ..old() };
    assert!(why(judged(vec![away.clone(), unasked, crashing()])).contains("its database may be away"), "not all of many are asked");
    let cut = Pod { health: Some(Health::Unreachable), ..old() };
    assert!(why(judged(vec![away.clone(), cut, crashing()])).contains("its database may be away"), "nor can all be reached");
    assert!(matches!(judged(vec![away, old(), crashing()]), Judgement::Failed(_)), "one that is well suffices");
    for not_heard in [Health::NotHeard, Health::Unreachable] {
        let silent = Pod { health: Some(not_heard), ..old() };
        assert!(matches!(judged(vec![silent, crashing()]), Judgement::Failed(_)), "its readiness decides alone: {not_heard:?}");
    }
    let unasked = Pod { health: Some(Health::NotYet), ..old() };
    assert!(why(judged(vec![unasked, crashing()])).contains("yet to be asked"), "nothing is said of its database");
    let mut edited = view(vec![old(), crashing()]);
    edited.content = edited.content.map(|content| Content { changed: 1, ..content });
    assert!(why(of(&edited, &workload(), None)).contains("a ConfigMap that the server reads has changed"));
}

#[test]
fn a_pod_that_others_can_be_told_from_by_its_silence_may_be_on_a_lost_node() {
    let late = Pod { ready_since: NOW - 10 * MINUTE, health: Some(Health::Unreachable), ..new(vec![]) };
    assert!(why(judged(vec![old(), late.clone()])).contains("its node may be lost"));
    let refused = Pod { health: Some(Health::NotHeard), ..late.clone() };
    assert!(matches!(judged(vec![old(), refused]), Judgement::Failed(_)), "it is there");
    let silent = Pod { health: Some(Health::Unreachable), ..old() };
    assert!(matches!(judged(vec![silent, late]), Judgement::Failed(_)), "nobody can be reached from here");
}

#[test]
fn an_annotation_of_the_template_that_changed_counts_and_one_of_the_pods_alone_does_not() {
    let annotated = |pod: Pod, value: &str| Pod { annotations: vec![("checksum/config".into(), value.into())], ..pod };
    let mut view = view(vec![annotated(old(), "1"), annotated(crashing(), "2")]);
    assert!(matches!(of(&view, &workload(), None), Judgement::Failed(_)));
    view.content = Some(Content { digest: "whole".into(), annotations: vec![("checksum/config".into(), "2".into())], changed: 0 });
    assert!(why(of(&view, &workload(), None)).contains("something else in its pod template"));
}

#[test]
fn a_crash_from_before_an_outage_ended_proves_nothing() {
    let mut view = view(vec![old(), crashing()]);
    view.well_since = Some(NOW + 1);
    assert_eq!(of(&view, &workload(), None), Judgement::Open);
    view.well_since = None;
    assert_eq!(of(&view, &workload(), None), Judgement::Open);
}

#[test]
fn where_a_roll_ends_every_old_pod_first_it_counts_that_they_ran_well_before() {
    let recreate = Workload { replacement: Replacement::AllAtOnce, ..workload() };
    let applied = |content: Option<&str>| Applied { ran_well: content.map(Into::into), ..fixtures::applied("record", Before::Nothing) };
    let view = view(vec![crashing()]);
    assert!(matches!(of(&view, &recreate, Some(&applied(Some("whole")))), Judgement::Failed(_)));
    assert!(why(of(&view, &recreate, Some(&applied(Some("other"))))).contains("changed as well"));
    assert!(why(of(&view, &recreate, Some(&applied(None)))).contains("no pod from before"));
    assert!(why(of(&view, &workload(), Some(&applied(Some("whole"))))).contains("no pod from before"), "this one keeps them");
}

#[test]
fn what_prepares_a_pod_counts_where_it_reads_our_file() {
    let init = |map: &str| Trouble { container: "migrate".into(), prepares: Some(vec![map.into()]), finished: NOW, ..crash(2) };
    let of = |map: &str| {
        let mark = mark();
        let roll = Roll { container: "kratos", mark: &mark, config_map: Some("mfa"), progress_timeout: 10 * MINUTE, now: NOW };
        judge(&view(vec![old(), new(vec![init(map)])]), &workload(), &roll, None)
    };
    assert!(matches!(of("mfa"), Judgement::Failed(_)));
    assert_eq!(of("base"), Judgement::Open);
}
