//! `MfaPolicy.status`. It decides nothing: the operator reads of its own status only the
//! transition times, to keep them.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator knows about the policy.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MfaPolicyStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The weakest levels that any pod of the targets runs now; Unknown where the server's own configuration
    /// decides.
    #[serde(rename = "requiredAAL", default, skip_serializing_if = "Option::is_none")]
    pub required_aal: Option<RunningAal>,

    /// Digest of the rendered settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,

    /// Digest of the settings that failed and were taken back; only while they are not in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_revision: Option<String>,

    /// Pods that are ready and run the revision, of those wanted, for example 3/3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<String>,

    /// Each target as it is now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["group".into(), "kind".into(), "name".into()]))]
    pub targets: Vec<TargetStatus>,

    /// What is no fault and still worth a thought; docs/advisories.md explains each. Its type in
    /// spec.acknowledge ends it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub advisories: Vec<Advisory>,

    /// The last ten changes of the enforced level, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<Transition>,

    /// Accepted, RolledOut, Effective and Ready; Overridden, Reconciling and Stalled while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// Levels as the pods run them: aal1, highest_available or Unknown.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
pub struct RunningAal {
    /// Level of the settings flow.
    pub settings: String,
    /// Level of whoami.
    pub whoami: String,
}

/// One target.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// API group of the workload.
    pub group: String,
    /// Kind of the workload.
    pub kind: String,
    /// Name of the workload.
    pub name: String,
    /// Container that carries the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Uid of the workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Generation of the workload that its controller has observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Newest revision whose roll here was done with at least one pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good_revision: Option<String>,
    /// Version of the identity server, as a pod answered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// What could not be looked at and may override the policy, for example a Secret that variables come
    /// from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_checked: Vec<String>,
    /// Revision that the pod template carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The weakest levels that any pod of this target runs now.
    #[serde(rename = "requiredAAL", default, skip_serializing_if = "Option::is_none")]
    pub required_aal: Option<RunningAal>,
    /// Pods made from the current template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_pods: Option<i32>,
    /// Pods that are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_pods: Option<i32>,
    /// Pods that exist and are not terminating.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_pods: Option<i32>,
    /// Pods that are terminating.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminating_pods: Option<i32>,
}

/// Something worth a thought.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
pub struct Advisory {
    /// Its stable name, which spec.acknowledge takes.
    #[serde(rename = "type")]
    pub type_: String,
    /// What it means here, and what to do.
    pub message: String,
}

/// A change of the enforced level.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
pub struct Transition {
    /// When it was seen, RFC 3339.
    #[schemars(schema_with = "date_time")]
    pub time: String,
    /// Levels before.
    pub from: RunningAal,
    /// Levels after.
    pub to: RunningAal,
    /// Generation of the policy's spec then.
    pub generation: i64,
    /// Revision of the policy when it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Field manager that last changed the policy's spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// Why: Policy, RolledBack or Drift.
    pub cause: String,
}

/// A condition in the shape of `metav1.Condition`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Accepted, RolledOut, Effective, Overridden, Ready, Reconciling or Stalled.
    #[serde(rename = "type")]
    pub type_: String,
    /// True, False or Unknown.
    pub status: String,
    /// One word for why.
    pub reason: String,
    /// What it means here, and what to do next.
    pub message: String,
    /// When the status last changed, RFC 3339.
    #[schemars(schema_with = "date_time")]
    pub last_transition_time: String,
    /// Generation of the spec that it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

fn date_time(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "string", "format": "date-time"})
}
