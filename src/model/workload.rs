//! A workload, without what no decision needs.

use smol_str::SmolStr;

use crate::model::Traits;
use crate::model::bounded::Bounded;
use crate::model::container::{Container, Containers};
use crate::model::key::{Key, Millis, WorkloadId};
use crate::model::ownership_note::OwnershipNote;
use crate::model::replacement::Replacement;
use crate::policy::Kind;
use crate::server::kratos::{REVISION, level_variables, runs_kratos};

impl Workload {
    /// The policy that our label says governs this very object. One that was copied, or restored, has the
    /// label of the one it was made after.
    #[must_use]
    pub fn governor(&self) -> Option<&SmolStr> {
        let memory = OwnershipNote::read(self.governed.as_deref().filter(|_| self.own.governed));
        let of_another = memory.and_then(|memory| memory.workload).is_some_and(|uid| *uid != *self.uid);
        self.policy_label.as_ref().filter(|_| self.own.policy_label && !of_another)
    }
}

impl Workload {
    /// The rendered file of this config map, as the container reads it.
    #[must_use]
    pub fn file(&self, container: &str, config_map: &str) -> Option<&crate::model::container::MountedFile> {
        let own = self.containers.iter().find(|live| *live.name == *container)?;
        own.files.iter().rev().flatten().find(|file| file.is_of(config_map))
    }

    /// The variables that our manager owns, in whatever container, each as (name, value as written).
    pub fn own_variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self
            .containers
            .iter()
            .flat_map(|container| container.env.iter().map(move |entry| (container, entry)));
        let own = all.filter(|(container, entry)| self.owns(&container.name, &entry.name));
        own.filter_map(|(_, entry)| Some((entry.name.as_str(), entry.value.as_deref()?)))
    }

    /// Whether what it has of ours is no more than what stands beside a file.
    #[must_use]
    pub fn is_given_a_file(&self) -> bool {
        let (settings, whoami) = level_variables();
        self.own.policy_label && self.own.env.iter().all(|(_, name)| *name == *settings || *name == *whoami)
    }

    /// The revision that a variable of ours names. What comes by a file names none.
    #[must_use]
    pub fn revision(&self) -> Option<&str> {
        self.own_variables().find(|(name, _)| *name == REVISION).map(|(_, value)| value)
    }
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
    /// Field manager other than ours that changed the spec last.
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

/// A roll that is done: everything runs the template and nothing older is left.
#[must_use]
pub fn is_done(workload: &Workload) -> bool {
    let status = &workload.status;
    status.observed_generation >= workload.generation
        && status.updated == workload.replicas
        && status.total == workload.replicas
        && status.available >= workload.replicas
}

impl Workload {
    /// Drops what no policy can govern: of a container that is no server, only name and image stay, unless
    /// something of ours is in it.
    #[must_use]
    pub fn of_interest(mut self, server_images: &[String]) -> Self {
        if self.allowed || self.own.env.more {
            return self;
        }
        let has_ours =
            |container: &Container| self.own.env.iter().any(|(inside, _)| *inside == container.name);
        let slim = |container: Container| {
            let matters = runs_kratos(&container.image, server_images) || has_ours(&container);
            Some(if matters {
                container
            } else {
                Container { traits: Traits::default(), ..container.unknown() }
            })
        };
        self.containers = std::mem::take(&mut self.containers).filter_map(slim);
        self
    }
}
