//! What a decision is made from: slim, plain values. `controller` fills them from the cluster.

use std::sync::Arc;

use smol_str::SmolStr;

use super::record::Record;
use super::shape::{Replacement, Traits};
use super::unusual::{EnvFrom, Unusual};
use super::{
    Bounded, LastStatus, LeftFile, Levels, Pauses, Pod, Proof, Selected, Standing, Unheard, Unreadable,
};
use crate::policy::{DeletionPolicy, Kind, Policy, Rejection, Verification};
use crate::server::kratos::{Layer, runs_kratos};

/// Milliseconds since the Unix epoch.
pub type Millis = i64;

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub namespace: SmolStr,
    pub name: SmolStr,
}

impl Key {
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Another name in the same namespace.
    #[must_use]
    pub fn beside(&self, name: &SmolStr) -> Self {
        Self { namespace: self.namespace.clone(), name: name.clone() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Kind, namespace and name of a workload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadId {
    pub kind: Kind,
    pub key: Key,
}

/// Everything about one policy name in one namespace.
#[derive(Clone, Debug)]
pub struct Observed {
    pub now: Millis,
    pub pauses: Pauses,
    pub key: Key,
    pub policy: Option<Arc<PolicyObject>>,
    /// Only where `policy` is none.
    pub absence: Absence,
    /// Uid of the resource definition; empty where it could not be read.
    pub crd_uid: SmolStr,
    /// In the order of the policy, or of the record in force where its spec is refused.
    pub targets: Vec<TargetView>,
    /// Workloads that carry the policy's label, targets or not.
    pub governed: Vec<GovernedView>,
    /// Config maps that carry the policy's label, and the one that it names, whosesoever label it carries.
    pub config_maps: Vec<ConfigMapView>,
    /// Records of this very policy (by uid), newest first.
    pub records: Vec<Arc<Record>>,
    /// Names of what bears the label of a record, and is none or cannot be read.
    pub ignored: Vec<SmolStr>,
    /// Workloads and config maps that carry the policy's label, and the config map that it names, where they
    /// cannot be read.
    pub unreadable: Vec<Arc<Unreadable>>,
    pub standing: Standing,
    pub unheard: Unheard,
    /// What another policy left in the config map that this one writes; read only where a workload mounts it.
    pub left_file: Option<LeftFile>,
    /// Identity servers of the namespace that no policy names, the first few. Only for one policy of the
    /// namespace, so that not all of them say so.
    pub untargeted: Vec<WorkloadId>,
    /// Last path elements of images that count as an identity server.
    pub server_images: Arc<[String]>,
    /// The operator's own Deployment.
    pub itself: Option<Key>,
}

impl Observed {
    /// The config map with this name, if our label is on it.
    #[must_use]
    pub fn config_map(&self, name: &str) -> Option<&ConfigMapView> {
        self.config_maps.iter().find(|map| map.name == name)
    }

    /// How pods are asked.
    #[must_use]
    pub fn verification(&self) -> Verification {
        self.policy.as_ref().map(|policy| policy.verification.clone()).unwrap_or_default()
    }

    /// The record with this digest.
    #[must_use]
    pub fn record(&self, digest: &str) -> Option<&Arc<Record>> {
        self.records.iter().find(|record| record.digest() == digest)
    }
}

/// How sure it is that a policy is gone for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// Somebody may recreate it: nothing is undone before this time.
    Pausing { until: Millis },
    /// A live read said not found while the kind is still served.
    Confirmed,
    /// It cannot be told: the kind is not served, or its definition is being deleted.
    Uncertain,
}

/// A policy as stored.
#[derive(Clone, Debug)]
pub struct PolicyObject {
    pub key: Key,
    pub uid: SmolStr,
    pub resource_version: SmolStr,
    pub generation: i64,
    /// Seconds since the Unix epoch.
    pub created: i64,
    pub deleting: bool,
    pub spec: Result<Policy, Vec<Rejection>>,
    /// As written, even where the rest of the spec is refused.
    pub deletion_policy: DeletionPolicy,
    /// Likewise.
    pub suspend: bool,
    /// Digest of [`crate::api::RETRY_ANNOTATION`]; empty where it is not set.
    pub retry: SmolStr,
    /// Who changed the spec last, if that is known.
    pub manager: Option<SmolStr>,
    /// Likewise.
    pub verification: Verification,
    pub status: LastStatus,
}

impl PolicyObject {
    /// What shall happen to its workloads when it goes, as they remember it: one that is suspended
    /// leaves everything as it is.
    #[must_use]
    pub fn remembered_deletion_policy(&self) -> DeletionPolicy {
        if self.suspend { DeletionPolicy::Retain } else { self.deletion_policy }
    }
}

/// A target with what was found under its name.
#[derive(Clone, Debug)]
pub struct TargetView {
    pub kind: Kind,
    pub name: SmolStr,
    /// As the policy names it.
    pub container: Option<SmolStr>,
    pub workload: Option<Arc<Workload>>,
    /// The workload, where it is there and cannot be read.
    pub unreadable: Option<Arc<Unreadable>>,
    /// Name of the policy that holds the workload; none where nothing was found.
    pub holder: Option<SmolStr>,
    /// Another policy that would have it as well, where nothing but the age decided between the two.
    pub over: Option<SmolStr>,
    /// Its pods, listed while it moves, and where they read a file.
    pub pods: Option<Vec<Pod>>,
    pub selected: Selected,
    /// Digest of all that decides whether a pod starts, our fields aside: the pod template and the
    /// config maps that its server reads. Read only where a revision failed, or is about to.
    pub content: Option<Content>,
    /// Since when, without a break as far as this process saw, an old pod runs well while new ones fail.
    pub well_since: Option<Millis>,
    /// The weakest levels of its pods when they were asked last, of which the template says nothing; none
    /// where they were not asked for what the policy has now.
    pub listed: Option<Levels>,
    /// What its pods proved of the variables that are desired, when they were asked last.
    pub proof: Option<Proof>,
    /// Since when its pods answer different configurations.
    pub disagrees_since: Option<Millis>,
    /// What the config maps hold that its container takes variables from.
    pub env_from: EnvFrom,
    /// What matters of the configuration files beside ours, the weakest first; none where it is not known
    /// which there are, or they have not been read.
    pub base: Option<Arc<[Layer]>>,
    /// Version of its server; none where it was not asked, or did not say.
    pub server_version: Option<SmolStr>,
    pub history: History,
}

impl TargetView {
    /// Whether no other policy than this one has it.
    #[must_use]
    pub fn is_free_for(&self, policy: &str) -> bool {
        self.holder.as_ref().is_none_or(|holder| **holder == *policy)
    }
}

impl std::fmt::Display for TargetView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// What is in a pod template beside our fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub digest: SmolStr,
    /// Last change of a config map that its server is made from, ours aside.
    pub changed: Millis,
}

/// What this process did to a workload lately. Lost at a restart, which costs nothing but pace.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Rolls that this process started.
    pub rolls: Vec<Millis>,
    /// Repairs of drift.
    pub repairs: Vec<Millis>,
    /// Who owned what the last repair replaced.
    pub rival: Option<SmolStr>,
}

/// A workload that carries our label.
#[derive(Clone, Debug)]
pub struct GovernedView {
    pub workload: Arc<Workload>,
    /// Another accepted policy names it, waits for it and is not about to go itself.
    pub claimant: bool,
}

/// A workload, without what no decision needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    pub kind: Kind,
    pub key: Key,
    pub uid: SmolStr,
    pub resource_version: SmolStr,
    pub generation: i64,
    pub deleting: bool,
    pub policy_label: Option<SmolStr>,
    pub governed: Option<SmolStr>,
    /// Its owner declared it an identity server.
    pub allowed: bool,
    pub own: OwnFields,
    /// Pods wanted.
    pub replicas: i32,
    pub paused: bool,
    pub update: UpdateStrategy,
    /// Seconds that a new pod must be ready before it counts.
    pub min_ready_seconds: i32,
    pub replacement: Replacement,
    /// Pods that a roll of a Deployment may make beside those wanted.
    pub surge: i32,
    /// Label selector of its pods, in the form of a list request; none where it is longer than any that is
    /// kept.
    pub selector: Option<SmolStr>,
    pub containers: Containers,
    /// Who else changed the spec last.
    pub last_manager: Option<SmolStr>,
    /// Config maps that the pod template mounts.
    pub mounts: Bounded<SmolStr, 32>,
    pub status: WorkloadStatus,
}

impl Workload {
    /// Whether a roll ends every old pod before a new one serves.
    #[must_use]
    pub fn ends_old_first(&self) -> bool {
        match (self.replacement, self.kind) {
            (Replacement::NewFirst, _) => false,
            (Replacement::AllAtOnce, _) | (Replacement::OldFirst, Kind::Deployment) => self.replicas > 0,
            (Replacement::OldFirst, Kind::StatefulSet | Kind::DaemonSet) => self.replicas == 1,
        }
    }

    /// Whether its owner keeps pods from following the template.
    #[must_use]
    pub fn is_kept_back(&self) -> bool {
        self.paused || self.update != UpdateStrategy::Rolling
    }

    /// Whether it mounts the config map, as far as is known.
    #[must_use]
    pub fn may_mount(&self, config_map: &str) -> bool {
        self.mounts.more || self.mounts.iter().any(|own| *own == *config_map)
    }

    /// Whether our manager owns the variable.
    #[must_use]
    pub fn owns(&self, container: &str, variable: &str) -> bool {
        self.own.env.iter().any(|(inside, own)| **inside == *container && **own == *variable)
    }

    #[must_use]
    pub fn id(&self) -> WorkloadId {
        WorkloadId { kind: self.kind, key: self.key.clone() }
    }
}

impl std::fmt::Display for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.key.name)
    }
}

/// Whether pods follow the template by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateStrategy {
    /// All of them do, in whatever order.
    #[default]
    Rolling,
    /// Only those that somebody deletes.
    OnDelete,
    /// Only those with this ordinal or a higher one.
    Partition(i32),
}

/// The fields that our field manager owns by apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnFields {
    pub policy_label: bool,
    pub governed: bool,
    /// (container, variable)
    pub env: Bounded<(SmolStr, SmolStr), 32>,
    /// Last change of this set or its values.
    pub changed: Option<Millis>,
}

/// Those of a pod.
pub type Containers = Bounded<Container, 16>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub name: SmolStr,
    pub image: SmolStr,
    /// Only variables that a policy may set, and those that rules look at beside them.
    pub env: Bounded<EnvVar, 64>,
    /// The configuration files that its command line names, in their order; none for one that is
    /// not from a config map.
    pub files: Bounded<Option<MountedFile>, 16>,
    /// None for the usual container: it is held ten thousand times.
    pub unusual: Option<Box<Unusual>>,
    pub traits: Traits,
}

impl Container {
    /// Whether it is an identity server that answers sign-in: its words say so, or it has none, and then the
    /// image's own do.
    #[must_use]
    pub fn is_server(&self, server_images: &[String]) -> bool {
        (self.traits.serves || self.traits.by_image) && runs_kratos(&self.image, server_images)
    }
}

/// A file from a config map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountedFile {
    pub config_map: SmolStr,
    pub key: SmolStr,
    /// The kubelet brings it up to date in a running pod.
    pub reloads: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvVar {
    pub name: SmolStr,
    /// As written in the template, before Kubernetes expands it; none for `valueFrom`.
    pub value: Option<SmolStr>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadStatus {
    pub observed_generation: i64,
    pub total: i32,
    pub updated: i32,
    pub ready: i32,
    pub available: i32,
    pub terminating: Option<i32>,
    /// The controller cannot create pods: its reason.
    pub replica_failure: bool,
}

/// A config map that carries our label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMapView {
    pub name: SmolStr,
    pub uid: SmolStr,
    pub resource_version: SmolStr,
    pub deleting: bool,
    pub policy_label: Option<SmolStr>,
    pub governed: Option<SmolStr>,
    /// Our field manager wrote the label.
    pub own: bool,
    /// Digest of the rendered file in it.
    pub content: Option<SmolStr>,
    /// The policy that its label names, if that is another one and still holds it.
    pub holder: Option<SmolStr>,
    /// Another accepted policy names it and is not about to go itself.
    pub claimant: bool,
    /// A pod or a pod template mounts it; read only where it is about to be removed.
    pub mounted: bool,
}
