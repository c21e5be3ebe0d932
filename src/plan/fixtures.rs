//! Values for the tests of this room.

use std::sync::Arc;

use super::{Container, EnvVar, History, Key, OwnFields, Pod, TargetView, Workload, WorkloadStatus};

pub(super) fn workload(replicas: i32) -> Workload {
    Workload {
        key: Key::new("identity", "kratos"),
        uid: "uid".into(),
        resource_version: "1".into(),
        generation: 2,
        deleting: false,
        policy_label: None,
        governed: None,
        allowed: false,
        own: OwnFields::default(),
        replicas,
        paused: false,
        selector: "app=kratos".into(),
        containers: vec![container(&[])],
        mounts: Vec::new(),
        status: WorkloadStatus {
            observed_generation: 2,
            total: replicas,
            updated: replicas,
            ready: replicas,
            available: replicas,
            ..WorkloadStatus::default()
        },
    }
}

pub(super) fn container(env: &[(&str, &str)]) -> Container {
    let env = env.iter().map(|(name, value)| EnvVar { name: (*name).into(), value: Some((*value).into()) });
    Container { name: "kratos".into(), image: "oryd/kratos:v1.3.1".into(), env: env.collect() }
}

pub(super) fn pod(env: &[(&str, &str)]) -> Pod {
    Pod { name: "kratos-1".into(), deleting: false, ready: true, scheduled: true, containers: vec![container(env)], troubles: Vec::new() }
}

pub(super) fn target(workload: Workload) -> TargetView {
    TargetView {
        name: "kratos".into(),
        container: None,
        workload: Some(Arc::new(workload)),
        holder: None,
        pods: None,
        history: History::default(),
    }
}
