//! Cases of `progress`.

use super::*;
use crate::model::{Millis, Pauses, WorkloadStatus, is_done};
use crate::plan::rollout::pacing::{repair_not_before, roll_not_before};
use crate::plan::testing::fixtures::{self, container, crash, pod, target, trouble, workload};

const REVISION: &str = "mfa-0123456789";

fn mark() -> PodMarker {
    PodMarker::Revision(REVISION.into())
}

#[test]
fn a_roll_is_done_when_everything_is_new_and_available_and_nothing_old_is_left() {
    assert!(is_done(&workload(3)));
    assert!(is_done(&workload(0)));
    let not_done = [
        WorkloadStatus { observed_generation: 1, ..workload(3).status },
        WorkloadStatus { updated: 2, ..workload(3).status },
        WorkloadStatus { total: 4, ..workload(3).status },
        WorkloadStatus { available: 2, ..workload(3).status },
    ];
    for status in not_done {
        assert!(!is_done(&Workload { status: status.clone(), ..workload(3) }), "{status:?}");
    }
}

#[test]
fn a_strategy_that_leaves_pods_to_their_owner_is_told_as_a_pause() {
    let stuck = |update, updated| Workload {
        update,
        status: WorkloadStatus { updated, ..workload(3).status },
        ..workload(3)
    };
    let told = |workload: &Workload| progress(workload, "kratos", &mark(), None);
    let on_delete = told(&stuck(UpdateStrategy::OnDelete, 1));
    assert_eq!(on_delete.0, Reason::TargetPaused);
    assert!(on_delete.1.contains("OnDelete") && on_delete.1.contains("1 of 3"), "{}", on_delete.1);
    assert_eq!(told(&stuck(UpdateStrategy::Partition(2), 1)).0, Reason::TargetPaused);
    assert_eq!(
        told(&stuck(UpdateStrategy::Partition(2), 0)).0,
        Reason::Progressing,
        "its own part still rolls"
    );
    assert_eq!(told(&stuck(UpdateStrategy::Partition(0), 2)).0, Reason::Progressing);
    assert_eq!(told(&stuck(UpdateStrategy::Rolling, 1)).0, Reason::Progressing);
}

#[test]
fn only_a_pod_of_this_revision_can_fail_it() {
    let crash = crash(1);
    let new = Pod { troubles: vec![crash.clone()], ready: false, ..pod(&[("REVISION", REVISION)]) };
    let old = Pod { troubles: vec![crash], ready: false, ..pod(&[]) };
    let (reason, message) = progress(&workload(2), "kratos", &mark(), Some(&[old.clone(), new]));
    assert_eq!(reason, Reason::Crashing);
    assert!(message.contains("exit code 1"), "{message}");
    assert_eq!(progress(&workload(2), "kratos", &mark(), Some(&[old])).0, Reason::Progressing);
}

#[test]
fn an_older_pod_that_keeps_a_stateful_set_from_going_on_is_told_with_what_ends_it() {
    let crash = crash(1);
    let broken = Pod { troubles: vec![crash], ready: false, ..pod(&[("REVISION", "mfa-before")]) };
    let told = |kind, pod: &Pod| {
        progress(&Workload { kind, ..workload(2) }, "kratos", &mark(), Some(std::slice::from_ref(pod)))
    };
    let (reason, message) = told(Kind::StatefulSet, &broken);
    assert_eq!(reason, Reason::TargetPaused);
    assert!(message.contains(&format!("kubectl delete pod {}", broken.name)), "{message}");
    assert_eq!(told(Kind::Deployment, &broken).0, Reason::Progressing, "a Deployment replaces it");
    let starting = Pod { troubles: Vec::new(), ..broken.clone() };
    assert_eq!(told(Kind::StatefulSet, &starting).0, Reason::Progressing);
    let pending = Pod { scheduled: false, ..broken.clone() };
    assert_eq!(told(Kind::StatefulSet, &pending).0, Reason::Progressing, "it waits for a node itself");
    assert_eq!(
        told(Kind::StatefulSet, &Pod { deleting: true, ..broken }).0,
        Reason::Progressing,
        "it is being deleted"
    );
}

#[test]
fn the_server_that_crashed_is_told_before_a_sidecar_that_waits_and_between_two_crashes() {
    let sidecar = Trouble { container: "proxy".into(), ..trouble("ImagePullBackOff") };
    let restarted = Trouble { reason: "Error".into(), ..crash(1) };
    let pod =
        Pod { troubles: vec![sidecar.clone(), restarted], ready: false, ..pod(&[("REVISION", REVISION)]) };
    assert_eq!(
        progress(&workload(2), "kratos", &mark(), Some(std::slice::from_ref(&pod))).0,
        Reason::Crashing
    );
    let crashed_sidecar = Trouble { ended: true, ..sidecar };
    let pod = Pod { troubles: vec![crashed_sidecar], ..pod };
    assert_eq!(
        progress(&workload(2), "kratos", &mark(), Some(&[pod])).0,
        Reason::Waiting,
        "a sidecar is no evidence"
    );
}

#[test]
fn what_the_cluster_cannot_do_is_waiting_not_crashing() {
    for trouble in ["ImagePullBackOff", "ErrImagePull"] {
        let pod = Pod {
            troubles: vec![fixtures::trouble(trouble)],
            ready: false,
            ..pod(&[("REVISION", REVISION)])
        };
        assert_eq!(progress(&workload(2), "kratos", &mark(), Some(&[pod])).0, Reason::Waiting, "{trouble}");
    }
    let pending = Pod { scheduled: false, ready: false, ..pod(&[("REVISION", REVISION)]) };
    assert_eq!(progress(&workload(2), "kratos", &mark(), Some(&[pending])).0, Reason::Waiting);
    let starting = Pod {
        troubles: vec![fixtures::trouble("ContainerCreating")],
        ready: false,
        ..pod(&[("REVISION", REVISION)])
    };
    assert_eq!(progress(&workload(2), "kratos", &mark(), Some(&[starting])).0, Reason::Progressing);
}

#[test]
fn an_edit_waits_for_the_roll_under_way_ten_seconds_at_most() {
    let mut rolling = workload(2);
    rolling.own.env = vec![("kratos".into(), "REVISION".into())].into();
    rolling.containers = vec![container(&[("REVISION", REVISION)])].into();
    rolling.status.updated = 1;
    let mut view = target(rolling);
    view.history.rolls = vec![100_000];
    assert_eq!(roll_not_before(&view, false, Pauses::default(), 103_000), Some(110_000));
    assert_eq!(
        roll_not_before(&view, true, Pauses::default(), 103_000),
        None,
        "a fix of a failing roll goes at once"
    );
    assert_eq!(roll_not_before(&view, false, Pauses::default(), 110_000), None);
    view.workload = target(workload(2)).workload;
    assert_eq!(roll_not_before(&view, false, Pauses::default(), 103_000), None, "the roll has ended");
}

#[test]
fn the_fourth_roll_in_a_row_keeps_a_minute_of_distance() {
    let mut view = target(workload(2));
    view.history.rolls = vec![0, 20_000, 40_000];
    assert_eq!(roll_not_before(&view, false, Pauses::default(), 50_000), Some(100_000));
    view.history.rolls = vec![20_000, 40_000];
    assert_eq!(roll_not_before(&view, false, Pauses::default(), 50_000), None);
}

#[test]
fn a_fight_is_met_with_growing_pauses_up_to_half_an_hour() {
    let again = |repairs: &[Millis], now| repair_not_before(repairs, Pauses::default(), now);
    assert_eq!(again(&[1, 2], 3), None);
    assert_eq!(again(&[1_000, 2_000, 3_000], 4_000), Some(63_000));
    let mut repairs = vec![0, 0, 0];
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let last = *repairs.last().expect("a repair");
        let Some(until) = again(&repairs, last + 1) else { break };
        pauses.push((until - last) / 60_000);
        repairs.push(until);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    assert_eq!(again(&repairs, repairs[10] + 3_600_000), None, "a quiet hour ends the fight");
    let last = repairs[10];
    let remembered: Vec<_> = (0..16).map(|number| last + number * 1_800_000).collect();
    assert_eq!(
        again(&remembered, remembered[15] + 1),
        Some(remembered[15] + 1_800_000),
        "it goes on after its beginning is forgotten"
    );
}
