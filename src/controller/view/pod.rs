//! Pods, listed while a target moves.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use smol_str::SmolStr;

use super::metadata::Metadata;
use super::volumes::mounts;
use super::workload::{PodSpec, RawContainer};
use super::{Condition, Slim, holds};
use crate::plan::{Pod, Trouble, Workload};
use crate::policy::Kind;

/// A pod with what only the controller asks of it.
#[derive(Clone, Debug)]
pub(in crate::controller) struct PodView {
    pub pod: Pod,
    pub mounts: Vec<SmolStr>,
    /// Where its containers listen, as (container, address), by the name of the port. None where it
    /// is on the network of its node: what listens there may be anybody.
    pub admin: Vec<(SmolStr, SocketAddr)>,
    /// Kind and uid of what made it.
    owner: Option<(SmolStr, SmolStr)>,
}

impl PodView {
    pub fn is_of(&self, workload: &Workload) -> bool {
        self.owner.as_ref().is_some_and(|(kind, uid)| match workload.kind {
            // One of several that the Deployment made: its selector tells them from those of others.
            Kind::Deployment => kind == "ReplicaSet",
            Kind::StatefulSet | Kind::DaemonSet => *uid == workload.uid,
        })
    }
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
    #[serde(rename = "podIP")]
    pod_ip: String,
    conditions: Vec<Condition>,
    init_container_statuses: Vec<ContainerStatus>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
    ready: bool,
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
    if status.ready {
        return None;
    }
    let ended =
        [&status.state, &status.last_state].into_iter().find_map(|state| state.terminated.as_ref()).filter(|ended| ended.exit_code != 0);
    let reason = match (&status.state.waiting, ended) {
        (Some(waiting), _) => &waiting.reason,
        (None, Some(ended)) => &ended.reason,
        (None, None) => return None,
    };
    Some(Trouble {
        container: status.name.as_str().into(),
        reason: reason.as_str().into(),
        exit_code: ended.map(|ended| ended.exit_code),
        ended: ended.is_some(),
    })
}

impl Slim for PodView {
    type Raw = Raw;

    fn from_raw(raw: Raw) -> (ObjectMeta, Self) {
        let Raw { metadata, spec, status } = raw;
        let finished = matches!(status.phase.as_str(), "Succeeded" | "Failed");
        let PodSpec { containers, volumes, host_network } = spec;
        let address = status.pod_ip.parse::<IpAddr>().ok().filter(|_| !host_network);
        let admin = |container: &RawContainer| Some((container.name(), SocketAddr::new(address?, container.admin_port())));
        let view = Self {
            admin: containers.iter().filter_map(admin).collect(),
            mounts: mounts(&volumes),
            pod: Pod {
                name: metadata.name.as_str().into(),
                created: metadata.created() * 1_000,
                deleting: metadata.deletion_timestamp.is_some() || finished,
                ready: holds(&status.conditions, "Ready"),
                scheduled: holds(&status.conditions, "PodScheduled"),
                required_aal: metadata.annotations.required_aal.as_deref().map(Into::into),
                answer: None,
                containers: containers.into_iter().map(|container| container.slim(&volumes)).collect(),
                troubles: status.init_container_statuses.iter().chain(&status.container_statuses).filter_map(trouble).collect(),
            },
            owner: metadata
                .owner_references
                .iter()
                .find(|owner| owner.controller)
                .map(|owner| (owner.kind.as_str().into(), owner.uid.as_str().into())),
        };
        (metadata.identity(), view)
    }
}
