//! Values for tests.

use crate::model::{
    Bounded, Container, EnvVar, Key, OwnFields, Pod, Replacement, Traits, Trouble, UpdateStrategy, Workload,
    WorkloadStatus,
};
use crate::policy::Kind;

pub fn workload(replicas: i32) -> Workload {
    Workload {
        kind: Kind::Deployment,
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
        update: UpdateStrategy::Rolling,
        min_ready_seconds: 0,
        replacement: Replacement::NewFirst,
        surge: 1,
        selector: Some("app=kratos".into()),
        containers: vec![container(&[])].into(),
        last_manager: None,
        mounts: Bounded::default(),
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

pub fn container(env: &[(&str, &str)]) -> Container {
    let env = env.iter().map(|(name, value)| EnvVar { name: (*name).into(), value: Some((*value).into()) });
    Container {
        name: "kratos".into(),
        image: "oryd/kratos:v1.3.1".into(),
        env: env.collect(),
        files: Bounded::default(),
        traits: Traits { serves: true, ..Traits::default() },
        unusual: None,
    }
}

pub fn pod(env: &[(&str, &str)]) -> Pod {
    Pod {
        name: "kratos-1".into(),
        uid: "pod-1".into(),
        resource_version: "1".into(),
        created: 0,
        deleting: false,
        ready: true,
        seen: 0,
        scheduled: true,
        unready: Vec::new(),
        cut_off: false,
        template: Some("template".into()),
        health: None,
        answer: None,
        containers: vec![container(env)].into(),
        troubles: Vec::new(),
    }
}

/// The server is in trouble for this reason, and has not ended.
pub fn trouble(reason: &str) -> Trouble {
    Trouble {
        container: "kratos".into(),
        reason: reason.into(),
        exit_code: None,
        ended: false,
        crashes: 0,
        finished: 0,
        prepares: None,
    }
}

/// The server crashed so often, with exit code 1.
pub fn crash(crashes: i32) -> Trouble {
    Trouble { exit_code: Some(1), ended: true, crashes, ..trouble("CrashLoopBackOff") }
}
