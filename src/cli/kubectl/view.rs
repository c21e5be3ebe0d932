//! What the screens show, as plain values. `-o json` prints them as they are: fields are added here,
//! never renamed. docs/kubectl-mfa.md lists them.

use serde::Serialize;

use crate::api::{Advisory, Condition, RequiredAal, RunningAal, TargetStatus, Transition};

/// Several policies.
#[derive(Serialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    pub policies: Vec<Policy>,
    /// What may not be read, and why it is not shown.
    pub not_seen: Vec<String>,
}

/// One policy and what belongs to it.
#[derive(Serialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// RFC 3339.
    pub created: String,
    /// Generation of the spec, and the one that the status speaks of.
    pub generation: i64,
    pub observed_generation: Option<i64>,
    pub deleting: bool,
    pub suspended: bool,
    /// Of the condition Ready; Unknown where there is none.
    pub ready: String,
    pub reason: String,
    pub message: String,
    /// What the spec asks for, and what pods run.
    #[serde(rename = "requiredAAL")]
    pub asked: RequiredAal,
    #[serde(rename = "runningAAL")]
    pub running: Option<RunningAal>,
    pub revision: Option<String>,
    pub failed_revision: Option<String>,
    /// Ready and wanted, as in 2/2.
    pub pods: Option<String>,
    pub targets: Vec<Target>,
    pub advisories: Vec<Advisory>,
    pub conditions: Vec<Condition>,
    pub transitions: Vec<Transition>,
    /// The newest first; none where they may not be read.
    pub revisions: Option<Vec<Revision>>,
}

#[derive(Serialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    #[serde(flatten)]
    pub status: TargetStatus,
    /// None where they may not be read.
    pub pods: Option<Vec<Pod>>,
}

#[derive(Serialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    pub name: String,
    pub node: Option<String>,
    pub created: String,
    pub ready: bool,
    pub terminating: bool,
    pub restarts: i32,
    /// Of the variable or the annotation that it was started with.
    pub revision: Option<String>,
    /// Why it is not ready, in the kubelet's or the scheduler's word.
    pub trouble: Option<String>,
}

#[derive(Serialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    pub number: i64,
    pub revision: String,
    pub created: String,
    pub delivery: String,
    pub settings: Option<String>,
    pub whoami: Option<String>,
    /// Names of its second factors that are on.
    pub methods: Vec<String>,
    /// Targets whose pods carry it, as "Deployment kratos".
    pub in_force_on: Vec<String>,
    /// Targets that have it and whose roll is not done.
    pub rolling_on: Vec<String>,
    pub good_on: Vec<String>,
    /// Where and why it failed.
    pub failed: Option<String>,
}

/// Something that happened to a policy.
#[derive(Serialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    pub last_seen: String,
    #[serde(rename = "type")]
    pub type_: String,
    pub reason: String,
    pub message: String,
    pub count: i32,
}

impl Policy {
    /// Whether the status speaks of the spec as it is now.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.observed_generation == Some(self.generation)
    }

    #[must_use]
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }
}
