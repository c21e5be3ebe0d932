//! Workloads: Deployments, StatefulSets and DaemonSets, whose fields hardly overlap.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde::de::IgnoredAny;
use smol_str::SmolStr;

use super::metadata::{Annotations, Metadata};
use super::volumes::{Mount, Volume, mounted_file, mounts};
use super::{Condition, Slim, holds};
use crate::plan::{Container, EnvVar, OwnFields, UpdateStrategy, Workload, WorkloadStatus};
use crate::policy::Kind;
use crate::server::kratos::{config_files, governed_names};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(in crate::controller) struct Raw {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    replicas: Option<i32>,
    paused: bool,
    selector: Selector,
    template: Template,
    update_strategy: Strategy,
}

/// Of StatefulSets and DaemonSets; a Deployment has another field, and always rolls.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Strategy {
    #[serde(rename = "type")]
    type_: String,
    rolling_update: Option<RollingUpdate>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RollingUpdate {
    partition: i32,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Selector {
    match_labels: BTreeMap<String, String>,
    match_expressions: Vec<Expression>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Expression {
    key: String,
    operator: String,
    values: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Template {
    metadata: TemplateMetadata,
    spec: PodSpec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TemplateMetadata {
    annotations: Annotations,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodSpec {
    pub host_network: bool,
    pub containers: Vec<RawContainer>,
    pub volumes: Vec<Volume>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RawContainer {
    name: String,
    image: String,
    command: Vec<String>,
    args: Vec<String>,
    working_dir: String,
    env: Vec<RawEnv>,
    ports: Vec<Port>,
    volume_mounts: Vec<Mount>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Port {
    name: String,
    container_port: u16,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawEnv {
    name: String,
    value: Option<String>,
    value_from: Option<IgnoredAny>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: i64,
    replicas: i32,
    updated_replicas: i32,
    ready_replicas: i32,
    available_replicas: i32,
    terminating_replicas: Option<i32>,
    conditions: Vec<Condition>,
    /// From here on: DaemonSets, which have none of the counts above.
    desired_number_scheduled: Option<i32>,
    current_number_scheduled: i32,
    updated_number_scheduled: i32,
    number_ready: i32,
    number_available: i32,
}

/// The name, if it is one that a policy may set, without a copy of its own.
pub(super) fn known_name(name: &str) -> Option<SmolStr> {
    let names = governed_names();
    let index = names.binary_search_by(|known| known.as_str().cmp(name)).ok()?;
    Some(SmolStr::new_static(&names[index]))
}

/// Of Kratos' admin API, as its own chart names it, and where it listens by itself.
const ADMIN_PORT: (&str, u16) = ("http-admin", 4434);

impl RawContainer {
    pub fn name(&self) -> SmolStr {
        self.name.as_str().into()
    }

    pub fn admin_port(&self) -> u16 {
        self.ports.iter().find(|port| port.name == ADMIN_PORT.0).map_or(ADMIN_PORT.1, |port| port.container_port)
    }

    /// Without variables that no policy sets: other values may be secrets, and none is needed.
    pub fn slim(self, volumes: &[Volume]) -> Container {
        let known = |entry: RawEnv| {
            let name = known_name(&entry.name)?;
            // An entry with neither is an empty value.
            let value = entry.value_from.is_none().then(|| entry.value.unwrap_or_default().into());
            Some(EnvVar { name, value })
        };
        let words = self.command.iter().chain(&self.args).map(String::as_str);
        let files = config_files(words).into_iter().map(|path| mounted_file(path, &self.working_dir, &self.volume_mounts, volumes));
        Container {
            name: self.name.into(),
            image: self.image.into(),
            files: files.collect(),
            env: self.env.into_iter().filter_map(known).collect(),
        }
    }
}

impl Selector {
    fn to_query(&self) -> String {
        let labels = self.match_labels.iter().map(|(key, value)| format!("{key}={value}"));
        let expressions = self.match_expressions.iter().map(|expression| {
            let values = expression.values.join(",");
            match expression.operator.as_str() {
                "In" => format!("{} in ({values})", expression.key),
                "NotIn" => format!("{} notin ({values})", expression.key),
                "DoesNotExist" => format!("!{}", expression.key),
                _ => expression.key.clone(),
            }
        });
        labels.chain(expressions).collect::<Vec<_>>().join(",")
    }
}

impl Strategy {
    fn update(&self) -> UpdateStrategy {
        match (self.type_.as_str(), &self.rolling_update) {
            ("OnDelete", _) => UpdateStrategy::OnDelete,
            (_, Some(RollingUpdate { partition: partition @ 1.. })) => UpdateStrategy::Partition(*partition),
            _ => UpdateStrategy::Rolling,
        }
    }
}

impl Slim for Workload {
    type Raw = Raw;

    fn of_kind(self, kind: &str) -> Self {
        Self { kind: Kind::from_word(kind).unwrap_or_default(), ..self }
    }

    fn from_raw(raw: Raw) -> (ObjectMeta, Self) {
        let metadata = raw.metadata;
        let mut own = OwnFields::default();
        for entry in metadata.own_entries().filter(|entry| entry.by_apply) {
            own = OwnFields {
                policy_label: entry.policy_label(),
                governed: entry.governed(),
                required_aal: entry.required_aal(),
                env: entry.env(),
                changed: entry.changed,
            };
        }
        let status = raw.status;
        let PodSpec { containers, volumes, .. } = raw.spec.template.spec;
        let workload = Self {
            kind: Kind::default(),
            key: metadata.key(),
            uid: metadata.uid.as_str().into(),
            resource_version: metadata.resource_version.as_str().into(),
            generation: metadata.generation,
            deleting: metadata.deletion_timestamp.is_some(),
            policy_label: metadata.labels.policy.as_deref().map(Into::into),
            governed: metadata.annotations.governed.as_deref().map(Into::into),
            required_aal: raw.spec.template.metadata.annotations.required_aal.map(Into::into),
            allowed: metadata.annotations.allow.as_deref() == Some("true"),
            own,
            replicas: status.desired_number_scheduled.or(raw.spec.replicas).unwrap_or(1),
            paused: raw.spec.paused,
            update: raw.spec.update_strategy.update(),
            selector: raw.spec.selector.to_query().into(),
            mounts: mounts(&volumes),
            containers: containers.into_iter().map(|container| container.slim(&volumes)).collect(),
            status: WorkloadStatus {
                observed_generation: status.observed_generation,
                total: status.replicas + status.current_number_scheduled,
                updated: status.updated_replicas + status.updated_number_scheduled,
                ready: status.ready_replicas + status.number_ready,
                available: status.available_replicas + status.number_available,
                terminating: status.terminating_replicas,
                replica_failure: holds(&status.conditions, "ReplicaFailure"),
            },
        };
        (metadata.identity(), workload)
    }
}
