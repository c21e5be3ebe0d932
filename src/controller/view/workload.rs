//! Workloads: Deployments, StatefulSets and DaemonSets, whose fields hardly overlap.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde::de::IgnoredAny;
use smol_str::SmolStr;

use super::metadata::Metadata;
use super::surge::{Share, Surge};
use super::volumes::{Mount, Volume, mounted_file, mounts};
use super::{Condition, Slim, holds};
use crate::plan::{
    Container, EnvSource, EnvVar, OwnFields, Replacement, Traits, UnreadFile, Unusual, UpdateStrategy, Workload, WorkloadStatus, bounded,
};
use crate::policy::Kind;
use crate::server::kratos::{config_files, governed_names, input, may_begin, named_in, reaches};

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
    min_ready_seconds: i32,
    selector: Selector,
    template: Template,
    update_strategy: Strategy,
    /// Of Deployments; the other kinds have the field above.
    strategy: Option<Surge>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Strategy {
    #[serde(rename = "type")]
    type_: String,
    rolling_update: Option<RollingUpdate>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RollingUpdate {
    partition: i32,
    max_surge: Option<Share>,
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
    spec: PodSpec,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodSpec {
    pub host_network: bool,
    pub init_containers: Vec<RawContainer>,
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
    env_from: Vec<RawEnvFrom>,
    ports: Vec<Port>,
    volume_mounts: Vec<Mount>,
    lifecycle: Lifecycle,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Lifecycle {
    pre_stop: Option<IgnoredAny>,
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
struct RawEnvFrom {
    prefix: String,
    config_map_ref: Option<Reference>,
    secret_ref: Option<Reference>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reference {
    name: String,
}

impl RawEnvFrom {
    /// Where it may set what rules look at.
    fn source(self) -> Option<EnvSource> {
        if !may_begin(&self.prefix) {
            return None;
        }
        let prefix = SmolStr::from(self.prefix);
        let secret = |reference: Reference| EnvSource::Secret { name: reference.name.into(), prefix: prefix.clone() };
        let config_map = |reference: Reference| EnvSource::ConfigMap { name: reference.name.into(), prefix: prefix.clone() };
        self.secret_ref.map(secret).or_else(|| self.config_map_ref.map(config_map))
    }
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

impl RawContainer {
    pub fn name(&self) -> SmolStr {
        self.name.as_str().into()
    }

    /// The config maps that it mounts.
    pub fn mounted(&self, volumes: &[Volume]) -> Vec<SmolStr> {
        self.volume_mounts.iter().flat_map(|mount| mount.config_maps(volumes)).collect()
    }

    /// As (container, name, number).
    pub fn ports(&self) -> impl Iterator<Item = (SmolStr, SmolStr, u16)> {
        self.ports.iter().map(|port| (self.name.as_str().into(), port.name.as_str().into(), port.container_port))
    }

    /// Without variables that no rule looks at: other values may be secrets, and none is needed.
    pub fn slim(self, volumes: &[Volume]) -> Container {
        let traits =
            Traits { serves: self.command.iter().chain(&self.args).any(|word| word == "serve"), drains: self.lifecycle.pre_stop.is_some() };
        let words = || self.command.iter().chain(&self.args).map(String::as_str);
        let mut unusual = Unusual { in_command: names(words().flat_map(named_in)), ..Unusual::default() };
        let mut files = Vec::new();
        for (at, path) in config_files(words()).into_iter().enumerate() {
            let file = mounted_file(path, &self.working_dir, &self.volume_mounts, volumes);
            files.push(file.map_err(|source| unusual.unread.push(UnreadFile { at, path: path.into(), source })).ok());
        }
        let mut env = Vec::new();
        for entry in self.env {
            // Beside what a policy sets, what a rule looks at; no other value is held.
            let beside = || input(&entry.name).map(|input| SmolStr::new_static(&input.name));
            match known_name(&entry.name).or_else(beside) {
                // An entry with neither is an empty value.
                Some(name) => env.push(EnvVar { name, value: entry.value_from.is_none().then(|| entry.value.unwrap_or_default().into()) }),
                None if reaches(&entry.name).next().is_none() => {}
                None => unusual.aliases.push(entry.name.into()),
            }
        }
        unusual.aliases = names(unusual.aliases.iter().map(SmolStr::as_str));
        unusual.env_from = self.env_from.into_iter().filter_map(RawEnvFrom::source).collect();
        // Exactly as large as they are: they are held ten thousand times.
        env.shrink_to_fit();
        files.shrink_to_fit();
        Container { name: self.name.into(), image: self.image.into(), files, traits, env, unusual: unusual.boxed() }
    }
}

/// Each once.
fn names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<SmolStr> {
    names.map(SmolStr::from).collect::<BTreeSet<_>>().into_iter().collect()
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
    fn replacement(&self) -> Replacement {
        let surge = self.rolling_update.as_ref().and_then(|rolling| rolling.max_surge.as_ref());
        if surge.is_some_and(|surge| !surge.is_nothing()) { Replacement::NewFirst } else { Replacement::OldFirst }
    }

    fn update(&self) -> UpdateStrategy {
        match (self.type_.as_str(), &self.rolling_update) {
            ("OnDelete", _) => UpdateStrategy::OnDelete,
            (_, Some(RollingUpdate { partition: partition @ 1.., .. })) => UpdateStrategy::Partition(*partition),
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
            own = OwnFields { policy_label: entry.policy_label(), governed: entry.governed(), env: entry.env(), changed: entry.changed };
        }
        let status = raw.status;
        let replicas = status.desired_number_scheduled.or(raw.spec.replicas).unwrap_or(1);
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
            allowed: metadata.annotations.allow.as_deref() == Some("true"),
            own,
            replicas,
            min_ready_seconds: raw.spec.min_ready_seconds,
            paused: raw.spec.paused,
            update: raw.spec.update_strategy.update(),
            replacement: match &raw.spec.strategy {
                Some(surge) => surge.replacement(raw.spec.replicas.unwrap_or(1)),
                None => raw.spec.update_strategy.replacement(),
            },
            selector: raw.spec.selector.to_query().into(),
            last_manager: metadata.spec_manager().map(|manager| bounded(manager).into()),
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
