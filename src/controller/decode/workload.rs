//! Workloads: Deployments, StatefulSets and DaemonSets, whose fields hardly overlap.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use smol_str::SmolStr;

use crate::controller::decode::bounded::{Entries, cut};
use crate::controller::decode::container::{LONGEST_NAME, RawContainer, containers};
use crate::controller::decode::metadata::Metadata;
use crate::controller::decode::surge::{Share, Surge};
use crate::controller::decode::volumes::{Volumes, mounts};
use crate::controller::decode::{Condition, Slim, holds};
use crate::model::{Bounded, OwnFields, Replacement, UpdateStrategy, Workload, WorkloadStatus, bounded};
use crate::policy::Kind;

/// What is held of it, in bytes: its selector, and what the operator itself wrote on it.
const LONGEST_SELECTOR: usize = 2 * 1024;

pub const LONGEST_MEMORY: usize = 1024;

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Raw {
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
    /// Update strategy of a Deployment. The other kinds have `update_strategy`.
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
    match_labels: Entries<String, 32>,
    match_expressions: Bounded<Expression, 32>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Expression {
    key: String,
    operator: String,
    values: Bounded<String, 32>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Template {
    spec: PodSpec,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    pub host_network: bool,
    pub init_containers: Bounded<RawContainer, 16>,
    pub containers: Bounded<RawContainer, 16>,
    pub volumes: Volumes,
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
    conditions: Bounded<Condition, 32>,
    /// From here on: DaemonSets, which have none of the counts above.
    desired_number_scheduled: Option<i32>,
    current_number_scheduled: i32,
    updated_number_scheduled: i32,
    number_ready: i32,
    number_available: i32,
}

impl Selector {
    /// None where it is longer than any.
    fn to_query(&self) -> Option<SmolStr> {
        let more = self.match_labels.0.more
            || self.match_expressions.more
            || self.match_expressions.iter().any(|expression| expression.values.more);
        Some(self.query()).filter(|query| !more && query.len() <= LONGEST_SELECTOR).map(SmolStr::from)
    }

    fn query(&self) -> String {
        let labels = self.match_labels.0.iter().map(|(key, value)| format!("{key}={value}"));
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
        if surge.is_some_and(|surge| !surge.is_nothing()) {
            Replacement::NewFirst
        } else {
            Replacement::OldFirst
        }
    }

    fn update(&self) -> UpdateStrategy {
        match (self.type_.as_str(), &self.rolling_update) {
            ("OnDelete", _) => UpdateStrategy::OnDelete,
            (_, Some(RollingUpdate { partition: partition @ 1.., .. })) => {
                UpdateStrategy::Partition(*partition)
            }
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
                env: entry.env(),
                changed: entry.changed,
            };
        }
        own.env.more |= metadata.managed_fields.own.more;
        let status = raw.status;
        let replicas = status.desired_number_scheduled.or(raw.spec.replicas).unwrap_or(1);
        let PodSpec { containers: raw_containers, volumes, .. } = raw.spec.template.spec;
        let workload = Self {
            kind: Kind::default(),
            key: metadata.key(),
            uid: metadata.uid.as_str().into(),
            resource_version: metadata.resource_version.as_str().into(),
            generation: metadata.generation,
            deleting: metadata.deletion_timestamp.is_some(),
            policy_label: metadata.labels.policy.as_deref().map(Into::into),
            governed: metadata.annotations.governed.as_deref().map(|text| cut(text, LONGEST_MEMORY)),
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
            surge: raw.spec.strategy.as_ref().map(|surge| surge.beside(replicas)).unwrap_or_default(),
            selector: raw.spec.selector.to_query(),
            last_manager: metadata.spec_manager().map(|manager| cut(&bounded(manager), LONGEST_NAME)),
            mounts: mounts(&volumes),
            containers: containers(raw_containers, &volumes),
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
