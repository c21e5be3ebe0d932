//! Values for the tests of this room.

use std::sync::Arc;

use serde_json::json;

use super::record::record_name;
use super::{
    Container, Data, EnvVar, Governed, History, Key, LastStatus, OwnFields, Pod, PolicyObject, Record, TargetData, TargetView,
    UpdateStrategy, Workload, WorkloadStatus,
};
use crate::api;
use crate::policy::{DeletionPolicy, Delivery, Kind, parse};
use crate::server::kratos::{Overlay, render};

pub(super) fn workload(replicas: i32) -> Workload {
    Workload {
        kind: Kind::Deployment,
        key: Key::new("identity", "kratos"),
        uid: "uid".into(),
        resource_version: "1".into(),
        generation: 2,
        deleting: false,
        policy_label: None,
        governed: None,
        required_aal: None,
        allowed: false,
        own: OwnFields::default(),
        replicas,
        paused: false,
        update: UpdateStrategy::Rolling,
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
    Container { name: "kratos".into(), image: "oryd/kratos:v1.3.1".into(), env: env.collect(), files: Vec::new() }
}

pub(super) fn pod(env: &[(&str, &str)]) -> Pod {
    Pod {
        name: "kratos-1".into(),
        created: 0,
        deleting: false,
        ready: true,
        scheduled: true,
        required_aal: None,
        answer: None,
        containers: vec![container(env)],
        troubles: Vec::new(),
    }
}

pub(super) fn target(workload: Workload) -> TargetView {
    TargetView {
        kind: workload.kind,
        name: "kratos".into(),
        container: None,
        workload: Some(Arc::new(workload)),
        holder: None,
        pods: None,
        disagrees_since: None,
        base: None,
        history: History::default(),
    }
}

/// A policy of this name that asks for `highest_available` at whoami.
pub(super) fn policy(name: &str) -> PolicyObject {
    PolicyObject {
        key: Key::new("identity", name),
        uid: uid_of(name).into(),
        resource_version: "1".into(),
        generation: 1,
        created: 0,
        deleting: false,
        spec: parse(name, &spec("highest_available")),
        deletion_policy: DeletionPolicy::Revert,
        suspend: false,
        status: LastStatus::default(),
    }
}

fn uid_of(policy: &str) -> String {
    format!("00000000-of-{policy}")
}

fn spec(whoami: &str) -> api::MfaPolicySpec {
    let target = json!({"name": "kratos", "container": "kratos"});
    serde_json::from_value(json!({"targetRefs": [target], "requiredAAL": {"whoami": whoami}})).expect("a spec")
}

/// A record of the policy of this name, with this level at whoami.
pub(super) fn record(policy: &str, revision: i64, whoami: &str) -> Arc<Record> {
    let parsed = parse(policy, &spec(whoami)).expect("it breaks no rule");
    let target = TargetData { kind: "Deployment".into(), name: "kratos".into(), container: "kratos".into() };
    let data = Data {
        overlay: Overlay::of(&parsed),
        delivery: Delivery::Environment,
        config_map_name: parsed.config_map.to_string(),
        targets: vec![target],
    };
    let uid = uid_of(policy);
    let name = record_name(policy, &uid, &data.digest()).into();
    Arc::new(Record { name, owner_uid: uid.into(), revision, data, applied: Vec::new() })
}

/// A workload to which the policy of this name applied the record.
pub(super) fn governed(policy: &str, record: &Record) -> Workload {
    let rendered = render(policy, record.data.overlay.clone(), record.data.delivery);
    let env: Vec<_> = rendered.variables.iter().map(|variable| (variable.name.as_str(), variable.value.as_str())).collect();
    let memory =
        Governed { deletion_policy: DeletionPolicy::Revert, policy: uid_of(policy), crd: "crd".into(), workload: Some("uid".into()) };
    Workload {
        policy_label: Some(policy.into()),
        governed: Some(memory.write().into()),
        own: OwnFields {
            policy_label: true,
            governed: true,
            required_aal: false,
            env: env.iter().map(|(name, _)| ("kratos".into(), (*name).into())).collect(),
            changed: None,
        },
        containers: vec![container(&env)],
        ..workload(1)
    }
}
