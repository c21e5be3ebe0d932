//! Cases of `pod_marker`.

use super::*;
use crate::model::{Bounded, MountedFile};
use crate::plan::input::TargetView;
use crate::plan::report::running_levels::{levels_of_pods, running_levels};
use crate::plan::testing::fixtures::{container, pod, record, target, workload};
use crate::policy::Level;

fn file(name: &str, reloads: bool) -> Bounded<Option<MountedFile>, 16> {
    vec![Some(MountedFile { config_map: name.into(), key: "kratos.yaml".into(), reloads })].into()
}

fn by_file(whoami: &str) -> Record {
    let mut record = (*record("mfa", 1, whoami)).clone();
    record.data.delivery = Delivery::ConfigFile;
    record
}

#[test]
fn the_mark_of_a_file_is_that_of_the_servers_own_container() {
    let mut workload = workload(2);
    workload.containers = vec![
        Container { name: "sidecar".into(), files: file("its-own", true), ..container(&[]) },
        Container { files: file("mfa-mfa", true), ..container(&[(level_variables().1, "aal1")]) },
    ]
    .into();
    let mark = PodMarker::of_template(&workload, "kratos");
    assert_eq!(mark, by_file("aal1").mark(&workload, "kratos"));
    let made = Pod { containers: workload.containers.clone(), ..pod(&[]) };
    assert!(mark.is_on(&made, "kratos") && !mark.is_on(&made, "sidecar"));
    assert_ne!(mark, by_file("highest_available").mark(&workload, "kratos"));
}

/// A pod that a ReplicaSet took for its own: its template says nothing of it.
#[test]
fn what_a_pod_demanded_when_it_was_asked_counts() {
    let (settings, whoami) = level_variables();
    let with = |level: &str| -> Bounded<Container, 16> {
        vec![container(&[(settings, "highest_available"), (whoami, level)])].into()
    };
    let mut workload = workload(2);
    workload.containers = with("highest_available");
    let mut view = target(workload);
    let highest = Some(Level::HighestAvailable);
    assert_eq!(running_levels(&view, "kratos"), (highest, highest));
    let pods = [
        Pod { containers: with("highest_available"), ..pod(&[]) },
        Pod { containers: with("aal1"), ..pod(&[]) },
    ];
    view.listed = levels_of_pods(&view, "kratos", &pods);
    assert_eq!(running_levels(&view, "kratos"), (highest, Some(Level::Aal1)));
    let leaving = Pod { deleting: true, ..pods[1].clone() };
    view.listed = levels_of_pods(&view, "kratos", &[pods[0].clone(), leaving]);
    assert_eq!(running_levels(&view, "kratos"), (highest, highest));
    assert_eq!(levels_of_pods(&view, "kratos", &[]), None);
}

#[test]
fn variables_of_the_servers_own_are_part_of_what_pods_have_in_common() {
    let (settings, whoami) = level_variables();
    let mut own = workload(2);
    own.containers = vec![Container {
        files: file("mfa-mfa", true),
        ..container(&[(settings, "aal1"), (REVISION, "v1")])
    }]
    .into();
    let wanted = by_file("highest_available").mark(&own, "kratos");
    let with = |env: &[(&str, &str)]| Pod {
        containers: vec![Container { files: file("mfa-mfa", true), ..container(env) }].into(),
        ..pod(&[])
    };
    let all = [(whoami, "highest_available"), (settings, "aal1"), (REVISION, "v1")];
    assert!(wanted.is_on(&with(&all), "kratos"));
    assert!(!wanted.is_on(&with(&all[..2]), "kratos") && !wanted.is_on(&with(&all[1..]), "kratos"));
    own.own.env = vec![("kratos".into(), settings.into())].into();
    assert!(
        !by_file("highest_available").mark(&own, "kratos").is_on(&with(&all), "kratos"),
        "ours goes, where the policy leaves it out"
    );
}

#[test]
fn what_a_workload_has_of_ours_tells_the_record() {
    let (settings, whoami) = level_variables();
    let with = |env: &[(&str, &str)]| {
        let mut workload = workload(1);
        workload.own.env = env.iter().map(|(name, _)| ("kratos".into(), (*name).into())).collect();
        workload.containers = vec![container(env)].into();
        workload
    };
    assert!(by_file("aal1").is_on(&with(&[(whoami, "aal1")])));
    assert!(!by_file("aal1").is_on(&with(&[(whoami, "highest_available")])));
    assert!(!by_file("aal1").is_on(&with(&[(whoami, "aal1"), (settings, "aal1")])));
    let stranger = Workload { own: Default::default(), ..with(&[(whoami, "aal1")]) };
    assert!(!by_file("aal1").is_on(&stranger), "somebody else's variable is no proof");
    let revision =
        crate::server::kratos::revision(&record("mfa", 1, "aal1").data.overlay, Delivery::Environment);
    let by_variables = with(&[(whoami, "aal1"), (REVISION, &revision)]);
    assert!(record("mfa", 1, "aal1").is_on(&by_variables) && !by_file("aal1").is_on(&by_variables));
}

#[test]
fn a_file_that_never_changes_in_a_running_pod_is_not_wired() {
    let wiring = |reloads| {
        let mut workload = workload(1);
        workload.containers[0].files = file("mfa-mfa", reloads);
        let overlay = by_file("aal1").data.overlay;
        let rendered = crate::server::kratos::render("mfa", overlay, Delivery::ConfigFile);
        let desired = Desired {
            rendered,
            config_map: "mfa-mfa".into(),
            field_conflicts: Default::default(),
            deletion_policy: Default::default(),
            targets: Vec::new(),
        };
        desired.wiring(&workload, &workload.containers[0])
    };
    assert_eq!(wiring(true), Ok(()));
    let message = wiring(false).expect_err("it is mounted by subPath");
    assert!(message.contains("mount the folder"), "{message}");
}

#[test]
fn the_weakest_pod_sets_the_level_and_unknown_is_weaker_than_any() {
    let (settings, whoami) = level_variables();
    let levels = |view: &TargetView| running_levels(view, "kratos");
    let strong = pod(&[(settings, "highest_available"), (whoami, "highest_available")]);
    let weak = pod(&[(settings, "highest_available"), (whoami, "aal1")]);
    let unknown = pod(&[(settings, "highest_available")]);
    let mut view = target(workload(2));
    view.pods = Some(vec![strong.clone(), weak]);
    assert_eq!(levels(&view), (Some(Level::HighestAvailable), Some(Level::Aal1)));
    view.pods = Some(vec![strong.clone(), unknown.clone()]);
    assert_eq!(levels(&view), (Some(Level::HighestAvailable), None));
    view.pods = Some(vec![strong, Pod { deleting: true, ..unknown }]);
    assert_eq!(levels(&view).1, Some(Level::HighestAvailable), "a pod that ends counts no more");
}

#[test]
fn of_two_entries_of_one_level_the_weaker_is_told() {
    let (settings, whoami) = level_variables();
    let (strong, weak) = ("highest_available", "aal1");
    for env in [[(whoami, strong), (whoami, weak)], [(whoami, weak), (whoami, strong)]] {
        let all = [env[0], (settings, strong), env[1]];
        let mut view = target(Workload { containers: vec![container(&all)].into(), ..workload(1) });
        view.pods = None;
        assert_eq!(
            running_levels(&view, "kratos"),
            (Some(Level::HighestAvailable), Some(Level::Aal1)),
            "of the template {all:?}"
        );
        view.pods = Some(vec![pod(&all)]);
        assert_eq!(
            running_levels(&view, "kratos"),
            (Some(Level::HighestAvailable), Some(Level::Aal1)),
            "of a pod {all:?}"
        );
    }
}

#[test]
fn a_foreign_container_says_nothing() {
    let mark = PodMarker::Revision("mfa-0123456789".into());
    let other = Container { name: "other".into(), ..container(&[("REVISION", "mfa-0123456789")]) };
    assert!(!mark.is_on(&Pod { containers: vec![other].into(), ..pod(&[]) }, "kratos"));
}
