//! Pods, listed while a target moves.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use super::Slim;
use super::deployment::{PodSpec, RawContainer, mounts};
use super::metadata::Metadata;
use crate::plan::{Pod, Trouble};

/// A pod with what only the controller asks of it.
#[derive(Clone, Debug)]
pub(in crate::controller) struct PodView {
    pub pod: Pod,
    pub mounts: Vec<Box<str>>,
    /// A ReplicaSet made it.
    pub of_replica_set: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(in crate::controller) struct Raw {
    metadata: Metadata,
    spec: PodSpec,
    status: Status,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    conditions: Vec<Condition>,
    init_container_statuses: Vec<ContainerStatus>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
    state: State,
    last_state: State,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct State {
    waiting: Option<Waiting>,
    terminated: Option<Terminated>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Waiting {
    reason: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Terminated {
    reason: String,
    exit_code: i32,
}

fn trouble(status: &ContainerStatus) -> Option<Trouble> {
    let last = status.last_state.terminated.as_ref().map(|terminated| terminated.exit_code);
    if let Some(waiting) = &status.state.waiting {
        return Some(Trouble { container: status.name.as_str().into(), reason: waiting.reason.as_str().into(), exit_code: last });
    }
    let terminated = status.state.terminated.as_ref().filter(|terminated| terminated.exit_code != 0)?;
    Some(Trouble {
        container: status.name.as_str().into(),
        reason: terminated.reason.as_str().into(),
        exit_code: Some(terminated.exit_code),
    })
}

impl Slim for PodView {
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const KIND: &'static str = "Pod";
    const PLURAL: &'static str = "pods";
    type Raw = Raw;

    fn from_raw(raw: Raw) -> (ObjectMeta, Self) {
        let Raw { metadata, spec, status } = raw;
        let holds = |type_: &str| status.conditions.iter().any(|condition| condition.type_ == type_ && condition.status == "True");
        let finished = matches!(status.phase.as_str(), "Succeeded" | "Failed");
        let view = Self {
            pod: Pod {
                name: metadata.name.as_str().into(),
                deleting: metadata.deletion_timestamp.is_some() || finished,
                ready: holds("Ready"),
                scheduled: holds("PodScheduled"),
                containers: spec.containers.into_iter().map(RawContainer::slim).collect(),
                troubles: status.init_container_statuses.iter().chain(&status.container_statuses).filter_map(trouble).collect(),
            },
            mounts: mounts(&spec.volumes),
            of_replica_set: metadata.owner_references.iter().any(|owner| owner.controller && owner.kind == "ReplicaSet"),
        };
        (metadata.identity(), view)
    }
}
