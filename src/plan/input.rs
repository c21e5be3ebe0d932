//! What a decision is made from.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::model::{
    ConfigMapView, EnvFrom, Key, Levels, Millis, Pauses, Pod, PolicyObject, ProbesSkipped, Proof, Record,
    Refusal, Selected, Unreadable, Workload, WorkloadId,
};
use crate::plan::desired::in_force::Standing;
use crate::policy::{Kind, Verification};
use crate::server::kratos::{Layer, Overlay};

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
    pub probes_skipped: ProbesSkipped,
    /// What another policy left in the config map that this one writes; read only where a workload mounts it.
    pub left_file: Option<LeftFile>,
    /// Identity servers of the namespace that no policy names, the first few. Only for one policy of the
    /// namespace, so that not all of them say so.
    pub untargeted: Vec<WorkloadId>,
    /// Last path elements of images that count as an identity server.
    pub server_images: Arc<[String]>,
    /// The operator's own Deployment.
    pub own_deployment: Option<Key>,
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

/// A target with what was found under its name.
#[derive(Clone, Debug)]
pub struct TargetView {
    pub kind: Kind,
    pub name: SmolStr,
    /// Container, as the policy names it.
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
    /// Field manager that owned what the last repair replaced.
    pub rival: Option<SmolStr>,
}

/// A workload that carries our label.
#[derive(Clone, Debug)]
pub struct GovernedView {
    pub workload: Arc<Workload>,
    /// Another accepted policy names it, waits for it and is not about to go itself.
    pub claimant: bool,
}

impl TargetView {
    /// Why it is not known what runs under its labels, where that was looked for; what to do.
    #[must_use]
    pub fn unlisted(&self) -> Option<Refusal> {
        let Selected::Unlisted(why) = &self.selected else { return None };
        Some((why.reason(), format!("{self}: {}", why.words())))
    }

    /// Whether what its own pods and its template demand is all that its selector stands for.
    #[must_use]
    pub fn speaks_for_all(&self) -> bool {
        self.selected.is_own()
    }
}

/// What stands in the config map of the policy though the policy did not write it, where a server may read
/// it.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftFile {
    pub config_map: SmolStr,
    pub overlay: Overlay,
    /// Workloads read it that are no targets.
    pub by_others: bool,
}
