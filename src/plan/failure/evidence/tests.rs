//! Pods that fail, and what beside them shows that the policy is why.

use super::*;
use crate::model::{Applied, Before, Health, Replacement};
use crate::plan::failure::control::{Judgement, judge};
use crate::plan::input::{Content, TargetView};
use crate::plan::testing::fixtures::{self, crash, pod, target, trouble};

const NEW: &str = "mfa-0123456789";

const MINUTE: Millis = 60_000;

const NOW: Millis = 100 * MINUTE;

fn mark() -> PodMarker {
    PodMarker::Revision(NEW.into())
}

fn new(troubles: Vec<Trouble>) -> Pod {
    Pod {
        name: "new".into(),
        ready: false,
        unready: vec!["kratos".into()],
        troubles,
        seen: NOW - MINUTE,
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
    let content = Content { digest: "whole".into(), changed: 0 };
    TargetView {
        pods: Some(pods),
        content: Some(content),
        well_since: Some(NOW - 10 * MINUTE),
        ..target(workload())
    }
}

fn of(view: &TargetView, workload: &Workload, known: Option<&Applied>) -> Judgement {
    let mark = mark();
    let roll = Roll {
        container: "kratos",
        mark: &mark,
        config_map: None,
        file_since: None,
        progress_timeout: 10 * MINUTE,
        now: NOW,
    };
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
    assert_eq!(
        judged(vec![old(), Pod { seen: NOW - LASTING / 2, ..new(config()) }]),
        Judgement::Open,
        "the kubelet tries again"
    );
    assert!(why(judged(vec![old(), new(vec![trouble("CreateContainerConfigError")])])).contains("not there"));
    let memory = Trouble { reason: "OOMKilled".into(), exit_code: Some(137), finished: NOW, ..crash(2) };
    assert!(matches!(judged(vec![old(), new(vec![memory])]), Judgement::Failed(_)));
}

#[test]
fn what_the_cluster_cannot_do_is_never_one() {
    for reason in [
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ContainerCreating",
        "PodInitializing",
    ] {
        let waits = Pod { seen: 0, ..new(vec![trouble(reason)]) };
        assert_eq!(judged(vec![old(), waits]), Judgement::Open, "{reason}");
    }
    assert_eq!(
        judged(vec![old(), Pod { scheduled: false, seen: 0, ..new(vec![]) }]),
        Judgement::Open,
        "no node takes it"
    );
    assert_eq!(
        judged(vec![old(), Pod { cut_off: true, seen: 0, ..new(vec![]) }]),
        Judgement::Open,
        "its node is gone"
    );
    assert_eq!(judged(vec![old(), Pod { deleting: true, ..crashing() }]), Judgement::Open, "it is ended");
    let sidecar = Trouble { container: "proxy".into(), finished: NOW, ..crash(5) };
    assert_eq!(judged(vec![old(), new(vec![sidecar])]), Judgement::Open, "a sidecar is nobody's policy");
}

#[test]
fn a_pod_has_its_time_to_become_ready_and_every_other_that_does_renews_it() {
    let late = Pod { seen: NOW - 10 * MINUTE, ..new(vec![]) };
    assert!(matches!(judged(vec![old(), late.clone()]), Judgement::Failed(_)));
    assert_eq!(judged(vec![old(), Pod { seen: NOW - 9 * MINUTE, ..late.clone() }]), Judgement::Open);
    let progress = Pod { ready: true, seen: NOW - MINUTE, unready: vec![], ..late.clone() };
    assert_eq!(
        judged(vec![old(), progress, late.clone()]),
        Judgement::Open,
        "a slow roll that goes on is none"
    );
    let probed = Trouble { exit_code: Some(137), ended: true, ..trouble("CrashLoopBackOff") };
    let killed = Pod { troubles: vec![probed], ..late.clone() };
    assert!(
        matches!(judged(vec![old(), killed.clone()]), Judgement::Failed(_)),
        "ended by its probe, it is not ready"
    );
    assert_eq!(judged(vec![old(), Pod { seen: NOW, ..killed }]), Judgement::Open, "and has not crashed");
    let slow = Workload { min_ready_seconds: 60, ..workload() };
    assert_eq!(
        of(&view(vec![old(), late.clone()]), &slow, None),
        Judgement::Open,
        "minReadySeconds come on top"
    );
}

#[test]
fn without_an_old_pod_like_it_that_runs_well_the_policy_may_not_be_why() {
    assert!(why(judged(vec![crashing()])).contains("no pod from before is left"));
    assert!(why(judged(vec![Pod { ready: false, ..old() }, crashing()])).contains("is ready either"));
    assert!(
        why(judged(vec![Pod { template: Some("other".into()), ..old() }, crashing()]))
            .contains("something else in its pod template")
    );
    let away = Pod { health: Some(Health::Unwell), ..old() };
    assert!(why(judged(vec![away.clone(), crashing()])).contains("its database may be away"));
    let unasked = Pod { health: None, ..old() };
    assert!(
        why(judged(vec![away.clone(), unasked, crashing()])).contains("its database may be away"),
        "not all of many are asked"
    );
    let cut = Pod { health: Some(Health::Unreachable), ..old() };
    assert!(
        why(judged(vec![away.clone(), cut, crashing()])).contains("its database may be away"),
        "nor can all be reached"
    );
    assert!(
        matches!(judged(vec![away, old(), crashing()]), Judgement::Failed(_)),
        "one that is well suffices"
    );
    for not_heard in [Health::NotHeard, Health::Unreachable] {
        let silent = Pod { health: Some(not_heard), ..old() };
        assert!(
            matches!(judged(vec![silent, crashing()]), Judgement::Failed(_)),
            "its readiness decides alone: {not_heard:?}"
        );
    }
    let unasked = Pod { health: Some(Health::NotYet), ..old() };
    assert!(
        why(judged(vec![unasked, crashing()])).contains("yet to be asked"),
        "nothing is said of its database"
    );
    let mut edited = view(vec![old(), crashing()]);
    edited.content = edited.content.map(|content| Content { changed: 1, ..content });
    assert!(why(of(&edited, &workload(), None)).contains("a ConfigMap that the server reads has changed"));
}

#[test]
fn a_pod_that_others_can_be_told_from_by_its_silence_may_be_on_a_lost_node() {
    let late = Pod { seen: NOW - 10 * MINUTE, health: Some(Health::Unreachable), ..new(vec![]) };
    assert!(why(judged(vec![old(), late.clone()])).contains("its node may be lost"));
    let refused = Pod { health: Some(Health::NotHeard), ..late.clone() };
    assert!(matches!(judged(vec![old(), refused]), Judgement::Failed(_)), "it is there");
    let silent = Pod { health: Some(Health::Unreachable), ..old() };
    assert!(matches!(judged(vec![silent, late]), Judgement::Failed(_)), "nobody can be reached from here");
}

#[test]
fn what_cannot_be_read_of_a_template_proves_nothing() {
    let unread = |pod: Pod| Pod { template: None, ..pod };
    for pods in [
        vec![unread(old()), crashing()],
        vec![old(), unread(crashing())],
        vec![unread(old()), unread(crashing())],
    ] {
        assert!(why(judged(pods)).contains("could not be read"));
    }
    assert!(
        matches!(judged(vec![unread(old()), old(), crashing()]), Judgement::Failed(_)),
        "one that can be suffices"
    );
}

/// Reloader restarts pods for a file that they were to read by themselves; an eviction does the same.
#[test]
fn pods_that_start_with_a_new_file_are_compared_with_those_that_have_not() {
    let since = NOW - 2 * MINUTE;
    let of = |pods: Vec<Pod>| {
        let mark = mark();
        let roll = Roll {
            container: "kratos",
            mark: &mark,
            config_map: Some("mfa"),
            file_since: Some(since),
            progress_timeout: 10 * MINUTE,
            now: NOW,
        };
        judge(&view(pods), &workload(), &roll, None)
    };
    let marked = |pod: Pod| Pod { containers: crashing().containers, ..pod };
    let before = Pod { created: since - MINUTE, ..marked(old()) };
    let started = Pod { created: since + MINUTE, ..crashing() };
    assert!(matches!(of(vec![before.clone(), started.clone()]), Judgement::Failed(_)));
    let after = Pod { created: since + 1, ..marked(old()) };
    assert!(
        why(of(vec![after, started.clone()])).contains("no pod from before"),
        "it started with the file as well"
    );
    let other = Pod { template: Some("other".into()), ..before.clone() };
    assert!(why(of(vec![other, started])).contains("something else in its pod template"));
    let down = Pod { created: since - MINUTE, seen: since - MINUTE, ..crashing() };
    assert_eq!(of(vec![before.clone(), down.clone()]), Judgement::Open, "it was down before the file came");
    assert!(
        matches!(of(vec![before, Pod { seen: since + 1, ..down }]), Judgement::Failed(_)),
        "its container started with it"
    );
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
    let applied = |content: Option<&str>| Applied {
        ran_well: content.map(Into::into),
        ..fixtures::applied("record", Before::Nothing)
    };
    let view = view(vec![crashing()]);
    assert!(matches!(of(&view, &recreate, Some(&applied(Some("whole")))), Judgement::Failed(_)));
    assert!(why(of(&view, &recreate, Some(&applied(Some("other"))))).contains("changed as well"));
    assert!(why(of(&view, &recreate, Some(&applied(None)))).contains("no pod from before"));
    assert!(
        why(of(&view, &workload(), Some(&applied(Some("whole"))))).contains("no pod from before"),
        "this one keeps them"
    );
    // By one clock: how long a pod is not ready counts from when it was first seen so.
    let unready = |seen: Millis| TargetView {
        pods: Some(vec![Pod { seen, created: 0, ..new(vec![]) }]),
        ..view.clone()
    };
    assert!(matches!(
        of(&unready(NOW - 10 * MINUTE), &recreate, Some(&applied(Some("whole")))),
        Judgement::Failed(_)
    ));
    assert_eq!(of(&unready(NOW - 9 * MINUTE), &recreate, Some(&applied(Some("whole")))), Judgement::Open);
    let cannot = |seen: Millis| TargetView {
        pods: Some(vec![Pod { seen, ..new(vec![trouble("CreateContainerError")]) }]),
        ..view.clone()
    };
    assert!(matches!(
        of(&cannot(NOW - LASTING), &recreate, Some(&applied(Some("whole")))),
        Judgement::Failed(_)
    ));
    assert_eq!(
        of(&cannot(NOW - LASTING + 1), &recreate, Some(&applied(Some("whole")))),
        Judgement::Open,
        "the kubelet tries again"
    );
}

#[test]
fn what_prepares_a_pod_counts_where_it_reads_our_file() {
    let init = |map: &str| Trouble {
        container: "migrate".into(),
        prepares: Some(vec![map.into()]),
        finished: NOW,
        ..crash(2)
    };
    let of = |map: &str| {
        let mark = mark();
        let roll = Roll {
            container: "kratos",
            mark: &mark,
            config_map: Some("mfa"),
            file_since: None,
            progress_timeout: 10 * MINUTE,
            now: NOW,
        };
        judge(&view(vec![old(), new(vec![init(map)])]), &workload(), &roll, None)
    };
    assert!(matches!(of("mfa"), Judgement::Failed(_)));
    assert_eq!(of("base"), Judgement::Open);
}
