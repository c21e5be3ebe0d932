//! Pods, listed while a target moves, and to be asked.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use crate::controller::decode::container::{RawContainer, containers};
use crate::controller::decode::maker::{KnownBy, Maker, Owner};
use crate::controller::decode::metadata::Metadata;
use crate::controller::decode::seen::decode;
use crate::controller::decode::workload::PodSpec;
use crate::controller::decode::{Condition, Resource, Slim, holds, millis};
use crate::model::{Bounded, Pod, Trouble};

/// A pod with what only the controller asks of it.
#[derive(Clone, Debug)]
pub struct PodView {
    pub pod: Pod,
    /// Number of this run of the pod: it changes when one of its containers starts anew.
    pub run: u64,
    /// None where it is on the network of its node: what listens there may be anybody.
    address: Option<IpAddr>,
    /// Ports as (container, name, number).
    ports: Vec<(SmolStr, SmolStr, u16)>,
    /// Owner that controls the pod, by the pod's own word.
    pub owner: Option<Owner>,
    /// By which a StatefulSet or DaemonSet tells its templates apart.
    pub revision: SmolStr,
    /// Maker behind `owner`. None before it was read, and where it cannot be.
    pub maker: Option<Arc<Maker>>,
}

/// Ports kept of one pod, all its containers together.
const PORTS: usize = 64;

const REVISION_LABEL: &str = "controller-revision-hash";

/// Port of Kratos' admin API: its name in Kratos' own chart, and the number where it listens by itself.
const ADMIN_PORT: (&str, u16) = ("http-admin", 4434);

impl PodView {
    /// Finds the address at which the container listens on this port, given by name or number.
    pub fn listens(&self, container: &str, port: &str) -> Option<SocketAddr> {
        let named = self
            .ports
            .iter()
            .find(|(of, name, _)| of == container && name == port)
            .map(|(.., number)| *number);
        let usual = || (port == ADMIN_PORT.0).then_some(ADMIN_PORT.1);
        let number = port.parse().ok().or(named).or_else(usual)?;
        Some(SocketAddr::new(self.address?, number))
    }

    /// Whether it may answer sign-in: what a Job runs ends by itself, as a migration does, unless its command
    /// says otherwise, or an identity server's own one runs.
    pub fn may_serve(&self, server_images: &[String]) -> bool {
        let is_job = self.owner.as_ref().is_some_and(|owner| owner.kind == "Job");
        let containers = &self.pod.containers;
        !is_job
            || containers.more
            || containers
                .iter()
                .any(|container| container.traits.serves || container.is_server(server_images))
    }

    /// Bytes that are held of it, or few more.
    pub fn weight(&self) -> usize {
        const OF_A_TEXT: usize = 48;
        let text = |text: &SmolStr| OF_A_TEXT + text.len();
        let ports = self.ports.iter().map(|(of, name, _)| text(of) + text(name)).sum::<usize>();
        let containers = self
            .pod
            .containers
            .iter()
            .map(|own| size_of_val(own) + text(&own.name) + text(&own.image) + own.weight());
        let troubles = self.pod.troubles.iter().map(|trouble| {
            size_of_val(trouble)
                + text(&trouble.container)
                + text(&trouble.reason)
                + trouble.prepares.iter().flatten().map(text).sum::<usize>()
        });
        let unready = self.pod.unready.iter().map(text).sum::<usize>();
        size_of::<Self>() + 512 + ports + containers.sum::<usize>() + troubles.sum::<usize>() + unready
    }

    /// The uid of the workload that it is of in the end; empty where that cannot be told, and none where
    /// nobody made it.
    pub fn made_by(&self) -> Option<SmolStr> {
        let owner = self.owner.as_ref()?;
        if *owner.kind != *Resource::REPLICA_SETS.kind {
            return Some(owner.uid.clone());
        }
        let above = self.maker.as_ref().and_then(|maker| maker.owner.as_ref());
        Some(above.map(|above| above.uid.clone()).unwrap_or_default())
    }

    /// Whether that is told by the name of who made it alone.
    pub fn is_known_by_name(&self) -> bool {
        self.maker.as_ref().is_some_and(|maker| maker.known_by == KnownBy::Name)
    }

    /// Names the owner of the pod, and the Deployment above it, for a message.
    pub fn whose(&self) -> SmolStr {
        let Some(owner) = &self.owner else { return SmolStr::default() };
        match self.maker.as_ref().and_then(|maker| maker.owner.as_ref()) {
            Some(above) if *owner.kind == *Resource::REPLICA_SETS.kind => {
                smol_str::format_smolstr!("{} {} of {} {}", owner.kind, owner.name, above.kind, above.name)
            }
            _ => smol_str::format_smolstr!("{} {}", owner.kind, owner.name),
        }
    }
}

/// Pods are few and listed seldom: they are read whole.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Raw {
    metadata: Twice<Metadata, Words>,
    spec: PodSpec,
    status: Status,
}

/// Decodes one text twice, as `A` and as `B`.
#[derive(Default)]
struct Twice<A, B>(A, B);

impl<'de, A: DeserializeOwned + Default, B: DeserializeOwned + Default> Deserialize<'de> for Twice<A, B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(text) = Option::<Box<RawValue>>::deserialize(deserializer)? else {
            return Ok(Self::default());
        };
        Ok(Self(decode(text.get()).map_err(D::Error::custom)?, decode(text.get()).map_err(D::Error::custom)?))
    }
}

/// All labels.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Words {
    labels: Value,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    #[serde(rename = "podIP")]
    pod_ip: String,
    conditions: Bounded<Condition, 32>,
    init_container_statuses: Bounded<ContainerStatus, 32>,
    container_statuses: Bounded<ContainerStatus, 32>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
    ready: bool,
    restart_count: i32,
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
    finished_at: Option<String>,
}

impl Terminated {
    /// Whether the process gave up by itself. The kubelet ends one whose probe fails by SIGTERM, then
    /// SIGKILL; the kernel ends one that takes too much memory by SIGKILL, too, and has a word for it.
    fn is_crash(&self) -> bool {
        const KILLED: [i32; 3] = [0, 128 + 9, 128 + 15];
        !KILLED.contains(&self.exit_code) || self.reason == OUT_OF_MEMORY
    }
}

const OUT_OF_MEMORY: &str = "OOMKilled";

fn trouble(status: &ContainerStatus, prepares: Option<Vec<SmolStr>>) -> Option<Trouble> {
    if status.ready {
        return None;
    }
    let last = [&status.state, &status.last_state].into_iter().find_map(|state| state.terminated.as_ref());
    let ended = last.filter(|ended| ended.exit_code != 0);
    let reason = match (&status.state.waiting, ended) {
        (Some(waiting), Some(ended)) if ended.reason == OUT_OF_MEMORY => {
            if waiting.reason == "CrashLoopBackOff" { &ended.reason } else { &waiting.reason }
        }
        (Some(waiting), _) => &waiting.reason,
        (None, Some(ended)) => &ended.reason,
        (None, None) => return None,
    };
    // Each restart followed an end, and one that does not run now has ended once more.
    let ends = status.restart_count
        + i32::from(status.state.terminated.is_some() || (status.state.waiting.is_some() && last.is_some()));
    Some(Trouble {
        container: status.name.as_str().into(),
        reason: reason.as_str().into(),
        exit_code: ended.map(|ended| ended.exit_code),
        ended: ended.is_some(),
        crashes: if ended.is_some_and(Terminated::is_crash) { ends } else { 0 },
        finished: last.and_then(|ended| ended.finished_at.as_deref()).map_or(0, millis),
        prepares,
    })
}

impl Slim for PodView {
    type Raw = Raw;

    fn from_raw(raw: Raw) -> (ObjectMeta, Self) {
        let Raw { metadata: Twice(metadata, words), spec, status } = raw;
        let finished = matches!(status.phase.as_str(), "Succeeded" | "Failed");
        let PodSpec { containers: own, init_containers, volumes, host_network } = spec;
        let address = status.pod_ip.parse::<IpAddr>().ok().filter(|_| !host_network);
        let mut run = DefaultHasher::new();
        metadata.uid.hash(&mut run);
        status
            .container_statuses
            .iter()
            .for_each(|status| (&status.name, status.restart_count).hash(&mut run));
        let prepares = |status: &ContainerStatus| {
            let found = init_containers.iter().find(|container| *container.name() == *status.name);
            found.map(|container| container.mounted(&volumes)).unwrap_or_default()
        };
        let preparing = status
            .init_container_statuses
            .iter()
            .filter_map(|status| trouble(status, Some(prepares(status))));
        let ready = holds(&status.conditions, "Ready");
        let view = Self {
            run: run.finish(),
            address,
            ports: own.iter().flat_map(RawContainer::ports).take(PORTS).collect(),
            pod: Pod {
                name: metadata.name.as_str().into(),
                uid: metadata.uid.as_str().into(),
                resource_version: metadata.resource_version.as_str().into(),
                created: metadata.created() * 1_000,
                deleting: metadata.deletion_timestamp.is_some() || finished,
                ready,
                seen: 0,
                cut_off: !ready && holds(&status.conditions, "ContainersReady"),
                template: None,
                health: None,
                unready: status
                    .container_statuses
                    .iter()
                    .filter(|status| !status.ready)
                    .map(|status| status.name.as_str().into())
                    .collect(),
                scheduled: holds(&status.conditions, "PodScheduled"),
                answer: None,
                troubles: preparing
                    .chain(status.container_statuses.iter().filter_map(|status| trouble(status, None)))
                    .collect(),
                containers: containers(own, &volumes),
            },
            owner: Owner::of(&metadata.owner_references),
            revision: words.labels[REVISION_LABEL].as_str().unwrap_or_default().into(),
            maker: None,
        };
        (metadata.identity(), view)
    }
}
